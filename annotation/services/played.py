"""The gate of sounds and films: an answer counts once enough of each was played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import Refused
from annotation.feedback import SIDES
from annotation.models import Assignment, Project
from annotation.played import Gate
from annotation.services import assignment_sql as sql
from annotation.services.assignment import rows_of


def gate_of(project: Project) -> Gate:
    return Gate(project.media_seconds, project.media_percent)


def played_check(
    project: Project, assignment_id: int, option_order: Sequence[int], exposure: Mapping[str, Any] | None
) -> None:
    """Refuse an answer to what was played too little. Two queries, in projects with media only."""
    gate = gate_of(project)
    if not project.has_media or not (gate.seconds or gate.percent):
        return
    comparison = Assignment.objects.values_list("comparison_id", flat=True).get(pk=assignment_id)
    stored = rows_of(sql.TEXTS, {"comparison": comparison})
    texts = [(form, body) for form, body in (stored[position] for position in option_order)]
    if unplayed := gate.unplayed(texts, exposure or {}, SIDES):
        raise Refused(
            f"Of {' and '.join(unplayed)} too little was played: {_words(gate)} of each are wanted before an answer counts."
            " The answer was not taken."
        )


def _words(gate: Gate) -> str:
    asked = [f"{gate.seconds} seconds"] if gate.seconds else []
    return " and ".join([*asked, *([f"{gate.percent}%"] if gate.percent else [])])

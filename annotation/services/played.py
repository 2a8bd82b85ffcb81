"""The gate of sounds and films: an answer counts once enough of each was played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from annotation.errors import Phrase, Refused, _
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
            _(
                "Of {sides} too little was played: {much} of each are wanted before an answer counts. The answer was not "
                "taken."
            ),
            sides=_both(unplayed),
            much=_both(_words(gate)),
        )


def _words(gate: Gate) -> list[str | Phrase]:
    seconds = [Phrase(_("{seconds} seconds"), seconds=gate.seconds)] if gate.seconds else []
    return [*seconds, *([f"{gate.percent}%"] if gate.percent else [])]


def _both(parts: Sequence[str | Phrase]) -> str | Phrase:
    """These parts with "and" between them."""
    return reduce(lambda one, other: Phrase(_("{one} and {other}"), one=one, other=other), parts)

"""What a model judge thought of a comparison, for its annotator, after the own answer was stored."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import connection

from annotation.models import Project


@dataclass(frozen=True)
class OpinionShown:
    """`side`: the letter as this annotator saw it, empty for a tie; `probability`: that this side is better, if known."""

    side: str
    probability: float | None


NEWEST = """
SELECT p.outcome, p.p_first, n.shown_order FROM annotation_annotation n
JOIN annotation_rater r ON r.id = n.rater_id
JOIN annotation_participation i ON i.id = r.participation_id AND i.annotator_id = %(user)s
JOIN pipelines_prediction p ON p.comparison_id = n.comparison_id AND p.outcome IN ('first', 'second', 'tie')
WHERE n.id = %(annotation)s AND n.project_id = %(project)s AND n.state IN ('current', 'surplus')
  AND n.exposure->>'opinion' IN ('after', 'arm_shown')
ORDER BY p.id DESC LIMIT 1
"""


def opinion_after(*, project: Project, user_id: int, annotation_id: int) -> OpinionShown | None:
    """The newest prediction that names a side or a tie; None where none does or the answer's arm shows none. One query."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, {"user": user_id, "annotation": annotation_id, "project": project.pk})
        row = cursor.fetchone()
    if row is None:
        return None
    outcome, p_first, order = row
    if outcome == "tie":
        return OpinionShown("", None)
    position = 0 if outcome == "first" else 1
    better = None if p_first is None else (p_first if position == 0 else 1 - p_first)
    return OpinionShown("AB"[_order(order).index(position)], better)


def _order(order: str | list[int]) -> list[int]:
    """A raw query gives JSON as text or as a list, by the driver's settings."""
    return list(json.loads(order) if isinstance(order, str) else order)

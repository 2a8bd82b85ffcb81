"""How far a person's session of judging is from its caps, and what that person holds."""

from __future__ import annotations

from django.db import connection

from annotation.models import Assignment, Project
from annotation.sessions import Caps, Given, Rest, rest_after

# Corrections replace an answer and retractions take one back: neither is one more.
GIVEN = """
SELECT n.created_at, coalesce(n.active_seconds, 0), now(), date_trunc('day', now())
FROM annotation_annotation n
JOIN annotation_rater r ON r.id = n.rater_id JOIN annotation_participation p ON p.id = r.participation_id
WHERE p.project_id = %s AND p.annotator_id = %s AND n.assignment_id IS NOT NULL AND n.supersedes_id IS NULL
  AND n.state IN ('current', 'superseded', 'surplus') AND n.created_at > now() - interval '1 day'
ORDER BY n.created_at DESC
"""


def caps_of(project: Project) -> Caps:
    return Caps(
        session_comparisons=project.session_comparisons,
        session_minutes=project.session_minutes,
        break_minutes=project.break_minutes,
        day_comparisons=project.day_comparisons,
    )


def rest_of(*, project: Project, user_id: int) -> Rest:
    """What the project's caps leave this person. One query, none where there is no cap."""
    caps = caps_of(project)
    if not caps.are_set:
        return Rest()
    with connection.cursor() as cursor:
        cursor.execute(GIVEN, [project.pk, user_id])
        rows = cursor.fetchall()
    lefts = [cap for cap in (caps.session_comparisons, caps.day_comparisons) if cap]
    if not rows:
        return Rest(min(lefts, default=None))
    return rest_after([Given(at, seconds) for at, seconds, *_ in rows], caps, rows[0][2], rows[0][3])


def leases_of(*, project_id: int, user_id: int) -> list[int]:
    """The assignments that this person holds, which may be finished whatever the caps say."""
    held = Assignment.objects.filter(
        participation__project_id=project_id,
        participation__annotator_id=user_id,
        state=Assignment.State.LEASED,
    )
    return list(held.order_by("id").values_list("id", flat=True))

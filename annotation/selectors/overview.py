"""Counts for the home page and a project's overview."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from annotation.feedback import sizes_taken
from annotation.models import Comparison, FormRevision, Import, Project
from annotation.selectors.keeping import kept


@dataclass(frozen=True)
class Progress:
    """One project in numbers. `wanted`: comparisons that people may get; `judged`: those that have all they want."""

    comparisons: int = 0
    wanted: int = 0
    judged: int = 0
    held_back: int = 0
    lent: int = 0
    votes: int = 0
    votes_week: int = 0
    cannot_judge: int = 0
    open_flags: int = 0
    latest_vote_at: datetime | None = None


PROGRESS = """
SELECT j.id, c.n, d.wanted, d.judged, d.held_back, d.lent, v.votes, v.week, v.cannot, f.n, v.latest
FROM annotation_project j
CROSS JOIN LATERAL (SELECT count(*) AS n FROM annotation_comparison WHERE project_id = j.id) c
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE wanted > 0) AS wanted, count(*) FILTER (WHERE done >= wanted AND wanted > 0) AS judged,
    count(*) FILTER (WHERE held_back) AS held_back, coalesce(sum(leased), 0) AS lent
  FROM annotation_demand WHERE project_id = j.id) d
CROSS JOIN LATERAL (
  SELECT count(*) AS votes, count(*) FILTER (WHERE n.created_at > (SELECT now() - interval '7 days')) AS week,
    count(*) FILTER (WHERE outcome = 'cannot_judge') AS cannot, max(n.created_at) AS latest
  FROM annotation_annotation n JOIN annotation_rater r ON r.id = n.rater_id AND r.kind = 'person'
  WHERE n.project_id = j.id AND n.state = 'current' AND n.derived_from_id IS NULL) v
CROSS JOIN LATERAL (
  SELECT count(*) AS n FROM annotation_flag g JOIN annotation_comparison k ON k.id = g.comparison_id
  WHERE k.project_id = j.id AND g.resolved_at IS NULL) f
WHERE j.id = ANY(%s)
"""


def progress_of(projects: Sequence[Project]) -> dict[int, Progress]:
    """The progress of these projects by id; of large ones up to a minute old. One query."""
    ids = sorted(project.pk for project in projects)
    named = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()
    return kept(
        f"progress/{named}",
        lambda: _progress(ids),
        size=lambda found: max((one.comparisons for one in found.values()), default=0),
    )


def _progress(ids: list[int]) -> dict[int, Progress]:
    with connection.cursor() as cursor:
        cursor.execute(PROGRESS, [ids])
        return {row[0]: Progress(*row[1:]) for row in cursor.fetchall()}


def comparisons_unfit(*, project: Project, questions: Sequence[Mapping[str, Any]]) -> int:
    """How many comparisons that are open to people have a number of completions that this form cannot ask about."""
    least, most = sizes_taken(questions)
    return Comparison.objects.filter(project=project, demand__isnull=False).exclude(size__range=(least, most)).count()


def has_contexts(*, project: Project) -> bool:
    """Whether any comparison is judged under a context."""
    return Comparison.objects.filter(project=project).exclude(context="").exists()


def questions_of(projects: Sequence[Project]) -> dict[int, list[dict[str, Any]]]:
    """The questions of each project's newest form. One query."""
    forms = (
        FormRevision.objects.filter(project__in=projects)
        .order_by("project_id", "-number")
        .distinct("project_id")
    )
    return dict(forms.values_list("project_id", "questions"))


# As `next` looks for it (annotation/services/assignment_sql.py): held and offered, opened again, from the cursor on, and
# set aside for groups of the person.
WAITING = """
WITH mine AS (
  SELECT j.id AS project_id, p.id AS me,
    CASE WHEN p.cursor_version = j.queue_version THEN p.cursor_pool ELSE 0 END AS pool,
    CASE WHEN p.cursor_version = j.queue_version THEN p.cursor_ord ELSE -9223372036854775808 END AS ord
  FROM annotation_project j
  LEFT JOIN annotation_participation p ON p.project_id = j.id AND p.annotator_id = %s
  WHERE j.id = ANY(%s)
)
SELECT mine.project_id, least(100, (
    SELECT count(*) FROM annotation_assignment a WHERE a.participation_id = mine.me AND a.state IN ('leased', 'offered'))
  + (SELECT count(*) FROM (
      SELECT 1 FROM annotation_demand d
      WHERE d.project_id = mine.project_id AND d.reserved_for = 0 AND d.is_open AND d.pool = -1 AND {never_met}
      UNION ALL
      SELECT 1 FROM annotation_demand d
      WHERE d.project_id = mine.project_id AND d.reserved_for = 0 AND d.is_open
        AND (d.pool, d.ord) >= (mine.pool, mine.ord) AND {never_met}
      UNION ALL
      SELECT 1 FROM annotation_offer o JOIN annotation_group_members m ON m.group_id = o.group_id
      JOIN annotation_demand d ON d.project_id = o.project_id AND d.reserved_for = o.id AND d.is_open
      WHERE o.project_id = mine.project_id AND o.released_at IS NULL AND m.participation_id = mine.me AND {never_met}
      LIMIT 100) w))
FROM mine
""".format(
    never_met="""NOT EXISTS (SELECT 1 FROM annotation_assignment a
                             WHERE a.participation_id = mine.me AND a.comparison_id = d.comparison_id OFFSET 0)"""
)


def waiting_for(*, user_id: int, projects: Sequence[Project]) -> dict[int, int]:
    """How many comparisons wait for this person by project, up to 100 each. One query."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [user_id, [project.pk for project in projects]])
        return dict(cursor.fetchall())


def imports_to_look_at(projects: Sequence[Project]) -> list[Import]:
    """Imports that wait for a decision, newest first."""
    return list(
        Import.objects.filter(project__in=projects, state=Import.State.STAGED)
        .select_related("project")
        .order_by("-id")[:10]
    )

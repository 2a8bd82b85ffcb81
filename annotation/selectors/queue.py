"""How far a project's queue is, by batch; what is set aside for whom; the groups. For curators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q

from annotation.models import Group, Participation, Project, User
from annotation.services.people import JUDGING


@dataclass(frozen=True)
class Batch:
    """One import's comparisons as people get them; `import_id` is None for those that came without one.

    `places`: the annotations wanted, of which `done`, `leased`, `offered` and `left`; `least` and `most`: wanted of one
    comparison. `left` counts only what is handed out; what is held back stands under `held_back`.
    """

    import_id: int | None
    name: str
    place: int
    comparisons: int
    complete: int
    least: int
    most: int
    places: int
    done: int
    leased: int
    offered: int
    left: int
    reserved: int
    held_back: int


BATCHES = """
SELECT i.id, coalesce(i.file_name, ''), coalesce(i.place, 0), count(*), count(*) FILTER (WHERE d.done >= d.wanted),
  min(d.wanted), max(d.wanted), sum(d.wanted), sum(d.done), sum(d.leased) - coalesce(max(o.offered), 0),
  coalesce(max(o.offered), 0), coalesce(sum(d.wanted - d.done - d.leased) FILTER (WHERE d.is_open), 0),
  count(*) FILTER (WHERE d.reserved_for <> 0), count(*) FILTER (WHERE d.held_back)
FROM annotation_demand d JOIN annotation_comparison c ON c.id = d.comparison_id
LEFT JOIN annotation_import i ON i.id = c.source_import_id
LEFT JOIN (
  SELECT k.source_import_id AS import_id, count(*) AS offered
  FROM annotation_assignment a JOIN annotation_participation p ON p.id = a.participation_id
  JOIN annotation_comparison k ON k.id = a.comparison_id
  WHERE p.project_id = %(project)s AND a.state = 'offered' AND a.counted GROUP BY 1
) o ON o.import_id IS NOT DISTINCT FROM c.source_import_id
WHERE d.project_id = %(project)s GROUP BY i.id ORDER BY coalesce(i.place, 0), i.id
"""


def batch_list(*, project: Project) -> list[Batch]:
    """Every batch of a project with its counts, in the batches' order. One query over the project's demand."""
    with connection.cursor() as cursor:
        cursor.execute(BATCHES, {"project": project.pk})
        return [Batch(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class OfferShown:
    id: int
    name: str
    is_group: bool
    created_at: datetime
    due_at: datetime | None
    offered: int
    waiting: int
    done: int


OFFERS = """
SELECT o.id, coalesce(g.name, nullif(u.name, ''), u.email), o.group_id IS NOT NULL, o.created_at, o.due_at, o.offered,
  CASE WHEN o.group_id IS NULL
    THEN (SELECT count(*) FROM annotation_assignment a
          WHERE a.participation_id = o.participation_id AND a.offer_id = o.id AND a.state = 'offered')
    ELSE (SELECT count(*) FROM annotation_demand d
          WHERE d.project_id = o.project_id AND d.reserved_for = o.id AND d.is_open) END,
  CASE WHEN o.group_id IS NULL
    THEN (SELECT count(*) FROM annotation_assignment a
          WHERE a.participation_id = o.participation_id AND a.offer_id = o.id AND a.state = 'submitted')
    ELSE (SELECT count(*) FROM annotation_assignment a JOIN annotation_group_members m ON m.group_id = o.group_id
            AND m.participation_id = a.participation_id WHERE a.offer_id = o.id AND a.state = 'submitted') END
FROM annotation_offer o LEFT JOIN annotation_group g ON g.id = o.group_id
LEFT JOIN annotation_participation p ON p.id = o.participation_id LEFT JOIN annotation_user u ON u.id = p.annotator_id
WHERE o.project_id = %s AND o.released_at IS NULL ORDER BY o.due_at, o.id LIMIT 200
"""


def offer_list(*, project: Project) -> list[OfferShown]:
    """The live offers, the first due first, at most 200. `waiting`: not begun; `done`: answered. One query."""
    with connection.cursor() as cursor:
        cursor.execute(OFFERS, [project.pk])
        return [OfferShown(*row) for row in cursor.fetchall()]


def group_list(*, project: Project) -> list[Group]:
    """The groups by name, with their members' people. Two queries."""
    groups = Group.objects.filter(project=project).order_by("name")
    return list(groups.prefetch_related("members__annotator"))


def judging_people(*, project: Project) -> list[User]:
    """Who may judge in this project now, by name: to whom comparisons can be offered."""
    paused = Participation.objects.filter(project=project).exclude(state=Participation.State.ACTIVE)
    judging = User.objects.filter(
        Q(memberships__project=project) & Q(memberships__role__in=JUDGING), is_active=True
    )
    return list(judging.exclude(pk__in=paused.values("annotator_id")).distinct().order_by("name", "email"))

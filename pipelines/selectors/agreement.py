"""What people and judges said on the same comparisons, as flat arrays with all by which agreement is split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotation.errors import NotFound
from annotation.models import Group, Import, Project, Rater
from pipelines.labels.votes import N_OUTCOMES
from pipelines.selectors.votes import LABELS

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# A judge whose two orders name different winners agrees with nobody.
INCONSISTENT = N_OUTCOMES
SHOWN = 50
SHOWN_OF_CONTEXT = 60


@dataclass(frozen=True)
class Said:
    """One row an answer, (n,): a person's first current vote on a comparison, or a judge's newest prediction.

    `label`: 0 first, 1 second, 2 tie, 3 a judge's inconsistent one. `at`: the annotation's id, which is their order in
    time; 0 for judges. `batch`: the import of the comparison, 0 for none. `context`: a hash of the comparison's context.
    `judge`: whether a model said it. `vote`, `scale`: the signed strength and its largest value, both 0 without one.
    """

    comparison: IntArray
    rater: IntArray
    label: IntArray
    at: IntArray
    batch: IntArray
    context: IntArray
    judge: BoolArray
    vote: IntArray
    scale: IntArray


# As in the graded model: files stand for people only where nobody votes here.
SAID = """
WITH people AS (
  SELECT DISTINCT ON (a.comparison_id, a.rater_id) a.comparison_id, a.rater_id, a.outcome, a.id, r.kind = 'person' AS here,
    coalesce(a.vote, 0) AS vote, coalesce(a.vote_scale, 0) AS scale
  FROM annotation_annotation a JOIN annotation_rater r ON r.id = a.rater_id
  WHERE a.project_id = %(project)s AND a.state = 'current' AND a.outcome IN ('first', 'second', 'tie', 'both_bad')
  ORDER BY a.comparison_id, a.rater_id, a.id
), judges AS (
  SELECT DISTINCT ON (p.comparison_id, p.rater_id) p.comparison_id, p.rater_id, p.outcome
  FROM pipelines_prediction p WHERE p.project_id = %(project)s AND p.outcome <> 'unreadable'
  ORDER BY p.comparison_id, p.rater_id, p.id DESC
)
SELECT s.comparison_id, s.rater_id, s.outcome, s.id, coalesce(c.source_import_id, 0), hashtextextended(c.context, 0),
  s.judge, s.vote, s.scale
FROM (
  SELECT comparison_id, rater_id, outcome, id, false AS judge, vote, scale FROM people
  WHERE here OR NOT EXISTS (SELECT FROM people WHERE here)
  UNION ALL SELECT comparison_id, rater_id, outcome, 0, true, 0, 0 FROM judges
) s JOIN annotation_comparison c ON c.id = s.comparison_id AND c.size = 2
ORDER BY s.comparison_id, s.rater_id
"""


def said_of(project_id: int) -> Said:
    """All answers of a project. One query."""
    with connection.cursor() as cursor:
        cursor.execute(SAID, {"project": project_id})
        rows = cursor.fetchall()
    comparison, rater, label, at, batch, context, judge, vote, scale = zip(*rows, strict=True) if rows else ((),) * 9
    return Said(
        comparison=np.array(comparison, dtype=np.int64),
        rater=np.array(rater, dtype=np.int64),
        label=np.array([LABELS.get(outcome, INCONSISTENT) for outcome in label], dtype=np.int64),
        at=np.array(at, dtype=np.int64),
        batch=np.array(batch, dtype=np.int64),
        context=np.array(context, dtype=np.int64),
        judge=np.array(judge, dtype=bool),
        vote=np.array(vote, dtype=np.int64),
        scale=np.array(scale, dtype=np.int64),
    )


def batch_names(project_id: int) -> dict[int, str]:
    """What each batch is called: the name of its source."""
    return dict(Import.objects.filter(project_id=project_id).values_list("pk", "source_name"))


def context_name(project_id: int, hashed: int) -> str:
    """The beginning of the context with this hash; empty where comparisons have none. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT left(context, 200) FROM annotation_comparison"
            " WHERE project_id = %s AND hashtextextended(context, 0) = %s LIMIT 1",
            [project_id, hashed],
        )
        name = " ".join(str(cursor.fetchone()[0]).split())
        return name if len(name) <= SHOWN_OF_CONTEXT else f"{name[:SHOWN_OF_CONTEXT]}…"


def group_raters(project_id: int) -> dict[str, list[int]]:
    """Raters of each group of annotators that has members. One query."""
    found: dict[str, list[int]] = {}
    rows = Group.objects.filter(project_id=project_id, members__rater__isnull=False)
    for name, rater_id in rows.order_by("name").values_list("name", "members__rater"):
        found.setdefault(name, []).append(rater_id)
    return found


def raters_named(project: Project, ids: list[int], *, with_names: bool) -> dict[int, str]:
    """Names of judges and sources; of people the name, or the pseudonym that exports carry. One query."""
    rows = Rater.objects.filter(project=project, pk__in=ids).select_related("participation__annotator")
    return {
        row.pk: row.name
        if row.kind != Rater.Kind.PERSON
        else str(row.participation.annotator)
        if with_names and row.participation
        else f"annotator {row.name[:8]}"
        for row in rows
    }


@dataclass(frozen=True)
class Differing:
    """One comparison on which two raters said different things."""

    comparison_id: int
    prompt_form: str
    prompt: str
    one: str
    other: str


DIFFERING = """
WITH said AS (
  SELECT comparison_id, rater_id, outcome FROM annotation_annotation
  WHERE rater_id = ANY(%(raters)s) AND state = 'current' AND outcome IN ('first', 'second', 'tie', 'both_bad')
  UNION ALL SELECT comparison_id, rater_id, outcome FROM pipelines_prediction
  WHERE project_id = %(project)s AND rater_id = ANY(%(raters)s) AND outcome <> 'unreadable'
)
SELECT c.id, t.form, left(t.body, 4000), a.outcome, b.outcome
FROM (SELECT DISTINCT ON (comparison_id) * FROM said WHERE rater_id = %(one)s ORDER BY comparison_id) a
JOIN (SELECT DISTINCT ON (comparison_id) * FROM said WHERE rater_id = %(other)s ORDER BY comparison_id) b
  ON b.comparison_id = a.comparison_id AND b.outcome <> a.outcome
JOIN annotation_comparison c ON c.id = a.comparison_id AND c.project_id = %(project)s AND c.size = 2
JOIN annotation_prompt p ON p.id = c.prompt_id JOIN annotation_text t ON t.sha256 = p.text_sha256
ORDER BY c.id DESC LIMIT %(most)s
"""


def differing(*, project: Project, one: int, other: int) -> list[Differing]:
    """The newest 50 comparisons on which two raters of the project differ. Two queries."""
    if Rater.objects.filter(project=project, pk__in=[one, other]).count() != 2:
        raise NotFound("There are no such two raters in this project.")
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"project": project.pk, "one": one, "other": other, "raters": [one, other], "most": SHOWN}
        cursor.execute(DIFFERING, values)
        return [Differing(*row) for row in cursor.fetchall()]

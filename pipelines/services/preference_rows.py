"""How preferences are stored: a revision for each that changed, by COPY, and the pointer to it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from pipelines.labels.preference import DIRECTIONS

SAME = 1e-9
# A single completion is labelled yes or no; the first column of its posterior is yes, the second no.
OUTCOMES = (*DIRECTIONS, "yes", "no")
YES, NO = 3, 4


@dataclass(frozen=True)
class Labels:
    """What n comparisons amount to now; sorted by comparison. Arrays (n,), `posterior` (n, 3); NaN means null.

    `direction` is an index into `OUTCOMES`.
    `origin` and `method` say where each comes from: a posterior of people's votes, or a judge's probability.
    """

    comparison: NDArray[np.int64]
    posterior: NDArray[np.float64]
    direction: NDArray[np.int8]
    flip_probability: NDArray[np.float64]
    soft_label: NDArray[np.float64]
    strength: NDArray[np.float64]
    agreement: NDArray[np.float64]
    votes: NDArray[np.int64]
    origin: NDArray[np.str_]
    method: NDArray[np.str_]
    method_version: NDArray[np.str_]
    strength_se: NDArray[np.float64]
    ambiguity: NDArray[np.float64]
    ignorance: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def confidence(self) -> NDArray[np.float64]:
        column = np.where(self.direction >= YES, self.direction - YES, self.direction)
        found: NDArray[np.float64] = self.posterior[np.arange(self.direction.size), column]
        return found


STAGE = """
CREATE TEMPORARY TABLE label_stage (comparison_id bigint, direction smallint, p_first float8, p_second float8,
  p_tie float8, flip float8, soft float8, strength float8, confidence float8, agreement float8, votes int,
  origin text, method text, version text, strength_se float8, ambiguity float8, ignorance float8,
  weight float8) ON COMMIT DROP
"""

PREFERENCES = """
INSERT INTO pipelines_preference (comparison_id, project_id)
SELECT comparison_id, %(project)s FROM label_stage ORDER BY comparison_id ON CONFLICT (comparison_id) DO NOTHING
"""

# A group's labels are whole revisions beside the current one, which stays everybody's.
GROUP_REVISIONS = """
INSERT INTO pipelines_preferencerevision (preference_id, run_id, group_id, outcome, chosen_id, rejected_id, origin,
  p_first, p_second, p_tie, flip_probability, soft_label, strength, confidence, agreement, votes,
  method, method_version, strength_se, ambiguity, ignorance, weight, created_at)
SELECT p.id, %(run)s::bigint, %(group)s::bigint, (%(outcomes)s::text[])[s.direction + 1],
  CASE s.direction WHEN 0 THEN a.completion_id WHEN 1 THEN b.completion_id END,
  CASE s.direction WHEN 0 THEN b.completion_id WHEN 1 THEN a.completion_id END,
  s.origin, s.p_first, s.p_second, s.p_tie, s.flip, s.soft, s.strength, s.confidence, s.agreement, s.votes,
  s.method, s.version, s.strength_se, s.ambiguity, s.ignorance, s.weight, statement_timestamp()
FROM label_stage s JOIN pipelines_preference p ON p.comparison_id = s.comparison_id
JOIN annotation_comparisoncompletion a ON a.comparison_id = s.comparison_id AND a.position = 0
JOIN annotation_comparisoncompletion b ON b.comparison_id = s.comparison_id AND b.position = 1
ORDER BY s.comparison_id
ON CONFLICT (group_id, run_id, preference_id) WHERE group_id IS NOT NULL DO NOTHING
"""

# Only what differs from the current revision becomes a new one; numbers that differ by rounding alone are the same.
REVISIONS = """
WITH changed AS (
  SELECT s.*, p.id AS preference_id FROM label_stage s
  JOIN pipelines_preference p ON p.comparison_id = s.comparison_id
  LEFT JOIN pipelines_preferencerevision r ON r.id = p.current_id
  WHERE r.id IS NULL OR (r.outcome, r.origin, r.method, r.method_version, r.votes)
      IS DISTINCT FROM ((%(outcomes)s::text[])[s.direction + 1], s.origin, s.method, s.version, s.votes)
    OR abs(r.p_first - s.p_first) > %(same)s OR abs(r.p_tie - s.p_tie) > %(same)s
    OR abs(r.soft_label - s.soft) > %(same)s OR abs(coalesce(r.strength, 9) - coalesce(s.strength, 9)) > %(same)s
    OR r.agreement IS DISTINCT FROM s.agreement OR abs(r.weight - s.weight) > %(same)s
), added AS (
  INSERT INTO pipelines_preferencerevision (preference_id, run_id, outcome, chosen_id, rejected_id, origin,
    p_first, p_second, p_tie, flip_probability, soft_label, strength, confidence, agreement, votes,
    method, method_version, strength_se, ambiguity, ignorance, weight, created_at)
  SELECT c.preference_id, %(run)s::bigint, (%(outcomes)s::text[])[c.direction + 1],
    CASE c.direction WHEN 0 THEN a.completion_id WHEN 1 THEN b.completion_id WHEN 3 THEN a.completion_id END,
    CASE c.direction WHEN 0 THEN b.completion_id WHEN 1 THEN a.completion_id WHEN 4 THEN a.completion_id END,
    c.origin, c.p_first, c.p_second, c.p_tie, c.flip, c.soft, c.strength, c.confidence, c.agreement, c.votes,
    c.method, c.version, c.strength_se, c.ambiguity, c.ignorance, c.weight, statement_timestamp()
  FROM changed c
  JOIN annotation_comparisoncompletion a ON a.comparison_id = c.comparison_id AND a.position = 0
  LEFT JOIN annotation_comparisoncompletion b ON b.comparison_id = c.comparison_id AND b.position = 1
  ORDER BY c.comparison_id
  RETURNING id, preference_id
)
UPDATE pipelines_preference p SET current_id = added.id FROM added WHERE p.id = added.preference_id
"""

CLEAR = """
UPDATE pipelines_preference SET current_id = NULL
WHERE project_id = %(project)s AND current_id IS NOT NULL AND comparison_id = ANY(%(ids)s::bigint[])
"""
CLEAR_OTHERS = """
UPDATE pipelines_preference p SET current_id = NULL
WHERE p.project_id = %(project)s AND p.current_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM label_stage s WHERE s.comparison_id = p.comparison_id)
"""


def labels_store(labels: Labels, *, project_id: int, run_id: int | None, is_all: bool) -> int:
    """Write what changed in the caller's transaction; returns how many revisions are new.

    `is_all`: preferences of comparisons that have no label any more lose their current revision.
    """
    with connection.cursor() as cursor:
        _stage(cursor, labels, project_id)
        outcomes: dict[str, Any] = {"outcomes": list(OUTCOMES), "same": SAME, "run": run_id}
        cursor.execute(REVISIONS, outcomes)
        changed = int(cursor.rowcount)
        if is_all:
            cursor.execute(CLEAR_OTHERS, {"project": project_id})
    return changed


def group_labels_store(labels: Labels, *, project_id: int, run_id: int, group_id: int) -> int:
    """Write the labels that a refit gives one group of raters, in the caller's transaction; returns how many."""
    with connection.cursor() as cursor:
        _stage(cursor, labels, project_id)
        cursor.execute(GROUP_REVISIONS, {"outcomes": list(OUTCOMES), "run": run_id, "group": group_id})
        return int(cursor.rowcount)


def _stage(cursor: Any, labels: Labels, project_id: int) -> None:
    """The labels in a temporary table, and a preference for each."""
    cursor.execute("DROP TABLE IF EXISTS pg_temp.label_stage")
    cursor.execute(STAGE)
    with cursor.copy("COPY label_stage FROM STDIN") as copy:
        for row in _rows(labels):
            copy.write_row(row)
    cursor.execute("ANALYZE label_stage")
    cursor.execute(PREFERENCES, {"project": project_id})


def labels_clear(comparison_ids: list[int], *, project_id: int) -> None:
    """Take away the current revision of comparisons that nobody and nothing judges any more."""
    with connection.cursor() as cursor:
        cursor.execute(CLEAR, {"project": project_id, "ids": comparison_ids})


def _rows(labels: Labels) -> Any:
    """Rows for COPY; NaN becomes null."""
    columns = (
        labels.comparison, labels.direction, *labels.posterior.T, labels.flip_probability, labels.soft_label,
        labels.strength, labels.confidence, labels.agreement, labels.votes, labels.origin, labels.method,
        labels.method_version, labels.strength_se, labels.ambiguity, labels.ignorance, labels.weight,
    )  # fmt: skip
    for row in zip(*(column.tolist() for column in columns), strict=True):
        yield tuple(None if isinstance(value, float) and isnan(value) else value for value in row)

"""How preferences are stored: a revision for each that changed, by COPY, and the pointer to it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from pipelines.copying import columns_write
from pipelines.labels.preference import DIRECTIONS

SAME = 1e-9
# A single completion is labelled yes or no; the first column of its posterior is yes, the second no.
OUTCOMES = (*DIRECTIONS, "yes", "no")
YES, NO = 3, 4


class Maker(NamedTuple):
    """Where labels come from: whose answers (person, source or model), and how they were put together."""

    origin: str
    method: str
    version: str


@dataclass(frozen=True)
class Labels:
    """What n comparisons amount to now; sorted by comparison. Arrays (n,), `posterior` (n, 3); NaN means null.

    `direction` is an index into `OUTCOMES`. `votes`: annotations under each label; `predictions`: judges whose predictions
    are. `maker`: index into `makers`.
    """

    comparison: NDArray[np.int64]
    posterior: NDArray[np.float64]
    direction: NDArray[np.int8]
    flip_probability: NDArray[np.float64]
    soft_label: NDArray[np.float64]
    strength: NDArray[np.float64]
    agreement: NDArray[np.float64]
    votes: NDArray[np.int64]
    predictions: NDArray[np.int64]
    strength_se: NDArray[np.float64]
    ambiguity: NDArray[np.float64]
    ignorance: NDArray[np.float64]
    weight: NDArray[np.float64]
    maker: NDArray[np.int64]
    makers: tuple[Maker, ...]

    @property
    def confidence(self) -> NDArray[np.float64]:
        column = np.where(self.direction >= YES, self.direction - YES, self.direction)
        found: NDArray[np.float64] = self.posterior[np.arange(self.direction.size), column]
        return found

    def count_of(self, origin: str) -> int:
        """How many labels come from these."""
        return int(np.isin(self.maker, [n for n, maker in enumerate(self.makers) if maker.origin == origin]).sum())


def labels_joined(*labels: Labels | None) -> Labels:
    """Labels of sets of comparisons that share none, as one; None is an empty set, but not all may be."""
    parts, makers = list[Labels](), tuple[Maker, ...]()
    for part in labels:
        if part is not None:
            parts.append(replace(part, maker=part.maker + len(makers)))
            makers += part.makers
    order = np.argsort(np.concatenate([part.comparison for part in parts]), kind="stable")
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])[order]
        for field in fields(Labels)
        if field.name != "makers"
    }
    return Labels(**columns, makers=makers)


STAGE = """
CREATE TEMPORARY TABLE label_stage (comparison_id bigint, direction int2, p_first float8, p_second float8, p_tie float8,
  flip float8, soft float8, strength float8, confidence float8, agreement float8, votes int4, predictions int4,
  maker int2, strength_se float8, ambiguity float8, ignorance float8, weight float8) ON COMMIT DROP
"""

PREFERENCES = """
INSERT INTO pipelines_preference (comparison_id, project_id)
SELECT comparison_id, %(project)s FROM label_stage ORDER BY comparison_id ON CONFLICT (comparison_id) DO NOTHING
"""

# A group's labels are whole revisions beside the current one, which stays everybody's.
GROUP_REVISIONS = """
INSERT INTO pipelines_preferencerevision (preference_id, run_id, group_id, outcome, chosen_id, rejected_id, origin,
  p_first, p_second, p_tie, flip_probability, soft_label, strength, confidence, agreement, votes, predictions,
  method, method_version, strength_se, ambiguity, ignorance, weight, created_at)
SELECT p.id, %(run)s::bigint, %(group)s::bigint, (%(outcomes)s::text[])[s.direction + 1],
  CASE s.direction WHEN 0 THEN a.completion_id WHEN 1 THEN b.completion_id END,
  CASE s.direction WHEN 0 THEN b.completion_id WHEN 1 THEN a.completion_id END,
  (%(origins)s::text[])[s.maker + 1], s.p_first, s.p_second, s.p_tie, nullif(s.flip, 'NaN'), s.soft,
  nullif(s.strength, 'NaN'), s.confidence, nullif(s.agreement, 'NaN'), s.votes, s.predictions,
  (%(methods)s::text[])[s.maker + 1], (%(versions)s::text[])[s.maker + 1], nullif(s.strength_se, 'NaN'),
  nullif(s.ambiguity, 'NaN'), nullif(s.ignorance, 'NaN'), s.weight, statement_timestamp()
FROM label_stage s JOIN pipelines_preference p ON p.comparison_id = s.comparison_id
JOIN annotation_comparisoncompletion a ON a.comparison_id = s.comparison_id AND a.position = 0
JOIN annotation_comparisoncompletion b ON b.comparison_id = s.comparison_id AND b.position = 1
ORDER BY s.comparison_id
ON CONFLICT (group_id, run_id, preference_id) WHERE group_id IS NOT NULL DO NOTHING
"""

# Only what differs from the current revision becomes a new one; numbers that differ by rounding alone are the same, and so
# are two that are not there. A preference's first revision is pointed at as the row is made: no row is written twice. A
# revision comes only from a pointer that was set, so none is without its preference, also where that is deleted meanwhile.
REVISIONS = """
WITH changed AS MATERIALIZED (
  SELECT s.*, p.id AS preference_id, nextval('pipelines_preferencerevision_id_seq') AS revision_id
  FROM label_stage s
  LEFT JOIN pipelines_preference p ON p.comparison_id = s.comparison_id
  LEFT JOIN pipelines_preferencerevision r ON r.id = p.current_id
  WHERE r.id IS NULL
    OR (r.outcome, r.origin, r.method, r.method_version, r.votes, r.predictions) IS DISTINCT FROM
      ((%(outcomes)s::text[])[s.direction + 1], (%(origins)s::text[])[s.maker + 1], (%(methods)s::text[])[s.maker + 1],
       (%(versions)s::text[])[s.maker + 1], s.votes, s.predictions)
    OR abs(r.p_first - s.p_first) > %(same)s OR abs(r.p_tie - s.p_tie) > %(same)s
    OR abs(r.soft_label - s.soft) > %(same)s
    OR abs(coalesce(r.strength, 9) - coalesce(nullif(s.strength, 'NaN'), 9)) > %(same)s
    OR coalesce(r.agreement, 'NaN') <> s.agreement OR abs(r.weight - s.weight) > %(same)s
), fresh AS (
  INSERT INTO pipelines_preference (comparison_id, project_id, current_id)
  SELECT comparison_id, %(project)s, revision_id FROM changed WHERE preference_id IS NULL ORDER BY comparison_id
  RETURNING id, current_id
), turned AS (
  UPDATE pipelines_preference p SET current_id = c.revision_id FROM changed c WHERE p.id = c.preference_id
  RETURNING p.id, p.current_id
), pointed AS (
  SELECT id, current_id FROM fresh UNION ALL SELECT id, current_id FROM turned
)
INSERT INTO pipelines_preferencerevision (id, preference_id, run_id, outcome, chosen_id, rejected_id, origin,
  p_first, p_second, p_tie, flip_probability, soft_label, strength, confidence, agreement, votes, predictions,
  method, method_version, strength_se, ambiguity, ignorance, weight, created_at)
SELECT c.revision_id, pointed.id, %(run)s::bigint, (%(outcomes)s::text[])[c.direction + 1],
  CASE c.direction WHEN 0 THEN a.completion_id WHEN 1 THEN b.completion_id WHEN 3 THEN a.completion_id END,
  CASE c.direction WHEN 0 THEN b.completion_id WHEN 1 THEN a.completion_id WHEN 4 THEN a.completion_id END,
  (%(origins)s::text[])[c.maker + 1], c.p_first, c.p_second, c.p_tie, nullif(c.flip, 'NaN'), c.soft,
  nullif(c.strength, 'NaN'), c.confidence, nullif(c.agreement, 'NaN'), c.votes, c.predictions,
  (%(methods)s::text[])[c.maker + 1], (%(versions)s::text[])[c.maker + 1], nullif(c.strength_se, 'NaN'),
  nullif(c.ambiguity, 'NaN'), nullif(c.ignorance, 'NaN'), c.weight, statement_timestamp()
FROM changed c
JOIN pointed ON pointed.current_id = c.revision_id
JOIN annotation_comparisoncompletion a ON a.comparison_id = c.comparison_id AND a.position = 0
LEFT JOIN annotation_comparisoncompletion b ON b.comparison_id = c.comparison_id AND b.position = 1
ORDER BY c.revision_id
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

    The caller holds the lock under which preferences of the project are written.

    `is_all`: preferences of comparisons that have no label any more lose their current revision.
    """
    with connection.cursor() as cursor:
        _stage(cursor, labels)
        cursor.execute(REVISIONS, _words(labels) | {"project": project_id, "run": run_id, "same": SAME})
        changed = int(cursor.rowcount)
        if is_all:
            cursor.execute(CLEAR_OTHERS, {"project": project_id})
    return changed


def group_labels_store(labels: Labels, *, project_id: int, run_id: int, group_id: int) -> int:
    """Write the labels that a refit gives one group of raters, in the caller's transaction; returns how many."""
    with connection.cursor() as cursor:
        _stage(cursor, labels)
        cursor.execute(PREFERENCES, {"project": project_id})
        cursor.execute(GROUP_REVISIONS, _words(labels) | {"run": run_id, "group": group_id})
        return int(cursor.rowcount)


def _stage(cursor: Any, labels: Labels) -> None:
    cursor.execute("DROP TABLE IF EXISTS pg_temp.label_stage")
    cursor.execute(STAGE)
    columns_write(cursor, "label_stage", _columns(labels))
    cursor.execute("ANALYZE label_stage (comparison_id)")  # what it is joined by


def _words(labels: Labels) -> dict[str, Any]:
    """What the numbers of outcomes and makers mean."""
    return {
        "outcomes": list(OUTCOMES),
        "origins": [maker.origin for maker in labels.makers],
        "methods": [maker.method for maker in labels.makers],
        "versions": [maker.version for maker in labels.makers],
    }


def labels_clear(comparison_ids: list[int], *, project_id: int) -> None:
    """Take away the current revision of comparisons that nobody and nothing judges any more."""
    with connection.cursor() as cursor:
        cursor.execute(CLEAR, {"project": project_id, "ids": comparison_ids})


def _columns(labels: Labels) -> dict[str, NDArray[np.generic]]:
    first, second, tie = np.ascontiguousarray(labels.posterior.T, dtype=np.float64)
    return {
        "comparison_id": labels.comparison,
        "direction": labels.direction.astype(np.int16),
        "p_first": first,
        "p_second": second,
        "p_tie": tie,
        "flip": labels.flip_probability,
        "soft": labels.soft_label,
        "strength": labels.strength,
        "confidence": labels.confidence,
        "agreement": labels.agreement,
        "votes": labels.votes.astype(np.int32),
        "predictions": labels.predictions.astype(np.int32),
        "maker": labels.maker.astype(np.int16),
        "strength_se": labels.strength_se,
        "ambiguity": labels.ambiguity,
        "ignorance": labels.ignorance,
        "weight": labels.weight,
    }

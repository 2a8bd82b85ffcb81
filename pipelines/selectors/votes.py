"""Votes and judges' probabilities as arrays, for aggregation and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Count, Max, Q
from numpy.typing import NDArray

from annotation.models import Annotation
from pipelines.labels.votes import FIRST, SECOND, TIE, Votes
from pipelines.models import Calibration, Prediction
from pipelines.routing.calibration import Calibration as CalibrationFit

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Completions that stand in one comparison only tell nothing about others.
LEAST_RECURRING = 0.1
LABELS = {"first": FIRST, "second": SECOND, "tie": TIE, "both_bad": TIE}


@dataclass(frozen=True)
class VoteTable:
    """One row a vote that stands: a rater's first current answer to a comparison of two.

    Attributes:
        comparison, rater: (n,) int64 ids, sorted by comparison, then rater.
        label: (n,) int64, 0 first, 1 second, 2 tie (both bad included).
        both_bad: (n,) bool.
        strength: (n,) signed strength over its scale, -1..1, negative: first is better; NaN without one.
        vote, scale: (n,) int64, the signed strength -m..m and m; both 0 without one.
        first_shown: (n,) int64, +1 the first completion was shown as A, -1 as B, 0 unknown.
        shown_as_a: (n,) 1 the side voted for was shown as A, 0 as B, NaN for ties and unknown sides.
        person: (n,) bool, voted here by a person; the others come from imports.
    """

    comparison: IntArray
    rater: IntArray
    label: IntArray
    both_bad: BoolArray
    strength: FloatArray
    vote: IntArray
    scale: IntArray
    first_shown: IntArray
    shown_as_a: FloatArray
    person: BoolArray

    def __len__(self) -> int:
        return int(self.comparison.size)

    def of_people(self) -> VoteTable:
        """The votes given here by people."""
        return self.where(self.person)

    def where(self, kept: BoolArray) -> VoteTable:
        """Some of the votes, in the same order."""
        return VoteTable(**{name: getattr(self, name)[kept] for name in self.__dataclass_fields__})

    def votes(self, comparisons: IntArray, raters: IntArray) -> Votes:
        """As indices into these sorted ids; every id of the table must be among them."""
        return Votes(
            np.searchsorted(comparisons, self.comparison).astype(np.int64),
            np.searchsorted(raters, self.rater).astype(np.int64),
            self.label,
            n_items=int(comparisons.size),
            n_raters=int(raters.size),
        )


# A rater's second row on a comparison is a repeat: it says how steady the rater is, and is no second vote.
VOTES = """
SELECT DISTINCT ON (a.comparison_id, a.rater_id)
  a.comparison_id, a.rater_id, a.outcome, a.vote, a.vote_scale, (a.shown_order->>0)::int, r.kind = 'person'
FROM annotation_annotation a
JOIN annotation_rater r ON r.id = a.rater_id
JOIN annotation_comparison c ON c.id = a.comparison_id
WHERE a.project_id = %(project)s AND a.state = 'current' AND a.outcome IN ('first', 'second', 'tie', 'both_bad')
  AND c.size = 2 AND (%(ids)s::bigint[] IS NULL OR a.comparison_id = ANY(%(ids)s::bigint[]))
ORDER BY a.comparison_id, a.rater_id, a.id
"""


def votes_of(project_id: int, comparison_ids: Sequence[int] | None = None) -> VoteTable:
    """The votes that stand, of a project or of some comparisons. One query, one snapshot."""
    with connection.cursor() as cursor:
        cursor.execute(
            VOTES, {"project": project_id, "ids": None if comparison_ids is None else list(comparison_ids)}
        )
        rows = cursor.fetchall()
    return VoteTable(
        comparison=np.array([row[0] for row in rows], dtype=np.int64),
        rater=np.array([row[1] for row in rows], dtype=np.int64),
        label=np.array([LABELS[row[2]] for row in rows], dtype=np.int64),
        both_bad=np.array([row[2] == "both_bad" for row in rows], dtype=bool),
        strength=np.array([np.nan if row[3] is None else row[3] / row[4] for row in rows], dtype=np.float64),
        vote=np.array([0 if row[3] is None else row[3] for row in rows], dtype=np.int64),
        scale=np.array([0 if row[3] is None else row[4] for row in rows], dtype=np.int64),
        first_shown=np.array([0 if row[5] is None else 1 - 2 * row[5] for row in rows], dtype=np.int64),
        shown_as_a=np.array([_shown_as_a(row[2], row[5]) for row in rows], dtype=np.float64),
        person=np.array([row[6] for row in rows], dtype=bool),
    )


def _shown_as_a(outcome: str, position_of_a: int | None) -> float:
    if position_of_a is None or outcome not in {"first", "second"}:
        return float("nan")
    return float(LABELS[outcome] == position_of_a)


COMPLETIONS = """
SELECT a.completion_id, b.completion_id
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS wanted(id, place)
JOIN annotation_comparisoncompletion a ON a.comparison_id = wanted.id AND a.position = 0
JOIN annotation_comparisoncompletion b ON b.comparison_id = wanted.id AND b.position = 1
ORDER BY wanted.place
"""


def completions_of(
    project_id: int, comparisons: IntArray, *, as_ids: bool = False
) -> tuple[IntArray, IntArray] | None:
    """First and second completion of these comparisons, numbered from 0; None where hardly any recurs.

    `as_ids`: the database's ids instead, whether any recurs or not.
    """
    with connection.cursor() as cursor:
        cursor.execute(COMPLETIONS, {"ids": comparisons.tolist()})
        pairs = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 2)
    if as_ids:
        return pairs[:, 0].copy(), pairs[:, 1].copy()
    _, number, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    number = number.reshape(pairs.shape).astype(np.int64)
    if (counts[number] > 1).any(axis=1).mean() < LEAST_RECURRING:
        return None
    return number[:, 0].copy(), number[:, 1].copy()


@dataclass(frozen=True)
class PredictionTable:
    """The newest readable prediction a comparison, sorted by comparison.

    `p_first`: (n,) the judge's own P(first better, given that one is), NaN where an imported one has none; `label` then
    says which side. `p_tie`: (n,) its P(tie), 0 where it knows no tie.
    """

    comparison: IntArray
    rater: IntArray
    p_first: FloatArray
    p_tie: FloatArray
    label: IntArray
    inconsistent: BoolArray


PREDICTIONS = """
SELECT DISTINCT ON (p.comparison_id) p.comparison_id, p.rater_id, p.p_first, p.outcome, coalesce(p.p_tie, 0)
FROM pipelines_prediction p
JOIN annotation_comparison c ON c.id = p.comparison_id
WHERE p.project_id = %(project)s AND c.size = 2 AND p.outcome <> 'unreadable'
  AND (p.p_first IS NOT NULL OR p.outcome <> 'inconsistent')
  AND (%(rater)s::bigint IS NULL OR p.rater_id = %(rater)s::bigint)
  AND (%(ids)s::bigint[] IS NULL OR p.comparison_id = ANY(%(ids)s::bigint[]))
ORDER BY p.comparison_id, p.id DESC
"""


def predictions_of(
    project_id: int, *, rater_id: int | None = None, comparison_ids: Sequence[int] | None = None
) -> PredictionTable:
    """The newest prediction that can be used, of one judge or of any."""
    with connection.cursor() as cursor:
        ids = None if comparison_ids is None else list(comparison_ids)
        cursor.execute(PREDICTIONS, {"project": project_id, "rater": rater_id, "ids": ids})
        rows = cursor.fetchall()
    p_tie = np.array([row[4] for row in rows], dtype=np.float64)
    return PredictionTable(
        comparison=np.array([row[0] for row in rows], dtype=np.int64),
        rater=np.array([row[1] for row in rows], dtype=np.int64),
        p_first=_first_if_any(
            np.array([np.nan if row[2] is None else row[2] for row in rows], dtype=np.float64), p_tie
        ),
        p_tie=p_tie,
        label=np.array([LABELS.get(row[3], TIE) for row in rows], dtype=np.int64),
        inconsistent=np.array([row[3] == "inconsistent" for row in rows], dtype=bool),
    )


def _first_if_any(p_first: FloatArray, p_tie: FloatArray) -> FloatArray:
    """P(first better, given that one is) from the stored one, which holds half of the tie; 0.5 for a sure tie."""
    either = 1.0 - p_tie
    known = np.divide(p_first - p_tie / 2, either, out=np.full(p_first.shape, 0.5), where=either > 0)
    return np.where(np.isnan(p_first), np.nan, np.clip(known, 0.0, 1.0))


def calibrations_of(project_id: int) -> dict[int, CalibrationFit]:
    """The newest fit of each judge, by rater id."""
    newest = (
        Calibration.objects.filter(project_id=project_id).order_by("rater_id", "-id").distinct("rater_id")
    )
    return {row.rater_id: calibration_fit(row) for row in newest}


def calibration_fit(row: Calibration) -> CalibrationFit:
    return CalibrationFit(slope=row.params["slope"], n=row.pairs)


@dataclass(frozen=True)
class Watermark:
    """What an aggregation rests on; equal marks mean that nothing came or went.

    `annotations` are those that stand. `rows` counts every row: a correction leaves the other number as it was, and when it
    began early its id may lie below `annotations_until`.
    """

    annotations: int
    rows: int | None
    predictions: int
    annotations_until: int
    predictions_until: int
    calibration: int

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "annotations": self.annotations,
            "rows": self.rows,
            "predictions": self.predictions,
            "calibration": self.calibration,
        }


def watermark_of(project_id: int) -> Watermark:
    """Ids become visible out of order, so the counts stand beside the highest ids."""
    predictions = Prediction.objects.filter(project_id=project_id).aggregate(n=Count("id"), until=Max("id"))
    annotations = Annotation.objects.filter(project_id=project_id).aggregate(
        n=Count("id", filter=Q(state=Annotation.State.CURRENT)), rows=Count("id"), until=Max("id")
    )
    return Watermark(
        annotations=annotations["n"],
        rows=annotations["rows"],
        predictions=predictions["n"],
        annotations_until=annotations["until"] or 0,
        predictions_until=predictions["until"] or 0,
        calibration=Calibration.objects.filter(project_id=project_id).aggregate(n=Max("id"))["n"] or 0,
    )

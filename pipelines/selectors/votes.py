"""Votes and judges' probabilities as arrays, for aggregation and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Count, Max, Q
from numpy.typing import NDArray

from annotation.models import Annotation, Rater
from pipelines.copying import columns_read
from pipelines.labels.graded_votes import family_weights
from pipelines.labels.votes import FIRST, SECOND, TIE, Votes
from pipelines.models import Calibration, Prediction
from pipelines.routing.calibration import Calibration as CalibrationFit

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Completions that stand in one comparison only tell nothing about others.
LEAST_RECURRING = 0.1
LABELS = {"first": FIRST, "second": SECOND, "tie": TIE, "both_bad": TIE}
# Kinds of raters, by number.
KINDS = ("person", "source", "model")
PERSON, SOURCE, MODEL = range(3)
# A judge's strength is how sure it was, in steps on a scale that no project has, hence the sign.
JUDGE_SURE = (0.75, 0.95)
JUDGE_SCALE = -(len(JUDGE_SURE) + 1)
FAMILY_EXPONENT = 0.5


@dataclass(frozen=True)
class VoteTable:
    """One row a vote that stands: a rater's first current answer to a comparison of two.

    Attributes:
        annotation: (n,) int64 ids; 0 of a prediction.
        comparison, rater: (n,) int64 ids, sorted by comparison, then rater.
        label: (n,) int64, 0 first, 1 second, 2 tie (both bad included).
        both_bad: (n,) bool.
        strength: (n,) signed strength over its scale, -1..1, negative: first is better; NaN without one.
        vote, scale: (n,) int64, the signed strength -m..m and m; both 0 without one; `JUDGE_SCALE` on that of judges.
        first_shown: (n,) int64, +1 the first completion was shown as A, -1 as B, 0 unknown.
        shown_as_a: (n,) 1 the side voted for was shown as A, 0 as B, NaN for ties and unknown sides.
        kind: (n,) int64 of the rater: 0 a person who voted here, 1 a source of imported choices, 2 a judge's prediction.
        weight: (n,) how much the vote counts; 1 but for what a family of judges says of one comparison.
    """

    annotation: IntArray
    comparison: IntArray
    rater: IntArray
    label: IntArray
    both_bad: BoolArray
    strength: FloatArray
    vote: IntArray
    scale: IntArray
    first_shown: IntArray
    shown_as_a: FloatArray
    kind: IntArray
    weight: FloatArray

    def __len__(self) -> int:
        return int(self.comparison.size)

    @property
    def comparisons(self) -> IntArray:
        """The sorted ids of comparisons that have a vote; the table is sorted, so nothing is looked for."""
        found: IntArray = self.comparison[np.diff(self.comparison, prepend=-1) != 0]
        return found

    def of_people(self) -> VoteTable:
        """The votes given here by people."""
        return self.kept(self.kind == PERSON)

    def kept(self, rows: IntArray | BoolArray) -> VoteTable:
        """Some of the votes: `rows` is a mask or indices in ascending order."""
        if rows.dtype == bool and rows.all():
            return self
        return VoteTable(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def joined(self, other: VoteTable) -> VoteTable:
        """Both tables' votes as one."""
        names = self.__dataclass_fields__
        both = VoteTable(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names})
        return both.kept(np.lexsort((both.rater, both.comparison)))

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
SELECT a.id, a.comparison_id, a.rater_id,
  (CASE a.outcome WHEN 'first' THEN 0 WHEN 'second' THEN 1 WHEN 'tie' THEN 2 WHEN 'both_bad' THEN 3 END)::int2,
  coalesce(a.vote, 0)::int2, coalesce(a.vote_scale, 0)::int2, coalesce((a.shown_order->0)::int2, -1::int2)
FROM annotation_annotation a
JOIN annotation_comparison c ON c.id = a.comparison_id
WHERE a.project_id = %(project)s AND a.state = 'current' AND a.outcome IN ('first', 'second', 'tie', 'both_bad')
  AND c.size = 2 AND (%(ids)s::bigint[] IS NULL OR a.comparison_id = ANY(%(ids)s::bigint[]))
"""
VOTE_KINDS = {
    "id": "i8", "comparison": "i8", "rater": "i8", "outcome": "i2", "vote": "i2", "scale": "i2", "shown": "i2",
}  # fmt: skip
OUTCOMES = ("first", "second", "tie", "both_bad")


def votes_of(project_id: int, comparison_ids: Sequence[int] | None = None) -> VoteTable:
    """The votes that stand, of a project or of some comparisons, as one snapshot has them."""
    ids = None if comparison_ids is None else list(comparison_ids)
    with connection.cursor() as cursor:
        rows = columns_read(cursor, VOTES, {"project": project_id, "ids": ids}, VOTE_KINDS)
    order = np.lexsort((rows["id"], rows["rater"], rows["comparison"]))
    rows = {name: values[order] for name, values in rows.items()}
    again = (np.diff(rows["comparison"]) == 0) & (np.diff(rows["rater"]) == 0)
    kept = np.concatenate([[True], ~again])[: order.size]
    rows = {name: values[kept].astype(np.int64) for name, values in rows.items()}
    label, shown = np.array([LABELS[outcome] for outcome in OUTCOMES])[rows["outcome"]], rows["shown"]
    has_scale, has_side = rows["scale"] > 0, shown >= 0
    return VoteTable(
        annotation=rows["id"],
        comparison=rows["comparison"],
        rater=rows["rater"],
        label=label,
        both_bad=rows["outcome"] == OUTCOMES.index("both_bad"),
        strength=np.where(has_scale, rows["vote"] / np.maximum(rows["scale"], 1), np.nan),
        vote=rows["vote"],
        scale=rows["scale"],
        first_shown=np.where(has_side, 1 - 2 * shown, 0),
        shown_as_a=np.where(has_side & (label != TIE), label == shown, np.nan).astype(np.float64),
        kind=_kinds_of(rows["rater"]),
        weight=np.ones(rows["id"].size),
    )


def _kinds_of(raters: IntArray) -> IntArray:
    """What kind each of these raters is, an index into `KINDS`; a rater is there before its votes and keeps its kind."""
    ids = np.unique(raters)
    kinds = dict(Rater.objects.filter(pk__in=ids.tolist()).values_list("pk", "kind"))
    number = np.array([KINDS.index(kinds[rater]) for rater in ids.tolist()], dtype=np.int64)
    return number[np.searchsorted(ids, raters)]


# The newest readable prediction of each judge on a comparison. Judges on one model are one family.
JUDGED = """
SELECT DISTINCT ON (p.comparison_id, p.rater_id) p.comparison_id, p.rater_id, coalesce(r.model_id, -r.id),
  coalesce(array_position(ARRAY['first', 'second', 'tie'], p.outcome::text), 0)::int2, coalesce(p.p_first, 'NaN'),
  coalesce(p.p_first_ab, 'NaN'), coalesce(p.p_first_ba, 'NaN'), coalesce(p.p_tie, 0)
FROM pipelines_prediction p
JOIN annotation_rater r ON r.id = p.rater_id
JOIN annotation_comparison c ON c.id = p.comparison_id
WHERE p.project_id = %(project)s AND c.size = 2 AND p.outcome <> 'unreadable'
  AND (%(ids)s::bigint[] IS NULL OR p.comparison_id = ANY(%(ids)s::bigint[]))
ORDER BY p.comparison_id, p.rater_id, p.id DESC
"""
JUDGED_KINDS = {
    "comparison": "i8", "rater": "i8", "family": "i8", "outcome": "i2", "p_first": "f8", "ab": "f8", "ba": "f8",
    "p_tie": "f8",
}  # fmt: skip


def judge_votes_of(project_id: int, comparison_ids: Sequence[int] | None = None) -> VoteTable:
    """What judges said, as votes: one for each order in which a comparison was read, its side known.

    The two orders are readings of one rater, and what it got wrong of the texts it got wrong in both: they share one
    vote. Counted as two, or as n^1/2, they vouch for each other, and the model believes the judge far too much (a test
    shows it). An `inconsistent` prediction is no vote of its own; its orders stand against each other and tell only the
    pull to a side. How sure a judge was is its strength, on a scale of its own. Imported ones without numbers are choices.
    """
    ids = None if comparison_ids is None else list(comparison_ids)
    with connection.cursor() as cursor:
        rows = columns_read(cursor, JUDGED, {"project": project_id, "ids": ids}, JUDGED_KINDS)
    both = ~np.isnan(rows["ab"]) & ~np.isnan(rows["ba"])
    bare = np.isnan(rows["p_first"]) & (rows["outcome"] > 0)
    parts = [
        _judge_part(rows, both, rows["ab"], 1),
        _judge_part(rows, both, rows["ba"], -1),
        _judge_part(rows, ~both & ~np.isnan(rows["p_first"]), rows["p_first"], 0),
        _judge_part(rows, bare, None, 0),
    ]
    votes = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    weight = _judge_weights(votes["comparison"], votes["rater"], votes.pop("family"))
    label, side = votes["label"], votes["first_shown"]
    table = VoteTable(
        annotation=np.zeros(label.size, dtype=np.int64),
        both_bad=np.zeros(label.size, dtype=bool),
        # On no scale of the project's.
        strength=np.full(label.size, np.nan),
        shown_as_a=np.where((side != 0) & (label != TIE), (label == FIRST) == (side == 1), np.nan).astype(np.float64),
        kind=np.full(label.size, MODEL),
        weight=weight,
        **votes,
    )
    return table.kept(np.lexsort((table.rater, table.comparison)))


def _judge_weights(comparison: IntArray, rater: IntArray, family: IntArray) -> FloatArray:
    """Weight of each vote: a judge's orders share one vote, and n judges on one model count as n^1/2."""
    if not rater.size:
        return np.ones(0)
    judges, judge = np.unique(rater, return_inverse=True)
    own = family_weights(comparison, judge, np.arange(judges.size), np.ones(judges.size))
    _, group = np.unique(np.stack([comparison, family]), axis=1, return_inverse=True)
    group = group.ravel()
    # A judge's own weights sum to 1 on a comparison, so those of a family sum to its judges.
    n_judges = np.bincount(group, weights=own)[group]
    return np.asarray(own * n_judges**-FAMILY_EXPONENT)


def _judge_part(
    rows: dict[str, NDArray[Any]], chosen: BoolArray, p_first: FloatArray | None, side: int
) -> dict[str, NDArray[Any]]:
    """Votes from one reading of some predictions. `p_first`: P(first better) + P(tie) / 2; None: the outcome alone."""
    if p_first is None:
        label = rows["outcome"][chosen].astype(np.int64) - 1
        vote, scale = np.zeros_like(label), 0
    else:
        # A judge of two labels never says tie, however close it is.
        tie = rows["p_tie"][chosen] >= 0.5
        first = p_first[chosen] >= 0.5
        sure = np.where(first, p_first[chosen], 1 - p_first[chosen])
        steps = 1 + np.searchsorted(JUDGE_SURE, sure, side="right")
        label = np.where(tie, TIE, np.where(first, FIRST, SECOND)).astype(np.int64)
        vote, scale = np.where(tie, 0, np.where(first, -steps, steps)).astype(np.int64), JUDGE_SCALE
    return {
        "comparison": rows["comparison"][chosen],
        "rater": rows["rater"][chosen],
        "family": rows["family"][chosen],
        "label": label,
        "vote": vote,
        "scale": np.full(label.size, scale),
        "first_shown": np.full(label.size, side),
    }


COMPLETIONS = """
SELECT a.comparison_id, a.completion_id, b.completion_id
FROM annotation_comparisoncompletion a
JOIN annotation_comparisoncompletion b ON b.comparison_id = a.comparison_id AND b.position = 1
WHERE a.position = 0 AND a.comparison_id = ANY(%(ids)s::bigint[])
"""


def completions_of(
    project_id: int, comparisons: IntArray, *, as_ids: bool = False
) -> tuple[IntArray, IntArray] | None:
    """First and second completion of these sorted comparisons, numbered from 0; None where hardly any recurs.

    `as_ids`: the database's ids instead, whether any recurs or not.
    """
    with connection.cursor() as cursor:
        kinds = {"comparison": "i8", "first": "i8", "second": "i8"}
        rows = columns_read(cursor, COMPLETIONS, {"ids": comparisons.tolist()}, kinds)
    pairs = np.stack([rows["first"], rows["second"]], axis=1)[np.argsort(rows["comparison"])]
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

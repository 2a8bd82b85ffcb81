"""Groups of people who reward different things, whom the labels serve least, and where everybody's ideal lies."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from pipelines.labels.errors import LabelError
from pipelines.labels.groups import (
    GroupFit,
    clustered_share,
    group_count,
    group_fit,
    group_gaps,
    group_preference,
)
from pipelines.labels.ideal_map import ideal_map
from pipelines.models import AggregationRun, Analysis, GroupMember, RaterGroup
from pipelines.queue import Leased
from pipelines.scoring.text_properties import PROPERTIES
from pipelines.services.analyses import Found
from pipelines.services.drivers import Pair, levels_of, pairs_of, signs_of
from pipelines.services.group_labels import group_labels_refit

KEY, METHOD = "groups", "maxmin_em"
MOST_VOTES, MOST_GROUPS, LEAST_PEOPLE = 6_000, 3, 10
SHOWN_GAPS = 15
SEED = 0
LETTERS = "ABC"

# As in agreement: files stand for people only where nobody votes here.
PEOPLE = """
WITH said AS (
  SELECT DISTINCT ON (a.comparison_id, a.rater_id) a.comparison_id, a.rater_id, a.outcome, r.kind = 'person' AS here
  FROM annotation_annotation a JOIN annotation_rater r ON r.id = a.rater_id
  WHERE a.comparison_id = ANY(%(ids)s::bigint[]) AND a.state = 'current' AND a.outcome IN ('first', 'second')
  ORDER BY a.comparison_id, a.rater_id, a.id
)
SELECT comparison_id, rater_id, outcome FROM said WHERE here OR NOT EXISTS (SELECT FROM said WHERE here)
ORDER BY comparison_id, rater_id
"""


class _Votes:
    """People's votes for a side on the measured comparisons.

    `at`: (n,) row of each vote's comparison. `rater`: (n,) index into `people`, the raters' ids. `first`: (n,) whether
    the first was chosen.
    """

    def __init__(self, rows: list[Pair]) -> None:
        place = {row[0]: number for number, row in enumerate(rows)}
        with connection.cursor() as cursor:
            cursor.execute(PEOPLE, {"ids": list(place)})
            said = cursor.fetchall()[:MOST_VOTES]
        self.people = sorted({vote[1] for vote in said})
        index = {rater: number for number, rater in enumerate(self.people)}
        self.at = np.array([place[vote[0]] for vote in said], dtype=np.int64)
        self.rater = np.array([index[vote[1]] for vote in said], dtype=np.int64)
        self.first = np.array([vote[2] == "first" for vote in said], dtype=bool)

    def __len__(self) -> int:
        return int(self.at.size)


def groups_found(item: Leased) -> Found:
    """The analysis `groups`."""
    run = AggregationRun.objects.filter(project_id=item.project_id).order_by("-number").first()
    rows = pairs_of(item.project_id)
    votes = _Votes(rows)
    if len(votes.people) < LEAST_PEOPLE:
        reason = f"{len(votes.people)} people have voted; {LEAST_PEOPLE} are the least for groups."
        return Found({"pairs": len(rows), "reason": reason}, len(votes), run)
    levels = levels_of(rows, item)
    signs = signs_of(levels)
    differs = np.ptp(signs, axis=0) > 0
    if not differs.any():
        reason = "No countable property differs between the two completions of any comparison."
        return Found({"pairs": len(rows), "reason": reason}, len(votes), run)
    difference = signs[votes.at][:, differs] * np.where(votes.first, 1.0, -1.0)[:, None]
    count, scores = group_count(difference, votes.rater, MOST_GROUPS, seed=SEED)
    item.check()
    fit = group_fit(difference, votes.rater, count, seed=SEED)
    item.check()
    result = {
        "pairs": len(rows),
        "method": METHOD,
        "people": len(votes.people),
        "count": count,
        "scores": [None if np.isnan(score) else float(score) for score in scores],
        "names": [key for key, one in zip(PROPERTIES, differs, strict=True) if one],
        "groups": [_group(fit, k, votes, rows, difference) for k in range(count)],
        "map": _map(levels[:, :, differs], votes, fit),
    }

    def store(analysis: Analysis) -> None:
        _store(analysis, fit, votes, run)

    return Found(result, len(votes), run, store)


def _group(
    fit: GroupFit, k: int, votes: _Votes, rows: list[Pair], difference: NDArray[np.float64]
) -> dict[str, Any]:
    """One group: what it rewards, how far the labels go its way, and where it differs most from the others."""
    own = fit.group[votes.rater] == k
    weight, low, high = group_preference(difference[own], votes.rater[own], seed=SEED)
    labels = np.array([np.nan if row[8] is None or row[8] == 0.5 else float(row[8] > 0.5) for row in rows])
    told = own & ~np.isnan(labels[votes.at])
    served = clustered_share(labels[votes.at][told] == votes.first[told], votes.rater[told], seed=SEED)
    gaps = group_gaps(votes.at, votes.first, own.astype(np.int64), 1, 0) if own.any() and not own.all() else []
    return {
        "name": LETTERS[k],
        "share": float(fit.share[k]),
        "people": int(np.unique(votes.rater[own]).size),
        "votes": int(own.sum()),
        "shown": bool(fit.shown[k]),
        "weight": weight.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "reliability": float(np.nanmean(fit.reliability[fit.group == k])) if (fit.group == k).any() else None,
        "served": None if served is None else dict(zip(("share", "low", "high"), served, strict=True)),
        "served_votes": int(told.sum()),
        "gaps": [
            {
                "comparison": rows[gap.item][0],
                "own": gap.share_one,
                "others": gap.share_other,
                "votes": int((votes.at == gap.item).sum()),
                "p": gap.p_value,
                "q": gap.q_value,
            }
            for gap in gaps[:SHOWN_GAPS]
        ],
    }


def _map(levels: NDArray[np.float64], votes: _Votes, fit: GroupFit) -> dict[str, Any]:
    """Everybody's ideal point; or why there is no map."""
    scaled = np.log1p(levels)
    flat = scaled.reshape(-1, scaled.shape[2])
    spread = flat.std(axis=0)
    scaled = (scaled - flat.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    one, other = scaled[0][votes.at], scaled[1][votes.at]
    winner = np.where(votes.first[:, None], one, other)
    loser = np.where(votes.first[:, None], other, one)
    try:
        found = ideal_map(winner, loser, votes.rater, seed=SEED)
    except LabelError as error:
        return {"reason": str(error)}
    return {
        "prototypes": found.prototypes,
        "gain": found.gain,
        "gain_low": found.gain_low,
        "gain_high": found.gain_high,
        "held_out": found.held_out,
        "points": found.points.tolist(),
        "corners": found.corners.tolist(),
        "directions": found.directions.tolist(),
        "people": [
            {
                "rater": votes.people[person],
                "x": float(found.people[person, 0]),
                "y": float(found.people[person, 1]),
                "spread": None if np.isnan(found.spread[person]) else float(found.spread[person]),
                "votes": int((votes.rater == person).sum()),
                "group": LETTERS[int(fit.group[person])],
            }
            for person in range(len(votes.people))
        ],
    }


def _store(analysis: Analysis, fit: GroupFit, votes: _Votes, run: AggregationRun | None) -> None:
    """The groups as rows, with their members; and the labels of each that is large enough, by the refit's method."""
    for k in range(fit.share.size):
        members = np.flatnonzero((fit.group == k) & (np.bincount(votes.rater, minlength=fit.group.size) > 0))
        group = RaterGroup.objects.create(
            analysis=analysis,
            name=LETTERS[k],
            share=float(fit.share[k]),
            people=members.size,
            votes=int(np.isin(votes.rater, members).sum()),
            is_shown=bool(fit.shown[k]),
        )
        GroupMember.objects.bulk_create(
            GroupMember(group=group, rater_id=votes.people[person], chance=float(fit.membership[person, k]))
            for person in members.tolist()
        )
        if run is not None and group.is_shown:
            group_labels_refit(group=group, run=run)

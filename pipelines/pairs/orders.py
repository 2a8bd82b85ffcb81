"""What several orders of the same completions say about each pair of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from pipelines.labels.plackett_luce import plackett_luce
from pipelines.pairs.answers import Order

# A standard logistic prior on every score, so that one answer is never sure; and half a vote for each outcome.
PRIOR, SMOOTHING = 1.0, 0.5


@dataclass(frozen=True)
class PairSaid:
    """One pair, numbers as given: chances of first, second and tie, and how many answers said each."""

    posterior: tuple[float, float, float]
    said: tuple[int, int, int]


def pairs_said(orders: Sequence[Order], n: int) -> dict[tuple[int, int], PairSaid]:
    """Each pair (i, j), i < j, of which at least one order says something.

    The direction is the posterior of the difference of two Plackett-Luce scores (Laplace's approximation, so what one
    answer says of many pairs is counted once); the chance of a tie is the smoothed share of answers that tied them.

    Args:
        orders: of items 0..n-1, of one rater each.

    Example:
        >>> found = pairs_said([Order(((0,), (1,), (2,)))], 3)
        >>> [round(found[pair].posterior[0], 2) for pair in sorted(found)]
        [0.56, 0.68, 0.59]

    Source: as `plackett_luce`; prior and shares of ties are ours.
    """
    # Most sets are ranked once or twice, so that after renaming items by their place the same few cases come back.
    place = np.zeros(n)
    for order in orders:
        for item in order.items:
            place[item] += order.place(item) - len(order.groups) / 2
    names = np.empty(n, dtype=np.int64)
    names[np.argsort(place, kind="stable")] = np.arange(n)
    named = tuple(sorted(order.renamed(names.tolist()) for order in orders))
    found = {}
    for (low, high), told in _pairs(named, n).items():
        one, other = (int(np.flatnonzero(names == name)[0]) for name in (low, high))
        found[min(one, other), max(one, other)] = told if one < other else _turned(told)
    return found


def places_apart(
    group: NDArray[np.int64], chosen: NDArray[np.int64], rejected: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far chosen stands above rejected in the order that all pairs of a group make together.

    Places follow the number of pairs a completion wins; equal numbers share a place.

    Args:
        group, chosen, rejected: (m,) ids of each pair's group and completions.

    Returns:
        (m,) places apart (1: neighbours; 0 or less: the pair goes against the order), and the same as a share of the
        places between best and worst of its group (1: best and worst).

    Example:
        >>> apart, span = places_apart(np.zeros(3, dtype=int), np.array([7, 7, 8]), np.array([8, 9, 9]))
        >>> apart.tolist(), span.tolist()
        ([1.0, 2.0, 1.0], [0.5, 1.0, 0.5])
    """
    wins = Counter(zip(group.tolist(), chosen.tolist(), strict=True))
    counts: dict[int, set[int]] = {}
    for one, *both in zip(group.tolist(), chosen.tolist(), rejected.tolist(), strict=True):
        counts.setdefault(one, set()).update(wins[one, completion] for completion in both)
    place = {(one, won): at for one, found in counts.items() for at, won in enumerate(sorted(found, reverse=True))}

    def placed(completions: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array(
            [place[one, wins[one, each]] for one, each in zip(group.tolist(), completions.tolist(), strict=True)],
            dtype=np.float64,
        )

    apart = placed(rejected) - placed(chosen)
    most = np.array([max(1, len(counts[one]) - 1) for one in group.tolist()], dtype=np.float64)
    return apart, apart / most


def _turned(told: PairSaid) -> PairSaid:
    (a, b, tie), (n, m, ties) = told.posterior, told.said
    return PairSaid((b, a, tie), (m, n, ties))


@lru_cache(maxsize=10_000)
def _pairs(orders: tuple[Order, ...], n: int) -> dict[tuple[int, int], PairSaid]:
    full = [order for order in orders if not order.between]
    ends = [order for order in orders if order.between]
    fit = plackett_luce(
        [order.groups for order in full] + [order.groups[:1] for order in ends],
        n,
        left_over=[()] * len(full) + [(*order.between, *order.groups[1]) for order in ends],
        worst=[(order.groups[1][0], order.between) for order in ends],
        virtual_wins=PRIOR,
    )
    found = {}
    for one, other in combinations(range(n), 2):
        words = Counter(order.said(one, other) for order in orders if {one, other} <= set(order.items))
        said = (words[-1], words[1], words[0])
        if not sum(said):
            continue
        difference = fit.scores[one] - fit.scores[other]
        variance = fit.covariance[one, one] + fit.covariance[other, other] - 2 * fit.covariance[one, other]
        tie = (said[2] + SMOOTHING) / (sum(said) + 3 * SMOOTHING)
        first = float(ndtr(difference / np.sqrt(variance)))
        found[one, other] = PairSaid(((1 - tie) * first, (1 - tie) * (1 - first), tie), said)
    return found

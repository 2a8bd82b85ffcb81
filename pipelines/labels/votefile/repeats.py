"""A rater's second vote on one item is a repeat: which of them counts, whatever the order of lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.labels.votes import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Repeats:
    """What was done with votes that one rater gave on one item.

    Attributes:
        left_out: votes that do not count. contradictory: times that none counts.
        both_orders: times that a rater who is no person saw an item in both orders, and both votes count.
        pairs, equal: pairs of votes of one rater on one item, and how many say the same.
    """

    left_out: int = 0
    contradictory: int = 0
    both_orders: int = 0
    pairs: int = 0
    equal: int = 0

    def notes(self) -> list[str]:
        found = []
        if self.left_out:
            found.append(
                f"{self.left_out} votes are repeats, of a rater on an item that they had voted on, and do not count: the "
                "first by `at` counts, or without times the one given most often."
            )
        if self.contradictory:
            found.append(
                f"{self.contradictory} times a rater's repeats contradict each other with none the first: none counts."
            )
        if self.both_orders:
            found.append(
                f"{self.both_orders} times a rater judged an item in both orders, and both votes count: reliability is "
                "then agreement with oneself, too."
            )
        return found


def counted_votes(
    item: IntArray, rater: IntArray, said: IntArray, side: IntArray, at: FloatArray, person: BoolArray
) -> tuple[BoolArray, Repeats]:
    """Which votes count.

    Args:
        item, rater: (n,). said: (n,) a number for what was voted. side: (n,) +1, -1, 0 unknown.
        at: (n,) seconds, NaN unknown.
        person: (n_raters,) whether a rater is told to be a person: to others, that is judges, an item in the other order
            is another question, whose answer tells their pull to a side.

    Returns:
        (n,) True where a vote counts: of repeats the earliest; where a time is missing or equal, the one given most often,
        or none where several are. Neither names nor order of lines nor swapped sides matter.
    """
    counts = np.ones(item.size, dtype=bool)
    _, pair, size = np.unique(item * person.size + rater, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(size[pair] > 1)
    if not rows.size:
        return counts, Repeats()
    _, pair = np.unique(pair[rows], return_inverse=True)
    _, said = np.unique(said[rows], return_inverse=True)
    apart = ~_any(pair, side[rows] == 0)[pair] & ~person[rater[rows]]
    group = _numbered(2 * pair + (apart & (side[rows] > 0)))
    early = _earliest(group, at[rows])
    chosen, contradictory = _most_frequent(group, said, side[rows], early)
    counts[rows] = False
    counts[rows[chosen]] = True
    frequency = np.bincount(_numbered(pair * said.size + said))
    sizes = np.bincount(pair)
    return counts, Repeats(
        left_out=int(rows.size - chosen.size),
        contradictory=contradictory,
        both_orders=int((np.bincount(pair[chosen]) > 1).sum()),
        pairs=int((sizes * (sizes - 1) // 2).sum()),
        equal=int((frequency * (frequency - 1) // 2).sum()),
    )


def _earliest(group: IntArray, at: FloatArray) -> BoolArray:
    """Which rows are the first of their group; all where a time is missing."""
    time = np.where(_any(group, np.isnan(at))[group], 0.0, at)
    first = np.full(int(group.max()) + 1, np.inf)
    np.minimum.at(first, group, time)
    return np.asarray(time == first[group])


def _most_frequent(group: IntArray, said: IntArray, side: IntArray, early: BoolArray) -> tuple[IntArray, int]:
    """A row of each group with what most of its early rows say, and the number of groups where several are said most."""
    rows = np.flatnonzero(early)
    rows = rows[np.lexsort((side[rows], said[rows], group[rows]))]
    width = int(said.max()) + 1
    cells, start, count = np.unique(group[rows] * width + said[rows], return_index=True, return_counts=True)
    owner = cells // width
    most = np.zeros(int(group.max()) + 1, dtype=np.int64)
    np.maximum.at(most, owner, count)
    best = count == most[owner]
    several = np.bincount(owner, best) > 1
    return rows[start[best & ~several[owner]]], int(several.sum())


def _any(group: IntArray, flags: BoolArray) -> BoolArray:
    return np.asarray(np.bincount(group, flags) > 0)


def _numbered(values: IntArray) -> IntArray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)

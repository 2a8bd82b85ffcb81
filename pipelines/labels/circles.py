"""Circles among items that recur, on sparse tables: their share beside what noise alone would give, and who wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipelines.labels.errors import VotesMalformed
from pipelines.labels.intransitivity import hodge_rank, minimax_mixture, minimax_winner
from pipelines.labels.pairs import (
    PairTable,
    bradley_terry,
    connections,
    davidson,
    davidson_outcomes,
    pair_table,
)
from pipelines.labels.votes import BoolArray, FloatArray, IntArray

MOST_TRIADS = 2_000_000
DRAWS = 200
HALVINGS = 20
INTERVAL = (0.025, 0.975)
VIRTUAL_WINS = 0.1


@dataclass(frozen=True)
class Circles:
    """Triads whose three pairs were compared, by whether their majorities go in a circle.

    Attributes:
        observed: triads. tied: of these with an exact tie, which decide nothing. cyclic: circles.
        share: cyclic / (observed - tied), None where none is decided.
        expected, expected_low, expected_high: mean and 95 % range of that share if one score explained everything, at
            the same numbers of votes; None where no draw decides a triad.
        p_value: chance of at least the observed share then.
        cycles: (cyclic, 3) items in the order of beating, the firmest first. weakest: (cyclic,) votes by which the
            closest of the three pairs is decided.
    """

    observed: int
    tied: int
    cyclic: int
    share: float | None
    expected: float | None
    expected_low: float | None
    expected_high: float | None
    p_value: float | None
    cycles: IntArray
    weakest: FloatArray

    @property
    def decided(self) -> int:
        return self.observed - self.tied


def circles(table: PairTable, *, seed: int, draws: int = DRAWS) -> Circles:
    """Count circles in a table of pairs, and what noise would give.

    Few votes a pair make circles by chance: outcomes are drawn from the fitted Davidson model (Bradley-Terry with ties)
    at the same numbers of votes.

    Args:
        table: outcomes by pair; fractions of votes are not allowed, as they cannot be drawn.
        seed: of the draws; the same seed gives the same figures.

    Raises:
        VotesMalformed: fractions of votes, or more than two million triads.

    Source: Kendall and Babington Smith 1940; the null by parametric bootstrap, from scores of the clearness seen.
    """
    games = table.wins_i + table.wins_j + table.ties
    if not np.array_equal(games, np.rint(games)):
        raise VotesMalformed("circles are counted on whole votes")
    edges = _triads(table)
    nodes = np.stack([table.i[edges[:, 0]], table.j[edges[:, 0]], table.j[edges[:, 1]]], axis=1)
    margin = table.wins_i - table.wins_j
    observed, tied, around = _counted(margin, edges)
    share = _share(observed, tied, around)
    drawn = [
        found for wins in _noise(table, seed, draws) if (found := _share(*_counted(wins, edges))) is not None
    ]
    low, high = (float(bound) for bound in np.quantile(drawn, INTERVAL)) if drawn else (None, None)
    weakest = np.abs(margin[edges]).min(axis=1, initial=np.inf)[around != 0]
    cycles = np.where(around[:, None] > 0, nodes, nodes[:, [0, 2, 1]])[around != 0]
    order = np.argsort(-weakest, kind="stable")
    return Circles(
        observed=observed,
        tied=tied,
        cyclic=int(np.count_nonzero(around)),
        share=share,
        expected=float(np.mean(drawn)) if drawn else None,
        expected_low=low,
        expected_high=high,
        p_value=None
        if share is None or not drawn
        else float((1 + sum(one >= share - 1e-12 for one in drawn)) / (1 + len(drawn))),
        cycles=cycles[order],
        weakest=weakest[order],
    )


def _triads(table: PairTable) -> IntArray:
    """(t, 3) pairs of each triad i < j < k, as places in the table: (ij, jk, ik)."""
    place = {(i, j): at for at, (i, j) in enumerate(zip(table.i.tolist(), table.j.tolist(), strict=True))}
    above: dict[int, set[int]] = {}
    for i, j in place:
        above.setdefault(i, set()).add(j)
    found = list[tuple[int, int, int]]()
    for (i, j), at in place.items():
        for k in sorted(above[i] & above.get(j, set())):
            found.append((at, place[j, k], place[i, k]))
        if len(found) > MOST_TRIADS:
            raise VotesMalformed(f"more than {MOST_TRIADS:,} triads; take fewer items")
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _counted(margin: FloatArray, edges: IntArray) -> tuple[int, int, IntArray]:
    """Triads, those with a tie, and (t,) 1 for i > j > k > i, -1 for the other way round, 0 for neither."""
    one, two, three = np.sign(margin[edges]).astype(np.int64).T
    tied = int(((one == 0) | (two == 0) | (three == 0)).sum())
    return edges.shape[0], tied, np.where((one == two) & (one == -three), one, 0)


def _share(observed: int, tied: int, around: IntArray) -> float | None:
    return float(np.count_nonzero(around)) / (observed - tied) if observed > tied else None


def _noise(table: PairTable, seed: int, draws: int) -> Iterator[FloatArray]:
    """(P,) wins of i minus wins of j, drawn from one score for each item at the same numbers of votes."""
    games = np.rint(table.wins_i + table.wins_j + table.ties).astype(np.int64)
    chance = _one_score(table)
    random = np.random.default_rng(seed)
    for _ in range(draws):
        drawn = random.multinomial(games, chance)
        yield (drawn[:, 0] - drawn[:, 1]).astype(np.float64)


def _one_score(table: PairTable) -> FloatArray:
    """(P, 3) chances of i, j and tie by one score an item, fitted to each connected part by itself.

    All scores are then pulled together by one factor, so that majorities drawn from them are no clearer, in all, than
    those seen less one standard error of that: as fitted, few votes spread scores too far apart, and circles that chance
    made would look like more than chance.
    """
    component, _ = connections(table)
    order = np.argsort(component[table.i], kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(component[table.i][order])) + 1)
    gap, tie = np.empty(table.i.size), np.empty(table.i.size)
    for rows in parts:
        own = _part(table, rows)
        fit = davidson(own, virtual_wins=VIRTUAL_WINS)
        gap[rows], tie[rows] = fit.scores[own.i] - fit.scores[own.j], fit.tie
    games = table.wins_i + table.wins_j + table.ties
    seen = float(np.square(table.wins_i - table.wins_j).sum()) - float(np.sqrt((2 * games * (games - 1)).sum()))
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        chance = davidson_outcomes(middle * gap, tie)
        lean, decided = chance[:, 0] - chance[:, 1], chance[:, 0] + chance[:, 1]
        drawn = float((games * (decided - lean**2) + (games * lean) ** 2).sum())
        low, high = (middle, high) if drawn < seen else (low, middle)
    return davidson_outcomes(low * gap, tie)


def _part(table: PairTable, rows: IntArray) -> PairTable:
    """Some rows of a table, its items numbered anew."""
    items, place = np.unique(np.concatenate([table.i[rows], table.j[rows]]), return_inverse=True)
    i, j = np.split(place.astype(np.int64), 2)
    return PairTable(i, j, table.wins_i[rows], table.wins_j[rows], table.ties[rows], items.size)


@dataclass(frozen=True)
class Winners:
    """Who wins by one score, and who by no score at all. Intervals are 95 %, from resampling comparisons.

    Attributes:
        scores, scores_low, scores_high: (n,) Bradley-Terry in logits, mean 0, held by 0.1 virtual wins and losses.
        mixture, mixture_low, mixture_high: (n,) the minimax winner: shares of the mixture that no other beats.
        unique: whether it is the only one; of several the most even one is given.
        wins: (n, n) share of votes that i wins against j, a tie a half. filled: (n, n) True where no vote compared the
            two and the share is the score's.
        copeland: (n,) items beaten. residual: share of log-odds energy that no score explains.
        residual_expected: mean of that share if one score explained everything.
    """

    scores: FloatArray
    scores_low: FloatArray
    scores_high: FloatArray
    mixture: FloatArray
    mixture_low: FloatArray
    mixture_high: FloatArray
    unique: bool
    wins: FloatArray
    filled: BoolArray
    copeland: IntArray
    residual: float
    residual_expected: float


def winners(
    first: IntArray, second: IntArray, counts: FloatArray, n: int, *, seed: int, draws: int = DRAWS
) -> Winners:
    """Scores and the minimax winner of n items that are connected by comparisons.

    Args:
        first, second: (m,) items of each comparison, 0..n-1. counts: (m, 3) votes for the first, for the second, ties.
        seed: of the resampling of comparisons.

    Raises:
        VotesMalformed: fewer than two items, or a score that no comparison connects with the others.

    Source: Bradley and Terry 1952; the minimax winner of SPO (2024).
    """
    if n < 2:
        raise VotesMalformed(f"a winner needs two items or more, got {n}")
    table = table_of(first, second, counts, n)
    if np.unique(connections(table)[0]).size > 1:
        raise VotesMalformed("some items were never compared with the others, directly or through a third")
    scores, wins, filled = _shares(table)
    found = minimax_winner(wins)
    random = np.random.default_rng(seed)
    drawn_scores, drawn_mixtures = list[FloatArray](), list[FloatArray]()
    for _ in range(draws):
        weight = np.bincount(random.integers(first.size, size=first.size), minlength=first.size)
        kept = weight > 0
        part = table_of(first[kept], second[kept], counts[kept] * weight[kept, None], n)
        one, shares, _ = _shares(part)
        drawn_scores.append(one)
        drawn_mixtures.append(minimax_mixture(shares))
    low, high = np.quantile(drawn_scores, INTERVAL, axis=0)
    mixture_low, mixture_high = np.quantile(drawn_mixtures, INTERVAL, axis=0)
    residual, expected = _residual(table, seed)
    return Winners(
        scores, low, high, found.p, mixture_low, mixture_high, found.unique, wins, filled, found.copeland, residual,
        expected,
    )  # fmt: skip


def table_of(first: IntArray, second: IntArray, counts: FloatArray, n: int) -> PairTable:
    """The table of pairs of (m, 3) counts: votes for the first, for the second, ties."""
    said = counts > 0
    at, outcome = np.nonzero(said)
    return pair_table(first[at], second[at], outcome.astype(np.int64), n, counts[said].astype(np.float64))


def _shares(table: PairTable) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Scores, the table of shares of votes, and which of its pairs the scores had to fill in.

    A resample may miss the one comparison that ties an item to the others: a few virtual wins hold it.
    """
    fit = bradley_terry(table, virtual_wins=VIRTUAL_WINS)
    scores = fit.scores - fit.scores.mean()
    wins = expit(scores[:, None] - scores[None, :])
    filled = ~np.eye(table.n, dtype=bool)
    share = (table.wins_i + table.ties / 2) / (table.wins_i + table.wins_j + table.ties)
    wins[table.i, table.j], wins[table.j, table.i] = share, 1 - share
    filled[table.i, table.j] = filled[table.j, table.i] = False
    return scores, wins, filled


def _residual(table: PairTable, seed: int, draws: int = 50) -> tuple[float, float]:
    """HodgeRank's residual, and its mean over tables that one score makes."""
    games = table.wins_i + table.wins_j + table.ties

    def dense(margin: FloatArray) -> FloatArray:
        wins = np.zeros((table.n, table.n))
        wins[table.i, table.j], wins[table.j, table.i] = (games + margin) / 2, (games - margin) / 2
        return wins

    seen = hodge_rank(dense(table.wins_i - table.wins_j))[1]
    return seen, float(np.mean([hodge_rank(dense(one))[1] for one in _noise(table, seed, draws)]))

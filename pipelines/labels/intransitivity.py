"""Preferences that no single score explains: minimax winner, cyclic triads, HodgeRank's residual."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linprog, minimize

from pipelines.labels.errors import LabelError, NoVotes, VotesMalformed
from pipelines.labels.pairs import bradley_terry, pair_table
from pipelines.labels.votes import FloatArray, IntArray

PSEUDO_WINS = 0.5


class GameUnsolved(LabelError):
    """The linear programme has no solution, which only a malformed table can cause."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The minimax winner was not found: {detail}. Check that P + P' = 1 for every pair.")


@dataclass(frozen=True)
class MinimaxWinner:
    """The mixture that no other beats.

    Attributes:
        p: (n,) chance of each item; of several such mixtures the most even one.
        unique: whether it is the only one.
        worst_case: least chance to win against any item; 0.5 by the symmetry of the game.
        copeland: (n,) items beaten with P > 0.5. borda: (n,) mean chance to beat another item.
    """

    p: FloatArray
    unique: bool
    worst_case: float
    copeland: IntArray
    borda: FloatArray


def minimax_winner(wins: FloatArray) -> MinimaxWinner:
    """The von Neumann winner of a table of win probabilities, by linear programme.

    Args:
        wins: (n, n) P[i, j] = chance that i beats j, in [0, 1]; P + P' = 1, diagonal 0.5. Fill missing pairs by a
            fitted model before, and mark them; never by 0.5.

    Raises:
        VotesMalformed: another table. GameUnsolved: no solution.

    Example:
        >>> rock = np.array([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]])
        >>> minimax_winner(rock).p.round(6).tolist()
        [0.333333, 0.333333, 0.333333]

    Source: the minimax winner of SPO (2024); von Neumann 1928.
    """
    _check_probabilities(wins)
    n, margin = wins.shape[0], wins - 0.5
    low, high = np.array([_bounds(margin, item) for item in range(n)]).T
    unique = bool((high - low < 1e-6).all())
    p = (low + high) / 2 if unique else _most_even(margin)
    p = np.maximum(p, 0.0)
    p = p / p.sum()
    others = ~np.eye(n, dtype=bool)
    return MinimaxWinner(
        p=p,
        unique=unique,
        worst_case=float((p @ wins).min()),
        copeland=((wins > 0.5) & others).sum(axis=1),
        borda=np.where(others, wins, 0.0).sum(axis=1) / (n - 1),
    )


def minimax_mixture(wins: FloatArray) -> FloatArray:
    """(n,) one mixture that no other beats, by a single programme; of several such, any.

    Arguments and errors as of `minimax_winner`, which also says whether it is the only one.
    """
    _check_probabilities(wins)
    n = wins.shape[0]
    beats_all = np.flatnonzero((wins > 0.5).sum(axis=1) == n - 1)
    if beats_all.size:
        return np.asarray(np.eye(n)[beats_all[0]])
    # The largest v such that p (P - 1/2) >= v against every item.
    done = linprog(
        np.r_[np.zeros(n), -1.0], A_ub=np.c_[-(wins - 0.5).T, np.ones(n)], b_ub=np.zeros(n),
        A_eq=np.r_[np.ones(n), 0.0][None], b_eq=[1.0], bounds=[(0, 1)] * n + [(None, None)], method="highs",
    )  # fmt: skip
    if not done.success:
        raise GameUnsolved(str(done.message))
    p = np.maximum(done.x[:n], 0.0)
    return np.asarray(p / p.sum())


def _bounds(margin: FloatArray, item: int) -> tuple[float, float]:
    """Least and largest chance of an item over all optimal mixtures."""
    found = []
    for sign in (1.0, -1.0):
        cost = np.zeros(margin.shape[0])
        cost[item] = sign
        done = linprog(
            cost, A_ub=-margin.T, b_ub=np.full(margin.shape[0], 1e-12), A_eq=np.ones((1, cost.size)), b_eq=[1.0],
            bounds=(0, 1), method="highs",
        )  # fmt: skip
        if not done.success:
            raise GameUnsolved(str(done.message))
        found.append(float(done.x[item]))
    return found[0], found[1]


def _most_even(margin: FloatArray) -> FloatArray:
    """The optimal mixture of largest entropy."""
    n = margin.shape[0]
    done = minimize(
        lambda p: float((p * np.log(np.maximum(p, 1e-300))).sum()),
        np.full(n, 1.0 / n),
        jac=lambda p: np.log(np.maximum(p, 1e-300)) + 1,
        bounds=[(0, 1)] * n,
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1, "jac": lambda p: np.ones(n)},
            {"type": "ineq", "fun": lambda p: margin.T @ p, "jac": lambda p: margin.T},
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    if not done.success:
        raise GameUnsolved(str(done.message))
    return np.asarray(done.x)


@dataclass(frozen=True)
class Triads:
    """Triads of items by whether their majorities go in a circle.

    Attributes:
        observed: triads whose three pairs were all compared. cyclic: of these the circles.
        tied: observed triads with an exact tie, which decide nothing.
        share: cyclic / (observed - tied); None where none is decided.
        cycles: (cyclic, 3) items in the order of beating.
        zeta: Kendall's consistency, 1 without circles; None unless every pair was compared without a tie.
        paths, violations: i > j > k with P(ij) and P(jk) above 1/2, and those where P(ik) is below the larger.
    """

    observed: int
    cyclic: int
    tied: int
    share: float | None
    cycles: IntArray
    zeta: float | None
    paths: int
    violations: int


def triads(wins: FloatArray) -> Triads:
    """Count triads from (n, n) numbers of wins.

    Raises:
        VotesMalformed: no square table, or numbers below 0 or not finite.

    Source: Kendall and Babington Smith 1940.
    """
    _check_wins(wins)
    n = wins.shape[0]
    games = wins + wins.T
    share = np.divide(wins, games, out=np.full(wins.shape, np.nan), where=games > 0)
    observed = tied = 0
    cycles = list[tuple[int, int, int]]()
    for i, j, k in combinations(range(n), 3):
        around = (share[i, j], share[j, k], share[k, i])
        if np.isnan(around).any():
            continue
        observed += 1
        if 0.5 in around:
            tied += 1
        elif all(value > 0.5 for value in around):
            cycles.append((i, j, k))
        elif all(value < 0.5 for value in around):
            cycles.append((i, k, j))
    decided = observed - tied
    paths, violations = _strong_transitivity(share)
    complete = (
        bool((games[~np.eye(n, dtype=bool)] > 0).all()) and not (share[~np.eye(n, dtype=bool)] == 0.5).any()
    )
    return Triads(
        observed,
        len(cycles),
        tied,
        len(cycles) / decided if decided else None,
        np.array(cycles, dtype=np.int64).reshape(-1, 3),
        _zeta(len(cycles), n) if complete and n >= 3 else None,
        paths,
        violations,
    )


def expected_cyclic_share(wins: FloatArray, *, seed: int, draws: int = 200) -> tuple[float, float]:
    """Mean share of cyclic triads, and the chance of at least the observed one, if one score explained all.

    Few votes a pair make circles by chance: outcomes are drawn from the fitted Bradley-Terry at the same counts.

    Raises:
        NoVotes: no triad is decided, in the table or in any draw.
    """
    seen = triads(wins).share
    i, j = np.nonzero(np.triu(wins + wins.T, 1) > 0)
    if seen is None:
        raise NoVotes()
    first, second = np.concatenate([i, j]), np.concatenate([j, i])
    counts = np.concatenate([wins[i, j], wins[j, i]])
    fit = bradley_terry(
        pair_table(first, second, np.zeros(first.size, dtype=np.int64), wins.shape[0], counts)
    )
    chance = 1 / (1 + np.exp(fit.scores[j] - fit.scores[i]))
    games = np.rint(wins[i, j] + wins[j, i]).astype(np.int64)
    random, shares = np.random.default_rng(seed), list[float]()
    for _ in range(draws):
        drawn = np.zeros_like(wins, dtype=np.float64)
        drawn[i, j] = random.binomial(games, chance)
        drawn[j, i] = games - drawn[i, j]
        share = triads(drawn).share
        if share is not None:
            shares.append(share)
    if not shares:
        raise NoVotes()
    return float(np.mean(shares)), float((1 + sum(share >= seen for share in shares)) / (1 + len(shares)))


def hodge_rank(wins: FloatArray, *, pseudo: float = PSEUDO_WINS) -> tuple[FloatArray, float]:
    """(n,) potentials that sum to 0, and the share of log-odds energy that no score explains.

    Args:
        wins: (n, n) numbers of wins. pseudo: added to both sides of each compared pair, above 0.

    Raises:
        VotesMalformed: no square table, or a pseudo-count of 0. NoVotes: no pair was compared.

    Source: HodgeRank (Jiang et al. 2011), least squares weighted by games.
    """
    _check_wins(wins)
    if pseudo <= 0:
        raise VotesMalformed(f"pseudo-counts must be above 0, got {pseudo}")
    games = wins + wins.T
    i, j = np.nonzero(np.triu(games, 1) > 0)
    if not i.size:
        raise NoVotes()
    y = np.log((wins[i, j] + pseudo) / (wins[j, i] + pseudo))
    root = np.sqrt(games[i, j])
    design = np.zeros((i.size, wins.shape[0]))
    rows = np.arange(i.size)
    design[rows, i], design[rows, j] = 1.0, -1.0
    potential = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    potential = potential - potential.mean()
    energy = float((games[i, j] * y * y).sum())
    rest = float((games[i, j] * np.square(y - potential[i] + potential[j])).sum())
    return potential, rest / energy if energy else 0.0


def _strong_transitivity(share: FloatArray) -> tuple[int, int]:
    beats = np.nan_to_num(share, nan=0.0) > 0.5
    paths = violations = 0
    for i, j in zip(*np.nonzero(beats), strict=True):
        for k in np.flatnonzero(beats[j]):
            if k in (i, j) or np.isnan(share[i, k]):
                continue
            paths += 1
            violations += bool(share[i, k] < max(share[i, j], share[j, k]))
    return paths, violations


def _zeta(cyclic: int, n: int) -> float:
    return 1.0 - 24.0 * cyclic / (n**3 - (n if n % 2 else 4 * n))


def _check_wins(wins: FloatArray) -> None:
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or not np.isfinite(wins).all() or (wins < 0).any():
        raise VotesMalformed("wins must be a square table of numbers, 0 or more")


def _check_probabilities(wins: FloatArray) -> None:
    _check_wins(wins)
    if wins.shape[0] < 2 or np.abs(wins + wins.T - 1).max() > 1e-9 or wins.max() > 1:
        raise VotesMalformed("chances to win must be a table with P + P' = 1 and a diagonal of 0.5")

"""Scores from rankings with ties: Plackett-Luce, Davidson's ties for sets of any size, and worst choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import linprog
from scipy.special import expit, log_expit

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.pairs import VIRTUAL_WINS, PairTable, ScoresDiverged, connections
from pipelines.labels.votes import FloatArray, IntArray

Ranking = Sequence[Sequence[int]]
Worst = tuple[int, Sequence[int]]
GRADIENT_TOLERANCE = 1e-8
MAX_STEPS = 100
MAX_ALTERNATIVES = 100_000
FLAT = 1e-6


@dataclass(frozen=True)
class RankScores:
    """Log strengths, zero on average within each component.

    Attributes:
        scores, standard_errors: (n,) higher is better.
        ties: (D - 1,) log delta of ties of 2..D items; empty where nobody tied.
        component: (n,) scores compare only within one number.
        virtual_wins: wins and losses against a dummy added to each item, and as much to log delta; above 0 where a
            maximum would be infinite: some item was always placed before or after the rest, or ties of some size
            fit ever better, or ever worse.
        covariance: (n, n) of the scores, from the curvature at the maximum (with virtual wins: of the posterior).
        log_likelihood: at the scores, without the virtual wins.
    """

    scores: FloatArray
    standard_errors: FloatArray
    ties: FloatArray
    component: IntArray
    virtual_wins: float
    log_likelihood: float
    covariance: FloatArray

    def first_choice(self, items: Sequence[int]) -> FloatArray:
        """(len(items),) chance that each is placed first of these, where none tie."""
        weights = np.exp(self.scores[list(items)] - self.scores[list(items)].max())
        return np.asarray(weights / weights.sum())


def plackett_luce(
    rankings: Sequence[Ranking],
    n: int,
    *,
    left_over: Sequence[Sequence[int]] | None = None,
    worst: Sequence[Worst] = (),
    virtual_wins: float | None = None,
) -> RankScores:
    """Maximum likelihood of P(ranking) = product over places of P(this group among those not yet placed).

    A group C of r items comes in proportion to delta_r (product of exp s_i over C)^(1/r), delta_1 = 1: Plackett-Luce
    where nobody ties, Davidson's model for two items.

    Args:
        rankings: each a list of groups, best first; a group of one is no tie. Items that a ranking lacks are not
            observed by it.
        n: number of items.
        left_over: for each ranking the items that it considered and did not place ("the best k of n"): they stay
            in the denominators. None where there are none.
        worst: items named the worst of a set, (item, the others of the set): chosen in proportion to exp(-s).
        virtual_wins: see `RankScores`; None adds 0.1 where the maximum would be infinite. 1 is a standard logistic
            prior on every score and on log delta.

    Raises:
        NoVotes: no ranking has two items.
        VotesMalformed: an item twice in a ranking, outside 0..n-1, an empty group, or ties among so many items
            that the alternatives cannot be listed.
        ScoresDiverged: no maximum was reached.

    Example:
        >>> found = plackett_luce([[[0], [1]], [[0], [1]], [[1], [0]]], 2)
        >>> round(float(np.exp(found.scores[0] - found.scores[1])), 6)
        2.0

    Source: Plackett 1975; ties: Davidson 1970, Turner et al. 2020 (Davidson-Luce); worst choices: Marley
    and Louviere 2005 (best and worst chosen one after the other).
    """
    rest = left_over if left_over is not None else [()] * len(rankings)
    _check([*rankings, *([[item]] for item, _ in worst)], [*rest, *(others for _, others in worst)], n)
    table = _beaten(rankings, rest, worst, n)
    component, finite = connections(table)
    choices = _Choices(rankings, rest, worst, n)
    if virtual_wins is None:
        # Most rankings show at a glance that they are finite; the others are few, where the sure way is short too.
        sure = _finite_at_a_glance(rankings, rest, worst, component)
        virtual_wins = VIRTUAL_WINS if not finite.all() or not (sure or choices.finite()) else 0.0
    point = np.zeros(n + choices.largest - 1)
    pin = np.zeros((point.size, point.size))
    if not virtual_wins:
        pin[:n, :n] = (component[:, None] == component) / np.bincount(component)[component]
    for _ in range(MAX_STEPS):
        value, gradient, hessian = choices.parts(point, virtual_wins)
        if np.abs(gradient).max() < GRADIENT_TOLERANCE * max(1.0, choices.stages * 1e-4):
            break
        step = cho_solve(cho_factor(hessian + pin), gradient)
        for _ in range(40):
            if choices.value(point + step, virtual_wins) >= value - 1e-12 * abs(value):
                break
            step = step / 2
        point = point + step
    else:
        raise ScoresDiverged(MAX_STEPS, float(np.abs(gradient).max()))
    means = np.bincount(component, point[:n]) / np.bincount(component)
    covariance = np.linalg.inv(hessian + pin)[:n, :n] - pin[:n, :n]
    return RankScores(
        point[:n] - means[component],
        np.sqrt(np.maximum(np.diagonal(covariance), 0.0)),
        point[n:],
        component,
        virtual_wins,
        choices.value(point, 0.0),
        covariance,
    )


class _Choices:
    """Every place of every ranking as a choice among groups: a conditional logit with sparse features."""

    def __init__(
        self, rankings: Sequence[Ranking], rest: Sequence[Sequence[int]], worst: Sequence[Worst], n: int
    ) -> None:
        self.n = n
        self.largest = max((len(group) for ranking in rankings for group in ranking), default=1)
        rows, columns, values, stage, chosen = (
            list[int](),
            list[int](),
            list[float](),
            list[int](),
            list[int](),
        )
        alternatives = stages = 0
        for ranking, others in zip(rankings, rest, strict=True):
            remaining = [item for group in ranking for item in group] + list(others)
            for group in ranking:
                if len(remaining) < 2:
                    break
                picked = frozenset(group)
                for size in range(1, min(self.largest, len(remaining)) + 1):
                    for members in combinations(remaining, size):
                        rows += [alternatives] * size
                        columns += members
                        values += [1.0 / size] * size
                        if size > 1:
                            rows.append(alternatives)
                            columns.append(n + size - 2)
                            values.append(1.0)
                        if size == len(group) and picked == frozenset(members):
                            chosen.append(alternatives)
                        stage.append(stages)
                        alternatives += 1
                    if alternatives > MAX_ALTERNATIVES * max(1, len(rankings)):
                        raise VotesMalformed(
                            f"ties of {self.largest} items leave too many alternatives to list"
                        )
                remaining = [item for item in remaining if item not in picked]
                stages += 1
        for item, others in worst:
            for member in (item, *others):
                rows.append(alternatives)
                columns.append(member)
                values.append(-1.0)
                stage.append(stages)
                alternatives += 1
            chosen.append(alternatives - len(others) - 1)
            stages += 1
        self.stages = stages
        shape = (alternatives, n + self.largest - 1)
        self.features = sparse.csr_array((values, (rows, columns)), shape=shape)
        self.stage = np.array(stage, dtype=np.int64)
        self.starts = np.searchsorted(self.stage, np.arange(stages))
        self.chosen = self.features[np.array(chosen, dtype=np.int64)]
        self.observed = np.asarray(self.chosen.sum(axis=0)).ravel()

    def finite(self) -> bool:
        """Whether no direction exists in which no choice becomes less likely and some more: by linear programming."""
        gain = self.chosen[self.stage] - self.features
        found = linprog(-gain.sum(axis=0), A_ub=-gain, b_ub=np.zeros(gain.shape[0]), bounds=(-1, 1))
        return bool(found.status == 0 and -found.fun < FLAT)

    def value(self, point: FloatArray, virtual: float) -> float:
        logits = self.features @ point
        top = np.maximum.reduceat(logits, self.starts)
        total = np.add.reduceat(np.exp(logits - top[self.stage]), self.starts)
        prior = virtual * float((log_expit(point) + log_expit(-point)).sum())
        return float((self.chosen @ point).sum() - (np.log(total) + top).sum()) + prior

    def parts(self, point: FloatArray, virtual: float) -> tuple[float, FloatArray, FloatArray]:
        logits = self.features @ point
        top = np.maximum.reduceat(logits, self.starts)
        weights = np.exp(logits - top[self.stage])
        weights /= np.add.reduceat(weights, self.starts)[self.stage]
        expected = sparse.csr_array((weights, (self.stage, np.arange(weights.size)))) @ self.features
        weighted = self.features.multiply(weights[:, None]).tocsr()
        hessian = (self.features.T @ weighted - expected.T @ expected).toarray()
        gradient = self.observed - np.asarray(expected.sum(axis=0)).ravel()
        # On the ties too: one ranking whose every choice was a tie would make them endlessly likely.
        chance = expit(point)
        gradient += virtual * (1 - 2 * chance)
        hessian[np.diag_indices(point.size)] += 2 * virtual * chance * (1 - chance)
        return self.value(point, virtual), gradient, hessian


def _finite_at_a_glance(
    rankings: Sequence[Ranking], rest: Sequence[Sequence[int]], worst: Sequence[Worst], component: IntArray
) -> bool:
    """Whether single choices alone hold every score, and those where ties were possible hold every size of tie."""
    sizes = {len(group) for ranking in rankings for group in ranking}
    largest = max(sizes, default=1)
    if sizes != set(range(1, largest + 1)):
        return largest == 1
    single, held = _beaten(rankings, rest, worst, component.size, ties=False), False
    for ranking, others in zip(rankings, rest, strict=True):
        left = len(others) + sum(len(group) for group in ranking)
        for group in ranking:
            held = held or (len(group) == 1 and left >= max(largest, 2))
            left -= len(group)
    parts, finite = connections(single)
    return bool((held or largest == 1) and finite.all() and parts.max() == component.max())


def _check(rankings: Sequence[Ranking], rest: Sequence[Sequence[int]], n: int) -> None:
    if len(rest) != len(rankings):
        raise VotesMalformed(f"{len(rankings)} rankings came with {len(rest)} lists of items left over")
    longest = 0
    for ranking, others in zip(rankings, rest, strict=True):
        if any(not group for group in ranking):
            raise VotesMalformed("a ranking has an empty group")
        items = [item for group in ranking for item in group] + list(others)
        if len(set(items)) < len(items):
            raise VotesMalformed("a ranking names an item twice")
        if items and not 0 <= min(items) <= max(items) < n:
            raise VotesMalformed(f"items must lie in 0..{n - 1}")
        longest = max(longest, len(items) if ranking else 0)
    if longest < 2:
        raise NoVotes()


def _beaten(
    rankings: Sequence[Ranking],
    rest: Sequence[Sequence[int]],
    worst: Sequence[Worst],
    n: int,
    *,
    ties: bool = True,
) -> PairTable:
    """Which items came before which, ties left out if so asked, and which were tied with a neighbour."""
    wins: dict[tuple[int, int], list[float]] = {}

    def add(one: int, other: int, column: int) -> None:
        low, high = min(one, other), max(one, other)
        row = wins.setdefault((low, high), [0.0, 0.0, 0.0])
        row[column if column == 2 else int(one > other)] += 1

    for ranking, others in zip(rankings, rest, strict=True):
        groups = [*ranking, others] if others else list(ranking)
        for number, group in enumerate(groups):
            if not ties and len(group) > 1:
                continue
            for one, other in zip(group[:-1], group[1:], strict=True):
                if number < len(ranking):
                    add(one, other, 2)
            if number + 1 < len(groups):
                for one in group:
                    for other in groups[number + 1]:
                        add(one, other, 0)
    for item, others in worst:
        for other in others:
            add(other, item, 0)
    pairs = np.array(list(wins), dtype=np.int64).reshape(-1, 2)
    counts = np.array(list(wins.values())).reshape(-1, 3)
    return PairTable(pairs[:, 0], pairs[:, 1], counts[:, 0], counts[:, 1], counts[:, 2], n)

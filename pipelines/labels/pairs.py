"""Scores of recurring completions or systems from pairwise outcomes: Bradley-Terry and its relatives with ties.

Newton's method on the table of pairs, so a million votes cost what their distinct pairs cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpotri
from scipy.sparse import csgraph
from scipy.special import expit, log_expit, logit, xlogy

from pipelines.labels.errors import LabelError, NoVotes, VotesMalformed
from pipelines.labels.votes import BoolArray, FloatArray, IntArray

VIRTUAL_WINS = 0.1
GRADIENT_TOLERANCE = 1e-8
MAX_STEPS = 100
# In logits. Where pairs are lopsided a full step can be a hundred times too long, and out there is no curvature left.
LONGEST_STEP = 8.0
EM_ROUNDS = 500
EM_TOLERANCE = 1e-9
RELIABILITY_PRIOR = (8.0, 2.0)
SCORE_PRECISION = 0.5


class ScoresDiverged(LabelError):
    """Newton's method did not reach the maximum."""

    def __init__(self, steps: int, gradient: float) -> None:
        self.steps, self.gradient = steps, gradient
        super().__init__(
            f"Scores did not settle in {steps} steps (largest slope {gradient:.2g}). Give a prior of virtual wins."
        )


class ScoresUndetermined(LabelError):
    """The likelihood is flat in some direction, to the last digit."""

    def __init__(self) -> None:
        super().__init__(
            "The votes leave some scores or the readiness to tie undetermined. Give a prior of virtual wins."
        )


@dataclass(frozen=True)
class PairTable:
    """Outcomes added up by unordered pair.

    Attributes:
        i, j: (P,) int64, i < j. wins_i, wins_j, ties: (P,) 0 or more.
        n: number of completions.
    """

    i: IntArray
    j: IntArray
    wins_i: FloatArray
    wins_j: FloatArray
    ties: FloatArray
    n: int


def pair_table(
    first: IntArray, second: IntArray, outcome: IntArray, n: int, weight: FloatArray | None = None
) -> PairTable:
    """Add up votes: outcome 0 first won, 1 second won, 2 tie.

    Raises:
        VotesMalformed: other outcomes, indices outside 0..n-1, or a completion against itself.
        NoVotes: nothing arrived.
    """
    if not first.size:
        raise NoVotes()
    if min(first.min(), second.min()) < 0 or max(first.max(), second.max()) >= n:
        raise VotesMalformed(f"completions must lie in 0..{n - 1}")
    if (first == second).any():
        raise VotesMalformed("a vote compares a completion with itself")
    if outcome.min() < 0 or outcome.max() > 2:
        raise VotesMalformed(f"outcomes must be 0, 1 or 2, got {outcome.min()}..{outcome.max()}")
    low, high = np.minimum(first, second), np.maximum(first, second)
    result = np.where(outcome == 2, 2, (outcome == 0) != (first < second))
    pair = low * n + high
    if n * n <= 8 * first.size:
        # Full tables that are not much larger than the votes are several times faster than sorting.
        full = np.bincount(result * n**2 + pair, weight, 3 * n**2).reshape(3, -1)
        pair = np.flatnonzero(full.any(axis=0))
        counts = full.take(pair, axis=1)
    else:
        pair, place = np.unique(pair, return_inverse=True)
        counts = np.bincount(result * pair.size + place, weight, 3 * pair.size).reshape(3, -1)
    wins, losses, ties = counts.astype(np.float64)
    return PairTable(pair // n, pair % n, wins, losses, ties, n)


@dataclass(frozen=True)
class PairScores:
    """Strengths in logits, zero on average within each component.

    Attributes:
        method: `bradley_terry`, `davidson`, `rao_kupper` or `crowd_bt`.
        scores, standard_errors: (n,) higher is better; the error from the inverse information.
        tie: log nu (Davidson, Crowd-BT), log theta (Rao-Kupper), -inf or 0 without ties; NaN for plain.
        component: (n,) scores compare only within one number.
        virtual_wins: wins and losses against a dummy added to each completion, and as much to `tie`; above 0 where
            a maximum would be infinite: some completion never lost or never won against the rest, or wider gaps
            with readier ties fit ever better. Crowd-BT's scores have a prior of their own; there it is on `tie` alone.
        log_likelihood: at the scores, without priors.
        reliability: (W,) Crowd-BT's chance that a rater votes the right way round; None otherwise.
        reliability_interval: (W, 2) 95 % interval of it, from the curvature in its logit where the scores are given.
    """

    method: str
    scores: FloatArray
    standard_errors: FloatArray
    tie: float
    component: IntArray
    virtual_wins: float
    log_likelihood: float
    reliability: FloatArray | None = None
    reliability_interval: FloatArray | None = None
    objective: float = float("nan")

    def outcomes(self, first: IntArray, second: IntArray) -> FloatArray:
        """(m, 3) chance that first wins, second wins, tie; NaN across components, which do not compare."""
        gap = self.scores[first] - self.scores[second]
        gap = np.where(self.component[first] == self.component[second], gap, np.nan)
        return _outcomes(self.method, gap, self.tie)


def bradley_terry(table: PairTable, *, virtual_wins: float | None = None) -> PairScores:
    """P(i beats j) = sigmoid(s_i - s_j), a tie half a win for each.

    Args:
        table: outcomes by pair.
        virtual_wins: see `PairScores`; None adds 0.1 where the maximum would be infinite, and says so.

    Raises:
        ScoresDiverged: no maximum was reached.

    Example:
        >>> ints = lambda *values: np.array(values, dtype=np.int64)
        >>> found = bradley_terry(pair_table(ints(0, 0, 0, 1), ints(1, 1, 1, 0), ints(0, 0, 0, 0), 2))
        >>> round(float(np.exp(found.scores[0] - found.scores[1])), 6)
        3.0

    Source: Bradley and Terry 1952.
    """
    halves = PairTable(
        table.i,
        table.j,
        table.wins_i + table.ties / 2,
        table.wins_j + table.ties / 2,
        np.zeros(table.i.size),
        table.n,
    )
    return _fit(halves, "bradley_terry", virtual_wins)


def davidson(table: PairTable, *, virtual_wins: float | None = None) -> PairScores:
    """Win, loss and tie in proportion to exp(s_i), exp(s_j) and nu exp((s_i + s_j) / 2).

    Source: Davidson 1970. Arguments, result and errors as of `bradley_terry`.
    """
    return _fit(table, "davidson", virtual_wins)


def rao_kupper(table: PairTable, *, virtual_wins: float | None = None) -> PairScores:
    """P(i beats j) = sigmoid(s_i - s_j - log theta): a threshold of perception makes the ties.

    Source: Rao and Kupper 1967. Arguments, result and errors as of `bradley_terry`.
    """
    return _fit(table, "rao_kupper", virtual_wins)


def crowd_bt(
    first: IntArray,
    second: IntArray,
    outcome: IntArray,
    rater: IntArray,
    n: int,
    n_raters: int,
    *,
    reliability_prior: tuple[float, float] = RELIABILITY_PRIOR,
    score_precision: float = SCORE_PRECISION,
) -> PairScores:
    """Scores and each rater's chance to vote the right way round, by EM.

    Args:
        first, second, outcome, rater: (m,) one vote a row; outcome 0 first won, 1 second won, 2 tie.
        reliability_prior: of a Beta, mode in the reliability itself; both above 1.
        score_precision: of the normal prior on scores, above 0.

    Returns:
        `PairScores` with `reliability`: 0.5 is noise, below it an inverter. Every reliability starts above 0.5, which
        keeps the mirrored solution away. Ties follow Davidson and say nothing about raters; where nothing but ties
        arrived, their readiness would be infinite and has 0.1 virtual wins and losses.

    Source: Chen et al. (Crowd-BT) 2013; ties are ours.
    """
    alpha, beta = reliability_prior
    if min(alpha, beta) <= 1 or score_precision <= 0:
        raise VotesMalformed("Crowd-BT's priors need alpha and beta above 1 and a precision above 0")
    table = pair_table(first, second, outcome, n)
    winner, loser = np.where(outcome == 1, second, first), np.where(outcome == 1, first, second)
    decided = outcome != 2
    votes = np.bincount(rater, weights=decided, minlength=n_raters)
    reliability = np.full(n_raters, alpha / (alpha + beta))
    virtual = 0.0 if decided.any() else VIRTUAL_WINS
    method = "davidson" if (~decided).any() else "bradley_terry"
    problem = _Newton(method, n, score_precision, virtual_ties=virtual)
    point = problem.start(table, float((~decided).mean()))
    for _ in range(EM_ROUNDS):
        chance = expit(point[winner] - point[loser])
        right = reliability[rater] * chance
        right /= right + (1 - reliability[rater]) * (1 - chance)
        counts = np.bincount(rater, weights=right * decided, minlength=n_raters)
        reliability = (counts + alpha - 1) / (votes + alpha + beta - 2)
        both = pair_table(
            np.concatenate([winner, loser[decided]]),
            np.concatenate([loser, winner[decided]]),
            np.concatenate([np.where(decided, 0, 2), np.zeros(int(decided.sum()), dtype=np.int64)]),
            n,
            np.concatenate([np.where(decided, right, 1.0), 1 - right[decided]]),
        )
        moved = problem.step(point, both, problem.parts(point, both))
        change = float(np.abs(moved - point).max())
        point = moved
        if change < EM_TOLERANCE:
            break
    tie = float(point[n]) if point.size > n else -np.inf
    gap = point[winner] - point[loser]
    likelihood = _crowd_likelihood(gap, tie, reliability[rater], decided)
    objective = (
        -likelihood
        + score_precision / 2 * float(point[:n] @ point[:n])
        - float(xlogy(alpha - 1, reliability).sum() + xlogy(beta - 1, 1 - reliability).sum())
    )
    hessian = problem.parts(point, both)[1]
    return PairScores(
        "crowd_bt",
        point[:n],
        problem.standard_errors(hessian),
        tie,
        connections(table)[0],
        virtual,
        likelihood,
        reliability,
        _reliability_interval(reliability, expit(gap[decided]), rater[decided], reliability_prior),
        objective,
    )


def _reliability_interval(
    reliability: FloatArray, chance: FloatArray, rater: IntArray, prior: tuple[float, float]
) -> FloatArray:
    """(W, 2) from the curvature at the mode; `chance` (m,) that the winner of each decided vote is the better one."""
    told = reliability[rater] * chance + (1 - reliability[rater]) * (1 - chance)
    prior_curvature = (prior[0] - 1) / reliability**2 + (prior[1] - 1) / (1 - reliability) ** 2
    curvature = np.bincount(rater, ((2 * chance - 1) / told) ** 2, reliability.size) + prior_curvature
    error = 1 / (np.sqrt(curvature) * reliability * (1 - reliability))
    return np.asarray(expit(logit(reliability)[:, None] + 1.96 * error[:, None] * np.array([-1.0, 1.0])))


def connections(table: PairTable) -> tuple[IntArray, BoolArray]:
    """(n,) component of each completion, and whether its maximum is finite: it won and lost against the rest."""
    ahead, behind = (np.flatnonzero(wins + table.ties) for wins in (table.wins_i, table.wins_j))
    rows = np.concatenate([table.i[ahead], table.j[behind]])
    columns = np.concatenate([table.j[ahead], table.i[behind]])
    graph = sparse.coo_array((np.ones(rows.size), (rows, columns)), shape=(table.n, table.n))
    # No edge is there twice, and their order tells nothing: sorting them would take half of the time.
    graph.has_canonical_format = True
    graph = graph.tocsr()
    count, strong = csgraph.connected_components(graph, connection="strong")
    if count == 1:
        return strong.astype(np.int64), np.ones(table.n, dtype=bool)
    _, weak = csgraph.connected_components(graph, connection="weak")
    # A component is one strong component where as many members share the strong number as the weak one.
    finite = np.bincount(strong)[strong] == np.bincount(weak)[weak]
    return weak.astype(np.int64), finite


def ties_run_off(table: PairTable) -> bool:
    """Whether readier ties and wider gaps, together, fit ever better, so that neither has a finite maximum.

    So it is where scores u exist with u_i >= u_j + 1 for each win of i over j and |u_i - u_j| <= 1 for each tie: those
    and the readiness to tie can then grow without end, in Davidson's model as in Rao and Kupper's.
    """
    up, down, tied = (np.flatnonzero(counts) for counts in (table.wins_i, table.wins_j, table.ties))
    if not tied.size or (np.minimum(table.wins_i, table.wins_j) > 0).any():
        return False  # no tie, or each of a pair has won
    ahead = np.concatenate([table.i[up], table.j[down]])
    behind = np.concatenate([table.j[up], table.i[down]])
    wins = sparse.coo_array((np.ones(ahead.size), (ahead, behind)), shape=(table.n, table.n))
    if csgraph.connected_components(wins.tocsr(), connection="strong")[0] < table.n:
        return False  # a circle of wins
    source = np.concatenate([ahead, table.i[tied], table.j[tied]])
    target = np.concatenate([behind, table.j[tied], table.i[tied]])
    cost = np.repeat([-1.0, 1.0], [ahead.size, 2 * tied.size])
    # Bellman and Ford: such scores exist where paths of least cost do, that is without a circle of negative cost.
    height = np.zeros(table.n)
    for _ in range(table.n):
        lower = height.copy()
        np.minimum.at(lower, target, height[source] + cost)
        if np.array_equal(lower, height):
            return True
        height = lower
    return False


def _fit(table: PairTable, method: str, virtual_wins: float | None) -> PairScores:
    component, finite = connections(table)
    if virtual_wins is None:
        virtual_wins = 0.0 if finite.all() and not ties_run_off(table) else VIRTUAL_WINS
    has_ties = bool(table.ties.any()) and method != "bradley_terry"
    kind = method if has_ties else "bradley_terry"
    problem = _Newton(kind, table.n, 0.0, virtual_wins, component, virtual_wins)
    votes = float((table.wins_i + table.wins_j + table.ties).sum())
    point = problem.start(table, float(table.ties.sum()) / votes)
    for _ in range(MAX_STEPS):
        parts = problem.parts(point, table)
        gradient = float(np.abs(parts[0]).max())
        # Sums of a million terms leave a slope of rounding; the tolerance grows with them.
        if gradient < GRADIENT_TOLERANCE * max(1.0, votes / 100):
            break
        point = problem.step(point, table, parts)
    else:
        raise ScoresDiverged(MAX_STEPS, gradient)
    centred = (
        point[: table.n] - (np.bincount(component, point[: table.n]) / np.bincount(component))[component]
    )
    no_tie = {"davidson": -np.inf, "rao_kupper": 0.0, "bradley_terry": np.nan}[method]
    tie = float(point[table.n]) if has_ties else no_tie
    errors = problem.standard_errors(parts[1])
    each = problem.likelihood(centred[table.i] - centred[table.j], point[table.n :], table)
    return PairScores(method, centred, errors, tie, component, virtual_wins, float(each.sum()))


class _Newton:
    """Maximises a concave log-likelihood in scores (n,) and, with ties, one more number."""

    def __init__(
        self,
        method: str,
        n: int,
        precision: float,
        virtual_wins: float = 0.0,
        component: IntArray | None = None,
        virtual_ties: float = 0.0,
    ) -> None:
        self.virtual_ties = virtual_ties
        self.method, self.n, self.precision, self.virtual = method, n, precision, virtual_wins
        self.component = component
        self.pin = _pin(component, virtual_wins)
        self.likelihood, self.slopes = _MODELS[method]

    def start(self, table: PairTable, tie_share: float) -> FloatArray:
        """Log-odds of each completion's wins against all it met, which is near the maximum and always finite."""
        i, j, n = table.i, table.j, self.n
        ahead, behind = table.wins_i + table.ties / 2, table.wins_j + table.ties / 2
        wins = np.bincount(i, ahead, n) + np.bincount(j, behind, n)
        losses = np.bincount(i, behind, n) + np.bincount(j, ahead, n)
        scores: FloatArray = np.log((wins + 0.5) / (losses + 0.5))
        if self.method == "bradley_terry":
            return scores
        ratio = tie_share / max(1 - tie_share, 1e-3)
        # At equal strength P(tie) is nu / (2 + nu), or (theta - 1) / (theta + 1).
        tie = np.log(2 * ratio) if self.method == "davidson" else np.log1p(2 * ratio)
        return np.append(scores, tie)

    def step(self, point: FloatArray, table: PairTable, parts: tuple[FloatArray, FloatArray]) -> FloatArray:
        """One Newton step, halved until the objective does not fall. `parts` are used up."""
        gradient, hessian = parts
        step = cho_solve(_factor(hessian), gradient, check_finite=False)
        step *= LONGEST_STEP / max(LONGEST_STEP, np.abs(step).max())
        # A short step of a concave objective needs no look back.
        if np.abs(step).max() < 1 and self._inside(point + step):
            return np.asarray(point + step)
        value = self.value(point, table)
        for _ in range(40):
            moved = point + step
            if self._inside(moved) and self.value(moved, table) >= value - 1e-12 * abs(value):
                return np.asarray(moved)
            step = step / 2
        return point

    def standard_errors(self, hessian: FloatArray) -> FloatArray:
        """(n,) of the scores, in the space where each component's mean is 0. `hessian` is used up."""
        inverse, _ = dpotri(*_factor(hessian), overwrite_c=True)
        variance = np.diagonal(inverse)[: self.n]
        if self.component is not None and not self.virtual:
            variance = variance - 1.0 / np.bincount(self.component)[self.component]
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def value(self, point: FloatArray, table: PairTable) -> float:
        each = self.likelihood(point[table.i] - point[table.j], point[self.n :], table)
        prior, _, _ = _logistic_prior(self.virtual_ties, point[self.n :])
        return float(each.sum()) + self._prior(point[: self.n])[0] + prior

    def parts(self, point: FloatArray, table: PairTable) -> tuple[FloatArray, FloatArray]:
        """Gradient and minus the second derivative of the objective, only its upper half and made regular (`_pin`)."""
        i, j, n = table.i, table.j, self.n
        terms = self.slopes(point[i] - point[j], point[n:], table)
        slope, curvature = terms[:2]
        gradient: FloatArray = (np.bincount(i, slope, n) - np.bincount(j, slope, n)).astype(np.float64)
        hessian = np.zeros((point.size, point.size))
        hessian[i, j] = -curvature
        diagonal = np.arange(n)
        hessian[diagonal, diagonal] = np.bincount(i, curvature, n) + np.bincount(j, curvature, n)
        if point.size > n:
            tie_slope, tie_curvature, cross = terms[2:]
            _, slope, bend = _logistic_prior(self.virtual_ties, point[n:])
            gradient = np.append(gradient, tie_slope.sum() + slope)
            hessian[n, n] = tie_curvature.sum() + bend[0]
            hessian[:n, n] = np.bincount(i, cross, n) - np.bincount(j, cross, n)
        _, prior_slope, prior_curvature = self._prior(point[:n])
        gradient[:n] += prior_slope
        hessian[diagonal, diagonal] += prior_curvature
        hessian[:n, :n] += self.pin
        return gradient, hessian

    def _prior(self, scores: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value, slope, bend = _logistic_prior(self.virtual, scores)
        value -= self.precision / 2 * float(scores @ scores)
        return value, slope - self.precision * scores, bend + self.precision

    def _inside(self, point: FloatArray) -> bool:
        return self.method != "rao_kupper" or bool(point[self.n] > 0)


def _logistic_prior(virtual: float, values: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Log-density, slopes and minus the curvatures of so many wins and losses of each value against 0."""
    chance = expit(values)
    value = virtual * float((log_expit(values) + log_expit(-values)).sum())
    return value, virtual * (1 - 2 * chance), 2 * virtual * chance * (1 - chance)


def _pin(component: IntArray | None, virtual_wins: float) -> FloatArray | float:
    """Makes a second derivative regular where each component's common shift is free, for want of a prior.

    One over the size of the component for every pair within it; a number where there is one component.
    """
    if component is None or virtual_wins:
        return 0.0
    sizes = np.bincount(component)
    if sizes.size == 1:
        return 1.0 / float(sizes[0])
    return np.asarray((component[:, None] == component) / sizes[component])


def _factor(hessian: FloatArray) -> tuple[FloatArray, bool]:
    """Cholesky factor and that it is the lower one, of and in place of a matrix whose upper half is filled."""
    # LAPACK counts by column, for which our rows are columns: turned over, nothing is copied.
    try:
        factor, lower = cho_factor(hessian.T, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        raise ScoresUndetermined from None
    return factor, lower


def _plain_likelihood(gap: FloatArray, tie: FloatArray, table: PairTable) -> FloatArray:
    # log F(-gap) = log F(gap) - gap
    return np.asarray((table.wins_i + table.wins_j) * log_expit(gap) - table.wins_j * gap)


def _plain_slopes(gap: FloatArray, tie: FloatArray, table: PairTable) -> tuple[FloatArray, ...]:
    chance = expit(gap)
    expected = (table.wins_i + table.wins_j) * chance
    return table.wins_i - expected, expected * (1 - chance)


def _davidson_logs(gap: FloatArray, tie: FloatArray) -> tuple[FloatArray, FloatArray]:
    logs = np.stack([gap / 2, -gap / 2, np.full(gap.shape, tie[0])])
    top = logs.max(axis=0)
    return logs, np.log(np.exp(logs - top).sum(axis=0)) + top


def _davidson_likelihood(gap: FloatArray, tie: FloatArray, table: PairTable) -> FloatArray:
    logs, norm = _davidson_logs(gap, tie)
    counts = np.stack([table.wins_i, table.wins_j, table.ties])
    return np.asarray((counts * (logs - norm)).sum(axis=0))


def _davidson_slopes(gap: FloatArray, tie: FloatArray, table: PairTable) -> tuple[FloatArray, ...]:
    logs, norm = _davidson_logs(gap, tie)
    p_i, p_j, p_tie = np.exp(logs - norm)
    total = table.wins_i + table.wins_j + table.ties
    return (
        (table.wins_i - table.wins_j) / 2 - total * (p_i - p_j) / 2,
        total * (p_i + p_j - (p_i - p_j) ** 2) / 4,
        table.ties - total * p_tie,
        total * p_tie * (1 - p_tie),
        -total * (p_i - p_j) * p_tie / 2,
    )


def _rao_kupper_likelihood(gap: FloatArray, tie: FloatArray, table: PairTable) -> FloatArray:
    up, down = gap - tie[0], -gap - tie[0]
    # P(tie) = F(cut - gap) F(cut + gap) (1 - exp(-2 cut)), a product whose logarithm is exact.
    tied = log_expit(-up) + log_expit(-down) + np.log(-np.expm1(-2 * tie[0]))
    return np.asarray(table.wins_i * log_expit(up) + table.wins_j * log_expit(down) + table.ties * tied)


def _rao_kupper_slopes(gap: FloatArray, tie: FloatArray, table: PairTable) -> tuple[FloatArray, ...]:
    wins, losses, ties = table.wins_i, table.wins_j, table.ties
    i, j = expit(gap - tie[0]), expit(-gap - tie[0])
    slope_up, slope_down = wins - (wins + ties) * i, losses - (losses + ties) * j
    bend_up, bend_down = (wins + ties) * i * (1 - i), (losses + ties) * j * (1 - j)
    edge = 2 / np.expm1(2 * tie[0])
    return (
        slope_up - slope_down,
        bend_up + bend_down,
        -slope_up - slope_down + ties * edge,
        bend_up + bend_down + ties * edge * (edge + 2),
        bend_down - bend_up,
    )


# Of each model: the log-likelihood of every pair, and the slope and curvature in the gap, in the tie, and across.
_MODELS: dict[str, tuple[Callable[..., FloatArray], Callable[..., tuple[FloatArray, ...]]]] = {
    "bradley_terry": (_plain_likelihood, _plain_slopes),
    "davidson": (_davidson_likelihood, _davidson_slopes),
    "rao_kupper": (_rao_kupper_likelihood, _rao_kupper_slopes),
}


def _outcomes(method: str, gap: FloatArray, tie: float) -> FloatArray:
    if method == "rao_kupper":
        first, second = expit(gap - tie), expit(-gap - tie)
        return np.stack([first, second, np.maximum(1 - first - second, 0.0)], axis=-1)
    return davidson_outcomes(gap, np.asarray(-np.inf if np.isnan(tie) else tie))


def davidson_outcomes(gap: FloatArray, tie: FloatArray) -> FloatArray:
    """(m, 3) chance that first wins, second wins, tie. gap: (m,) logits. tie: (m,) or one log nu, -inf without ties."""
    weights = np.stack([expit(gap), expit(-gap), np.exp(tie) * np.sqrt(expit(gap) * expit(-gap))], axis=-1)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _crowd_likelihood(gap: FloatArray, tie: float, reliability: FloatArray, decided: BoolArray) -> float:
    chances = _outcomes("davidson", gap, tie)
    told = reliability * chances[:, 0] + (1 - reliability) * chances[:, 1]
    return float(np.log(np.where(decided, told, chances[:, 2])).sum())

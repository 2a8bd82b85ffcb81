"""The graded model: ordinal strength, rater reliability, side bias and item ambiguity, by EM on a grid.

A vote on comparison t by rater w, shown with the first completion first (s = 1) or second (s = -1):

    x = a d + s b,   P(step <= k | d) = (1 - lapse) F(kappa cut_k - x) + lapse (k + 1) / K,   F logistic

with d ~ N(0, 1) the latent difference of t, a the rater's discrimination (0 a spammer, below 0 an inverter), b the pull
to whichever side is shown first, kappa = exp(k) the use of the scale. Read `graded_votes.py` (input) and
`graded_table.py` (the likelihood) first; `graded_readout.py` says what the fit means, `graded_frozen.py` is the step
between two fits. Parts of the fit: `graded_values.py` (completions that recur), `graded_information.py` (intervals),
`graded_known.py` (what cannot be told).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from pipelines.labels.errors import ObjectiveFell, VotesMalformed
from pipelines.labels.graded_information import batches_of, left_out_information
from pipelines.labels.graded_known import identified, unidentified_reason
from pipelines.labels.graded_table import (
    AnyFloat,
    Cells,
    States,
    blocks_of,
    cells_of,
    cut_map,
    cut_moments,
    rater_moments,
    states_of,
)
from pipelines.labels.graded_values import Ridge, design_of
from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import BoolArray, FloatArray

VERSION = "1"
GAMMA = 0.3
A_LIMIT, K_LIMIT, STEP_LIMIT = 8.0, 2.5, 0.5
GAP_FLOOR = 0.02
CUT_PRECISION = 0.01
PRIOR_STRENGTH = 4.0
A_START, A_SPREAD, B_SPREAD, K_SPREAD = 1.5, 0.7, 0.5, 0.4
HYPER_SPREADS = np.array([0.7, 0.3, 0.3])
PSEUDO_NORMAL = 20.0
EXACT_BELOW_VOTES = 20_000


@dataclass(frozen=True)
class GradedOptions:
    """How to fit. The variants can be combined, but for `free_prior` with `completions` or `mean`.

    Attributes:
        contested: a comparison may be one that everybody reads at a gain of 0.3; for 3 steps or more and
            mostly 3 votes a comparison or more.
        completions: the prior mean of d is a difference of the completions' own values.
        mean: the prior mean of d is one number, for a stored order that carries meaning.
        free_prior: the distribution of d and the lapse rate are estimated; for polarised votes.
        fixed: hyperparameters stay at their start values and k is not centred.
        lapse: chance of a random step, in [0, 1).
        half, spacing: the grid has 2 half + 1 points.
        tolerance, rater_tolerance: stop when nothing common moves by more, and no rater.
        max_rounds: stop then at the latest, with `converged` False.
    """

    contested: bool = False
    completions: bool = False
    mean: bool = False
    free_prior: bool = False
    fixed: bool = False
    lapse: float = 0.01
    half: int = 10
    spacing: float = 0.4
    tolerance: float = 1e-3
    rater_tolerance: float = 0.02
    max_rounds: int = 150


@dataclass(frozen=True)
class Hyper:
    """What raters of each population are like: (P, 3) mean and spread of a, b, k."""

    mean: FloatArray
    spread: FloatArray


@dataclass
class _State:
    """All that a round changes."""

    theta: FloatArray
    gaps: list[FloatArray]
    hyper: Hyper
    lapse: float
    states: States
    log_d: FloatArray
    share: float
    values: FloatArray | None
    value_spread: float
    covariance: FloatArray | None = None


@dataclass(frozen=True)
class GradedFit:
    """What the votes say.

    Attributes:
        votes, options: what was fitted, and how.
        theta: (W, 3) a, b, k of each rater; raters without a vote are at their population's mean.
        covariance: (W, 3, 3) of theta, from each vote's information given the others on its comparison.
        cuts: (K - 1,) of each scale, symmetric about 0.
        hyper: populations. lapse: chance of a random step. share: of contested comparisons.
        states: the grid. log_joint: (T, S) log of prior times likelihood. posterior: (T, S), rows sum to 1.
        values: (C,) value of each recurring completion, or (1,) the common mean; None in other variants.
        value_spread: their prior standard deviation.
        identified: (W,) whether others' votes tell this rater's reliability.
        reason: why none is identified: `one_rater`, `one_vote_an_item`, `no_shared_items`; None otherwise.
        log_prior: (S,) of the states; of a comparison without votes where `values` is None.
        log_likelihood, objective: traces, in nats; with `fixed` the objective never falls.
        converged: whether the stop rule was met.
    """

    votes: GradedVotes
    options: GradedOptions
    theta: FloatArray
    covariance: FloatArray
    cuts: tuple[FloatArray, ...]
    hyper: Hyper
    lapse: float
    share: float
    states: States
    log_joint: AnyFloat
    posterior: AnyFloat
    values: FloatArray | None
    value_spread: float
    identified: BoolArray
    reason: str | None
    converged: bool
    log_prior: FloatArray
    log_likelihood: FloatArray = field(default_factory=lambda: np.zeros(0))
    objective: FloatArray = field(default_factory=lambda: np.zeros(0))

    @property
    def reference_discrimination(self) -> float:
        """a of the reference rater: the mean of population 0, floored where that kind tells nothing."""
        return max(float(self.hyper.mean[0, 0]), 0.05)


def graded_fit(votes: GradedVotes, options: GradedOptions | None = None) -> GradedFit:
    """Fit the graded model.

    Args:
        votes: graded votes; see `GradedVotes`.
        options: the variant and its settings; None is plain, on 21 points. From 100,000 votes on the tables
            are float32, below that float64.

    Returns:
        A `GradedFit`. Where reliability cannot be told it says so in `reason` and `identified`, and the
        hyperparameters keep their start values.

    Raises:
        VotesMalformed: `completions` without recurring completions, or with `free_prior` or `mean`.
        ObjectiveFell: the penalised likelihood of a `fixed` fit fell, which only a fault can cause.

    Example:
        >>> ints = lambda *values: np.array(values, dtype=np.int64)
        >>> votes = GradedVotes(ints(0, 0, 1, 1), ints(0, 1, 0, 1), ints(2, 2, 0, 0), ints(1, -1, 1, -1), 2, 2, (3,))
        >>> fit = graded_fit(votes)
        >>> mean = fit.posterior @ fit.states.d
        >>> bool(mean[0] > 0.5 and abs(mean.sum()) < 1e-9)
        True

    Source: ordinal item response (Samejima 1969), cumulative logits (McCullagh 1980), EM with quadrature
    (Bock and Aitkin 1981), missing information (Louis 1982). The combination and the leave-one-out
    information are ours.
    """
    options = options or GradedOptions()
    return _Fit(votes, options).run()


class _Fit:
    """One run: what stays the same through the rounds."""

    def __init__(self, votes: GradedVotes, options: GradedOptions) -> None:
        _check(votes, options)
        self.votes, self.options = votes, options
        self.dtype: type = np.float64 if votes.item.size < EXACT_BELOW_VOTES else np.float32
        self.blocks, self.row = blocks_of(votes)
        rows = self.blocks[-1].rows.stop
        weights = votes.weights.astype(self.dtype)
        places = (
            (votes.item.astype(np.int32), self.row.astype(np.int32))
            if rows < 2**31
            else (votes.item, self.row)
        )
        self.by_item = sparse.csr_array((weights, places), shape=(votes.n_items, rows))
        self.by_row = self.by_item.T.tocsr()
        self.batches = [batches_of(votes, block, self.row) for block in self.blocks]
        self.voted_items = votes.item_counts() > 0
        self.voted_raters = votes.rater_counts() > 0
        self.rater_weight = np.bincount(votes.rater, weights=votes.weights, minlength=votes.n_raters)
        self.design = design_of(
            votes, completions=options.completions, mean=options.mean, voted=self.voted_items
        )
        self.ridge = None if self.design is None else Ridge(self.design)
        self.reason = unidentified_reason(votes, completions=options.completions)
        self.holds = options.fixed or self.reason is not None
        self.maps = [cut_map(steps) for steps in votes.n_steps]

    def run(self) -> GradedFit:
        options, now = self.options, self._start()
        likelihoods: list[float] = []
        objectives: list[float] = []
        converged = False
        for number in range(1, options.max_rounds + 1):
            before = _watched(now)
            raters_before = now.theta.copy()
            cells = self._cells(now)
            log_joint, posterior, likelihood = self._expectation(now, cells)
            likelihoods.append(likelihood)
            objectives.append(likelihood + self._log_prior(now))
            if options.fixed:
                _must_not_fall(objectives, number)
            self._maximise(now, cells, posterior, number)
            moved = (
                float(np.abs(_watched(now) - before).max()) if len(before) == len(_watched(now)) else np.inf
            )
            raters = float(np.abs(now.theta - raters_before).max())
            if number > 3 and moved < options.tolerance and raters < options.rater_tolerance:
                converged = True
                break
        return self._finish(now, likelihoods, objectives, converged)

    # One round

    def _cells(self, now: _State) -> list[Cells]:
        return [
            cells_of(block, now.theta, cuts @ gaps, now.states, now.lapse, self.dtype)
            for block, cuts, gaps in zip(self.blocks, self.maps, now.gaps, strict=True)
        ]

    def _expectation(self, now: _State, cells: list[Cells]) -> tuple[AnyFloat, AnyFloat, float]:
        table = np.concatenate([cell.p.reshape(-1, now.states.d.size) for cell in cells])
        np.log(table, out=table)
        log_joint: AnyFloat = self.by_item @ table
        log_joint += self._log_state_prior(now)
        highest = log_joint.max(axis=1, keepdims=True)
        posterior = log_joint - highest
        np.exp(posterior, out=posterior)
        # A product is several times faster than a sum along short rows.
        total = posterior @ np.ones((posterior.shape[1], 1), dtype=self.dtype)
        posterior /= total
        each = np.log(total.astype(np.float64)) + highest
        return log_joint, posterior, float(each[self.voted_items].sum())

    def _log_state_prior(self, now: _State) -> AnyFloat:
        """(S,) or (T, S) log prior of the states."""
        if self.design is None or now.values is None:
            log_d: FloatArray = now.log_d
        else:
            d: AnyFloat = now.states.d[: now.states.points].astype(self.dtype)
            means = (self.design @ now.values).astype(self.dtype)[:, None]
            # On an even grid to 4 spreads beyond every mean the sum is the integral to 1e-4.
            log_d = d * means - (d * d + means * means) / 2 + np.log(now.states.spacing / np.sqrt(2 * np.pi))
        return self._with_shares(now, log_d).astype(self.dtype)

    def _with_shares(self, now: _State, log_d: FloatArray) -> FloatArray:
        if not self.options.contested:
            return log_d
        return np.concatenate([log_d + np.log1p(-now.share), log_d + np.log(now.share)], axis=-1)

    def _maximise(self, now: _State, cells: list[Cells], posterior: AnyFloat, number: int) -> None:
        counts = self._counts(posterior)
        if self.options.free_prior:
            self._estimate_lapse(now, cells, counts)
        information_due = not self.holds and (number in (3, 8) or (number >= 18 and number % 10 == 8))
        if information_due:
            now.covariance = self._covariance(now, cells, posterior)
        self._move_raters(now, cells, counts)
        self._move_cuts(now, counts)
        if not self.options.fixed:
            self._centre_scale_use(now)
        if self.options.contested:
            mass = posterior[self.voted_items][:, now.states.points :].sum(dtype=np.float64)
            now.share = float((mass + 1.0) / (self.voted_items.sum() + 2.0))
        if self.options.free_prior:
            self._estimate_prior(now, posterior)
        if self.design is not None:
            self._move_values(now, posterior)
        if not self.holds and now.covariance is not None:
            now.hyper = self._hyper(now.theta, now.covariance)

    def _counts(self, posterior: AnyFloat) -> list[AnyFloat]:
        flat = self.by_row @ posterior
        return [flat[block.rows].reshape(block.rater.size, block.n_steps, flat.shape[1]) for block in self.blocks]

    def _move_raters(self, now: _State, cells: list[Cells], counts: list[AnyFloat]) -> None:
        """One Fisher-scoring step of all raters at once."""
        precision = 1.0 / now.hyper.spread[self.votes.populations] ** 2
        score = -(now.theta - now.hyper.mean[self.votes.populations]) * precision
        information = precision[:, :, None] * np.eye(3)
        for block, cell, count in zip(self.blocks, cells, counts, strict=True):
            s, i = rater_moments(block, cell, count, now.states, self.votes.n_raters)
            score, information = score + s, information + i
        step = np.linalg.solve(information, score[:, :, None])[:, :, 0]
        theta = now.theta + np.clip(step, -STEP_LIMIT, STEP_LIMIT)
        theta[:, 0] = np.clip(theta[:, 0], -A_LIMIT, A_LIMIT)
        theta[:, 2] = np.clip(theta[:, 2], -K_LIMIT, K_LIMIT)
        now.theta = theta

    def _move_cuts(self, now: _State, counts: list[AnyFloat]) -> None:
        cells = self._cells(now)
        for scale, (cell, count) in enumerate(zip(cells, counts, strict=True)):
            score, information = cut_moments(cell, count)
            now.gaps[scale] = _moved_gaps(now.gaps[scale], self.maps[scale], score, information)

    def _centre_scale_use(self, now: _State) -> None:
        """tau and kappa would drift together to a bound: the mean of k goes into the cuts."""
        mean = float(now.theta[self.voted_raters, 2].mean())
        now.theta[self.voted_raters, 2] -= mean
        now.gaps = [np.maximum(gaps * np.exp(mean), GAP_FLOOR) for gaps in now.gaps]

    def _estimate_lapse(self, now: _State, cells: list[Cells], counts: list[AnyFloat]) -> None:
        lapses = sum(
            float((count / cell.p).sum(dtype=np.float64)) * now.lapse / block.n_steps
            for block, cell, count in zip(self.blocks, cells, counts, strict=True)
        )
        now.lapse = (lapses + 1.0) / (float(self.votes.weights.sum()) + 50.0)

    def _estimate_prior(self, now: _State, posterior: AnyFloat) -> None:
        mass = now.states.sum_over_gains(posterior[self.voted_items].sum(axis=0, dtype=np.float64))
        mass = (mass + mass[::-1]) / 2 + PSEUDO_NORMAL * np.exp(_log_normal(now.states))
        now.log_d = np.log(mass / mass.sum())

    def _move_values(self, now: _State, posterior: AnyFloat) -> None:
        """Values of completions from E[d], their spread by empirical Bayes, and the scale back to 1."""
        assert self.design is not None and self.ridge is not None
        design = self.design
        weights = posterior.astype(np.float64)
        d_mean = weights @ now.states.d
        d_square = weights @ np.square(now.states.d)
        values, trace = self.ridge.solve(d_mean, now.value_spread)
        means = design @ values
        voted = self.voted_items
        scale = float(np.sqrt((d_square - 2 * means * d_mean + means * means)[voted].mean()))
        now.theta[:, 0] = np.clip(now.theta[:, 0] * scale, -A_LIMIT, A_LIMIT)
        now.values = values / scale
        now.value_spread = float(np.sqrt((values @ values + trace) / values.size)) / scale
        now.states = self._states(float(np.abs(design @ now.values).max()))

    def _hyper(self, theta: FloatArray, covariance: FloatArray) -> Hyper:
        mean, spread = [], []
        for population in range(int(self.votes.populations.max()) + 1):
            chosen = self.voted_raters & (self.votes.populations == population)
            n = int(chosen.sum())
            rows, variances = theta[chosen], np.diagonal(covariance, axis1=1, axis2=2)[chosen]
            centre = np.array([(rows[:, 0].sum() + 2 * A_START) / (n + 2), rows[:, 1].sum() / (n + 4), 0.0])
            squares = (np.square(rows - centre) + variances).sum(axis=0)
            mean.append(centre)
            spread.append(np.sqrt((squares + PRIOR_STRENGTH * HYPER_SPREADS**2) / (n + PRIOR_STRENGTH)))
        return Hyper(np.array(mean), np.array(spread))

    # Around the rounds

    def _start(self) -> _State:
        populations = int(self.votes.populations.max()) + 1
        hyper = Hyper(
            np.tile([A_START, 0.0, 0.0], (populations, 1)),
            np.tile([A_SPREAD, B_SPREAD, K_SPREAD], (populations, 1)),
        )
        states = self._states(0.0)
        return _State(
            theta=np.tile([A_START, 0.0, 0.0], (self.votes.n_raters, 1)),
            gaps=[self._start_gaps(scale) for scale in range(len(self.votes.n_steps))],
            hyper=hyper,
            lapse=self.options.lapse,
            states=states,
            log_d=_log_normal(states),
            share=0.15,
            values=None if self.design is None else np.zeros(self.design.shape[1]),
            value_spread=1.0,
        )

    def _states(self, reach: float) -> States:
        options = self.options
        half = options.half
        if self.design is not None:
            half = int(np.ceil((4.0 + reach) / options.spacing))
        return states_of(half, options.spacing, (1.0, GAMMA) if options.contested else (1.0,))

    def _start_gaps(self, scale: int) -> FloatArray:
        n_steps = self.votes.n_steps[scale]
        on_scale = self.votes.scales == scale
        counts = np.bincount(self.votes.step[on_scale], minlength=n_steps) + 0.001
        shares = (counts + counts[::-1]) / (2 * counts.sum())
        above = np.cumsum(shares)[n_steps // 2 : -1]
        cuts = 1.6 * np.log(above / (1 - above))
        gaps: FloatArray = np.maximum(np.diff(cuts, prepend=0.0), GAP_FLOOR)
        return gaps

    def _log_prior(self, now: _State) -> float:
        """Log density of raters and cuts under their priors, up to a constant."""
        populations = self.votes.populations
        distance = (now.theta - now.hyper.mean[populations]) / now.hyper.spread[populations]
        total = -float(np.square(distance[self.voted_raters]).sum()) / 2
        for gaps in now.gaps:
            total -= CUT_PRECISION / 2 * float(np.square(np.cumsum(gaps) - np.arange(1, gaps.size + 1)).sum())
        return total

    def _finish(
        self, now: _State, likelihoods: list[float], objectives: list[float], converged: bool
    ) -> GradedFit:
        cells = self._cells(now)
        log_joint, posterior, _ = self._expectation(now, cells)
        covariance = self._covariance(now, cells, posterior)
        unvoted = ~self.voted_raters
        theta = now.theta.copy()
        theta[unvoted] = now.hyper.mean[self.votes.populations[unvoted]]
        fit = GradedFit(
            votes=self.votes,
            options=self.options,
            theta=theta,
            covariance=covariance,
            cuts=tuple(cuts @ gaps for cuts, gaps in zip(self.maps, now.gaps, strict=True)),
            hyper=now.hyper,
            lapse=now.lapse,
            share=now.share if self.options.contested else 0.0,
            states=now.states,
            log_joint=log_joint,
            posterior=posterior,
            values=now.values,
            value_spread=now.value_spread,
            identified=identified(self.votes, completions=self.options.completions, reason=self.reason),
            reason=self.reason,
            converged=converged,
            log_prior=self._with_shares(now, now.log_d),
            log_likelihood=np.array(likelihoods),
            objective=np.array(objectives),
        )
        mirrored = float(theta[:, 0] @ self.rater_weight) < 0
        return _mirror(fit) if mirrored else fit

    def _covariance(self, now: _State, cells: list[Cells], posterior: AnyFloat) -> FloatArray:
        precision = 1.0 / now.hyper.spread[self.votes.populations] ** 2
        information = precision[:, :, None] * np.eye(3)
        for block, batches, cell in zip(self.blocks, self.batches, cells, strict=True):
            information += left_out_information(self.votes, block, batches, cell, posterior, now.states)
        return np.asarray(np.linalg.inv(information))


def _check(votes: GradedVotes, options: GradedOptions) -> None:
    if options.completions and votes.first is None:
        raise VotesMalformed(
            "the variant with completions needs the first and second completion of each item"
        )
    if options.free_prior + options.completions + options.mean > 1:
        raise VotesMalformed("of free_prior, completions and mean one at most can be asked for")


def _moved_gaps(gaps: FloatArray, cuts: FloatArray, score: FloatArray, information: FloatArray) -> FloatArray:
    """One scoring step in the gaps between cuts, which stay at the floor or above.

    A gap at the floor that would fall is left out, and the step ends at the first gap that would pass the floor:
    clipping afterwards is no ascent step.
    """
    if gaps.size == 0:
        return gaps
    ladder = np.tri(gaps.size)
    tau = ladder @ gaps
    gradient = cuts.T @ score - ladder.T @ (CUT_PRECISION * (tau - np.arange(1, gaps.size + 1)))
    curvature = cuts.T @ information @ cuts + CUT_PRECISION * ladder.T @ ladder
    free = np.ones(gaps.size, dtype=bool)
    step = np.zeros(gaps.size)
    while free.any():
        step[:] = 0.0
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        stuck = free & (gaps <= GAP_FLOOR * (1 + 1e-12)) & (step < 0)
        if not stuck.any():
            break
        free &= ~stuck
        step[stuck] = 0.0
    step = np.clip(step, -STEP_LIMIT, STEP_LIMIT)
    falling = step < 0
    if falling.any():
        step = step * min(1.0, float(((gaps[falling] - GAP_FLOOR) / -step[falling]).min()))
    return np.maximum(gaps + step, GAP_FLOOR)


def _mirror(fit: GradedFit) -> GradedFit:
    """The solution in which the votes' raters are on the whole better than chance."""
    flipped = np.concatenate(
        [part[..., ::-1] for part in np.split(fit.posterior, fit.states.d.size // fit.states.points, axis=1)],
        axis=1,
    )
    joint = np.concatenate(
        [part[..., ::-1] for part in np.split(fit.log_joint, fit.states.d.size // fit.states.points, axis=1)],
        axis=1,
    )
    sign = np.array([-1.0, 1.0, 1.0])
    return replace(
        fit,
        theta=fit.theta * sign,
        covariance=fit.covariance * np.outer(sign, sign),
        hyper=Hyper(fit.hyper.mean * sign, fit.hyper.spread),
        posterior=flipped,
        log_joint=joint,
        values=None if fit.values is None else -fit.values,
    )


def _log_normal(states: States) -> FloatArray:
    log_d = -np.square(states.d[: states.points]) / 2
    normal: FloatArray = log_d - np.log(np.exp(log_d).sum())
    return normal


def _watched(now: _State) -> FloatArray:
    """What must stand still: mean and spread of a, cuts, hyperparameters' spreads."""
    return np.concatenate(
        [[now.theta[:, 0].mean(), now.theta[:, 0].std()], *map(np.cumsum, now.gaps), now.hyper.spread.ravel()]
    )


def _must_not_fall(objectives: list[float], number: int) -> None:
    if number < 2:
        return
    before, after = objectives[-2:]
    # Rounding moves the last digits (float32 tables more of them); more than that is a fault.
    if after < before - 1e-6 * max(1.0, abs(before)):
        raise ObjectiveFell(number, before, after)

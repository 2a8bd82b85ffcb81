"""What a graded fit says about comparisons, raters and votes to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtri

from pipelines.labels.graded import A_LIMIT, GradedFit
from pipelines.labels.graded_table import blocks_of, cells_of, reference_table
from pipelines.labels.graded_votes import GradedVotes, step_values
from pipelines.labels.votes import BoolArray, FloatArray

LEVEL = float(ndtri(0.975))


@dataclass(frozen=True)
class Comparisons:
    """One row an item. The reference rater is the mean of population 0, without side bias or lapse.

    Attributes:
        p_direction_first: (T,) P(d > 0).
        flip_probability: (T,) mass of d on the less likely side, at most 0.5.
        flip_of_majority: (T,) mass of d against the side with more votes; NaN where the votes are level.
        consensus: (T, 3) P(first better), P(second better), P(tie): d outside or inside the tie band.
        reference_vote: (T, K) chance that one more reliable rater says each step; the soft label.
        strength, strength_se: (T,) mean of the step's value under the reference vote, positive where the
            first is better, and its standard error from not knowing d.
        d_mean, d_sd: (T,) of the latent difference.
        ambiguity: (T,) entropy in nats that endless votes of reliable raters would leave.
        ignorance: (T,) entropy in nats that more votes can remove.
        contested: (T,) chance that everybody reads it at the lower gain; 0 in other variants.
    """

    p_direction_first: FloatArray
    flip_probability: FloatArray
    flip_of_majority: FloatArray
    consensus: FloatArray
    reference_vote: FloatArray
    strength: FloatArray
    strength_se: FloatArray
    d_mean: FloatArray
    d_sd: FloatArray
    ambiguity: FloatArray
    ignorance: FloatArray
    contested: FloatArray

    @property
    def reference_outcome(self) -> FloatArray:
        """(T, 3) the reference vote added up by direction: first, second, tie."""
        return outcomes_of_steps(self.reference_vote)


@dataclass(frozen=True)
class Raters:
    """One row a rater.

    Attributes:
        theta, se: (W, 3) a discrimination, b side bias in logits, k log scale use; and standard errors.
        reliability, low, high: (W,) chance to take the right direction when it votes one, over the
            distribution of d and both sides, with its 95 % interval.
        side_bias: (W,) F(b) - 1/2, in [-0.5, 0.5]; side_low, side_high its 95 % interval.
        spam_odds: (W,) posterior over prior density at a = 0: above 1 speaks for a spammer.
        identified: (W,) whether others' votes tell the reliability.
        at_limit: (W,) a at its cap: report it as "more than".
    """

    theta: FloatArray
    se: FloatArray
    reliability: FloatArray
    low: FloatArray
    high: FloatArray
    side_bias: FloatArray
    side_low: FloatArray
    side_high: FloatArray
    spam_odds: FloatArray
    identified: BoolArray
    at_limit: BoolArray


def comparisons_of(fit: GradedFit, *, scale: int = 0) -> Comparisons:
    """Read every comparison on one of the fit's scales.

    Source: ours; Rao and Kupper 1967 for the tie band.
    """
    posterior = fit.posterior.astype(np.float64)
    states, n_steps = fit.states, fit.votes.n_steps[scale]
    discrimination = fit.reference_discrimination
    table = reference_table(n_steps, fit.cuts[scale], discrimination, states)
    values = step_values(n_steps)
    expected = values @ table
    reference = posterior @ table.T
    strength = posterior @ expected
    over_d = states.sum_over_gains(posterior)
    d = states.d[: states.points]
    mean = over_d @ d
    first = _mass_above(over_d, d, states.spacing, 0.0)
    band = float(fit.cuts[scale][n_steps // 2]) / discrimination if n_steps % 2 else 0.0
    above = _mass_above(over_d, d, states.spacing, band)
    below = _mass_above(over_d[:, ::-1], d, states.spacing, band)
    ambiguity = posterior @ _entropy(table.T)
    return Comparisons(
        p_direction_first=first,
        flip_probability=np.minimum(first, 1.0 - first),
        flip_of_majority=_flip_of_majority(fit.votes, first),
        consensus=np.stack([above, below, np.maximum(1.0 - above - below, 0.0)], axis=1),
        reference_vote=reference,
        strength=strength,
        strength_se=np.sqrt(np.maximum(posterior @ np.square(expected) - strength**2, 0.0)),
        d_mean=mean,
        d_sd=np.sqrt(np.maximum(over_d @ np.square(d) - mean**2, 0.0)),
        ambiguity=ambiguity,
        ignorance=np.maximum(_entropy(reference) - ambiguity, 0.0),
        contested=posterior[:, states.points :].sum(axis=1),
    )


def raters_of(fit: GradedFit, *, scale: int = 0) -> Raters:
    """Read every rater; reliability on one of the fit's scales."""
    variance = np.diagonal(fit.covariance, axis1=1, axis2=2).copy()
    if not fit.options.fixed:
        # k is centred, and the centre itself is uncertain.
        variance[:, 2] += _scale_spread(fit) ** 2 / np.count_nonzero(fit.votes.rater_counts())
    se = np.sqrt(variance)
    reliability, low, high = _reliability(fit, scale)
    a, b = fit.theta[:, 0], fit.theta[:, 1]
    hyper_mean, hyper_sd = (values[fit.votes.populations, 0] for values in (fit.hyper.mean, fit.hyper.spread))
    log_odds = np.log(hyper_sd / se[:, 0]) - (a / se[:, 0]) ** 2 / 2 + (hyper_mean / hyper_sd) ** 2 / 2
    return Raters(
        theta=fit.theta,
        se=se,
        reliability=reliability,
        low=low,
        high=high,
        side_bias=expit(b) - 0.5,
        side_low=expit(b - LEVEL * se[:, 1]) - 0.5,
        side_high=expit(b + LEVEL * se[:, 1]) - 0.5,
        spam_odds=np.exp(np.minimum(log_odds, 700.0)),
        identified=fit.identified,
        at_limit=np.abs(a) >= A_LIMIT,
    )


def vote_probabilities(fit: GradedFit, votes: GradedVotes) -> FloatArray:
    """(n,) chance of each given vote from what the fit knows: for votes that were held out.

    Args:
        fit: of the same items, raters and scales.
        votes: the votes to be told; raters without a vote in the fit count as their population's mean.
    """
    blocks, row = blocks_of(votes)
    out = np.zeros(votes.item.size)
    for number, block in enumerate(blocks):
        cells = cells_of(block, fit.theta, fit.cuts[number], fit.states, fit.lapse, np.float64)
        flat = cells.p.reshape(-1, fit.states.d.size)
        chosen = np.flatnonzero(votes.scales == number)
        posterior = fit.posterior[votes.item[chosen]].astype(np.float64)
        out[chosen] = (posterior * flat[row[chosen] - block.rows.start]).sum(axis=1)
    return out


def outcomes_of_steps(probabilities: FloatArray) -> FloatArray:
    """(n, 3) first, second, tie of (n, K) probabilities of steps.

    Example:
        >>> outcomes_of_steps(np.array([[0.1, 0.2, 0.3, 0.4]])).round(2).tolist()
        [[0.7, 0.3, 0.0]]
    """
    values = step_values(probabilities.shape[1])
    return np.stack(
        [probabilities[:, mask].sum(axis=1) for mask in (values > 0, values < 0, values == 0)], axis=1
    )


def _reliability(fit: GradedFit, scale: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reliability at theta, and its interval on logits from the whole covariance."""

    def on_logits(theta: FloatArray) -> FloatArray:
        return np.asarray(logit(np.clip(_agreement(fit, theta, scale), 1e-6, 1 - 1e-6)))

    middle = on_logits(fit.theta)
    steps = 1e-4 * np.eye(3)
    gradient = np.stack([(on_logits(fit.theta + h) - on_logits(fit.theta - h)) / 2e-4 for h in steps], axis=1)
    half = LEVEL * np.sqrt(np.einsum("wi,wij,wj->w", gradient, fit.covariance, gradient))
    return expit(middle), expit(middle - half), expit(middle + half)


def _agreement(fit: GradedFit, theta: FloatArray, scale: int) -> FloatArray:
    """(W,) P(right direction | a direction), over the distribution of d and both sides alike."""
    states, weight = fit.states, _distribution_of_d(fit)
    cuts = fit.cuts[scale]
    half = cuts.size // 2
    upper, lower = cuts[half], cuts[-half - 1 if cuts.size % 2 else half - 1]
    d = states.d[: states.points]
    a, b, k = theta.T
    right, voted = np.zeros(a.size), np.zeros(a.size)
    for side in (1.0, -1.0):
        seen = a[:, None] * d + side * b[:, None]
        first = expit(seen - (np.exp(k) * upper)[:, None])
        second = expit((np.exp(k) * lower)[:, None] - seen)
        right += np.where(d > 0, first, np.where(d < 0, second, (first + second) / 2)) @ weight
        voted += (first + second) @ weight
    return np.asarray(right / voted)


def _distribution_of_d(fit: GradedFit) -> FloatArray:
    """(points,) N(0, 1), or where the prior of d was estimated what the votes say, made symmetric."""
    options, states = fit.options, fit.states
    if not (options.completions or options.mean or options.free_prior):
        weight: FloatArray = np.exp(-np.square(states.d[: states.points]) / 2)
    else:
        mass = states.sum_over_gains(fit.posterior.sum(axis=0, dtype=np.float64))
        weight = mass + mass[::-1]
    return np.asarray(weight / weight.sum())


def _scale_spread(fit: GradedFit) -> FloatArray:
    return np.asarray(fit.hyper.spread[fit.votes.populations, 2])


def _mass_above(mass: FloatArray, d: FloatArray, spacing: float, limit: float) -> FloatArray:
    """(T,) mass of grid cells above a limit; the cell that it cuts counts in part."""
    share = np.clip((d + spacing / 2 - limit) / spacing, 0.0, 1.0)
    return np.asarray(mass @ share)


def _flip_of_majority(votes: GradedVotes, first: FloatArray) -> FloatArray:
    signs = np.zeros(votes.item.size)
    for scale, n_steps in enumerate(votes.n_steps):
        chosen = votes.scales == scale
        signs[chosen] = np.sign(step_values(n_steps)[votes.step[chosen]])
    lead = np.bincount(votes.item, weights=signs, minlength=votes.n_items)
    return np.where(lead > 0, 1.0 - first, np.where(lead < 0, first, np.nan))


def _entropy(rows: FloatArray) -> FloatArray:
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    return np.asarray(-(rows * logs).sum(axis=1))

"""How often labels are flipped, and what each label should count for: flip rates, LCPO's weights, NBPO's losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv, expit, log_expit

from pipelines.labels.errors import LabelError, NoVotes, VotesMalformed
from pipelines.labels.votes import FloatArray, IntArray

ETA_START = 0.9
ETA_LIMITS = (0.5 + 1e-3, 1 - 1e-3)
ETA_TOLERANCE = 1e-8
MAX_ROUNDS = 10_000


class NoSignal(LabelError):
    """A flip rate of one half or more: the labels say nothing, and a loss built on them would be nonsense."""

    def __init__(self, source: str, rate: float) -> None:
        self.source, self.rate = source, rate
        super().__init__(
            f"The flip rate from {source} is {rate:.3f}; it must be below 0.5. Check the direction of the labels, "
            "or leave these raters out."
        )


@dataclass(frozen=True)
class FlipRate:
    """Share of votes that are flipped, or of labels: rDPO's epsilon and cDPO's smoothing.

    Attributes:
        rate: in [0, 0.5). low, high: 95 % interval; may reach beyond 0.5.
        n: what it rests on: gold labels, pairs of votes, votes, or preferences.
        source: of votes `gold`, `repeats` or `em`, which can be compared; of labels `model`.
    """

    rate: float
    low: float
    high: float
    n: int
    source: str


def flip_rate_from_gold(wrong: int, n: int) -> FlipRate:
    """Share of wrong answers to gold comparisons, the best estimate; for one stratum, better not for all at once.

    Raises:
        NoVotes: no gold. VotesMalformed: more wrong than there are. NoSignal: half wrong or more.

    Source: the Jeffreys interval (Brown, Cai and DasGupta 2001).
    """
    _counts(wrong, n)
    return _signal(FlipRate(wrong / n, *jeffreys_interval(wrong, n), n, "gold"))


def confusion_counts(said: IntArray, truth: IntArray, n_labels: int) -> IntArray:
    """(n_labels, n_labels) votes [k, l] that say l where k is right: of one rater against gold, or against the others.

    Args:
        said, truth: (n,) labels, 0..n_labels-1.

    Raises:
        VotesMalformed: other shapes, or a label outside.

    Example:
        >>> confusion_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    if said.ndim != 1 or said.shape != truth.shape:
        raise VotesMalformed(f"said and truth must be flat and of one length, got {said.shape} and {truth.shape}")
    if said.size and not (min(said.min(), truth.min()) >= 0 and max(said.max(), truth.max()) < n_labels):
        raise VotesMalformed(f"labels must lie in 0..{n_labels - 1}")
    counts = np.bincount(truth * n_labels + said, minlength=n_labels * n_labels)
    return counts.reshape(n_labels, n_labels).astype(np.int64)


def flip_rate_from_repeats(disagreeing: int, n: int) -> FlipRate:
    """From pairs of votes by two independent raters with one flip rate e, who disagree with chance 2 e (1 - e).

    An upper bound: taste disagrees too. Two votes of one rater measure only how far they agree with themselves.

    Raises:
        NoVotes, VotesMalformed: as `flip_rate_from_gold`. NoSignal: half of the pairs disagree or more.
    """
    _counts(disagreeing, n)
    share = disagreeing / n
    if share >= 0.5:
        raise NoSignal("repeats", 0.5)
    low, high = (_of_disagreement(bound) for bound in jeffreys_interval(disagreeing, n))
    return FlipRate(_of_disagreement(share), low, high, n, "repeats")


def flip_rate_from_raters(rater: IntArray, right: FloatArray, decided: FloatArray) -> FlipRate:
    """Flip rate of votes by raters' reliabilities from EM: the mean of 1 - reliability, each vote counting alike.

    Args:
        rater: (n,) int64 index of the rater of each vote for a side.
        right: (n,) P(that side is the better one | one is), from a model of raters that saw all votes.
        decided: (n,) P(one is better) of each vote's comparison.

    Returns:
        Comparable with gold and repeats. The interval rests on the information that the others' votes give on each
        reliability, as in `lcpo_fit`: as if the truth were known it would be too narrow.

    Raises:
        NoVotes: no vote for a side. VotesMalformed: shapes, or probabilities outside [0, 1]. NoSignal: half or more.

    Example:
        >>> by = np.array([0, 0, 1, 1])
        >>> round(flip_rate_from_raters(by, np.array([0.9, 0.9, 0.7, 0.9]), np.ones(4)).rate, 2)
        0.15

    Source: one-coin Dawid-Skene's M step, taken on the votes for a side of any model of raters; ours.
    """
    if not rater.size or not decided.any():
        raise NoVotes()
    if not rater.shape == right.shape == decided.shape or rater.ndim != 1:
        raise VotesMalformed("rater, right and decided must be flat and of one length")
    if not all(((values >= 0) & (values <= 1)).all() for values in (right, decided)):
        raise VotesMalformed("right and decided must lie in 0..1")
    votes, sure = np.bincount(rater, decided), np.bincount(rater, decided * right)
    total = float(votes.sum())
    eta = (sure + 1) / (votes + 2)
    # What the others say of each vote: all that is known, without the vote itself.
    against = (1 - right) * eta[rater]
    chance = right * (1 - eta[rater]) / np.maximum(right * (1 - eta[rater]) + against, 1e-300)
    slope = (2 * chance - 1) / (eta[rater] * chance + (1 - eta[rater]) * (1 - chance))
    # Nobody is known worse than a number in 0..1 of which nothing is known.
    variance = 1 / (np.bincount(rater, decided * slope**2) + 12)
    rate, error = 1 - float(sure.sum()) / total, float(np.sqrt((np.square(votes / total) * variance).sum()))
    rate = max(rate, 0.0)
    return _signal(FlipRate(rate, max(rate - 1.96 * error, 0.0), rate + 1.96 * error, int(rater.size), "em"))


def flip_rate_from_model(flip_probability: FloatArray) -> FlipRate:
    """Flip rate of labels, which several votes make better than one: the mean flip probability of preferences.

    NaN (a tie) does not count. Not comparable with gold and repeats, which tell the rate of votes.

    Raises:
        NoVotes: no preference. VotesMalformed: a value outside [0, 0.5].
    """
    known = flip_probability[~np.isnan(flip_probability)]
    if not known.size:
        raise NoVotes()
    if known.min() < 0 or known.max() > 0.5:
        raise VotesMalformed(f"flip probabilities must lie in 0..0.5, got {known.min()}..{known.max()}")
    mean, error = float(known.mean()), float(known.std() / np.sqrt(known.size))
    return _signal(
        FlipRate(mean, max(mean - 1.96 * error, 0.0), mean + 1.96 * error, int(known.size), "model")
    )


@dataclass(frozen=True)
class LcpoFit:
    """Reliabilities of raters and correctness of labels against a model's margins.

    Attributes:
        eta, standard_error: (W,) chance that a rater's label is the collective preference, and its error from
            the observed information. weight: (n,) chance that each label is right.
        trace: (rounds, W) eta after each round.
    """

    eta: FloatArray
    standard_error: FloatArray
    weight: FloatArray
    trace: FloatArray


def ipo_margin(margin: FloatArray, tau: float) -> FloatArray:
    """(n,) what LCPO takes as h under IPO with target 1 / (2 tau) on the unscaled margin: 2 m / tau."""
    if tau <= 0:
        raise VotesMalformed(f"tau must be above 0, got {tau}")
    return 2 * margin / tau


def simpo_margin(gap: FloatArray, gamma: float) -> FloatArray:
    """(n,) what LCPO takes as h under SimPO: the log-odds of both orders' losses, not gap - gamma.

    Args:
        gap: (n,) beta times the difference of mean log-probabilities. gamma: SimPO's margin, 0 or more.
    """
    return np.asarray(log_expit(gap - gamma) - log_expit(-gap - gamma))


def lcpo_fit(
    margin: FloatArray,
    rater: IntArray | None = None,
    *,
    eta_start: float = ETA_START,
    rounds: int = MAX_ROUNDS,
) -> LcpoFit:
    """Weights for w L+ + (1 - w) L-, by EM over whether each recorded winner is the collective one.

    Args:
        margin: (n,) the model's margin h of the recorded winner, P(winner better) = sigmoid(h). It must be
            calibrated first (`temperature`): with an overconfident model eta drifts to 1.
        rater: (n,) int64 index of the rater; None takes one eta for all.
        eta_start: in (0.5, 1).

    Returns:
        An `LcpoFit`. With margins of 0 the weight is eta and nothing is learnt; eta is kept in
        [0.501, 0.999], beyond which model and labels could swap their meanings.

    Raises:
        NoVotes, VotesMalformed: nothing, NaN, or a start outside (0.5, 1).

    Example:
        >>> found = lcpo_fit(np.array([2.0, 2.0, -2.0, 3.0]))
        >>> bool(found.weight[2] < found.weight[0])
        True

    Source: Latent Collective Preference Optimization (2025).
    """
    _margins(margin)
    if not ETA_LIMITS[0] <= eta_start <= ETA_LIMITS[1]:
        raise VotesMalformed(f"eta must start in {ETA_LIMITS[0]}..{ETA_LIMITS[1]}, got {eta_start}")
    rater = np.zeros(margin.size, dtype=np.int64) if rater is None else rater
    if rater.shape != margin.shape or rater.min() < 0:
        raise VotesMalformed("rater must have one index of 0 or more for each margin")
    size = int(rater.max()) + 1
    counts = np.bincount(rater, minlength=size)
    chance, eta, trace = expit(margin), np.full(size, eta_start), list[FloatArray]()
    for _ in range(rounds):
        weight = correctness(chance, eta[rater])
        means = np.bincount(rater, weight, size) / np.maximum(counts, 1)
        moved = np.where(counts > 0, np.clip(means, *ETA_LIMITS), eta)
        trace.append(moved)
        settled = np.abs(moved - eta).max() < ETA_TOLERANCE
        eta = moved
        if settled:
            break
    slope = (2 * chance - 1) / (eta[rater] * chance + (1 - eta[rater]) * (1 - chance))
    information = np.bincount(rater, np.square(slope), size)
    error = np.divide(1.0, np.sqrt(information), out=np.full(size, np.inf), where=information > 0)
    return LcpoFit(eta, error, correctness(chance, eta[rater]), np.array(trace))


def lcpo_moving_eta(
    margin: FloatArray, *, size: int, eta_start: float = ETA_START, rate: float = 0.1
) -> FloatArray:
    """(batches,) eta after each batch of `size` margins in the order given: eta <- (1 - a) eta + a mean w."""
    _margins(margin)
    eta, found = eta_start, list[float]()
    for start in range(0, margin.size, size):
        weight = correctness(expit(margin[start : start + size]), np.array(eta))
        eta = float(np.clip((1 - rate) * eta + rate * weight.mean(), *ETA_LIMITS))
        found.append(eta)
    return np.array(found)


def correctness(chance: FloatArray, eta: FloatArray) -> FloatArray:
    """P(label right) from the model's chance of the recorded winner and the rater's reliability."""
    right = eta * chance
    return np.asarray(right / (right + (1 - eta) * (1 - chance)))


def soft_loss(margin: FloatArray, target: FloatArray) -> FloatArray:
    """(n,) p L+ + (1 - p) L- at margin h, L+ = softplus(-h): LCPO with its weight, soft labels with theirs."""
    return np.asarray(-target * log_expit(margin) - (1 - target) * log_expit(-margin))


def temperature(margin: FloatArray, right: FloatArray) -> float:
    """T > 0 that makes sigmoid(margin / T) calibrated against gold: the likelihood's maximum.

    Args:
        margin: (n,) of the recorded winner. right: (n,) 1 where gold agrees with it, else 0.

    Raises:
        NoVotes, VotesMalformed: nothing or NaN; or gold that the margins do not tell (all right, or no better
            than chance), for which no finite T above 0 exists.

    Source: Guo et al. 2017.
    """
    _margins(margin)
    signed = np.where(right > 0.5, margin, -margin)

    def slope(inverse: float) -> float:
        return float((signed * expit(-inverse * signed)).sum())

    if slope(1e-9) <= 0 or slope(1e4) >= 0:
        raise VotesMalformed(
            "no temperature calibrates these margins: they tell gold perfectly, or not at all"
        )
    return 1.0 / float(brentq(slope, 1e-9, 1e4))


def nbpo_loss(score: FloatArray, seen: FloatArray, *, missed: float, accidental: float) -> FloatArray:
    """(n,) negative log-likelihood of implicit feedback whose negatives are mostly unseen.

    Args:
        score: (n,) logit of a true like. seen: (n,) 1 where a vote was seen, 0 for a sampled one without. What
            was shown and not chosen is no negative.
        missed: P(no vote | like), large. accidental: P(vote | no like), small. Both in [0, 1), sum below 1.

    Raises:
        VotesMalformed: rates outside, or NaN.

    Source: NBPO (2020) in the standard form of noisy labels; its own parametrisation was not checked.
    """
    _margins(score)
    if not (0 <= missed < 1 and 0 <= accidental < 1 and missed + accidental < 1):
        raise VotesMalformed(f"rates must lie in 0..1 with a sum below 1, got {missed} and {accidental}")
    like = expit(score)
    positive = (1 - missed) * like + accidental * (1 - like)
    negative = missed * like + (1 - accidental) * (1 - like)
    return np.asarray(-np.log(np.where(seen > 0.5, positive, negative)))


def loss_weights(weight: FloatArray) -> FloatArray:
    """(n,) weights scaled to mean 1 over a whole export; by batch it would change the learning rate."""
    if not weight.size or not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() == 0:
        raise VotesMalformed("weights must be finite, 0 or more, and not all 0")
    return np.asarray(weight / weight.mean())


def _margins(values: FloatArray) -> None:
    if not values.size:
        raise NoVotes()
    if not np.isfinite(values).all():
        raise VotesMalformed("scores must be finite; leave pairs without one out")


def _counts(part: int, n: int) -> None:
    if n < 1:
        raise NoVotes()
    if not 0 <= part <= n:
        raise VotesMalformed(f"of {n} there cannot be {part}")


def jeffreys_interval(part: int, n: int) -> tuple[float, float]:
    """95 % interval of a share; it reaches 0 where no part is seen and 1 where all is, so that the share lies within."""
    low, high = (float(betaincinv(part + 0.5, n - part + 0.5, q)) for q in (0.025, 0.975))
    return low if part else 0.0, high if part < n else 1.0


def _of_disagreement(share: float) -> float:
    return float((1 - np.sqrt(max(1 - 2 * share, 0.0))) / 2)


def _signal(found: FlipRate) -> FlipRate:
    if found.rate >= 0.5:
        raise NoSignal(found.source, found.rate)
    return found

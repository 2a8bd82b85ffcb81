"""Ratings with an offset, a scale and a noise for each rater."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.labels.errors import NoVotes, ObjectiveFell, VotesMalformed
from pipelines.labels.votes import BoolArray, FloatArray, IntArray

PSEUDO_VOTES = 2.0
TOLERANCE_PER_RATING = 1e-8
MAX_ROUNDS = 500


@dataclass(frozen=True)
class RatingFit:
    """What the ratings say.

    Attributes:
        quality, standard_error: (T,) latent quality, mean 0 and spread 1 over items beforehand.
        value, value_error: (T,) the same on the scale of the average rater.
        offset, scale, noise: (W,) a rater says offset + scale quality + N(0, noise^2); a scale near 0 hears
            nothing, below 0 turns the order around.
        identified: (W,) whether somebody else rated one of the rater's items.
        objective: trace of log-likelihood plus log prior; never falls.
        converged: whether the stop rule was met.
    """

    quality: FloatArray
    standard_error: FloatArray
    value: FloatArray
    value_error: FloatArray
    offset: FloatArray
    scale: FloatArray
    noise: FloatArray
    identified: BoolArray
    objective: FloatArray
    converged: bool


def rating_fit(item: IntArray, rater: IntArray, rating: FloatArray, n_items: int, n_raters: int) -> RatingFit:
    """Quality of items from ratings whose raters differ in level, spread and care, by EM.

    Args:
        item, rater: (n,) int64. rating: (n,) finite numbers on one scale.
        n_items, n_raters: sizes; items and raters without a rating are allowed.

    Raises:
        NoVotes: nothing arrived. VotesMalformed: shapes, indices, NaN or infinite ratings.
        ObjectiveFell: the objective fell, which only a fault can cause.

    Example:
        >>> ints = lambda *values: np.array(values, dtype=np.int64)
        >>> item, rater = np.divmod(np.arange(12), 2)
        >>> rating = np.array([1.0, 3.0, 2.0, 4.1, 3.0, 4.9, 4.0, 6.0, 5.0, 7.1, 1.0, 3.0])
        >>> found = rating_fit(item, rater, rating, 6, 2)
        >>> found.quality.argsort()[-1], bool(found.offset[1] - found.offset[0] > 1)
        (np.int64(4), True)

    Source: a one-factor model (Lawley and Maxwell 1971) with raters as tests; the prior of two votes of the
    average rater on each rater's line and noise is ours.
    """
    _check(item, rater, rating, n_items, n_raters)
    level, spread, noise0 = _start(item, rating, n_items)
    offset, scale = np.full(n_raters, level), np.full(n_raters, spread)
    variance = np.full(n_raters, noise0**2)
    counts = np.bincount(rater, minlength=n_raters)
    objectives, converged = list[float](), False
    for number in range(MAX_ROUNDS):
        mean, precision, likelihood = _expectation(item, rater, rating, offset, scale, variance, n_items)
        objectives.append(likelihood + _log_prior(offset, scale, variance, level, spread, noise0))
        if number and objectives[-1] < objectives[-2] - 1e-9 * max(1.0, abs(objectives[-1])):
            raise ObjectiveFell(number, objectives[-2], objectives[-1])
        if number and objectives[-1] - objectives[-2] < TOLERANCE_PER_RATING * item.size:
            converged = True
            break
        square = mean**2 + 1 / precision
        offset, scale, variance = _lines(
            rater, rating, mean[item], square[item], counts, level, spread, noise0, n_raters
        )
    average_level, average_scale = float(offset[counts > 0].mean()), float(scale[counts > 0].mean())
    error = 1 / np.sqrt(precision)
    return RatingFit(
        mean, error, average_level + average_scale * mean, abs(average_scale) * error, offset, scale,
        np.sqrt(variance), _shared(item, rater, n_items, n_raters), np.array(objectives), converged,
    )  # fmt: skip


def rating_given_raters(
    item: IntArray, rater: IntArray, rating: FloatArray, n_items: int, lines: tuple[FloatArray, FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Value and its standard error of each item, on the scale of the average rater, raters held.

    Args:
        item, rater, rating: as of `rating_fit`. lines: (W,) offset, scale and noise of each rater, from a fit.
    """
    offset, scale, noise = lines
    _check(item, rater, rating, n_items, offset.size)
    mean, precision, _ = _expectation(item, rater, rating, offset, scale, noise**2, n_items)
    level, slope = float(offset.mean()), float(scale.mean())
    return level + slope * mean, abs(slope) / np.sqrt(precision)


def _check(item: IntArray, rater: IntArray, rating: FloatArray, n_items: int, n_raters: int) -> None:
    if item.ndim != 1 or not item.shape == rater.shape == rating.shape:
        raise VotesMalformed("item, rater and rating must be flat and of one length")
    if not item.size:
        raise NoVotes()
    if not np.isfinite(rating).all():
        raise VotesMalformed("ratings must be finite; leave missing ones out")
    for name, values, limit in (("item", item, n_items), ("rater", rater, n_raters)):
        if values.min() < 0 or values.max() >= limit:
            raise VotesMalformed(f"{name} must lie in 0..{limit - 1}, got {values.min()}..{values.max()}")


def _start(item: IntArray, rating: FloatArray, n_items: int) -> tuple[float, float, float]:
    """Level, spread between items and noise within them, from moments; never 0."""
    counts = np.bincount(item, minlength=n_items)
    means = np.bincount(item, rating, n_items) / np.maximum(counts, 1)
    within = float(np.square(rating - means[item]).sum() / max(int((counts[counts > 0] - 1).sum()), 1))
    between = float(means[counts > 0].var()) - within / max(float(counts[counts > 0].mean()), 1.0)
    least = 1e-3 * max(float(np.ptp(rating)), 1.0)
    return float(rating.mean()), max(np.sqrt(max(between, 0.0)), least), max(np.sqrt(within), least)


def _expectation(
    item: IntArray, rater: IntArray, rating: FloatArray, offset: FloatArray, scale: FloatArray, variance: FloatArray,
    n_items: int,
) -> tuple[FloatArray, FloatArray, float]:  # fmt: skip
    """Mean and precision of every quality, and the log-likelihood of the ratings."""
    weight, away = scale[rater] / variance[rater], rating - offset[rater]
    precision = 1.0 + np.bincount(item, weight * scale[rater], n_items)
    pull = np.bincount(item, weight * away, n_items)
    mean: FloatArray = pull / precision
    each: FloatArray = np.log(2 * np.pi * variance[rater]) + away**2 / variance[rater]
    likelihood = -float(each.sum()) / 2 + float((pull * mean - np.log(precision)).sum()) / 2
    return mean, precision.astype(np.float64), likelihood


def _lines(
    rater: IntArray, rating: FloatArray, mean: FloatArray, square: FloatArray, counts: IntArray, level: float,
    spread: float, noise0: float, n_raters: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Each rater's line and noise: a regression on the expected qualities with the prior as extra votes."""

    def add(values: FloatArray) -> FloatArray:
        return np.bincount(rater, values, n_raters).astype(np.float64)

    n, x, xx = counts + PSEUDO_VOTES, add(mean), add(square) + PSEUDO_VOTES
    y, xy = add(rating) + PSEUDO_VOTES * level, add(rating * mean) + PSEUDO_VOTES * spread
    bottom = n * xx - x * x
    offset, scale = (y * xx - x * xy) / bottom, (n * xy - x * y) / bottom
    yy = add(rating**2) + PSEUDO_VOTES * (level**2 + spread**2)
    rest = yy - offset * y - scale * xy
    return offset, scale, (rest + PSEUDO_VOTES * noise0**2) / (counts + PSEUDO_VOTES + 4)


def _log_prior(
    offset: FloatArray, scale: FloatArray, variance: FloatArray, level: float, spread: float, noise0: float
) -> float:
    """Two votes on offset and scale, given the noise; and an inverse gamma on its variance."""
    away = PSEUDO_VOTES * (np.square(offset - level) + np.square(scale - spread) + noise0**2)
    return -float((away / variance + (PSEUDO_VOTES + 4) * np.log(variance)).sum()) / 2


def _shared(item: IntArray, rater: IntArray, n_items: int, n_raters: int) -> BoolArray:
    pairs = np.unique(item * n_raters + rater)
    items, raters = np.divmod(pairs, n_raters)
    shared = np.bincount(items, minlength=n_items)[items] > 1
    return np.bincount(raters[shared], minlength=n_raters) > 0

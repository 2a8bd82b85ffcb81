"""How far raters coincide: Krippendorff's alpha with a bootstrap interval, and percent agreement.

Pure: ratings in as flat arrays, numbers out. Works on counts of values a unit, so a million ratings take no
matrix of units by raters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annotation.errors import AnnotationError

Level = Literal["nominal", "ordinal", "interval"]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")
NO_PAIRS = "no_unit_rated_twice"
NO_VARIATION = "no_variation"


class RatingsMalformed(AnnotationError):
    """The arrays of ratings do not describe ratings."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The ratings are malformed: {detail}.")


@dataclass(frozen=True)
class Agreement:
    """Alpha (1 is perfect, 0 is chance, below 0 is worse) with its 95 % interval.

    `alpha` is None where it is not defined, and `reason` then says why: `no_unit_rated_twice` or
        `no_variation`
    (all ratings equal: 0/0, not 1). `percent` is the share of agreeing pairs of ratings, None without any
    pair.
    """

    level: Level
    alpha: float | None
    low: float | None
    high: float | None
    percent: float | None
    n_units: int
    n_ratings: int
    reason: str | None = None


def krippendorff_alpha(unit: IntArray, value: FloatArray, level: Level = "nominal") -> float | None:
    """Agreement beyond chance, of any number of raters, with missing ratings.

    Args:
        unit: (n,) int64, what was rated, 0 or more. Units rated once are dropped.
        value: (n,) the ratings: categories coded as numbers (nominal) or ranks or quantities. No NaN.
        level: `nominal`, `ordinal` or `interval`.

    Returns:
        Alpha, 1 at best; None where no unit was rated twice or where all ratings are equal.

    Raises:
        RatingsMalformed: other shapes, NaN, negative units or an unknown level.

    Example:
        >>> import numpy as np
        >>> krippendorff_alpha(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 2.0, 2.0]))
        1.0

    Source: Krippendorff, Content Analysis (2004), chapter 11.
    """
    counts, values = _pairable_counts(unit, value, level)
    if counts.size == 0:
        return None
    return _alpha(_coincidences(counts), values, level)


def percent_agreement(unit: IntArray, value: FloatArray) -> float | None:
    """Share of pairs of ratings of one unit that are equal, in [0, 1]; None where no unit was rated twice."""
    counts, _ = _pairable_counts(unit, value, "nominal")
    if counts.size == 0:
        return None
    ratings = counts.sum(axis=1)
    return float((counts * (counts - 1)).sum() / (ratings * (ratings - 1)).sum())


def agreement(
    unit: IntArray, value: FloatArray, level: Level = "nominal", *, seed: int, n_resamples: int = 1000
) -> Agreement:
    """Alpha, percent agreement and the 95 % percentile interval from resampling units.

    Args:
        unit, value, level: as for `krippendorff_alpha`.
        seed: of the resampling; the same seed gives the same interval.
        n_resamples: draws; those without variation do not count.
    """
    counts, values = _pairable_counts(unit, value, level)
    if counts.size == 0:
        return Agreement(level, None, None, None, None, 0, 0, NO_PAIRS)
    alpha = _alpha(_coincidences(counts), values, level)
    percent = percent_agreement(unit, value)
    n_units, n_ratings = counts.shape[0], int(counts.sum())
    if alpha is None:
        return Agreement(level, None, None, None, percent, n_units, n_ratings, NO_VARIATION)
    draws = _bootstrap(counts, values, level, seed=seed, n_resamples=n_resamples)
    low, high = (float(bound) for bound in np.quantile(draws, (0.025, 0.975)))
    return Agreement(level, alpha, low, high, percent, n_units, n_ratings)


def _pairable_counts(unit: IntArray, value: FloatArray, level: Level) -> tuple[FloatArray, FloatArray]:
    """(units rated at least twice, values) counts, and the (values,) themselves in ascending order."""
    if level not in LEVELS:
        raise RatingsMalformed(f"level must be one of {', '.join(LEVELS)}, got {level}")
    if unit.ndim != 1 or unit.shape != value.shape:
        raise RatingsMalformed("unit and value must be flat and of one length")
    if not np.isfinite(np.asarray(value, dtype=np.float64)).all():
        raise RatingsMalformed("values must be finite; leave missing ratings out")
    if unit.size and int(unit.min()) < 0:
        raise RatingsMalformed("units must be 0 or more")
    ratings = np.bincount(unit) if unit.size else np.zeros(0, dtype=np.int64)
    kept = ratings[unit] >= 2 if unit.size else np.zeros(0, dtype=bool)
    values, code = np.unique(np.asarray(value, dtype=np.float64)[kept], return_inverse=True)
    if values.size == 0:
        return np.zeros((0, 0)), values
    row = (np.cumsum(ratings >= 2) - 1)[unit[kept]]
    flat = np.bincount(row * values.size + code, minlength=int((ratings >= 2).sum()) * values.size)
    return flat.reshape(-1, values.size).astype(np.float64), values


def _coincidences(counts: FloatArray, weight: FloatArray | None = None) -> FloatArray:
    """(values, values) coincidences: each ordered pair of a unit's m ratings adds 1 / (m - 1)."""
    scale = (1.0 if weight is None else weight) / (counts.sum(axis=1) - 1.0)
    pairs: FloatArray = (counts * scale[:, None]).T @ counts
    pairs[np.diag_indices_from(pairs)] -= scale @ counts
    return pairs


def _distances(values: FloatArray, marginals: FloatArray, level: Level) -> FloatArray:
    if level == "nominal":
        return 1.0 - np.eye(values.size)
    if level == "interval":
        return np.square(values[:, None] - values[None, :])
    middles = np.cumsum(marginals) - marginals / 2
    return np.square(middles[:, None] - middles[None, :])


def _alpha(coincidences: FloatArray, values: FloatArray, level: Level) -> float | None:
    marginals = coincidences.sum(axis=1)
    total = marginals.sum()
    distances = _distances(values, marginals, level)
    expected = float((np.outer(marginals, marginals) * distances).sum() / (total - 1))
    if expected == 0.0:
        return None
    return 1.0 - float((coincidences * distances).sum()) / expected


def _bootstrap(
    counts: FloatArray, values: FloatArray, level: Level, *, seed: int, n_resamples: int
) -> FloatArray:
    """Alphas of resampled units; units with equal counts are drawn together, as one pattern."""
    patterns, frequency = np.unique(counts, axis=0, return_counts=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(int(frequency.sum()), frequency / frequency.sum(), size=n_resamples)
    alphas = (_alpha(_coincidences(patterns, weight.astype(np.float64)), values, level) for weight in drawn)
    return np.array([alpha for alpha in alphas if alpha is not None])

"""How far raters coincide: Krippendorff's alpha with a bootstrap interval, percent, Cohen, Fleiss, Kendall's W.

Pure: ratings in as flat arrays, numbers out. Works on counts of values a unit, so a million ratings take no
matrix of units by raters.
"""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class CrossAgreement:
    """Share of equal pairs of ratings: between two groups of raters, and within the first, which is the ceiling.

    `between` and `ceiling` are None without a pair; `pairs` and `ceiling_pairs` count them.
    """

    between: float | None
    pairs: int
    ceiling: float | None
    ceiling_pairs: int


def cross_agreement(
    unit: IntArray, value: FloatArray, group: IntArray, one: int, other: int
) -> CrossAgreement:
    """How far two groups (people and a judge) agree on the same units, beside how far the first agrees with itself.

    Args:
        unit, value: as for `krippendorff_alpha`; one rating of each rater and unit.
        group: (n,) int64, the group of each rating's rater. one, other: the groups to compare.

    Raises:
        RatingsMalformed: other shapes, NaN, negative units, or one group named twice.

    Example:
        >>> import numpy as np
        >>> unit, value = np.array([0, 0, 0, 1, 1]), np.array([1.0, 1.0, 1.0, 2.0, 1.0])
        >>> found = cross_agreement(unit, value, np.array([0, 0, 1, 0, 1]), 0, 1)
        >>> round(found.between, 3), found.ceiling
        (0.667, 1.0)
    """
    equal, pairs, own_equal, own = _cross_pairs(unit, value, group, one, other).sum(axis=0)
    return CrossAgreement(
        float(equal / pairs) if pairs else None, int(pairs), float(own_equal / own) if own else None, int(own)
    )


@dataclass(frozen=True)
class CrossInterval:
    """Agreement of two groups on the units that both rated, and of the first with itself there, with 95 % intervals.

    `units`: rated by both. `below`: ceiling minus between, with its interval; None without a ceiling.
    """

    units: int
    found: CrossAgreement
    between_low: float
    between_high: float
    ceiling_low: float | None
    ceiling_high: float | None
    below: float | None
    below_low: float | None
    below_high: float | None


def cross_agreement_interval(
    unit: IntArray,
    value: FloatArray,
    group: IntArray,
    one: int,
    other: int,
    *,
    seed: int,
    n_resamples: int = 1000,
) -> CrossInterval | None:
    """`cross_agreement` on the units that both groups rated, with percentile intervals from resampling units.

    Returns:
        None where no unit was rated by both.
    """
    table = _cross_pairs(unit, value, group, one, other)
    table = table[table[:, 1] > 0]
    if not table.shape[0]:
        return None
    equal, pairs, own_equal, own = table.sum(axis=0)
    found = CrossAgreement(equal / pairs, int(pairs), float(own_equal / own) if own else None, int(own))
    drawn = _resampled_sums(table, seed=seed, n_resamples=n_resamples)
    between = drawn[:, 0] / drawn[:, 1]
    low, high = (float(bound) for bound in np.quantile(between, (0.025, 0.975)))
    if found.ceiling is None:
        return CrossInterval(table.shape[0], found, low, high, None, None, None, None, None)
    has = drawn[:, 3] > 0
    ceiling = drawn[has, 2] / drawn[has, 3]
    ends = [
        float(bound)
        for values in (ceiling, ceiling - between[has])
        for bound in np.quantile(values, (0.025, 0.975))
    ]
    below = found.ceiling - float(equal / pairs)
    return CrossInterval(table.shape[0], found, low, high, ends[0], ends[1], below, ends[2], ends[3])


def percent_agreement_interval(
    unit: IntArray, value: FloatArray, *, seed: int, n_resamples: int = 1000
) -> tuple[float, float, float, int] | None:
    """Share of equal pairs of ratings, its 95 % interval from resampling units, and the pairs; None without any."""
    table = _cross_pairs(unit, value, np.zeros(unit.shape, dtype=np.int64), 0, 1)[:, 2:]
    table = table[table[:, 1] > 0]
    if not table.shape[0]:
        return None
    drawn = _resampled_sums(table, seed=seed, n_resamples=n_resamples)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    equal, pairs = table.sum(axis=0)
    return float(equal / pairs), float(low), float(high), int(pairs)


def _cross_pairs(unit: IntArray, value: FloatArray, group: IntArray, one: int, other: int) -> FloatArray:
    """(units, 4) equal pairs and pairs between the groups, equal pairs and pairs within the first."""
    if unit.ndim != 1 or not unit.shape == value.shape == group.shape or one == other:
        raise RatingsMalformed("unit, value and group must be flat and of one length, and the groups two")
    if not np.isfinite(np.asarray(value, dtype=np.float64)).all() or (unit.size and int(unit.min()) < 0):
        raise RatingsMalformed("values must be finite and units 0 or more")
    if not unit.size:
        return np.zeros((0, 4))
    values, code = np.unique(value, return_inverse=True)
    units = int(unit.max()) + 1
    here, there = (
        np.bincount(unit[group == which] * values.size + code[group == which], minlength=units * values.size)
        .reshape(units, -1)
        .astype(np.float64)
        for which in (one, other)
    )
    each = here.sum(axis=1)
    return np.stack(
        [
            (here * there).sum(axis=1),
            each * there.sum(axis=1),
            (here * (here - 1)).sum(axis=1) / 2,
            each * (each - 1) / 2,
        ],
        axis=1,
    )


def _resampled_sums(table: FloatArray, *, seed: int, n_resamples: int) -> FloatArray:
    """(n_resamples, columns) sums over resampled rows; equal rows are drawn together, as one pattern."""
    patterns, frequency = np.unique(table, axis=0, return_counts=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(int(frequency.sum()), frequency / frequency.sum(), size=n_resamples)
    sums: FloatArray = drawn.astype(np.float64) @ patterns
    return sums


def cohen_kappa(
    one: IntArray, other: IntArray, weights: Literal["none", "linear", "quadratic"] = "none"
) -> float | None:
    """Agreement of two raters beyond what their own margins give by chance.

    Args:
        one, other: (n,) int64, both raters' categories of the same units, 0 or more, in order where weighted.
        weights: how much a disagreement counts: all alike, by distance, or by its square.

    Returns:
        Kappa, 1 at best; None where both always say one and the same (0/0).

    Raises:
        RatingsMalformed: other shapes, no units, negative categories, unknown weights.

    Example:
        >>> import numpy as np
        >>> cohen_kappa(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
        0.5

    Source: Cohen 1960 and 1968.
    """
    powers = {"none": 0, "linear": 1, "quadratic": 2}
    if weights not in powers:
        raise RatingsMalformed(f"weights must be one of {', '.join(powers)}, got {weights}")
    if one.ndim != 1 or one.shape != other.shape or not one.size:
        raise RatingsMalformed("both raters need categories of the same units, at least one")
    if min(int(one.min()), int(other.min())) < 0:
        raise RatingsMalformed("categories must be 0 or more")
    size = int(max(one.max(), other.max())) + 1
    observed = np.bincount(one * size + other, minlength=size * size).reshape(size, size) / one.size
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    cost = (
        (distance > 0).astype(np.float64)
        if weights == "none"
        else distance.astype(np.float64) ** powers[weights]
    )
    expected = float((cost * np.outer(observed.sum(axis=1), observed.sum(axis=0))).sum())
    return None if expected == 0 else 1.0 - float((cost * observed).sum()) / expected


def fleiss_kappa(counts: IntArray) -> float | None:
    """Agreement beyond chance where every unit has the same number of ratings.

    Args:
        counts: (units, categories) int64, ratings of each unit by category; rows have one sum, 2 or more.

    Returns:
        Kappa, 1 at best; None where one category has all ratings (0/0).

    Raises:
        RatingsMalformed: negative counts, or rows that differ in their sum or have fewer than 2.

    Source: Fleiss 1971.
    """
    if counts.ndim != 2 or not counts.size or (counts < 0).any():
        raise RatingsMalformed("counts must be a table of units by categories, 0 or more")
    each = counts.sum(axis=1)
    m = int(each[0])
    if (each != m).any() or m < 2:
        raise RatingsMalformed(
            "every unit needs the same number of ratings, 2 or more; use alpha where they differ"
        )
    within = float(((np.square(counts).sum(axis=1) - m) / (m * (m - 1))).mean())
    chance = float(np.square(counts.sum(axis=0) / counts.sum()).sum())
    return None if chance == 1.0 else (within - chance) / (1.0 - chance)


@dataclass(frozen=True)
class FleissFound:
    """Fleiss' kappa of the units with one number of ratings, with its 95 % interval from resampling units.

    `kappa` is None where one category has all ratings. `n_units`: units with exactly `n_raters` ratings.
    """

    kappa: float | None
    low: float | None
    high: float | None
    n_units: int
    n_raters: int


def fleiss_agreement(unit: IntArray, value: FloatArray, *, seed: int, n_resamples: int = 1000) -> FleissFound | None:
    """Fleiss' kappa where numbers of ratings differ: of the units with the number, 2 or more, that most units have.

    Args:
        unit, value: as for `krippendorff_alpha`, nominal.

    Returns:
        None where no unit was rated twice.

    Raises:
        RatingsMalformed: as `krippendorff_alpha`.

    Example:
        >>> found = fleiss_agreement(np.array([0, 0, 1, 1, 2]), np.array([0.0, 0, 1, 1, 0]), seed=0)
        >>> found.kappa, found.n_units, found.n_raters
        (1.0, 2, 2)
    """
    counts, _ = _pairable_counts(unit, value, "nominal")
    if not counts.size:
        return None
    each = counts.sum(axis=1).astype(np.int64)
    n_raters = int(np.bincount(each).argmax())
    counts = counts[each == n_raters]
    kappa = fleiss_kappa(counts.astype(np.int64))
    if kappa is None:
        return FleissFound(None, None, None, counts.shape[0], n_raters)
    drawn = _resampled_sums(
        np.column_stack([np.square(counts).sum(axis=1), counts]), seed=seed, n_resamples=n_resamples
    )
    within = (drawn[:, 0] / counts.shape[0] - n_raters) / (n_raters * (n_raters - 1))
    chance = np.square(drawn[:, 1:] / (counts.shape[0] * n_raters)).sum(axis=1)
    varied = chance < 1
    low, high = np.quantile((within[varied] - chance[varied]) / (1 - chance[varied]), (0.025, 0.975))
    return FleissFound(kappa, float(low), float(high), counts.shape[0], n_raters)


@dataclass(frozen=True)
class Concordance:
    """Kendall's W of many sets, each ranked by raters of its own: the mean over sets, with 95 % intervals.

    `w`: 1 all alike; unrelated rankings of m raters still give about 1 / m. `rank_correlation`: the mean correlation of two
    raters' ranks that a W stands for, 0 by chance. `n_sets`: ranked by two or more; `n_rankings`: of those.
    """

    w: float
    w_low: float
    w_high: float
    rank_correlation: float
    low: float
    high: float
    n_sets: int
    n_rankings: int


def concordance(sets: Sequence[FloatArray], *, seed: int, n_resamples: int = 1000) -> Concordance | None:
    """Kendall's W over sets of items.

    Args:
        sets: of each set (raters, items) ranks, as for `kendalls_w`; sets with one rater, and those where everybody ties
            all, do not count.
        seed: of resampling the sets.

    Returns:
        None where no set counts.

    Raises:
        RatingsMalformed: a set of fewer than two items, or NaN.

    Example:
        >>> concordance([np.array([[1.0, 2, 3], [1, 2, 3]]), np.array([[1.0, 2, 3], [3, 2, 1]])], seed=0).w
        0.5

    Source: Kendall and Babington Smith 1939; the mean rank correlation (m W - 1) / (m - 1) is theirs too.
    """
    told = [
        (w, (ranks.shape[0] * w - 1) / (ranks.shape[0] - 1), ranks.shape[0])
        for ranks in sets
        if ranks.shape[0] > 1 and (w := kendalls_w(ranks)) is not None
    ]
    if not told:
        return None
    table = np.array([row[:2] for row in told])
    drawn = _resampled_sums(table, seed=seed, n_resamples=n_resamples) / len(told)
    (w_low, low), (w_high, high) = np.quantile(drawn, (0.025, 0.975), axis=0)
    w, correlation = table.mean(axis=0)
    return Concordance(
        float(w), float(w_low), float(w_high), float(correlation), float(low), float(high), len(told),
        sum(row[2] for row in told),
    )  # fmt: skip


def kendalls_w(ranks: FloatArray) -> float | None:
    """Concordance of rankings of the same items, 0 none to 1 all alike, corrected for ties.

    Args:
        ranks: (raters, items) any numbers whose order is the ranking; equal numbers are ties. No NaN.

    Returns:
        W; None where every rater ties all items.

    Raises:
        RatingsMalformed: fewer than two raters or items, or NaN.

    Example:
        >>> import numpy as np
        >>> kendalls_w(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
        1.0

    Source: Kendall and Babington Smith 1939.
    """
    if ranks.ndim != 2 or min(ranks.shape) < 2 or not np.isfinite(ranks).all():
        raise RatingsMalformed("ranks must be finite, of two raters and two items at least")
    raters, items = ranks.shape
    middle = np.stack([_middle_ranks(row) for row in ranks])
    ties = sum(
        float((counts**3 - counts).sum())
        for counts in (np.unique(row, return_counts=True)[1] for row in ranks)
    )
    sums = middle.sum(axis=0)
    bottom = raters**2 * (items**3 - items) - raters * ties
    return None if bottom == 0 else 12.0 * float(np.square(sums - sums.mean()).sum()) / bottom


def _middle_ranks(row: FloatArray) -> FloatArray:
    """(items,) ranks from 1, ties at their middle."""
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    middles: FloatArray = np.cumsum(counts) - (counts - 1) / 2
    return middles[place]


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
    patterns, frequency = _patterns(counts)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(int(frequency.sum()), frequency / frequency.sum(), size=n_resamples)
    alphas = (_alpha(_coincidences(patterns, weight.astype(np.float64)), values, level) for weight in drawn)
    return np.array([alpha for alpha in alphas if alpha is not None])


def _patterns(counts: FloatArray) -> tuple[FloatArray, IntArray]:
    """The different rows, in their order, and how often each occurs."""
    base = int(counts.max()) + 1
    if base ** counts.shape[1] >= 2**62:
        rows, frequency = np.unique(counts, axis=0, return_counts=True)
        return rows, frequency.astype(np.int64)
    # As one number a row: sorting whole rows takes ten times as long.
    codes = counts.astype(np.int64) @ base ** np.arange(counts.shape[1] - 1, -1, -1)
    _, place, frequency = np.unique(codes, return_index=True, return_counts=True)
    return counts[place], frequency.astype(np.int64)

"""Ranks of scores within a data set: percentiles, windows around a quantile, what a filter would drop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.scoring.errors import ScoresNotFinite, ShareOutOfRange, WindowTooLarge

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def mean_ranks(values: FloatArray) -> FloatArray:
    """(n,) rank of each value, 1 lowest; equal values share the mean of their ranks.

    Example:
        >>> mean_ranks(np.array([5.0, 1.0, 5.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: FloatArray = last - (counts - 1) / 2
    return means[position.reshape(-1)]


def rank_correlation(first: FloatArray, second: FloatArray) -> float | None:
    """Spearman's correlation of two (n,) arrays, -1 to 1; None where one of them does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(mean_ranks(first), mean_ranks(second))[0, 1])


def percentiles(scores: FloatArray) -> FloatArray:
    """(n,) percentile of each score within its set, 0 lowest to 100 highest; equal scores share a mean rank.

    Raises:
        ScoresNotFinite: NaN or infinity among them.

    Example:
        >>> percentiles(np.array([5.0, 1.0, 3.0])).tolist()
        [100.0, 0.0, 50.0]
    """
    _check_finite(scores)
    if scores.size < 2:
        return np.zeros(scores.size)
    return 100.0 * (mean_ranks(scores) - 1.0) / (scores.size - 1)


def percentiles_within_lengths(
    scores: FloatArray, n_chosen: IntArray, n_rejected: IntArray, *, step: int = 2
) -> FloatArray:
    """(n,) percentile of each score among pairs of like length, so that a filter does not select by length.

    Args:
        scores: (n,).
        n_chosen, n_rejected: (n,) token counts.
        step: width of a stratum, in tokens, of both n_chosen and n_chosen - n_rejected.

    Returns:
        (n,) 0 to 100 within the pair's stratum; a pair alone in its stratum stands in the middle, at 50.
    """
    _check_finite(scores)
    strata = np.stack([n_chosen // step, (n_chosen - n_rejected) // step], axis=1)
    _, stratum, sizes = np.unique(strata, axis=0, return_inverse=True, return_counts=True)
    stratum = stratum.reshape(-1)
    found = np.full(scores.size, 50.0)
    for index in np.flatnonzero(sizes > 1):
        rows = stratum == index
        found[rows] = percentiles(scores[rows])
    return found


def quantile_window(scores: FloatArray, quantile: float, size: int) -> IntArray:
    """Positions of `size` scores around a quantile, in ascending order of score; ties stay in order.

    Args:
        scores: (n,), in the order of the pair ids.
        quantile: 0 to 1.
        size: 1 to n. At both ends the window is shifted, not shortened.

    Raises:
        ScoresNotFinite, WindowTooLarge.

    Source: the selection of the CHES paper's ranking study.
    """
    _check_finite(scores)
    if not 0.0 <= quantile <= 1.0 or not 1 <= size <= scores.size:
        raise WindowTooLarge(quantile, size, scores.size)
    order = np.argsort(scores, kind="stable")
    middle = int(np.round(quantile * (scores.size - 1)))
    start = min(max(middle - size // 2, 0), scores.size - size)
    return order[start : start + size].astype(np.int64)


def highest_share(scores: FloatArray, share: float) -> BoolArray:
    """(n,) True for the `share` of pairs with the highest scores, rounded to whole pairs.

    Where equal scores straddle the border the earlier pairs are dropped, so the count is exact and stable.

    Raises:
        ScoresNotFinite, ShareOutOfRange.
    """
    _check_finite(scores)
    if not 0.0 <= share <= 1.0:
        raise ShareOutOfRange(share)
    dropped = np.zeros(scores.size, dtype=bool)
    dropped[np.argsort(-scores, kind="stable")[: int(np.round(share * scores.size))]] = True
    return dropped


def _check_finite(scores: FloatArray) -> None:
    bad = int(np.count_nonzero(~np.isfinite(scores)))
    if bad:
        raise ScoresNotFinite(bad)

"""What ratings say about pairs of the completions that were rated together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]
# Half a vote for each outcome: where raters cannot be told apart their noise is not known, and one is never sure.
SMOOTHING = 0.5


@dataclass(frozen=True)
class RatedPairs:
    """(m,) pairs. `posterior`: (m, 3) chances of first, second and tie. `strength`: difference of the values, negative
    where the first is better, with its standard error; both in shares of the scale."""

    posterior: FloatArray
    strength: FloatArray
    strength_se: FloatArray


def rated_pairs(
    first: FloatArray, first_se: FloatArray, second: FloatArray, second_se: FloatArray, raters: FloatArray, *, gap: float
) -> RatedPairs:
    """Pairs from values with standard errors; a difference within `gap` is a tie.

    Args:
        first, second: (m,) values on one scale; first_se, second_se: (m,) above 0. raters: (m,) how many rated both, 1
            or more: what they say is smoothed like that many votes. gap: 0 or more, on that scale.

    Example:
        >>> one = np.ones(1)
        >>> rated_pairs(one, 0.1 * one, 0 * one, 0.1 * one, one, gap=0.5).posterior.round(3).tolist()
        [[0.6, 0.2, 0.2]]
    """
    away = second - first
    error = np.hypot(first_se, second_se)
    p_first, p_second = ndtr((-away - gap) / error), ndtr((away - gap) / error)
    said = raters[:, None] * np.stack([p_first, p_second, 1.0 - p_first - p_second], axis=1)
    return RatedPairs((said + SMOOTHING) / (raters[:, None] + 3 * SMOOTHING), away, error)

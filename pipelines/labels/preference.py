"""From a posterior over outcomes to a preference: direction, flip probability, soft label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.labels.errors import PosteriorMalformed
from pipelines.labels.votes import FIRST, N_OUTCOMES, SECOND, TIE, FloatArray

DIRECTIONS = ("first", "second", "tie")
TIE_LIMIT = 0.5


@dataclass(frozen=True)
class Preferences:
    """One row a comparison; `first` and `second` are its completions in stored order.

    Attributes:
        direction: (n,) int8, 0 first is chosen, 1 second is chosen, 2 tie (no chosen, no rejected).
        flip_probability: (n,) P(rejected better) / (P(chosen better) + P(rejected better)), in [0, 0.5); NaN
            for a tie.
        p_tie: (n,) probability of a tie.
        soft_label: (n,) P(first better) + P(tie) / 2, in stored order.
    """

    direction: NDArray[np.int8]
    flip_probability: FloatArray
    p_tie: FloatArray
    soft_label: FloatArray

    def __len__(self) -> int:
        return int(self.direction.size)

    def direction_keys(self) -> list[str]:
        """The stored keys: `first`, `second`, `tie`."""
        return [DIRECTIONS[index] for index in self.direction]


def preferences(posterior: FloatArray) -> Preferences:
    """Preferences of comparisons from their posteriors.

    Args:
        posterior: (n, 3) P(first better), P(second better), P(tie); rows sum to 1.

    Returns:
        `Preferences`. There is a direction only where one side has more mass than the other and P(tie) < 0.5.

    Raises:
        PosteriorMalformed: wrong shape, not finite, negative, or rows that do not sum to 1.

    Example:
        >>> import numpy as np
        >>> found = preferences(np.array([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]]))
        >>> found.direction_keys(), found.flip_probability.round(2).tolist(), found.soft_label.tolist()
        (['first', 'tie'], [0.25, nan], [0.7, 0.5])
    """
    if posterior.ndim != 2 or posterior.shape[1] != N_OUTCOMES:
        raise PosteriorMalformed(f"expected shape (n, {N_OUTCOMES}), got {posterior.shape}")
    if not np.isfinite(posterior).all() or (posterior < 0).any():
        raise PosteriorMalformed("probabilities must be finite and not negative")
    if posterior.size and np.abs(posterior.sum(axis=1) - 1.0).max() > 1e-6:
        raise PosteriorMalformed("rows must sum to 1")
    first, second, tie = posterior.T
    # Sides that differ by rounding alone are equal: a draw must not fall to one side by the order of a sum.
    decided = (tie < TIE_LIMIT) & (np.abs(first - second) > 1e-9)
    direction = np.where(decided, np.where(first > second, FIRST, SECOND), TIE).astype(np.int8)
    flip = np.full(first.shape, np.nan)
    flip[decided] = np.minimum(first, second)[decided] / (first + second)[decided]
    return Preferences(direction, flip, tie.copy(), first + tie / 2)


def directed(p_direction_first: FloatArray, p_tie: FloatArray, soft_label: FloatArray) -> Preferences:
    """Preferences where the chance of the direction is known apart from the chance of a tie.

    Args:
        p_direction_first: (n,) P(first better, given that one is), in [0, 1].
        p_tie: (n,) P(tie), in [0, 1].
        soft_label: (n,) P(first better) + P(tie) / 2 of one more vote, in [0, 1].

    Example:
        >>> import numpy as np
        >>> found = directed(np.array([0.8, 0.8]), np.array([0.1, 0.6]), np.array([0.7, 0.6]))
        >>> found.direction_keys(), found.flip_probability.round(2).tolist()
        (['first', 'tie'], [0.2, nan])
    """
    for name, values in (
        ("P(first better)", p_direction_first),
        ("P(tie)", p_tie),
        ("soft label", soft_label),
    ):
        if not (np.isfinite(values) & (values >= 0) & (values <= 1)).all():
            raise PosteriorMalformed(f"{name} must lie in 0..1")
    decided = (p_tie < TIE_LIMIT) & (np.abs(p_direction_first - 0.5) > 1e-9)
    direction = np.where(decided, np.where(p_direction_first > 0.5, FIRST, SECOND), TIE).astype(np.int8)
    flip = np.where(decided, np.minimum(p_direction_first, 1.0 - p_direction_first), np.nan)
    return Preferences(direction, flip, p_tie.copy(), soft_label.copy())


def judge_posterior(p_first: FloatArray, p_tie: FloatArray | None = None) -> FloatArray:
    """(n, 3) posterior from a judge's calibrated probabilities.

    Args:
        p_first: (n,) P(first better, given that one is), in [0, 1].
        p_tie: (n,) P(tie), in [0, 1]; None for a judge of two labels, which never says tie.

    Raises:
        PosteriorMalformed: a value outside [0, 1] or not finite.

    Example:
        >>> import numpy as np
        >>> judge_posterior(np.array([0.75]), np.array([0.6])).round(2).tolist()
        [[0.3, 0.1, 0.6]]
    """
    tie = np.zeros_like(p_first) if p_tie is None else p_tie
    for name, values in (("P(first better)", p_first), ("P(tie)", tie)):
        if not (np.isfinite(values) & (values >= 0) & (values <= 1)).all():
            raise PosteriorMalformed(f"{name} must lie in 0..1")
    return np.stack([(1.0 - tie) * p_first, (1.0 - tie) * (1.0 - p_first), tie], axis=1)

"""CHES, the centered hidden embedding similarity of chosen and rejected, from sums of hidden states.

One pass over a pair yields <S1,S2>, <S1,S1>, <S2,S2> and both lengths; every score here follows from those
five, in both directions. `pipelines/engine/passes.py` computes them with a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.scoring.errors import StatesMalformed

VERSION = "1"

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class PairProducts:
    """Inner products of the summed states of n pairs; 1 and 2 are the completions in stored order.

    The names are those under which the values are stored.

    Attributes:
        s12: (n,) <S1,S2>. s11, s22: (n,) <S1,S1>, <S2,S2>. In squared hidden-state units, so they
            compare only within one model.
        n1, n2: (n,) tokens summed, the end token counted, 1 or more.
    """

    s12: FloatArray
    s11: FloatArray
    s22: FloatArray
    n1: IntArray
    n2: IntArray

    def __post_init__(self) -> None:
        parts = (self.s12, self.s11, self.s22, self.n1, self.n2)
        if any(part.ndim != 1 or part.shape != self.s12.shape for part in parts):
            raise StatesMalformed("products and lengths must be flat and of one length")
        if self.n1.size and min(int(self.n1.min()), int(self.n2.min())) < 1:
            raise StatesMalformed("every completion needs at least one state, got a length below 1")


@dataclass(frozen=True)
class ChesScores:
    """(n,) scores. Higher: more alike, a higher risk that training lowers the likelihood of chosen."""

    ches: FloatArray
    ln_ches: FloatArray


def ches_scores(products: PairProducts, *, chosen: int = 0) -> ChesScores:
    """CHES and its length-normalised form, for one direction.

    Args:
        products: of n pairs.
        chosen: 0 if the first completion is the chosen one, 1 if the second is. The score is not symmetric.

    Returns:
        `ches` = <Sw,Sl> - <Sw,Sw> and `ln_ches` = <Mw,Ml> - <Mw,Mw> with M = S / n, each (n,); lower is
        safer, 0 for identical completions. A product that is NaN or infinite gives a score that is: mark it
        failed, do not rank it.

    Example:
        >>> import numpy as np
        >>> one = lambda value: np.array([value])
        >>> found = ches_scores(PairProducts(one(6.0), one(4.0), one(9.0), one(2), one(3)))
        >>> found.ches.tolist(), found.ln_ches.tolist()
        ([2.0], [0.0])

    Source: Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization (ICLR 2025),
    definition 2.
    """
    own, n_own, n_other = (
        (products.s11, products.n1, products.n2) if chosen == 0 else (products.s22, products.n2, products.n1)
    )
    return ChesScores(
        ches=products.s12 - own,
        ln_ches=products.s12 / (n_own * n_other) - own / np.square(n_own, dtype=np.float64),
    )


def hidden_sum(states: FloatArray, mask: NDArray[np.integer] | NDArray[np.bool_]) -> tuple[FloatArray, int]:
    """Sum of the states that predict a completion's tokens, and how many they are.

    Args:
        states: (T, D) last-layer states (after the final norm) of prompt + completion.
        mask: (T,) 1 from the last prompt token to the token before the completion's last one; pads on either
            side 0.

    Returns:
        (D,) sum and the count, 1 or more.

    Raises:
        StatesMalformed: shapes differ, the mask is empty, or a summed state is not finite.
    """
    if states.ndim != 2 or mask.shape != states.shape[:1]:
        raise StatesMalformed(f"expected states (T, D) and mask (T,), got {states.shape} and {mask.shape}")
    chosen = states[mask.astype(bool)]
    if chosen.shape[0] == 0:
        raise StatesMalformed("the mask keeps no state")
    if not np.isfinite(chosen).all():
        raise StatesMalformed("a state is not finite")
    return chosen.sum(axis=0), int(chosen.shape[0])


def pair_products(
    sums_first: FloatArray, sums_second: FloatArray, n1: IntArray, n2: IntArray
) -> PairProducts:
    """Inner products of n pairs from their sums, each (n, D), with (n,) lengths."""
    if sums_first.shape != sums_second.shape or sums_first.ndim != 2:
        raise StatesMalformed(f"expected two (n, D), got {sums_first.shape} and {sums_second.shape}")
    dots = [
        np.einsum("nd,nd->n", left, right)
        for left, right in ((sums_first, sums_second), (sums_first, sums_first), (sums_second, sums_second))
    ]
    return PairProducts(dots[0], dots[1], dots[2], n1, n2)


def levenshtein(first: Sequence[int], second: Sequence[int]) -> int:
    """Fewest insertions, deletions and substitutions that turn one list of token ids into the other.

    Bit-parallel: a whole column of the table is one integer, so 300 tokens against 300 take 300 steps.

    Example:
        >>> levenshtein([1, 2, 3, 4], [1, 3, 4])
        1

    Source: Hyyrö 2001, after Myers 1999.
    """
    if not first or not second:
        return max(len(first), len(second))
    where: dict[int, int] = {}
    for position, token in enumerate(first):
        where[token] = where.get(token, 0) | 1 << position
    mask, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    up, down, distance = mask, 0, len(first)
    for token in second:
        match = where.get(token, 0)
        diagonal = (((match & up) + up) ^ up) | match | down
        right_up = down | (~(diagonal | up) & mask)
        right_down = diagonal & up
        if right_up & last:
            distance += 1
        elif right_down & last:
            distance -= 1
        right_up = ((right_up << 1) | 1) & mask
        right_down = (right_down << 1) & mask
        up = right_down | (~(diagonal | right_up) & mask)
        down = right_up & diagonal
    return distance


def normalized_edit_distance(first: Sequence[int], second: Sequence[int]) -> float:
    """Levenshtein distance over the longer length, in [0, 1]; 0 is identical, also for two empty lists."""
    longest = max(len(first), len(second))
    return levenshtein(first, second) / longest if longest else 0.0

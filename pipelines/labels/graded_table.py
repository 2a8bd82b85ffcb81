"""The graded model's table: the chance of each step for each rater and side at each state, and its derivatives.

A *state* is a point of the grid over the latent difference d, together with a gain: 1, or less where the comparison
is contested (everybody reads it less clearly). A *group* is a rater on one side of one scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import FloatArray, IntArray

AnyFloat = NDArray[np.floating]


@dataclass(frozen=True)
class States:
    """Grid of states. d is symmetric about 0 with one spacing, repeated for each gain.

    Attributes:
        d: (S,) latent difference, positive where the first completion is better.
        gain: (S,) multiplier of all that raters see.
        spacing: of d.
        points: number of values of d; S = points * number of gains.
    """

    d: FloatArray
    gain: FloatArray
    spacing: float
    points: int

    def sum_over_gains(self, values: FloatArray) -> FloatArray:
        """(..., S) summed to (..., points)."""
        summed: FloatArray = values.reshape(*values.shape[:-1], -1, self.points).sum(axis=-2)
        return summed


def states_of(half: int, spacing: float, gains: tuple[float, ...] = (1.0,)) -> States:
    """A grid of 2 half + 1 points. Built from integers, so that it is its own mirror image to the last bit."""
    points = np.arange(-half, half + 1) * spacing
    return States(
        np.tile(points, len(gains)), np.repeat(np.array(gains), points.size), spacing, int(points.size)
    )


@dataclass(frozen=True)
class Block:
    """The groups of one scale, and which rows of the table are theirs.

    Attributes:
        rater, side: (G,) of each group.
        n_steps: K.
        rows: the G * K rows of the table, group by group.
    """

    rater: IntArray
    side: FloatArray
    n_steps: int
    rows: slice


def blocks_of(votes: GradedVotes) -> tuple[list[Block], IntArray]:
    """The groups that occur, by scale, and the (n,) table row of each vote."""
    blocks: list[Block] = []
    row = np.zeros(votes.item.size, dtype=np.int64)
    start = 0
    for scale, n_steps in enumerate(votes.n_steps):
        chosen = np.flatnonzero(votes.scales == scale)
        key = votes.rater[chosen] * 3 + votes.side[chosen] + 1
        seen = np.bincount(key, minlength=3 * votes.n_raters) > 0
        groups, place = np.flatnonzero(seen), (np.cumsum(seen) - 1)[key]
        rows = slice(start, start + groups.size * n_steps)
        row[chosen] = start + place * n_steps + votes.step[chosen]
        blocks.append(Block(groups // 3, (groups % 3 - 1).astype(np.float64), n_steps, rows))
        start = rows.stop
    return blocks, row


def cut_map(n_steps: int) -> FloatArray:
    """(K - 1, m) how the gaps between a scale's m free cuts make its K - 1 symmetric cuts.

    Example:
        >>> cut_map(5) @ [1.0, 0.5]
        array([-1.5, -1. ,  1. ,  1.5])
    """
    free = (n_steps - 1) // 2
    ladder = np.tri(free)
    middle = np.zeros((0 if n_steps % 2 else 1, free))
    return np.concatenate([-ladder[::-1], middle, ladder])


@dataclass(frozen=True)
class Cells:
    """P and what its derivatives are made of, each (G, K, S).

    Attributes:
        p: chance of the step.
        slope: (1 - lapse) (f_hi - f_lo); dP/da = -d slope, dP/db = -side slope.
        stretch: (1 - lapse) (c_hi kappa f_hi - c_lo kappa f_lo) = dP/dk.
        density: (G, K - 1, S), (1 - lapse) kappa f at each cut: dP/dcut, + below and - above.
    """

    p: AnyFloat
    slope: AnyFloat
    stretch: AnyFloat
    density: AnyFloat


def cells_of(block: Block, theta: FloatArray, cuts: FloatArray, states: States, lapse: float,
             dtype: type) -> Cells:  # fmt: skip
    """`Cells` of one block at raters' parameters theta (W, 3): a, b, k."""
    a, b, k = theta[block.rater].T
    kappa = np.exp(k)
    seen = a[:, None] * states.d + (block.side * b)[:, None]
    at_cut = (kappa[:, None] * cuts)[:, :, None] - seen[:, None, :]
    below = expit((at_cut * states.gain).astype(dtype))
    density = below * (1 - below) * ((1.0 - lapse) * states.gain).astype(dtype)
    p: AnyFloat = np.empty((block.rater.size, block.n_steps, states.d.size), dtype=dtype)
    p[:, 0] = below[:, 0]
    np.subtract(below[:, 1:], below[:, :-1], out=p[:, 1:-1])
    np.subtract(1, below[:, -1], out=p[:, -1])
    p *= dtype(1.0 - lapse)
    p += dtype(lapse / block.n_steps)
    stretched = density * (kappa[:, None] * cuts)[:, :, None].astype(dtype)
    return Cells(
        p, _differences(density), _differences(stretched), density * kappa[:, None, None].astype(dtype)
    )


def _differences(at_cuts: AnyFloat) -> AnyFloat:
    """(G, K - 1, S) values at the cuts to (G, K, S): value at the upper cut minus value at the lower one."""
    groups, cuts, states = at_cuts.shape
    out = np.empty((groups, cuts + 1, states), dtype=at_cuts.dtype)
    out[:, 0] = at_cuts[:, 0]
    np.subtract(at_cuts[:, 1:], at_cuts[:, :-1], out=out[:, 1:-1])
    np.negative(at_cuts[:, -1], out=out[:, -1])
    return out


def reference_table(n_steps: int, cuts: FloatArray, discrimination: float, states: States) -> FloatArray:
    """(K, S) chance that the reference rater (no bias, kappa 1, no lapse) says each step in each state."""
    below = expit(states.gain * (cuts[:, None] - discrimination * states.d))
    return np.concatenate([below[:1], np.diff(below, axis=0), 1 - below[-1:]])


def rater_moments(
    block: Block, cells: Cells, counts: AnyFloat, states: States, n_raters: int
) -> tuple[FloatArray, FloatArray]:
    """Score (W, 3) and expected information (W, 3, 3) of raters' parameters from expected counts (G, K, S)."""
    ratio = counts / cells.p
    total = counts.sum(axis=1)
    slope_over_p = cells.slope / cells.p
    pull = (ratio * cells.slope).sum(axis=1).astype(np.float64)
    push = (ratio * cells.stretch).sum(axis=1).astype(np.float64)
    slope2 = ((slope_over_p * cells.slope).sum(axis=1) * total).astype(np.float64)
    cross = ((slope_over_p * cells.stretch).sum(axis=1) * total).astype(np.float64)
    stretch2 = ((cells.stretch * cells.stretch / cells.p).sum(axis=1) * total).astype(np.float64)
    d, side = states.d, block.side
    score = np.stack([-(pull @ d), -side * pull.sum(axis=1), push.sum(axis=1)], axis=1)
    information = np.empty((side.size, 3, 3))
    information[:, 0, 0] = slope2 @ (d * d)
    information[:, 0, 1] = information[:, 1, 0] = side * (slope2 @ d)
    information[:, 1, 1] = side * side * slope2.sum(axis=1)
    information[:, 0, 2] = information[:, 2, 0] = -(cross @ d)
    information[:, 1, 2] = information[:, 2, 1] = -side * cross.sum(axis=1)
    information[:, 2, 2] = stretch2.sum(axis=1)
    return by_rater(block.rater, score, n_raters), by_rater(block.rater, information, n_raters)


def cut_moments(cells: Cells, counts: AnyFloat) -> tuple[FloatArray, FloatArray]:
    """Score (K - 1,) and expected information (K - 1, K - 1) of a scale's cuts, over all groups."""
    ratio = counts / cells.p
    total = counts.sum(axis=1, keepdims=True)
    density = cells.density
    score = (density * (ratio[:, :-1] - ratio[:, 1:])).sum(axis=(0, 2), dtype=np.float64)
    inverse = total / cells.p
    diagonal = (density * density * (inverse[:, :-1] + inverse[:, 1:])).sum(axis=(0, 2), dtype=np.float64)
    beside = -(density[:, :-1] * density[:, 1:] * inverse[:, 1:-1]).sum(axis=(0, 2), dtype=np.float64)
    information = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    return score, information


def by_rater(rater: IntArray, values: FloatArray, n_raters: int) -> FloatArray:
    """(G, ...) values of groups added up to (W, ...)."""
    flat = values.reshape(values.shape[0], int(np.prod(values.shape[1:])))
    columns = [np.bincount(rater, column, n_raters).astype(np.float64) for column in flat.T]
    added: FloatArray = np.stack(columns, axis=1).reshape(n_raters, *values.shape[1:])
    return added

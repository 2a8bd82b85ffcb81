"""How sure the graded model can be of its raters: the information of each vote given the others on its comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.labels.graded_table import AnyFloat, Block, Cells, States, by_rater
from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import BoolArray, FloatArray


@dataclass(frozen=True)
class Batch:
    """Groups of like size: their votes (B, width), padded, and which are real."""

    groups: np.ndarray
    vote: np.ndarray
    real: BoolArray


def batches_of(votes: GradedVotes, block: Block, row: np.ndarray) -> list[Batch]:
    """The votes of a block by group, at most 2**16 places a batch."""
    inside = np.flatnonzero((row >= block.rows.start) & (row < block.rows.stop))
    group = (row[inside] - block.rows.start) // block.n_steps
    sizes = np.bincount(group, minlength=block.rater.size)
    # Numbers of 16 bits are sorted in one pass.
    chosen = inside[np.argsort(group.astype(np.uint16 if sizes.size < 2**16 else np.int64), kind="stable")]
    starts = np.cumsum(sizes) - sizes
    order = np.argsort(sizes, kind="stable")
    by_size, batches, start = sizes[order], list[Batch](), 0
    while start < order.size:
        end = int(np.searchsorted(by_size, by_size[start] * 1.3 + 2, side="right"))
        end = min(end, start + max(1, 2**16 // int(by_size[end - 1])))
        groups, width = order[start:end], int(by_size[end - 1])
        real = np.arange(width) < sizes[groups][:, None]
        place = np.where(real, starts[groups][:, None] + np.arange(width), 0)
        batches.append(Batch(groups, chosen[place], real))
        start = end
    return batches


def left_out_information(
    votes: GradedVotes, block: Block, batches: list[Batch], cells: Cells, posterior: AnyFloat, states: States
) -> FloatArray:
    """(W, 3, 3) expected information of each vote given the OTHER votes on its comparison, added up by rater.

    The information of the complete data acts as if d were known; its intervals are far too short.
    """
    n_steps = block.n_steps
    # Columns of one product a group: P, d slope, slope, stretch.
    sides = np.concatenate(
        [cells.p, cells.slope * states.d.astype(cells.p.dtype), cells.slope, cells.stretch], axis=1
    ).transpose(0, 2, 1)
    inverse = 1 / cells.p
    total = np.zeros((block.rater.size, 3, 3))
    for batch in batches:
        count, width = batch.vote.shape
        step = np.where(batch.real, votes.step[batch.vote], 0)
        own = inverse[batch.groups[:, None], step]
        if votes.weight is not None:
            own = own ** votes.weight[batch.vote][:, :, None].astype(own.dtype)
        others = posterior[votes.item[batch.vote]] * own
        found = (others @ sides[batch.groups]).reshape(count, width, 4, n_steps)
        found /= others.sum(axis=2)[:, :, None, None]
        weight = np.where(batch.real, votes.weights[batch.vote], 0.0).astype(found.dtype)
        scale = np.sqrt(weight[:, :, None] / found[:, :, 0])
        gradient = np.empty((count, 3, width, n_steps), dtype=found.dtype)
        np.multiply(found[:, :, 1], -scale, out=gradient[:, 0])
        np.multiply(
            found[:, :, 2],
            -block.side[batch.groups][:, None, None].astype(found.dtype) * scale,
            out=gradient[:, 1],
        )
        np.multiply(found[:, :, 3], scale, out=gradient[:, 2])
        flat = gradient.reshape(count, 3, -1)
        total[batch.groups] = flat @ flat.transpose(0, 2, 1)
    return by_rater(block.rater, total, votes.n_raters)

"""Graded pairwise votes as arrays: what the graded model takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.votes import FloatArray, IntArray, Votes


@dataclass(frozen=True)
class GradedVotes:
    """One row a vote on a comparison. "Cannot judge" is no row.

    Attributes:
        item: (n,) int64, index of the comparison.
        rater: (n,) int64, index of the rater.
        step: (n,) int64 in 0..K-1; K-1 says that the first completion is clearly better. Of a stored signed
            vote on an odd scale it is m - vote.
        side: (n,) int64, +1 if the first completion was shown first, -1 if second, 0 if unknown.
        n_items, n_raters: sizes; items and raters without a vote are allowed.
        n_steps: K of each scale in use; mostly one.
        scale: (n,) int64, which scale a vote is on; None where there is one.
        weight: (n,) above 0, how much a vote counts; None is 1 each.
        population: (n_raters,) int64, the kind of each rater, 0 the kind whose reliable member is the
            reference (people); None where all are of one kind.
        first, second: (n_items,) int64, completions or systems that recur, -1 unknown; None if none do.
    """

    item: IntArray
    rater: IntArray
    step: IntArray
    side: IntArray
    n_items: int
    n_raters: int
    n_steps: tuple[int, ...]
    scale: IntArray | None = None
    weight: FloatArray | None = None
    population: IntArray | None = None
    first: IntArray | None = None
    second: IntArray | None = None

    def __post_init__(self) -> None:
        if (
            self.item.ndim != 1
            or not self.item.shape == self.rater.shape == self.step.shape == self.side.shape
        ):
            raise VotesMalformed("item, rater, step and side must be flat and of one length")
        if self.item.size == 0:
            raise NoVotes()
        if not self.n_steps or min(self.n_steps) < 2:
            raise VotesMalformed(f"every scale needs at least two steps, got {self.n_steps}")
        _within("item", self.item, 0, self.n_items)
        _within("rater", self.rater, 0, self.n_raters)
        _within("side", self.side, -1, 2)
        _within("scale", self.scales, 0, len(self.n_steps))
        for number, steps in enumerate(self.n_steps):
            _within("step", self.step[self.scales == number], 0, steps)
        self._check_options()

    def _check_options(self) -> None:
        if self.scales.shape != self.item.shape or self.weights.shape != self.item.shape:
            raise VotesMalformed("scale and weight must have one value a vote")
        if not np.isfinite(self.weights).all() or (self.weights <= 0).any():
            raise VotesMalformed("weights must be finite and above 0; leave votes out that shall not count")
        if self.populations.shape != (self.n_raters,):
            raise VotesMalformed(
                f"population must have one value a rater, got shape {self.populations.shape}"
            )
        _within("population", self.populations, 0, self.n_raters + 1)
        if (self.first is None) != (self.second is None):
            raise VotesMalformed("first and second completions must come together")
        for values in (self.first, self.second):
            if values is not None and values.shape != (self.n_items,):
                raise VotesMalformed("first and second must have one value an item")
        if self.first is not None and ((self.first == self.second) & (self.first >= 0)).any():
            raise VotesMalformed("an item compares a completion with itself")

    @cached_property
    def scales(self) -> IntArray:
        """(n,) the scale of each vote."""
        return np.zeros(self.item.size, dtype=np.int64) if self.scale is None else self.scale

    @cached_property
    def weights(self) -> FloatArray:
        """(n,) the weight of each vote."""
        return np.ones(self.item.size) if self.weight is None else self.weight

    @cached_property
    def populations(self) -> IntArray:
        """(n_raters,) the kind of each rater."""
        return np.zeros(self.n_raters, dtype=np.int64) if self.population is None else self.population

    def item_counts(self) -> IntArray:
        """Votes an item, (n_items,)."""
        return np.bincount(self.item, minlength=self.n_items).astype(np.int64)

    def rater_counts(self) -> IntArray:
        """Votes a rater, (n_raters,)."""
        return np.bincount(self.rater, minlength=self.n_raters).astype(np.int64)

    def kept(self, rows: np.ndarray) -> GradedVotes:
        """The same items and raters with some of the votes: `rows` is a mask or indices."""
        return GradedVotes(
            self.item[rows],
            self.rater[rows],
            self.step[rows],
            self.side[rows],
            self.n_items,
            self.n_raters,
            self.n_steps,
            None if self.scale is None else self.scale[rows],
            None if self.weight is None else self.weight[rows],
            self.population,
            self.first,
            self.second,
        )

    def as_labels(self) -> Votes:
        """The steps as categories without order, for aggregators of labels.

        Raises:
            VotesMalformed: several scales, whose steps are not one set of categories.
        """
        if len(self.n_steps) > 1:
            raise VotesMalformed("votes on several scales are no votes on one set of labels")
        return Votes(self.item, self.rater, self.step, self.n_items, self.n_raters, self.n_steps[0])


def step_values(n_steps: int) -> FloatArray:
    """(K,) what each step is worth, positive where the first completion is better; an even scale has no 0.

    Example:
        >>> step_values(5).tolist(), step_values(4).tolist()
        ([-2.0, -1.0, 0.0, 1.0, 2.0], [-2.0, -1.0, 1.0, 2.0])
    """
    half = n_steps // 2
    positive = np.arange(1.0, half + 1.0)
    middle = [0.0] if n_steps % 2 else []
    return np.concatenate([-positive[::-1], middle, positive])


def steps_of_signed(vote: IntArray, n_steps: int) -> IntArray:
    """(n,) steps 0..K-1 of stored signed votes (-m..m, negative: the first is better; even scales lack 0).

    Raises:
        VotesMalformed: a vote that the scale does not have.

    Example:
        >>> steps_of_signed(np.array([-2, 0, 2]), 5).tolist(), steps_of_signed(np.array([-1, 1]), 2).tolist()
        ([4, 2, 0], [1, 0])
    """
    values = -step_values(n_steps)[::-1]
    place = np.searchsorted(values, vote)
    known = (place < n_steps) & (values[np.minimum(place, n_steps - 1)] == vote)
    if not known.all():
        raise VotesMalformed(f"a scale of {n_steps} steps has no vote {vote[~known][0]}")
    return (n_steps - 1 - place).astype(np.int64)


def family_weights(item: IntArray, rater: IntArray, family: IntArray, exponent: FloatArray) -> FloatArray:
    """(n,) weight n^-r of each of the n votes that a family of raters casts on one item.

    Votes of judges on one base model, or of one judge in both orders, are not independent; counted in full
    they make the posterior too sure.

    Args:
        item, rater: (n,) int64.
        family: (n_raters,) int64, 0 or more.
        exponent: (n_raters,) r in [0, 1] of each rater's family: 0 counts every vote in full (people), 1
            counts the family once, 1/2 is our default for judges.

    Raises:
        VotesMalformed: an exponent outside [0, 1].

    Source: ours.
    """
    if not ((exponent >= 0) & (exponent <= 1)).all():
        raise VotesMalformed("family exponents must lie in 0..1")
    cell = item * (int(family.max()) + 1) + family[rater]
    _, place, counts = np.unique(cell, return_inverse=True, return_counts=True)
    weights: FloatArray = counts[place] ** -exponent[rater]
    return weights


def _within(name: str, values: IntArray, low: int, limit: int) -> None:
    if values.dtype != np.int64:
        raise VotesMalformed(f"{name} must be int64, got {values.dtype}")
    if values.size and (int(values.min()) < low or int(values.max()) >= limit):
        raise VotesMalformed(f"{name} must lie in {low}..{limit - 1}, got {values.min()}..{values.max()}")

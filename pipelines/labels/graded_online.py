"""One vote between two refits of the graded model: its comparison and its rater move at once, others wait."""

from __future__ import annotations

import numpy as np

from pipelines.labels.errors import VotesMalformed
from pipelines.labels.graded import GradedFit
from pipelines.labels.graded_table import Block, Cells, cells_of
from pipelines.labels.votes import FloatArray

REFIT_GROWTH = 0.05


class OnlineGraded:
    """A fit that takes votes one by one, in O(K S) each; a later refit replaces it."""

    def __init__(self, fit: GradedFit) -> None:
        self._fit = fit
        self._n_items, self._n_raters = fit.votes.n_items, fit.votes.n_raters
        self._log_joint: dict[int, FloatArray] = {}
        self._theta: dict[int, FloatArray] = {}
        self._precision: dict[int, FloatArray] = {}
        self.votes_since = 0

    def add_item(self) -> int:
        """A comparison that the fit has not seen, at the prior of d; its number.

        Raises:
            VotesMalformed: a fit whose prior differs by comparison; it needs a refit.
        """
        if self._fit.values is not None:
            raise VotesMalformed(
                "this fit gives every comparison a prior of its own; a new one needs a refit"
            )
        self._n_items += 1
        self._log_joint[self._n_items - 1] = self._fit.log_prior
        return self._n_items - 1

    def add_rater(self, population: int = 0) -> int:
        """A rater that the fit has not seen, at the mean of a population; its number."""
        hyper = self._fit.hyper
        self._n_raters += 1
        self._theta[self._n_raters - 1] = hyper.mean[population]
        self._precision[self._n_raters - 1] = np.diag(hyper.spread[population] ** -2.0)
        return self._n_raters - 1

    def posterior(self, item: int) -> FloatArray:
        """(S,) of one comparison, rows of the fit's grid."""
        joint = self._joint(item)
        weights = np.exp(joint - joint.max())
        return np.asarray(weights / weights.sum())

    def theta(self, rater: int) -> FloatArray:
        """(3,) a, b, k of one rater."""
        found = self._theta.get(rater)
        return self._fit.theta[rater] if found is None else found

    def covariance(self, rater: int) -> FloatArray:
        """(3, 3) of `theta`."""
        found = self._precision.get(rater)
        return self._fit.covariance[rater] if found is None else np.asarray(np.linalg.inv(found))

    def add(self, item: int, rater: int, step: int, side: int, *, scale: int = 0) -> None:
        """Count one more vote.

        Raises:
            VotesMalformed: an item, rater, step or side that the fit does not have.

        Source: ours; the rater's step is Fisher scoring on the vote's information given the others.
        """
        cells = self._cells(item, rater, step, side, scale)
        before = self.posterior(item)
        d = self._fit.states.d
        gradients = np.stack([-cells.slope[0] * d, -side * cells.slope[0], cells.stretch[0]])
        expected = cells.p[0] @ before
        slopes = gradients @ before
        precision = self._precision.get(rater)
        if precision is None:
            precision = np.linalg.inv(self._fit.covariance[rater])
        precision = precision + (slopes / expected) @ slopes.T
        score = slopes[:, step] / expected[step]
        self._theta[rater] = self.theta(rater) + np.linalg.solve(precision, score)
        self._precision[rater] = precision
        self._log_joint[item] = self._joint(item) + np.log(cells.p[0, step])
        self.votes_since += 1

    def remove(self, item: int, rater: int, step: int, side: int, *, scale: int = 0) -> None:
        """Take a vote out of its comparison; the rater waits for the next refit."""
        cells = self._cells(item, rater, step, side, scale)
        self._log_joint[item] = self._joint(item) - np.log(cells.p[0, step])
        self.votes_since += 1

    def refit_due(self) -> bool:
        """Whether votes grew by 5 %, or a rater moved by more than a standard error."""
        if self.votes_since > REFIT_GROWTH * self._fit.votes.item.size:
            return True
        for rater, theta in self._theta.items():
            if rater >= self._fit.votes.n_raters:
                continue
            se = np.sqrt(np.diagonal(self._fit.covariance[rater]))
            if (np.abs(theta - self._fit.theta[rater]) > se).any():
                return True
        return False

    def _joint(self, item: int) -> FloatArray:
        found = self._log_joint.get(item)
        return self._fit.log_joint[item].astype(np.float64) if found is None else found

    def _cells(self, item: int, rater: int, step: int, side: int, scale: int) -> Cells:
        votes = self._fit.votes
        limits = {
            "item": (item, self._n_items),
            "rater": (rater, self._n_raters),
            "scale": (scale, len(votes.n_steps)),
        }
        for name, (value, limit) in limits.items():
            if not 0 <= value < limit:
                raise VotesMalformed(f"{name} must lie in 0..{limit - 1}, got {value}")
        n_steps = votes.n_steps[scale]
        if not 0 <= step < n_steps:
            raise VotesMalformed(f"step must lie in 0..{n_steps - 1}, got {step}")
        if side not in (-1, 0, 1):
            raise VotesMalformed(f"side must be -1, 0 or 1, got {side}")
        block = Block(np.zeros(1, dtype=np.int64), np.array([float(side)]), n_steps, slice(0, n_steps))
        fit = self._fit
        return cells_of(block, self.theta(rater)[None], fit.cuts[scale], fit.states, fit.lapse, np.float64)

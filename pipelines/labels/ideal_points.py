"""Ideal points: everybody likes best what lies nearest to a mixture of a few prototypes in one common map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, softmax

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.votes import FloatArray, IntArray

PRECISION = 0.05
LEAST_NEW, RESTARTS = 5, 5


@dataclass(frozen=True)
class IdealPoints:
    """The map.

    Attributes:
        projection: (p, d) from features to the map. prototypes: (K, p).
        mixture: (H, K) weight of each prototype in each person, rows sum to 1.
        log_likelihood: of the votes, in nats.
    """

    projection: FloatArray
    prototypes: FloatArray
    mixture: FloatArray
    log_likelihood: float

    @property
    def people(self) -> FloatArray:
        """(H, p) where everybody's ideal lies."""
        return np.asarray(self.mixture @ self.prototypes)

    def place(self, features: FloatArray) -> FloatArray:
        """(n, p) where completions with (n, d) features lie."""
        return np.asarray(features @ self.projection.T)

    def gap(self, winner: FloatArray, loser: FloatArray, ideal: FloatArray) -> FloatArray:
        """(n,) reward of the winner minus the loser's, reward = -|z - ideal|^2, for (n, p) or (p,) ideals."""
        one, other = self.place(winner), self.place(loser)
        return np.asarray(((other - ideal) ** 2).sum(axis=1) - ((one - ideal) ** 2).sum(axis=1))


def ideal_points(
    winner: FloatArray, loser: FloatArray, rater: IntArray, *, prototypes: int, dimensions: int = 2, seed: int,
    precision: float = PRECISION, restarts: int = RESTARTS,
) -> IdealPoints:  # fmt: skip
    """Fit the map, the prototypes and everybody's mixture by penalised maximum likelihood of sigmoid(reward gap).

    Args:
        winner, loser: (n, d) features of each vote's completions, finite, on like scales.
        rater: (n,) int64 index of the person.
        prototypes: K. dimensions: p of the map.
        seed: of the starts, of which the best stays. precision: of the normal prior on all but the mixtures.

    Raises:
        NoVotes, VotesMalformed: shapes, NaN, or sizes below 1.

    Source: PAL, model A (2024), with a linear map in place of its network.
    """
    _check(winner, loser, rater)
    if min(prototypes, dimensions) < 1:
        raise VotesMalformed(
            f"prototypes and dimensions must be 1 or more, got {prototypes} and {dimensions}"
        )
    people, d = int(rater.max()) + 1, winner.shape[1]
    random = np.random.default_rng(seed)
    sizes = (dimensions * d, prototypes * dimensions, people * prototypes)

    def split(flat: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        a, b, c = np.split(flat, np.cumsum(sizes)[:-1])
        return a.reshape(dimensions, d), b.reshape(prototypes, dimensions), c.reshape(people, prototypes)

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        projection, points, logits = split(flat)
        mixture = softmax(logits, axis=1)
        one, other = winner @ projection.T, loser @ projection.T
        ideal = (mixture @ points)[rater]
        gap = 2 * (ideal * (one - other)).sum(axis=1) - (one**2 - other**2).sum(axis=1)
        pull = -expit(-gap)[:, None]
        on_one, on_other = pull * 2 * (ideal - one), pull * 2 * (other - ideal)
        on_ideal = np.zeros((people, dimensions))
        np.add.at(on_ideal, rater, pull * 2 * (one - other))
        on_projection = on_one.T @ winner + on_other.T @ loser + precision * projection
        on_points = mixture.T @ on_ideal + precision * points
        on_mixture = on_ideal @ points.T
        on_logits = (
            mixture * (on_mixture - (mixture * on_mixture).sum(axis=1, keepdims=True)) + precision * logits
        )
        value = -log_expit(gap).sum() + precision / 2 * float(flat @ flat)
        return float(value), np.concatenate([part.ravel() for part in (on_projection, on_points, on_logits)])

    runs = [
        minimize(
            objective,
            0.5 * random.normal(size=sum(sizes)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000},
        )
        for _ in range(restarts)
    ]
    best = min(runs, key=lambda run: float(run.fun))
    projection, points, logits = split(best.x)
    found = IdealPoints(projection, points, softmax(logits, axis=1), 0.0)
    gap = found.gap(winner, loser, found.people[rater])
    return IdealPoints(projection, points, found.mixture, float(log_expit(gap).sum()))


def new_mixture(
    fit: IdealPoints, winner: FloatArray, loser: FloatArray, *, precision: float = PRECISION
) -> FloatArray:
    """(K,) mixture of a new person from a few votes, all else held.

    Raises:
        VotesMalformed: fewer than 5 votes.
    """
    if winner.shape[0] < LEAST_NEW:
        raise VotesMalformed(f"a new person's ideal needs {LEAST_NEW} votes, got {winner.shape[0]}")

    def objective(logits: FloatArray) -> float:
        ideal = softmax(logits) @ fit.prototypes
        return float(-log_expit(fit.gap(winner, loser, ideal)).sum() + precision / 2 * logits @ logits)

    done = minimize(objective, np.zeros(fit.prototypes.shape[0]), method="L-BFGS-B")
    return np.asarray(softmax(done.x))


def _check(winner: FloatArray, loser: FloatArray, rater: IntArray) -> None:
    if winner.ndim != 2 or winner.shape != loser.shape or rater.shape != winner.shape[:1]:
        raise VotesMalformed("features must be two tables (votes, features) with a rater for each vote")
    if not rater.size:
        raise NoVotes()
    if not (np.isfinite(winner).all() and np.isfinite(loser).all()) or rater.min() < 0:
        raise VotesMalformed("features must be finite and raters 0 or more")

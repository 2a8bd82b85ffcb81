"""A map of ideal points that has to earn its place: how many prototypes held-out votes want, and how sure each point is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit

from pipelines.labels.errors import VotesMalformed
from pipelines.labels.ideal_points import LEAST_NEW, IdealPoints, ideal_points, new_mixture
from pipelines.labels.votes import BoolArray, FloatArray, IntArray

MOST_PROTOTYPES, RESTARTS = 3, 2
HELD_OUT = 5
# Of the prior on all parameters: a weaker one learns single votes by heart where people have given a few dozen.
PRECISION = 2.0
LEAST_HELD_OUT = 20
DRAWS, MOST_DRAWN = 12, 60


@dataclass(frozen=True)
class IdealMap:
    """Where everybody's ideal lies in two dimensions.

    Attributes:
        prototypes: K, of 1 to 3, by held-out votes; with 1 all ideals are one and the same point.
        gain, gain_low, gain_high: nats a held-out vote by which that beats one ideal for all, with a 95 % interval from
            resampling people; 0 with one prototype. held_out: votes.
        points: per number of prototypes, mean log-likelihood of held-out votes; (3,) nats.
        corners: (K, 2) prototypes. people: (H, 2) ideals. spread: (H,) root mean square distance of a person's ideal over
            resamples of their votes, NaN where they are too few or were not drawn.
        directions: (d, 2) where each feature grows.
    """

    prototypes: int
    gain: float
    gain_low: float
    gain_high: float
    held_out: int
    points: FloatArray
    corners: FloatArray
    people: FloatArray
    spread: FloatArray
    directions: FloatArray


def ideal_map(winner: FloatArray, loser: FloatArray, rater: IntArray, *, seed: int) -> IdealMap:
    """Fit ideal points with 1 to 3 prototypes to four fifths of the votes, and keep what tells the rest best.

    Args:
        winner, loser: (n, d) features of each vote's completions, on like scales. rater: (n,) index of the person.
        seed: of splits, starts and resamples.

    Raises:
        VotesMalformed: fewer than 20 votes to hold out.

    Source: PAL (2024); the choice by held-out votes and the spread by resampling are ours.
    """
    random = np.random.default_rng(seed)
    held = random.permutation(rater.size) % HELD_OUT == 0
    # Who has no vote left to learn from cannot be told.
    held &= np.bincount(rater[~held], minlength=int(rater.max()) + 1)[rater] > 0
    if held.sum() < LEAST_HELD_OUT:
        raise VotesMalformed(f"a map needs {LEAST_HELD_OUT} votes to hold out, got {int(held.sum())}")
    told = np.stack([_told(winner, loser, rater, held, k, seed) for k in range(1, MOST_PROTOTYPES + 1)])
    means = told.mean(axis=1)
    best = 1
    for k in range(2, MOST_PROTOTYPES + 1):
        # More prototypes must clearly pay for themselves, or chance alone would add them.
        if _interval(told[k - 1] - told[best - 1], rater[held], random)[0] > 0:
            best = k
    gains = told[best - 1] - told[0]
    low, high = _interval(gains, rater[held], random)
    fit = ideal_points(winner, loser, rater, prototypes=best, seed=seed, restarts=RESTARTS, precision=PRECISION)
    # The origin of the map is free: put the middle of the people there.
    middle = fit.people.mean(axis=0)
    return IdealMap(
        prototypes=best,
        gain=float(gains.mean()),
        gain_low=low,
        gain_high=high,
        held_out=int(held.sum()),
        points=means,
        corners=fit.prototypes - middle,
        people=fit.people - middle,
        spread=_spread(fit, winner, loser, rater, random),
        directions=fit.projection.T.copy(),
    )


def _told(winner: FloatArray, loser: FloatArray, rater: IntArray, held: BoolArray, k: int, seed: int) -> FloatArray:
    """(held,) log-likelihood of each held-out vote with k prototypes."""
    fit = ideal_points(
        winner[~held], loser[~held], rater[~held], prototypes=k, seed=seed, restarts=RESTARTS, precision=PRECISION
    )
    ideal = fit.people[rater[held]]
    return np.asarray(log_expit(fit.gap(winner[held], loser[held], ideal)))


def _interval(gains: FloatArray, rater: IntArray, random: np.random.Generator) -> tuple[float, float]:
    people, place = np.unique(rater, return_inverse=True)
    sums, counts = np.bincount(place, gains), np.bincount(place)
    times = random.multinomial(people.size, np.full(people.size, 1 / people.size), size=1000)
    low, high = np.quantile((times @ sums) / (times @ counts), (0.025, 0.975))
    return float(low), float(high)


def _spread(
    fit: IdealPoints, winner: FloatArray, loser: FloatArray, rater: IntArray, random: np.random.Generator
) -> FloatArray:
    """How far a person's ideal moves when their votes are drawn anew, all else held; of those with most votes."""
    votes = np.bincount(rater)
    spread = np.full(votes.size, np.nan)
    if fit.prototypes.shape[0] == 1:
        return spread
    for person in np.argsort(-votes, kind="stable")[:MOST_DRAWN]:
        own = np.flatnonzero(rater == person)
        if own.size < LEAST_NEW:
            continue
        drawn = [
            new_mixture(fit, winner[rows], loser[rows], precision=PRECISION) @ fit.prototypes
            for rows in (random.choice(own, own.size) for _ in range(DRAWS))
        ]
        spread[person] = np.sqrt(np.square(np.array(drawn) - fit.people[person]).sum(axis=1).mean())
    return spread

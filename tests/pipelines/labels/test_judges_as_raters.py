"""Judges that read a comparison in both orders, as raters of the graded model: what their two readings may weigh."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pipelines.labels.graded import graded_fit
from pipelines.labels.graded_readout import comparisons_of, raters_of
from pipelines.labels.graded_votes import GradedVotes, family_weights, steps_of_signed

ITEMS, PEOPLE, NOISE, PULL = 300, 8, (1.5, 3.0), (0.3, 1.5)
SURE = (0.75, 0.95)


def scene(seed: int) -> tuple[np.ndarray, GradedVotes]:
    """Three people on the first half; two judges on all, whose misreading of the texts is the same in both orders."""
    random = np.random.default_rng(seed)
    d = random.normal(size=ITEMS) * 1.2
    rows = []
    for item in range(ITEMS // 2):
        for person in random.choice(PEOPLE, 3, replace=False):
            seen = (1.8 if person < 6 else 0.3) * d[item] + random.logistic()
            rows.append((item, person, -np.sign(seen) * (1 + np.searchsorted((1.0, 2.5), abs(seen))), 0, 0))
    for judge, (noise, pull) in enumerate(zip(NOISE, PULL, strict=True)):
        for item in range(ITEMS):
            read = 2 * (1.6 * d[item] + random.normal() * noise)
            for side in (1, -1):
                p = expit(read + side * pull)
                rows.append((item, PEOPLE + judge, -np.sign(p - 0.5) * (1 + np.searchsorted(SURE, max(p, 1 - p))), side, 1))
    item, rater, vote, side, scale = np.array(rows).astype(np.int64).T
    population = np.repeat([0, 1], [PEOPLE, 2])
    votes = GradedVotes(item, rater, steps_of_signed(vote, 6), side, ITEMS, PEOPLE + 2, (6, 6), scale, None, population)
    return d > 0, votes


def log_loss(exponent: float, seed: int) -> tuple[float, float]:
    """Log-loss of the direction in nats, and how far the better judge's reliability is above its share of right readings."""
    truth, votes = scene(seed)
    judges = np.where(votes.populations == 1, exponent, 0.0)
    weight = family_weights(votes.item, votes.rater, np.arange(PEOPLE + 2), judges)
    fit = graded_fit(GradedVotes(**{**vars_of(votes), "weight": weight}))
    first = np.clip(comparisons_of(fit).p_direction_first, 1e-6, 1 - 1e-6)
    mine = votes.rater == PEOPLE
    right = ((votes.step[mine] > 2) == truth[votes.item[mine]]).mean()
    return float(-np.log(np.where(truth, first, 1 - first)).mean()), raters_of(fit).reliability[PEOPLE] - right


def vars_of(votes: GradedVotes) -> dict[str, object]:
    return {name: getattr(votes, name) for name in GradedVotes.__dataclass_fields__}


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_two_orders_that_share_one_vote_are_far_more_honest_than_two_votes(exponent):
    pairs = [(log_loss(1.0, seed), log_loss(exponent, seed)) for seed in range(3)]
    (shared, above), (apart, far_above) = np.mean(pairs, axis=0)
    assert shared < 0.45 and apart > shared + 0.1
    assert far_above > above + 0.05

"""Methods with one accuracy a rater, where an outcome is rare or nobody gives it: wrong votes hardly fall there."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.labels.dawid_skene import dawid_skene_one_coin, label_weights, wrong_shares
from pipelines.labels.glad import glad
from pipelines.labels.mace import mace
from pipelines.labels.preference import preferences
from pipelines.labels.votes import N_OUTCOMES, TIE, Votes

PAIRS, RATERS = 1_500, 12


def voted(seed: int, error: float, ties: float) -> tuple[Votes, np.ndarray]:
    """Three of twelve raters vote on each pair, between half and one and a half times the error wrong; so many say tie."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, PAIRS)
    rater = np.argsort(random.random((PAIRS, RATERS)), axis=1)[:, :3].ravel()
    item = np.repeat(np.arange(PAIRS), 3)
    wrong = random.random(item.size) < error * np.linspace(0.5, 1.5, RATERS)[rater]
    label = np.where(wrong, 1 - truth[item], truth[item])
    label[random.random(item.size) < ties] = TIE
    return Votes(item, rater, label, PAIRS, RATERS), truth


def of_labels(*label: int) -> Votes:
    rows = np.arange(len(label), dtype=np.int64)
    return Votes(np.zeros_like(rows), rows, np.array(label, dtype=np.int64), 1, rows.size)


def test_every_label_weighs_alike_but_rare_ones():
    # With one vote a label added: 13, 10 and 1 of 24. Twice 1/24 is less than a third.
    votes = of_labels(*[0] * 12, *[1] * 9)
    assert label_weights(votes) == pytest.approx(np.array([4, 4, 1]) / 9)
    assert wrong_shares(votes) == pytest.approx(np.array([[0, 4 / 5, 1 / 5], [4 / 5, 0, 1 / 5], [1 / 2, 1 / 2, 0]]))
    # No label is rare: as the papers have it.
    assert wrong_shares(of_labels(0, 0, 0, 1, 1, 2)) == pytest.approx((1 - np.eye(N_OUTCOMES)) / (N_OUTCOMES - 1))


@pytest.mark.parametrize("ties", [0.0, 0.03])
@pytest.mark.parametrize("error", [0.1, 0.2])
@pytest.mark.parametrize(("method", "most"), [(dawid_skene_one_coin, 1.3), (glad, 2.0)])
def test_the_flip_rate_is_the_share_of_wrong_labels(method, most, error, ties):
    """GLAD reads a minority as a hard pair, and there are none here: it says too much, and no longer half."""
    votes, truth = voted(0, error, ties)
    found = preferences(method(votes).posterior)
    sided = found.direction != TIE
    wrong = (found.direction != truth)[sided].mean()
    assert 0.7 * wrong < np.nanmean(found.flip_probability) < most * wrong


@pytest.mark.parametrize("ties", [0.0, 0.03])
def test_mace_believes_raters_of_whom_every_third_vote_is_wrong(ties):
    votes, truth = voted(0, 0.3, ties)
    found = mace(votes)
    assert found.rater_honesty is not None and found.rater_honesty.mean() > 0.3
    assert found.rater_honesty[:3].mean() > found.rater_honesty[-3:].mean() + 0.2
    assert (found.posterior.argmax(axis=1) == truth).mean() > 0.72
    assert np.nanmean(preferences(found.posterior).flip_probability) < 0.3


def test_glad_foretells_votes_without_ties():
    votes, _ = voted(0, 0.2, 0.0)
    chances = glad(votes).vote_probabilities(votes.item, votes.rater)
    assert chances.sum(axis=1) == pytest.approx(np.ones(votes.item.size))
    assert chances[:, TIE].max() < 0.01

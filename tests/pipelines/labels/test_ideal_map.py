"""The map of ideals: drawn where people want different things, not where they want the same; and groups' figures."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.groups import clustered_share, group_preference
from pipelines.labels.ideal_map import ideal_map


def planted(people: int, likes: int, seed: int, pairs: int = 30):
    """Votes of people of whom the first `likes` want more of the first feature and the others less of it."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(2, pairs, 3))
    at, who = np.repeat(np.arange(pairs), people), np.tile(np.arange(people), pairs)
    more = features[0, at, 0] > features[1, at, 0]
    first = (more == (who < likes)) == (draw.random(at.size) < 0.95)
    winner = np.where(first[:, None], features[0, at], features[1, at])
    return winner, np.where(first[:, None], features[1, at], features[0, at]), who


def test_two_tastes_lie_apart_and_each_point_says_how_sure_it_is():
    found = ideal_map(*planted(12, 7, seed=0), seed=0)
    assert found.prototypes >= 2 and found.gain > 0.2 and found.gain_low > 0
    along = found.people @ (found.people[:7].mean(axis=0) - found.people[7:].mean(axis=0))
    assert along[:7].min() > along[7:].max()
    assert np.isfinite(found.spread).all() and (found.spread > 0).all()
    assert found.directions.shape == (3, 2) and found.held_out == 72


def test_one_taste_is_one_point():
    found = ideal_map(*planted(12, 12, seed=1), seed=0)
    assert (found.prototypes, found.gain) == (1, 0.0) and np.isnan(found.spread).all()
    assert found.people == pytest.approx(np.zeros((12, 2)), abs=1e-9)


def test_too_few_votes_are_refused():
    winner, loser, who = planted(4, 2, seed=2, pairs=5)
    with pytest.raises(VotesMalformed, match="20 votes to hold out"):
        ideal_map(winner, loser, who, seed=0)


def test_what_a_group_prefers_has_an_interval_over_its_people():
    winner, loser, who = planted(12, 12, seed=3)
    weight, low, high = group_preference(winner - loser, who, seed=0)
    assert (low < weight).all() and (weight < high).all() and low[0] > 0
    assert ((low[1:] < 0) & (high[1:] > 0)).any()
    with pytest.raises(NoVotes):
        group_preference(np.zeros((0, 3)), np.zeros(0, dtype=np.int64), seed=0)


def test_a_share_over_people_is_wider_than_over_votes():
    """Ten people of twenty equal votes each are ten answers and not two hundred."""
    right, who = np.repeat(np.arange(10) % 2 == 0, 20), np.repeat(np.arange(10), 20)
    share, low, high = clustered_share(right, who, seed=0)
    assert share == 0.5 and high - low > 0.5
    assert clustered_share(right[:0], who[:0], seed=0) is None

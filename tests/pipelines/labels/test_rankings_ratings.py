"""Plackett-Luce against its vector; ratings and yes-or-no against worlds with a known truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipelines.labels.binary import binary_fit
from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.pairs import davidson, pair_table
from pipelines.labels.plackett_luce import plackett_luce
from pipelines.labels.ratings import rating_fit, rating_given_raters
from pipelines.labels.votes import Votes

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "plackett_luce.json").read_text())
RANKINGS = [[[item] for item in ranking] for ranking in VECTOR["inputs"]["rankings_best_first"]]


def test_plackett_luce_is_the_vectors() -> None:
    found, wanted = plackett_luce(RANKINGS, 5), VECTOR["expected"]
    assert found.scores == pytest.approx(wanted["log_strength"], abs=VECTOR["tolerance"])
    assert found.log_likelihood == pytest.approx(wanted["log_likelihood"], abs=VECTOR["tolerance"])
    assert found.first_choice(range(5)) == pytest.approx(wanted["prob_first_choice_all_items"], abs=1e-4)
    assert found.ties.size == 0


def test_two_items_with_ties_are_davidsons() -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(0, 5, 300), random.integers(0, 4, 300)
    second = second + (second >= first)
    outcome = random.integers(0, 3, 300)
    groups = {0: lambda a, b: [[a], [b]], 1: lambda a, b: [[b], [a]], 2: lambda a, b: [[a, b]]}
    rankings = [groups[o](int(a), int(b)) for a, b, o in zip(first, second, outcome, strict=True)]
    found, pairs = plackett_luce(rankings, 5), davidson(pair_table(first, second, outcome, 5))
    assert found.scores == pytest.approx(pairs.scores, abs=1e-6)
    assert found.ties[0] == pytest.approx(pairs.tie, abs=1e-6)
    assert found.standard_errors == pytest.approx(pairs.standard_errors, abs=1e-6)
    assert found.log_likelihood == pytest.approx(pairs.log_likelihood, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_renaming_items_renames_scores(seed: int) -> None:
    names = np.random.default_rng(seed).permutation(5)
    renamed = [[[int(names[item]) for item in group] for group in ranking] for ranking in RANKINGS[:20]]
    one, two = plackett_luce(RANKINGS[:20], 5), plackett_luce(renamed, 5)
    assert two.scores[names] == pytest.approx(one.scores, abs=1e-7)


def test_the_best_of_many_keeps_the_rest_in_the_denominator() -> None:
    best = plackett_luce([[[0]], [[0]], [[1]], [[2]]], 3, left_over=[(1, 2), (1, 2), (0, 2), (0, 1)])
    assert best.first_choice(range(3)) == pytest.approx([0.5, 0.25, 0.25], abs=1e-6)


def test_three_tied_at_once_and_a_lone_winner_are_finite() -> None:
    found = plackett_luce([[[0], [1, 2, 3]], [[0], [3], [1, 2]], [[0], [2], [1], [3]]], 4)
    assert np.isfinite(found.scores).all()
    assert found.scores.argmax() == 0
    assert found.virtual_wins == 0.1
    assert found.ties.size == 2


@pytest.mark.parametrize(
    "rankings",
    [
        [[[0, 1]]],  # a tie and nothing else
        [[[0], [1]], [[0, 1]]],  # the better one wins or ties
        [[[0], [1], [2]], [[2], [0], [1]], [[1], [2], [0]], [[0, 1, 2]]],  # three tie, two never do
    ],
)
def test_ties_that_fit_ever_better_or_worse_have_a_prior(rankings) -> None:
    found = plackett_luce(rankings, 1 + max(item for group in rankings[0] for item in group))
    assert found.virtual_wins == 0.1
    assert np.abs([*found.scores, *found.ties]).max() < 8
    assert found.standard_errors.max() < 10


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pairs_have_a_prior_where_davidsons_model_has(seed: int) -> None:
    random = np.random.default_rng(seed)
    votes = int(random.integers(1, 9))
    first, second = random.integers(0, 4, votes), random.integers(0, 3, votes)
    second = second + (second >= first)
    outcome = random.integers(0, 3, votes)
    groups = {0: lambda a, b: [[a], [b]], 1: lambda a, b: [[b], [a]], 2: lambda a, b: [[a, b]]}
    rankings = [groups[o](int(a), int(b)) for a, b, o in zip(first, second, outcome, strict=True)]
    found, pairs = plackett_luce(rankings, 4), davidson(pair_table(first, second, outcome, 4))
    assert found.virtual_wins == pairs.virtual_wins
    assert found.scores == pytest.approx(pairs.scores, abs=1e-5)


@pytest.mark.parametrize("rankings", [[[[0], [0]]], [[[0], [9]]], [[[], [1]]]])
def test_malformed_rankings_are_refused(rankings) -> None:
    with pytest.raises(VotesMalformed):
        plackett_luce(rankings, 3)


def test_rankings_of_one_item_say_nothing() -> None:
    with pytest.raises(NoVotes):
        plackett_luce([[[0]]], 3)


def rated(seed: int, items: int = 300):
    random = np.random.default_rng(seed)
    offset, scale = random.normal(3, 0.7, 12), np.abs(random.normal(0.8, 0.3, 12))
    noise = random.uniform(0.2, 0.8, 12)
    quality = random.normal(size=items)
    item = np.repeat(np.arange(items), 4)
    rater = np.concatenate([random.choice(12, 4, replace=False) for _ in range(items)])
    rating = offset[rater] + scale[rater] * quality[item] + noise[rater] * random.normal(size=item.size)
    return item, rater, rating, quality, offset, scale, noise


def test_ratings_recover_quality_offset_scale_and_noise() -> None:
    item, rater, rating, quality, offset, scale, noise = rated(0)
    found = rating_fit(item, rater, rating, 300, 12)
    plain = np.bincount(item, rating) / 4
    assert found.converged
    assert np.corrcoef(found.quality, quality)[0, 1] > np.corrcoef(plain, quality)[0, 1] + 0.03
    assert found.offset == pytest.approx(offset, abs=0.25)
    assert found.scale == pytest.approx(scale, abs=0.2)
    assert found.noise == pytest.approx(noise, abs=0.15)
    covered = np.abs(found.quality - quality) < 1.96 * found.standard_error
    assert 0.88 < covered.mean() < 0.99
    assert (np.diff(found.objective) > -1e-7).all()


def test_ratings_move_with_their_scale() -> None:
    item, rater, rating, *_ = rated(1, items=60)
    one, two = rating_fit(item, rater, rating, 60, 12), rating_fit(item, rater, 10 * rating + 5, 60, 12)
    assert two.quality == pytest.approx(one.quality, abs=1e-4)
    assert two.offset == pytest.approx(10 * one.offset + 5, abs=1e-2)


def test_ratings_without_variation_are_finite_and_strangers_flagged() -> None:
    item, rater = np.array([0, 1, 2, 2]), np.array([0, 0, 1, 2])
    found = rating_fit(item, rater, np.full(4, 3.0), 3, 3)
    assert np.isfinite(found.value).all()
    assert found.value == pytest.approx(np.full(3, 3.0), abs=1e-6)
    assert found.identified.tolist() == [False, True, True]
    with pytest.raises(VotesMalformed):
        rating_fit(item, rater, np.array([1.0, np.nan, 1.0, 1.0]), 3, 3)


def test_thresholds_and_care_of_yes_and_no_are_recovered() -> None:
    random = np.random.default_rng(2)
    care, threshold = np.abs(random.normal(2, 0.6, 15)), random.normal(0, 1.0, 15)
    quality = random.normal(0.3, 1, 500)
    item, rater = (part.ravel() for part in np.indices((500, 15)))
    kept = random.random(item.size) < 0.4
    item, rater = item[kept], rater[kept]
    label = (random.random(item.size) < expit(care[rater] * quality[item] - threshold[rater])).astype(
        np.int64
    )
    found = binary_fit(Votes(item, rater, label, 500, 15, 2))
    assert np.corrcoef(found.quality, quality)[0, 1] > 0.8
    assert np.corrcoef(found.threshold, threshold)[0, 1] > 0.95
    assert np.corrcoef(found.discrimination, care)[0, 1] > 0.6
    assert ((found.p_yes > 0) & (found.p_yes < 1)).all()
    swapped = binary_fit(Votes(item, rater, 1 - label, 500, 15, 2))
    assert swapped.p_yes == pytest.approx(1 - found.p_yes, abs=1e-6)
    with pytest.raises(VotesMalformed):
        binary_fit(Votes(item, rater, label, 500, 15, 3))


def test_a_worst_choice_is_a_best_choice_turned_round() -> None:
    best = plackett_luce([[[0]], [[0]], [[1]]], 3, left_over=[(1, 2), (1, 2), (0, 2)], virtual_wins=1.0)
    worst = plackett_luce([], 3, worst=[(0, (1, 2)), (0, (1, 2)), (1, (0, 2))], virtual_wins=1.0)
    assert worst.scores == pytest.approx(-best.scores, abs=1e-7)
    assert worst.covariance == pytest.approx(best.covariance, abs=1e-7)


def test_one_ranking_of_ties_alone_is_finite_with_a_prior() -> None:
    found = plackett_luce([[[0, 1], [2]]], 3, virtual_wins=1.0)
    assert np.isfinite(found.scores).all() and np.isfinite(found.ties).all()
    assert found.scores[0] == pytest.approx(found.scores[1], abs=1e-9)


def test_raters_held_give_the_values_of_their_fit() -> None:
    item, rater, rating, *_ = rated(2, items=60)
    fit = rating_fit(item, rater, rating, 60, 12)
    value, error = rating_given_raters(item, rater, rating, 60, (fit.offset, fit.scale, fit.noise))
    assert value == pytest.approx(fit.value, abs=1e-2) and error == pytest.approx(fit.value_error, abs=1e-2)

"""Circles beside noise, and the winner by one score beside the one by none."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.labels.circles import circles, table_of, winners
from pipelines.labels.errors import VotesMalformed
from pipelines.labels.intransitivity import minimax_mixture, minimax_winner, triads
from pipelines.labels.pairs import pair_table

ROCK = (np.array([0, 1, 2]), np.array([1, 2, 0]), np.array([[9, 1, 0], [8, 2, 0], [7, 3, 0]], dtype=float))


def drawn(scores, each, seed):
    """Every pair of items `each` times, by one score."""
    draw, n = np.random.default_rng(seed), len(scores)
    i, j = np.triu_indices(n, 1)
    won = draw.binomial(each, 1 / (1 + np.exp(scores[j] - scores[i])))
    return i, j, np.stack([won, each - won, np.zeros(won.size)], axis=1).astype(float)


def test_a_circle_of_firm_majorities_is_beyond_noise():
    found = circles(table_of(*ROCK, 3), seed=0)
    assert (found.observed, found.tied, found.cyclic, found.share) == (1, 0, 1, 1.0)
    assert found.cycles.tolist() == [[0, 1, 2]] and found.weakest.tolist() == [4]
    # One score for all three is nearly a coin here, and coins go in a circle one time in four.
    assert 0.1 < found.expected < 0.27


def test_counts_equal_the_dense_count_of_triads():
    first, second, counts = drawn(np.linspace(-0.4, 0.4, 9), 3, seed=2)
    wins = np.zeros((9, 9))
    wins[first, second], wins[second, first] = counts[:, 0], counts[:, 1]
    found, dense = circles(table_of(first, second, counts, 9), seed=0, draws=1), triads(wins)
    assert (found.observed, found.tied, found.cyclic) == (dense.observed, dense.tied, dense.cyclic)
    assert {frozenset(c) for c in found.cycles.tolist()} == {frozenset(c) for c in dense.cycles.tolist()}
    for a, b, c in found.cycles:
        assert wins[a, b] > wins[b, a] and wins[b, c] > wins[c, b] and wins[c, a] > wins[a, c]


def test_noise_alone_stays_inside_what_noise_gives():
    """Three votes a pair make many circles; none of them says anything."""
    for spread in (0.0, 0.3, 1.0):
        runs = [circles(table_of(*drawn(np.linspace(-spread, spread, 8), 3, seed), 8), seed=1) for seed in range(20)]
        assert sum(run.p_value < 0.05 for run in runs) <= 3
        assert np.mean([run.expected for run in runs]) >= np.mean([run.share for run in runs]) - 0.02


def test_parts_that_nothing_connects_have_scores_of_their_own():
    """Ten prompts of three completions each: none compares with another prompt's."""
    parts = [drawn(np.array([0.8, 0.0, -0.8]), 5, seed) for seed in range(10)]
    first, second = (np.concatenate([part[side] + 3 * at for at, part in enumerate(parts)]) for side in (0, 1))
    found = circles(table_of(first, second, np.concatenate([part[2] for part in parts]), 30), seed=0)
    assert found.observed == 10 and found.p_value > 0.05


def test_ties_decide_nothing_and_half_votes_are_refused():
    first, second, counts = ROCK
    tied = counts.copy()
    tied[2] = [3, 3, 4]
    found = circles(table_of(first, second, tied, 3), seed=0)
    assert (found.observed, found.tied, found.share, found.p_value) == (1, 1, None, None)
    with pytest.raises(VotesMalformed, match="whole votes"):
        circles(table_of(first, second, counts * 0.3, 3), seed=0)


def test_without_a_third_comparison_nothing_is_observed():
    found = circles(pair_table(np.array([0, 1]), np.array([1, 2]), np.array([0, 0]), 3), seed=0)
    assert (found.observed, found.share, found.expected, found.cycles.shape) == (0, None, None, (0, 3))


def test_the_minimax_winner_of_a_circle_mixes_where_a_score_sees_nothing():
    """Margins a (1>2) = .4, c (2>3) = .3, b (3>1) = .2: shares in proportion to (c, b, a)."""
    found = winners(*ROCK, 3, seed=0)
    assert found.mixture == pytest.approx(np.array([3, 2, 4]) / 9, abs=1e-6)
    assert found.unique and found.copeland.tolist() == [1, 1, 1]
    assert found.residual > 0.85 > 0.5 > found.residual_expected
    assert np.abs(found.scores).max() < 0.3


def test_a_clear_winner_is_the_same_for_both_and_pairs_without_votes_are_marked():
    first, second = np.repeat([0, 1], 40), np.repeat([1, 2], 40)
    counts = np.tile([[1.0, 0, 0]] * 3 + [[0, 1.0, 0]], (20, 1))
    found = winners(first, second, counts, 3, seed=0)
    assert found.mixture.tolist() == pytest.approx([1, 0, 0], abs=1e-9) and found.scores.argmax() == 0
    assert found.scores_low[0] < found.scores[0] < found.scores_high[0]
    assert found.filled.tolist() == [[False, False, True], [False, False, False], [True, False, False]]
    assert found.wins[0, 2] == pytest.approx(1 / (1 + np.exp(found.scores[2] - found.scores[0])))


def test_items_that_nothing_connects_are_refused():
    with pytest.raises(VotesMalformed, match="never compared"):
        winners(np.array([0, 2]), np.array([1, 3]), np.array([[2.0, 1, 0], [1, 2, 0]]), 4, seed=0)


def test_one_programme_finds_what_many_find():
    draw = np.random.default_rng(3)
    for _ in range(10):
        half = draw.random((6, 6))
        wins = np.triu(half, 1) + np.tril(1 - half.T, -1) + np.eye(6) / 2
        assert minimax_mixture(wins) == pytest.approx(minimax_winner(wins).p, abs=1e-6)


def test_names_of_items_change_nothing():
    first, second, counts = drawn(np.array([0.5, 0.1, -0.2, -0.4]), 9, seed=5)
    new = np.array([2, 0, 3, 1])
    one, other = winners(first, second, counts, 4, seed=0), winners(new[first], new[second], counts, 4, seed=0)
    assert other.scores[new] == pytest.approx(one.scores, abs=1e-6)
    assert other.mixture[new] == pytest.approx(one.mixture, abs=1e-6)

"""Bradley-Terry and its relatives against their vectors, and what must hold for any outcomes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from pipelines.labels import PAIR_MODELS
from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.pairs import (
    PairTable,
    bradley_terry,
    connections,
    crowd_bt,
    davidson,
    pair_table,
    rao_kupper,
)

VECTORS = Path(__file__).parents[2] / "vectors"
TIES = json.loads((VECTORS / "bradley_terry_ties.json").read_text())
CROWD = json.loads((VECTORS / "crowd_bt.json").read_text())


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def vector_table() -> PairTable:
    items, counts = TIES["inputs"]["items"], TIES["inputs"]["counts"]
    i, j = (ints(*(items.index(row[side]) for row in counts)) for side in ("first", "second"))
    wins, losses, ties = (
        np.array([float(row[name]) for row in counts]) for name in ("first_wins", "second_wins", "ties")
    )
    return PairTable(i, j, wins, losses, ties, len(items))


@pytest.mark.parametrize(
    ("model", "name", "tie"), [(davidson, "davidson", "nu"), (rao_kupper, "rao_kupper", "theta")]
)
def test_models_with_ties_are_the_vectors(model, name: str, tie: str) -> None:
    found, wanted = model(vector_table()), TIES["expected"][name]
    tolerance = TIES["tolerance"]
    assert found.scores == pytest.approx([wanted["log_strength"][item] for item in "abcd"], abs=tolerance)
    assert np.exp(found.tie) == pytest.approx(wanted[tie], abs=tolerance)
    assert found.log_likelihood == pytest.approx(wanted["log_likelihood"], abs=tolerance)
    first, second, both = found.outcomes(ints(0), ints(2))[0]
    told = wanted["prob_a_vs_c"]
    assert (first, second, both) == pytest.approx((told["first"], told["second"], told["tie"]), abs=tolerance)


def test_plain_bradley_terry_with_half_wins_is_the_vectors() -> None:
    found, wanted = bradley_terry(vector_table()), TIES["expected"]["plain_bt_ties_as_half_wins"]
    assert found.scores == pytest.approx([wanted["log_strength"][item] for item in "abcd"], abs=1e-4)
    assert found.log_likelihood == pytest.approx(wanted["pseudo_log_likelihood"], abs=1e-4)


def test_crowd_bt_is_the_vectors() -> None:
    rows, names = CROWD["inputs"]["comparisons"], list(CROWD["expected"]["reliability"])
    winner, loser = ints(*(row["winner"] for row in rows)), ints(*(row["loser"] for row in rows))
    rater = ints(*(names.index(row["annotator"]) for row in rows))
    found = crowd_bt(winner, loser, np.zeros_like(winner), rater, 6, len(names))
    assert found.scores == pytest.approx(CROWD["expected"]["scores"], abs=CROWD["tolerance"]["scores"])
    wanted = list(CROWD["expected"]["reliability"].values())
    assert found.reliability == pytest.approx(wanted, abs=CROWD["tolerance"]["reliability"])
    assert found.objective == pytest.approx(CROWD["expected"]["objective"], abs=1e-6)


def test_without_ties_davidson_and_rao_kupper_are_bradley_terry() -> None:
    table = vector_table()
    none = PairTable(table.i, table.j, table.wins_i, table.wins_j, np.zeros(table.i.size), table.n)
    plain = bradley_terry(none).scores
    assert davidson(none).scores == pytest.approx(plain, abs=1e-9)
    assert rao_kupper(none).scores == pytest.approx(plain, abs=1e-9)
    assert davidson(none).outcomes(ints(0), ints(1))[0, 2] == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_swapping_sides_and_order_change_nothing_but_sides(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.integers(0, 6, 200), random.integers(0, 5, 200)
    second = second + (second >= first)
    outcome = random.integers(0, 3, 200)
    order = random.permutation(200)
    swapped = np.array([1, 0, 2])[outcome]
    one = davidson(pair_table(first, second, outcome, 6))
    two = davidson(pair_table(second[order], first[order], swapped[order], 6))
    assert two.scores == pytest.approx(one.scores, abs=1e-8)
    assert two.tie == pytest.approx(one.tie, abs=1e-8)
    here, there = one.outcomes(first, second), two.outcomes(second, first)
    assert there[:, [1, 0, 2]] == pytest.approx(here, abs=1e-8)


def test_a_table_does_not_depend_on_the_way_of_counting() -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(0, 6, 200), random.integers(0, 5, 200)
    second = second + (second >= first)
    outcome, weight = random.integers(0, 3, 200), random.integers(1, 4, 200)
    votes = first, second, outcome
    full = pair_table(*votes, 6, weight.astype(np.float64))
    sorted_pairs = pair_table(*votes, 1_000, weight.astype(np.float64))
    repeated = pair_table(*(np.repeat(column, weight) for column in votes), 6)
    for table in (sorted_pairs, repeated):
        for name in ("i", "j", "wins_i", "wins_j", "ties"):
            assert (getattr(table, name) == getattr(full, name)).all()
    first_won = (outcome == 0) & (first == 0) & (second == 1) | (outcome == 1) & (first == 1) & (second == 0)
    assert full.wins_i[0] == weight[first_won].sum()


def test_a_chain_of_lopsided_pairs_settles_at_their_log_odds() -> None:
    wins, losses = np.array([[6794.0, 175729, 2856, 131147, 151520], [41168.0, 18238, 256, 5948, 2454]])
    found = bradley_terry(PairTable(np.arange(5), np.arange(1, 6), wins, losses, np.zeros(5), 6))
    assert -np.diff(found.scores) == pytest.approx(np.log(wins / losses), abs=1e-6)
    assert found.standard_errors[0] > 0


def test_standard_errors_shrink_with_votes_and_are_the_bootstraps() -> None:
    table = vector_table()
    many = PairTable(table.i, table.j, 4 * table.wins_i, 4 * table.wins_j, 4 * table.ties, table.n)
    assert davidson(many).standard_errors == pytest.approx(davidson(table).standard_errors / 2, rel=1e-6)


def test_a_completion_that_always_wins_gets_a_finite_score_and_says_so() -> None:
    table = pair_table(ints(0, 0, 1, 2), ints(1, 2, 2, 1), ints(0, 0, 0, 0), 3)
    _, finite = connections(table)
    found = bradley_terry(table)
    assert not finite[0]
    assert found.virtual_wins == 0.1
    assert np.isfinite(found.scores).all()
    assert found.scores[0] == found.scores.max()


def runs_off(table: PairTable) -> bool:
    """The same by linear programming: a direction in which no outcome loses and some gains."""
    rows = []
    for i, j, *counts in zip(table.i, table.j, table.wins_i, table.wins_j, table.ties, strict=True):
        gap = np.zeros(table.n + 1)
        gap[i], gap[j] = 0.5, -0.5
        logits = np.stack([gap, -gap, np.eye(table.n + 1)[table.n]])
        rows += [logits[k] - other for k in range(3) if counts[k] for other in logits]
    found = linprog(-np.sum(rows, axis=0), A_ub=-np.array(rows), b_ub=np.zeros(len(rows)), bounds=(-1, 1))
    return bool(found.fun < -1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_infinite_maxima_are_those_that_linear_programming_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    votes = int(random.integers(1, 8))
    first, second = random.integers(0, 4, votes), random.integers(0, 3, votes)
    second = second + (second >= first)
    table = pair_table(first, second, random.choice([0, 0, 2], votes), 4)
    known = runs_off(table) if table.ties.any() else not connections(table)[1].all()
    for model in (davidson, rao_kupper):
        found = model(table)
        assert (found.virtual_wins > 0) == known
        assert np.abs(found.scores).max() < 12
        assert found.standard_errors.max() < 20


@pytest.mark.parametrize("model", [davidson, rao_kupper])
@pytest.mark.parametrize("outcome", [(2, 2, 2), (0, 2, 2), (0, 0, 2)])
def test_wins_and_ties_of_the_better_one_alone_have_a_prior(model, outcome) -> None:
    found = model(pair_table(ints(0, 0, 0), ints(1, 1, 1), ints(*outcome), 2))
    assert found.virtual_wins == 0.1
    assert np.abs([*found.scores, found.tie]).max() < 8
    assert found.standard_errors.max() < 10


def test_a_start_at_the_maximum_is_left_without_a_warning() -> None:
    even = crowd_bt(ints(0, 0), ints(1, 1), ints(0, 1), ints(0, 0), 2, 1)
    assert even.scores == pytest.approx([0, 0])


def test_crowd_bt_takes_ties_alone_and_knows_its_parts() -> None:
    ties = crowd_bt(ints(0, 1, 2), ints(1, 2, 0), ints(2, 2, 2), ints(0, 1, 0), 3, 2)
    assert ties.scores == pytest.approx([0, 0, 0], abs=1e-9)
    assert ties.virtual_wins == 0.1
    assert ties.outcomes(ints(0), ints(1))[0, 2] > 0.9
    parts = crowd_bt(ints(0, 2, 3), ints(1, 3, 4), ints(0, 0, 0), ints(0, 1, 0), 5, 2)
    assert np.unique(parts.component).size == 2
    assert np.isnan(parts.outcomes(ints(0), ints(2))).all()


def test_crowd_bt_intervals_of_raters_cover_and_shrink() -> None:
    random = np.random.default_rng(1)
    score, right = np.linspace(-3, 3, 8), np.linspace(0.6, 0.95, 40)
    covered, widths = [], []
    for votes in (20, 200):
        rater = np.repeat(np.arange(40), votes)
        first, second = random.integers(0, 8, rater.size), random.integers(0, 7, rater.size)
        second = second + (second >= first)
        better = random.random(rater.size) < 1 / (1 + np.exp(score[second] - score[first]))
        outcome = np.where(better == (random.random(rater.size) < right[rater]), 0, 1)
        found = crowd_bt(first, second, outcome, rater, 8, 40)
        assert found.reliability_interval is not None
        low, high = found.reliability_interval.T
        assert (low < found.reliability).all() and (found.reliability < high).all()
        covered.append(np.mean((low <= right) & (right <= high)))
        widths.append(np.mean(high - low))
    assert min(covered) >= 0.85
    assert widths[1] < widths[0] / 2


def test_parts_that_never_met_do_not_compare() -> None:
    table = pair_table(ints(0, 1, 2, 3), ints(1, 0, 3, 2), ints(0, 0, 0, 0), 4)
    found = bradley_terry(table)
    assert np.unique(found.component).size == 2
    assert np.isnan(found.outcomes(ints(0), ints(2))).all()
    assert np.isfinite(found.outcomes(ints(0), ints(1))).all()


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [((0,), (0,), (0,)), ((0,), (3,), (0,)), ((0,), (1,), (3,)), ((-1,), (1,), (0,))],
)
def test_malformed_outcomes_are_refused(first, second, outcome) -> None:
    with pytest.raises(VotesMalformed):
        pair_table(ints(*first), ints(*second), ints(*outcome), 3)


def test_nothing_is_refused() -> None:
    with pytest.raises(NoVotes):
        pair_table(ints(), ints(), ints(), 3)


def test_an_inverter_among_raters_is_found_and_used() -> None:
    random = np.random.default_rng(0)
    score = np.linspace(-2, 2, 8)
    first, second = random.integers(0, 8, 2000), random.integers(0, 7, 2000)
    second = second + (second >= first)
    rater = random.integers(0, 4, 2000)
    right = random.random(2000) < np.array([0.95, 0.9, 0.7, 0.1])[rater]
    better = random.random(2000) < 1 / (1 + np.exp(score[second] - score[first]))
    outcome = np.where(better == right, 0, 1)
    found = crowd_bt(first, second, outcome, rater, 8, 4)
    assert found.reliability == pytest.approx([0.95, 0.9, 0.7, 0.1], abs=0.12)  # the prior pulls up
    assert np.corrcoef(found.scores, score)[0, 1] > 0.97


def test_every_registered_pair_model_loads() -> None:
    for key, entry in PAIR_MODELS.items():
        votes = (ints(0, 1, 2, 0), ints(1, 2, 0, 1), ints(0, 0, 0, 1))
        call = (*votes, ints(0, 1, 0, 1), 3, 2) if entry.takes_raters else (pair_table(*votes, 3),)
        assert entry.load()(*call).method == key

"""What answers say about pairs: vectors, symmetry, and that nobody alone is sure."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import InputRefused
from pipelines.labels.preference import preferences
from pipelines.pairs.answers import Order, PairRule, labels_of, order_of, ratings_of, rule_parse, speaking
from pipelines.pairs.orders import pairs_said, places_apart
from pipelines.pairs.rated import rated_pairs

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "pair-construction.json").read_text())
RANK = {"key": "r", "type": "listwise", "subject": "comparison"}
RATE = {
    "key": "q", "type": "rating", "subject": "completion", "low": 0, "high": 10, "aspects": [{"key": "a"}, {"key": "b"}]
}  # fmt: skip
orders = st.permutations(range(4)).map(lambda items: Order(tuple((item,) for item in items)))


def directed(found) -> set[tuple[int, int]]:
    direction = {pair: preferences(np.array([told.posterior])).direction[0] for pair, told in found.items()}
    return {(a, b) if d == 0 else (b, a) for (a, b), d in direction.items() if d < 2}


def test_ratings_of_five_give_the_vectors_pairs():
    values = VECTOR["inputs"]["ratings"]
    wanted = VECTOR["expected"]["pairs"]
    order = Order(tuple(tuple(i for i, v in enumerate(values) if v == value) for value in sorted(set(values), reverse=True)))
    found = directed(pairs_said([order], 5))
    assert found == {tuple(pair) for pair in wanted["all"]}
    chosen, rejected = (np.array(column) for column in zip(*sorted(found), strict=True))
    _, span = places_apart(np.zeros(len(found), dtype=np.int64), chosen, rejected)
    assert [(c, r) for c, r, s in zip(chosen, rejected, span, strict=True) if s == 1] == [tuple(wanted["best_vs_worst"])]


def test_ratings_with_a_gap_give_the_vectors_pairs():
    share = np.array(VECTOR["inputs"]["ratings"]) / 5
    pairs = np.array(list(combinations(range(5), 2)))
    error, one = np.full(len(pairs), 1e-6), np.ones(len(pairs))
    found = rated_pairs(share[pairs[:, 0]], error, share[pairs[:, 1]], error, one, gap=1.5 / 5)
    direction = preferences(found.posterior).direction
    kept = {(a, b) if d == 0 else (b, a) for (a, b), d in zip(pairs.tolist(), direction, strict=True) if d < 2}
    assert kept == {tuple(pair) for pair in VECTOR["expected"]["pairs"]["gap_at_least_2"]}


def test_one_order_is_as_sure_as_one_vote_and_three_are_surer():
    (one,) = pairs_said([Order(((0,), (1,)))], 2).values()
    three = pairs_said([Order(((0,), (1,)))] * 3, 2)[0, 1]
    assert one.posterior == pytest.approx((0.603, 0.197, 0.2), abs=1e-3)
    assert three.posterior[0] > one.posterior[0] and three.said == (3, 0, 0)


@settings(max_examples=20, deadline=None)
@given(st.lists(orders, min_size=1, max_size=3), st.permutations(range(4)))
def test_renaming_completions_renames_pairs_and_turning_one_turns_its_numbers(said, names):
    one, other = pairs_said(said, 4), pairs_said([order.renamed(names) for order in said], 4)
    for (a, b), told in one.items():
        x, y = names[a], names[b]
        found = other[min(x, y), max(x, y)]
        first, second = found.posterior[:2] if x < y else found.posterior[1::-1]
        assert (first, second, found.posterior[2]) == pytest.approx(told.posterior, abs=1e-6)


def test_best_and_worst_leave_those_between_untold():
    found = pairs_said([Order(((2,), (0,)), between=(1, 3))], 4)
    assert (1, 3) not in found and directed(found) == {(2, 0), (2, 1), (2, 3), (1, 0), (3, 0)}


def test_a_set_in_which_all_tie_gives_no_direction():
    found = pairs_said([Order(((0, 1, 2),))], 3)
    assert directed(found) == set() and all(told.posterior[2] == pytest.approx(0.6) for told in found.values())


def test_answers_are_read_as_orders_ratings_and_labels():
    assert order_of(RANK, {"r": {"ranks": [3, 1, 1]}}, 3) == Order(((1, 2), (0,)))
    assert order_of(RANK, {"r": {"outcome": "cannot_judge"}}, 3) is None
    assert order_of(RANK, {}, 3) is None
    given = {"q": {"completions": [{"values": {"a": 10, "b": 0}}, {"outcome": "cannot_judge"}]}}
    assert ratings_of(RATE, given, PairRule()) == [0.5, None]
    assert ratings_of(RATE, given, PairRule({"a": 1.0})) == [1.0, None]
    thumb = {"key": "t", "type": "binary", "subject": "comparison"}
    assert labels_of(thumb, {"t": {"label": "no"}}, 1) == [False]
    assert labels_of(thumb, {"t": {"label": "does_not_apply"}}, 1) == [None]
    assert labels_of(thumb, {"t": {"label": "no"}}, 2) == [None, None]


def test_a_form_speaks_by_its_overall_question_else_by_the_first_order():
    assert speaking([RATE, RANK]).order == RANK and speaking([RATE, RANK]).rating is None
    both = speaking([{**RATE, "overall": True}, RANK])
    assert both.order is None and both.rating["key"] == "q"
    assert not speaking([{"key": "p", "type": "pairwise", "subject": "comparison"}])
    principles = {"key": "t", "type": "binary", "subject": "completion", "principles": [{"key": "x"}]}
    assert speaking([principles]).label is None


@pytest.mark.parametrize("aspects", [["a"], ["=1"], ["a=x"], ["a=-1"], ["a=0"], ["a=nan"]])
def test_a_rule_that_weighs_nothing_is_refused(aspects):
    with pytest.raises(InputRefused):
        rule_parse(aspects, 0.0)


def test_places_follow_wins_and_ties_share_one():
    # 0 over 1, 2 and 3; 1 and 2 (which tied) over 3.
    chosen, rejected = np.array([0, 0, 0, 1, 2]), np.array([1, 2, 3, 3, 3])
    apart, span = places_apart(np.zeros(5, dtype=np.int64), chosen, rejected)
    assert apart.tolist() == [1, 1, 2, 1, 1] and span.tolist() == [0.5, 0.5, 1, 0.5, 0.5]

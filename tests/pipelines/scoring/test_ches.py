"""CHES against its vector, and what must hold for any pair."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.scoring import SCORERS
from pipelines.scoring.ches import (
    ChesScores,
    PairProducts,
    ches_scores,
    hidden_sum,
    levenshtein,
    normalized_edit_distance,
    pair_products,
)
from pipelines.scoring.errors import ScoresNotFinite, ShareOutOfRange, StatesMalformed, WindowTooLarge
from pipelines.scoring.ranks import highest_share, percentiles, percentiles_within_lengths, quantile_window

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "ches.json").read_text())
CASES = VECTOR["inputs"]["cases"]
EXPECTED = {case["name"]: case for case in VECTOR["expected"]["cases"]}
TOLERANCE = VECTOR["tolerance"]["absolute"]


def scores_of(case: dict, masks: tuple[np.ndarray, np.ndarray], *, swapped: bool = False) -> ChesScores:
    sides = [
        hidden_sum(np.array(case[f"{side}_hidden"]), mask)
        for side, mask in zip(("chosen", "rejected"), masks, strict=True)
    ]
    if swapped:
        sides.reverse()
    (sum_first, n1), (sum_second, n2) = sides
    products = pair_products(sum_first[None], sum_second[None], np.array([n1]), np.array([n2]))
    return ches_scores(products, chosen=int(swapped))


def file_masks(case: dict) -> tuple[np.ndarray, np.ndarray]:
    return np.array(case["chosen_mask"]), np.array(case["rejected_mask"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vector_is_met(case: dict) -> None:
    found = scores_of(case, file_masks(case))
    assert found.ches[0] == pytest.approx(EXPECTED[case["name"]]["ches"], abs=TOLERANCE)
    assert found.ln_ches[0] == pytest.approx(EXPECTED[case["name"]]["ln_ches"], abs=TOLERANCE)


@pytest.mark.parametrize("expected", VECTOR["expected"]["no_eos_appended"], ids=lambda case: case["name"])
def test_text_without_end_token_sums_every_state_of_the_completion(expected: dict) -> None:
    case = next(case for case in CASES if case["name"] == expected["name"])
    masks = []
    for side in ("chosen", "rejected"):
        mask = np.zeros(len(case[f"{side}_hidden"]))
        mask[case["prompt_len"] - 1 :] = 1
        masks.append(mask)
    found = scores_of(case, (masks[0], masks[1]))
    assert found.ches[0] == pytest.approx(expected["ches"], abs=TOLERANCE)
    assert found.ln_ches[0] == pytest.approx(expected["ln_ches"], abs=TOLERANCE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_other_direction_is_that_of_the_swapped_pair(case: dict) -> None:
    found = scores_of(case, file_masks(case), swapped=True)
    assert found.ches[0] == pytest.approx(EXPECTED[case["name"]]["ches"], abs=TOLERANCE)
    assert found.ln_ches[0] == pytest.approx(EXPECTED[case["name"]]["ln_ches"], abs=TOLERANCE)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_padding_on_either_side_changes_nothing(case: dict, side: str) -> None:
    width = (3, 0) if side == "left" else (0, 3)
    padded = dict(case)
    for name in ("chosen_hidden", "rejected_hidden"):
        padded[name] = np.pad(np.array(case[name]), (width, (0, 0)), constant_values=9.0)
    masks = tuple(np.pad(mask, width) for mask in file_masks(case))
    found, plain = scores_of(padded, (masks[0], masks[1])), scores_of(case, file_masks(case))
    assert found.ches[0] == pytest.approx(plain.ches[0], abs=1e-12)


def test_at_equal_lengths_ches_is_n_squared_times_its_normalised_form() -> None:
    random = np.random.default_rng(0)
    n = np.full(20, 7)
    products = pair_products(random.normal(size=(20, 5)), random.normal(size=(20, 5)), n, n)
    found = ches_scores(products)
    np.testing.assert_allclose(found.ches, 49 * found.ln_ches, atol=1e-12)


def test_faulty_states_are_refused_by_name() -> None:
    states = np.ones((3, 2))
    with pytest.raises(StatesMalformed, match="keeps no state"):
        hidden_sum(states, np.zeros(3))
    with pytest.raises(StatesMalformed, match="not finite"):
        hidden_sum(states * np.nan, np.ones(3))
    with pytest.raises(StatesMalformed, match="length below 1"):
        PairProducts(
            np.ones(1), np.ones(1), np.ones(1), np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)
        )


def test_edit_distances_of_the_vector() -> None:
    found = [
        normalized_edit_distance(pair["chosen"], pair["rejected"])
        for pair in VECTOR["inputs"]["edit_distance_token_ids"]
    ]
    assert found == pytest.approx(VECTOR["expected"]["normalized_edit_distance"])
    assert normalized_edit_distance([], []) == 0.0


def table_distance(first: list[int], second: list[int]) -> int:
    """The textbook table, cell by cell."""
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, start=1):
        previous, row[0] = row[0], i
        for j, right in enumerate(second, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (left != right))
    return row[-1]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=90), st.lists(st.integers(0, 4), max_size=90))
def test_the_bit_parallel_distance_equals_the_table(first: list[int], second: list[int]) -> None:
    assert levenshtein(first, second) == table_distance(first, second) == levenshtein(second, first)


@pytest.mark.parametrize("window", VECTOR["inputs"]["selection"]["windows"])
def test_windows_of_the_vector(window: dict) -> None:
    scores = np.array(VECTOR["inputs"]["selection"]["scores"])
    found = quantile_window(scores, window["quantile"], window["num_elements"])
    key = f"quantile={window['quantile']},n={window['num_elements']}"
    assert found.tolist() == VECTOR["expected"]["selection"][key]


def test_a_window_at_the_end_is_shifted_not_shortened() -> None:
    assert quantile_window(np.arange(5.0), 1.0, 4).tolist() == [1, 2, 3, 4]
    with pytest.raises(WindowTooLarge):
        quantile_window(np.arange(5.0), 0.5, 6)


def test_equal_scores_share_a_percentile_and_keep_their_order_in_a_filter() -> None:
    scores = np.array([1.0, 2.0, 2.0, 3.0])
    assert percentiles(scores).tolist() == [0.0, 50.0, 50.0, 100.0]
    assert highest_share(scores, 0.5).tolist() == [False, True, False, True]
    assert highest_share(scores, 0.0).sum() == 0 and highest_share(scores, 1.0).all()


def test_percentiles_within_lengths_do_not_follow_length() -> None:
    random = np.random.default_rng(1)
    n_chosen, n_rejected = random.integers(4, 20, 2000), random.integers(4, 20, 2000)
    scores = -1.0 / n_chosen + 0.01 * random.normal(size=2000)
    within = percentiles_within_lengths(scores, n_chosen, n_rejected)
    assert abs(np.corrcoef(within, n_chosen)[0, 1]) < 0.1 < np.corrcoef(scores, n_chosen)[0, 1]


def test_scores_that_are_not_finite_are_never_ranked() -> None:
    bad = np.array([1.0, np.nan])
    for rank in (
        percentiles,
        lambda scores: highest_share(scores, 0.5),
        lambda scores: quantile_window(scores, 0, 1),
    ):
        with pytest.raises(ScoresNotFinite, match="1 scores"):
            rank(bad)
    with pytest.raises(ShareOutOfRange):
        highest_share(np.ones(2), 1.5)


@pytest.mark.parametrize("key", sorted(SCORERS))
def test_every_registered_scorer_has_a_function_and_a_direction(key: str) -> None:
    entry = SCORERS[key]
    assert entry.key == key and callable(entry.load()) and entry.values and entry.source

"""Routing under a budget, calibration, and the pilot's draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from pipelines.routing import POLICIES
from pipelines.routing.calibration import expected_calibration_error, fit_calibration, reliability
from pipelines.routing.draw import keyed_uniform, pilot_draw
from pipelines.routing.errors import (
    BudgetBelowPilot,
    BudgetNegative,
    NothingToCalibrate,
    RoutingInputMalformed,
    ShareOutOfRange,
)
from pipelines.routing.policies import RoutingInput, route_by_confidence


def given(confidence: list[float], **changes: object) -> RoutingInput:
    n = len(confidence)
    plain = RoutingInput(
        keys=[f"c{index}" for index in range(n)],
        confidence=np.array(confidence),
        inconsistent=np.zeros(n, dtype=bool),
        pilot=np.zeros(n, dtype=bool),
        cost=np.ones(n, dtype=np.int64),
        pilot_share=0.1,
        budget_annotations=2,
        seed="s",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_least_certain_go_to_people_as_far_as_the_budget_reaches() -> None:
    found = route_by_confidence(given([0.9, 0.6, 0.7, 0.99]))
    assert [decision.destination for decision in found] == ["model", "person", "person", "model"]
    assert [decision.rank for decision in found] == [3, 1, 2, 4]
    assert [decision.reason for decision in found] == [
        "confident",
        "low_confidence",
        "low_confidence",
        "confident",
    ]


def test_missing_predictions_come_first_and_then_inconsistent_ones() -> None:
    found = route_by_confidence(given([0.55, 0.97, np.nan], inconsistent=np.array([False, True, False])))
    assert [(decision.destination, decision.reason) for decision in found] == [
        ("model", "confident"),
        ("person", "inconsistent"),
        ("person", "no_prediction"),
    ]


def test_without_a_prediction_and_without_budget_nobody_labels_it() -> None:
    found = route_by_confidence(
        given([np.nan, 0.6], budget_annotations=0, inconsistent=np.array([False, True]))
    )
    assert [(decision.destination, decision.reason) for decision in found] == [
        ("model", "unlabelled"),
        ("model", "over_budget"),
    ]


def test_the_pilot_goes_to_people_and_counts_against_the_budget() -> None:
    found = route_by_confidence(given([0.99, 0.6, 0.7], pilot=np.array([True, False, False])))
    assert [(decision.destination, decision.reason) for decision in found] == [
        ("person", "pilot"),
        ("person", "low_confidence"),
        ("model", "confident"),
    ]
    assert [decision.propensity for decision in found] == [0.1, 1.0, 0.1]
    with pytest.raises(BudgetBelowPilot, match="takes 3"):
        given([0.9] * 3, pilot=np.ones(3, dtype=bool))


def test_a_comparison_that_takes_several_annotations_costs_as_many() -> None:
    found = route_by_confidence(given([0.6, 0.7], cost=np.array([2, 1])))
    assert [decision.destination for decision in found] == ["person", "model"]


def test_a_budget_below_zero_is_refused() -> None:
    with pytest.raises(BudgetNegative, match="got -1"):
        given([0.6], budget_annotations=-1)


def test_the_order_of_the_input_changes_no_decision() -> None:
    random = np.random.default_rng(0)
    plain = given(random.choice([0.5, 0.7, 0.9], 40).tolist(), budget_annotations=17)
    turned = replace(plain, keys=plain.keys[::-1], confidence=plain.confidence[::-1].copy())
    assert {d.key: d for d in route_by_confidence(plain)} == {d.key: d for d in route_by_confidence(turned)}


def test_faulty_input_is_refused_by_name() -> None:
    with pytest.raises(RoutingInputMalformed, match="unique"):
        given([0.6, 0.6], keys=["a", "a"])
    with pytest.raises(RoutingInputMalformed, match="confidence"):
        given([0.4])
    with pytest.raises(ShareOutOfRange):
        pilot_draw("s", ["a"], 1.2)


def simulate(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A judge that is calibrated in kind `good` and three times too sure of itself in kind `bad`."""
    random = np.random.default_rng(seed)
    kind = random.choice(["good", "bad"], 2000)
    belief = random.normal(0, 1.5, 2000)
    truth = (random.random(2000) < expit(belief)).astype(float)
    return expit(np.where(kind == "good", belief, 3 * belief)), truth, kind


def test_calibration_recovers_the_planted_slopes_and_helps() -> None:
    stated, truth, kind = simulate(0)
    found = fit_calibration(stated[:600], truth[:600], kind[:600])
    assert found.slopes["good"] == pytest.approx(1.0, abs=0.25)
    assert found.slopes["bad"] == pytest.approx(1 / 3, abs=0.1)
    before = reliability(stated[600:], truth[600:])
    after = reliability(found.apply(stated[600:], kind[600:]), truth[600:])
    assert after.log_loss < before.log_loss and after.ece < before.ece and after.brier < before.brier
    assert after.accuracy == before.accuracy, "a slope never changes sides"


def test_few_answers_hardly_move_the_judges_own_statement() -> None:
    stated, truth, kind = simulate(1)
    few = fit_calibration(stated[:2], truth[:2], kind[:2])
    assert 0.2 < few.slope < 3
    assert few.apply(np.array([0.9]), np.array(["unseen"]))[0] == pytest.approx(few.apply(np.array([0.9]))[0])


def test_swapping_the_completions_swaps_the_calibrated_probability() -> None:
    stated, truth, _ = simulate(2)
    plain, swapped = fit_calibration(stated, truth), fit_calibration(1 - stated, 1 - truth)
    assert plain.slope == pytest.approx(swapped.slope, rel=1e-4)
    np.testing.assert_allclose(plain.apply(stated), 1 - plain.apply(1 - stated))


def test_a_judge_that_knows_nothing_ends_near_one_half() -> None:
    random = np.random.default_rng(3)
    stated, truth = expit(random.normal(0, 3, 1000)), random.integers(0, 2, 1000).astype(float)
    assert abs(fit_calibration(stated, truth).apply(np.array([0.95]))[0] - 0.5) < 0.1


def test_ece_of_a_hand_made_case() -> None:
    p_first, truth = (
        np.array([0.8] * 10 + [0.4] * 10),
        np.array([1.0] * 6 + [0.0] * 4 + [0.0] * 6 + [1.0] * 4),
    )
    # Both bins say 0.8 and 0.6 of their own choice and are right 6 times in 10: gaps 0.2 and 0.
    assert expected_calibration_error(p_first, truth, bins=2) == pytest.approx(0.1)
    assert reliability(p_first, truth).accuracy == pytest.approx(0.6)


def test_people_who_tie_pull_toward_one_half() -> None:
    p_first = np.full(200, 0.9)
    tied = fit_calibration(p_first, np.full(200, 0.5)).apply(np.array([0.9]))[0]
    assert 0.5 <= tied < 0.6
    assert reliability(p_first, np.full(200, 0.5)).accuracy is None


def test_nothing_to_calibrate_on_is_refused() -> None:
    with pytest.raises(NothingToCalibrate):
        fit_calibration(np.zeros(0), np.zeros(0))


def test_routing_by_calibrated_confidence_spends_the_budget_in_the_planted_kind() -> None:
    """Two kinds of equal statement, of which one errs 40 % of the time: 90 % of the budget go there."""
    random = np.random.default_rng(4)
    kind = np.array(["good"] * 500 + ["bad"] * 500)
    stated = np.where(random.random(1000) < 0.5, 0.9, 0.1)
    right = random.random(1000) < np.where(kind == "good", 0.97, 0.6)
    truth = np.where(right, stated > 0.5, stated < 0.5).astype(float)
    pilot = pilot_draw("seed", [f"c{index}" for index in range(1000)], 0.1)
    calibrated = fit_calibration(stated[pilot], truth[pilot], kind[pilot]).apply(stated, kind)
    confidence = np.maximum(calibrated, 1 - calibrated)
    found = route_by_confidence(given(confidence.tolist(), pilot=pilot, budget_annotations=100 + 300))
    routed = np.array([decision.reason == "low_confidence" for decision in found])
    assert routed.sum() == 300 and (kind[routed] == "bad").mean() > 0.9


def test_weighting_by_inverse_propensity_gives_the_judges_accuracy_over_all() -> None:
    """What people saw is far from a fair sample; the stored propensities make it one."""
    random = np.random.default_rng(5)
    estimates = []
    confidence = 0.5 + random.random(400) / 2
    right = (random.random(400) < confidence).astype(float)
    keys = [f"c{index}" for index in range(400)]
    for seed in range(200):
        pilot = pilot_draw(str(seed), keys, 0.2)
        found = route_by_confidence(
            given(confidence.tolist(), pilot=pilot, pilot_share=0.2, budget_annotations=200)
        )
        people = np.array([decision.destination == "person" for decision in found])
        weight = 1 / np.array([decision.propensity for decision in found])
        estimates.append((right * weight)[people].sum() / 400)
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - right.mean()) < 3 * error + 0.01


def test_draws_repeat_and_depend_on_seed_and_key_alone() -> None:
    keys = [f"c{index}" for index in range(5000)]
    draw = keyed_uniform("seed", keys)
    np.testing.assert_array_equal(draw[::-1], keyed_uniform("seed", keys[::-1]))
    assert not np.array_equal(draw, keyed_uniform("other", keys))
    assert draw.min() >= 0 and draw.max() < 1 and abs(draw.mean() - 0.5) < 0.02
    assert keyed_uniform("seed", ["c0"])[0] == draw[0]
    assert pilot_draw("seed", keys, 0.1).sum() == 500 and pilot_draw("seed", keys[:3], 0.01).sum() == 1


@pytest.mark.parametrize("key", sorted(POLICIES))
def test_every_registered_policy_keeps_the_contract(key: str) -> None:
    random = np.random.default_rng(6)
    confidence = np.where(random.random(60) < 0.1, np.nan, 0.5 + random.random(60) / 2)
    pilot = pilot_draw("p", [f"c{index}" for index in range(60)], 0.1)
    routing = given(
        confidence.tolist(), pilot=pilot, budget_annotations=30, inconsistent=random.random(60) < 0.2
    )
    found = POLICIES[key].load()(routing)
    assert POLICIES[key].key == key and [decision.key for decision in found] == list(routing.keys)
    assert sum(decision.destination == "person" for decision in found) == 30
    assert all(
        decision.destination == "person" for decision, drawn in zip(found, pilot, strict=True) if drawn
    )
    assert found == POLICIES[key].load()(routing)

"""Pair losses against their vector, and what must hold for every margin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.training.errors import FlipRateTooHigh
from pipelines.training.losses import cdpo_loss, dpo_loss, rdpo_loss, reward_margin, soft_dpo_loss

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "rdpo_loss.json").read_text())
EXPECTED, INPUTS, TOLERANCE = VECTOR["expected"], VECTOR["inputs"], VECTOR["tolerance"]
FLIP = INPUTS["epsilon"]


def tensors() -> list[torch.Tensor]:
    names = (
        "policy_chosen_logps",
        "policy_rejected_logps",
        "reference_chosen_logps",
        "reference_rejected_logps",
    )
    return [torch.tensor(INPUTS[name], dtype=torch.float64) for name in names]


@pytest.mark.parametrize("name", ["dpo", "rdpo", "cdpo"])
def test_values_and_gradients_of_the_vector(name: str) -> None:
    chosen, *others = tensors()
    chosen.requires_grad_()
    h = reward_margin(chosen, *others, beta=INPUTS["beta"])
    loss = {"dpo": dpo_loss, "rdpo": lambda h: rdpo_loss(h, FLIP), "cdpo": lambda h: cdpo_loss(h, FLIP)}[
        name
    ](h)
    loss.sum().backward()
    assert h.tolist() == pytest.approx(EXPECTED["h"], abs=TOLERANCE)
    assert loss.tolist() == pytest.approx(EXPECTED[f"{name}_loss"], abs=TOLERANCE)
    assert chosen.grad is not None
    assert chosen.grad.tolist() == pytest.approx(
        EXPECTED[f"grad_{name}_wrt_policy_chosen_logp"], abs=TOLERANCE
    )
    if name != "dpo":
        assert float(loss.detach().mean()) == pytest.approx(EXPECTED[f"{name}_mean"], abs=TOLERANCE)


def test_cdpo_is_least_at_its_stated_margin() -> None:
    h = torch.tensor([EXPECTED["cdpo_stationary_h"]], dtype=torch.float64, requires_grad=True)
    cdpo_loss(h, FLIP).sum().backward()
    assert h.grad is not None and abs(float(h.grad[0])) < 1e-9


@settings(deadline=None)
@given(st.floats(-40, 40), st.floats(0, 0.49))
def test_averaged_over_flips_rdpo_is_dpo(margin: float, flip_rate: float) -> None:
    h = torch.tensor([margin], dtype=torch.float64)
    mean = (1 - flip_rate) * rdpo_loss(h, flip_rate) + flip_rate * rdpo_loss(-h, flip_rate)
    torch.testing.assert_close(mean, dpo_loss(h), atol=1e-8, rtol=1e-8)


@settings(deadline=None)
@given(st.floats(0, 0.49))
def test_before_training_rdpo_is_log_two_for_every_flip_rate(flip_rate: float) -> None:
    assert float(rdpo_loss(torch.zeros(1, dtype=torch.float64), flip_rate)[0]) == pytest.approx(0.6931471806)


@pytest.mark.parametrize("loss", [cdpo_loss, rdpo_loss])
@pytest.mark.parametrize("flip_rate", [0.5, 0.7, -0.1, float("nan")])
def test_half_flipped_labels_are_refused_and_not_clipped(loss: object, flip_rate: float) -> None:
    with pytest.raises(FlipRateTooHigh, match="below 0.5"):
        loss(torch.zeros(1), flip_rate)  # type: ignore[operator]


@settings(deadline=None)
@given(st.floats(-40, 40), st.floats(0, 0.49))
def test_one_soft_label_for_all_is_cdpo_and_a_sure_one_is_dpo(margin: float, flip_rate: float) -> None:
    h = torch.tensor([margin], dtype=torch.float64)
    torch.testing.assert_close(soft_dpo_loss(h, torch.tensor([1 - flip_rate])), cdpo_loss(h, flip_rate), atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(soft_dpo_loss(h, torch.ones(1)), dpo_loss(h))


def test_a_coin_pulls_the_margin_to_nothing() -> None:
    h = torch.tensor([2.0, -2.0], requires_grad=True)
    soft_dpo_loss(h, torch.full((2,), 0.5)).sum().backward()
    assert h.grad is not None and h.grad[0] > 0 > h.grad[1]

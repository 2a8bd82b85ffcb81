"""Pair losses, a value a pair, on h = beta * (chosen log-ratio - rejected log-ratio), in nats."""

from __future__ import annotations

import torch  # noqa: F401 - the example below uses it
from torch import Tensor
from torch.nn.functional import softplus

from pipelines.training.errors import FlipRateTooHigh


def reward_margin(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
) -> Tensor:
    """(B,) h: beta times how much more the policy than the reference prefers chosen; 0 before training.

    Args:
        policy_chosen, policy_rejected, reference_chosen, reference_rejected: (B,) log-probabilities summed
            over the completion's tokens, in nats.
        beta: above 0.
    """
    return beta * ((policy_chosen - reference_chosen) - (policy_rejected - reference_rejected))


def dpo_loss(h: Tensor) -> Tensor:
    """(B,) -log sigmoid(h); every label is trusted.

    Source: Direct Preference Optimization (2023), equation 7.
    """
    return softplus(-h)


def cdpo_loss(h: Tensor, flip_rate: float) -> Tensor:
    """(B,) (1 - e) L(h) + e L(-h): least at h = log((1 - e) / e), so margins stay finite.

    Args:
        h: (B,) reward margins.
        flip_rate: e, share of labels taken to be flipped, in [0, 0.5).

    Raises:
        FlipRateTooHigh.

    Source: the note on conservative DPO (2023).
    """
    check_flip_rate(flip_rate)
    return (1 - flip_rate) * softplus(-h) + flip_rate * softplus(h)


def rdpo_loss(h: Tensor, flip_rate: float) -> Tensor:
    """(B,) ((1 - e) L(h) - e L(-h)) / (1 - 2e): averaged over flips the clean DPO loss; may be negative.

    Args:
        h: (B,) reward margins.
        flip_rate: e, in [0, 0.5). The gradient never vanishes, so keep epochs few.

    Raises:
        FlipRateTooHigh.

    Example:
        >>> rdpo_loss(torch.zeros(1), 0.2).equal(dpo_loss(torch.zeros(1)))
        True

    Source: Provably Robust DPO (2024), equation 12.
    """
    check_flip_rate(flip_rate)
    return ((1 - flip_rate) * softplus(-h) - flip_rate * softplus(h)) / (1 - 2 * flip_rate)


def soft_dpo_loss(h: Tensor, soft_label: Tensor) -> Tensor:
    """(B,) w L(h) + (1 - w) L(-h): each pair counts for both directions as far as its label is sure.

    Args:
        h: (B,) reward margins.
        soft_label: (B,) w, P(chosen better), in [0, 1]; 1 for all is DPO, one number below for all is cDPO.

    Example:
        >>> h, w = torch.tensor([0.3]), torch.tensor([0.9])
        >>> soft_dpo_loss(h, w).allclose(cdpo_loss(h, 0.1))
        True

    Source: the expectation of the DPO loss over the label's posterior; geometric-averaged and soft-label DPO (2024).
    """
    return soft_label * softplus(-h) + (1 - soft_label) * softplus(h)


def check_flip_rate(flip_rate: float) -> None:
    """Raises FlipRateTooHigh outside [0, 0.5): at one half there is no signal, and clipping would hide it."""
    if not 0.0 <= flip_rate < 0.5:
        raise FlipRateTooHigh(flip_rate)

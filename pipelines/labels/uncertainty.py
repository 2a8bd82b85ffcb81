"""Labels that models made: disagreement of dropout passes, agreement of two iterations, implicit labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit, log_expit, xlogy
from scipy.stats import kendalltau, rankdata

from pipelines.labels.errors import LabelError, VotesMalformed
from pipelines.labels.votes import FloatArray

LN2 = float(np.log(2.0))


class DropoutInactive(LabelError):
    """All passes are equal to the last bit: dropout was off, and the gain would be 0 everywhere."""

    def __init__(self, passes: int) -> None:
        self.passes = passes
        super().__init__(
            f"All {passes} passes gave the same numbers; dropout is off. Switch it on in these modules, or use an ensemble."
        )


def information_gain(p: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Total entropy, expected entropy and their difference, in nats, of each pair over passes.

    Args:
        p: (T, N) P(label right) of T passes with dropout on.

    Returns:
        Three (N,). A low gain means that the passes agree, be it on right, wrong or one half: look at the mean too.

    Raises:
        VotesMalformed: values outside [0, 1], or fewer than two passes. DropoutInactive: equal passes.

    Source: Self-Evolutionary LLMs through Uncertainty-Enhanced Preference Optimization (2024).
    """
    if p.ndim != 2 or p.shape[0] < 2 or not ((p >= 0) & (p <= 1)).all():
        raise VotesMalformed("passes must be a table (T, N) of probabilities, T of 2 or more")
    if (p == p[0]).all():
        raise DropoutInactive(p.shape[0])
    total, expected = _entropy(p.mean(axis=0)), _entropy(p).mean(axis=0)
    return total, expected, total - expected


def gain_weights(gain: FloatArray, exponent: float = 1.0) -> FloatArray:
    """(N,) sampling weights (1 - B)^mu that sum to 1; the printed factor mu would cancel, so it is an exponent."""
    weights = (1 - gain) ** exponent
    return np.asarray(weights / weights.sum())


def gain_smoothing(gain: FloatArray) -> FloatArray:
    """(N,) label smoothing B / (2 ln 2) in [0, 0.5]: our substitute for the printed weight, which turns labels."""
    return np.asarray(0.5 * gain / LN2)


def iteration_consistency(
    rewards: FloatArray,
    before: FloatArray,
    kind: Literal["kendall", "kendall_ordinal", "spearman"] = "kendall",
) -> float | None:
    """(correlation + 1) / 2 of two models' rankings of K completions: 1 alike, 0.5 no relation, 0 opposite.

    Args:
        rewards, before: (K,) of the current and the previous model.
        kind: Kendall's tau-b; tau on ordinal ranks, where ties break by position as in the published script; or
            Spearman on such ranks.

    Returns:
        The consistency, None where it is not defined (one completion, or all rewards equal).

    Source: CREAM (2024).
    """
    if rewards.shape != before.shape or rewards.ndim != 1 or not np.isfinite([rewards, before]).all():
        raise VotesMalformed("both models need finite rewards of the same completions")
    if rewards.size < 2 or np.ptp(rewards) == 0 or np.ptp(before) == 0:
        return None
    if kind == "kendall":
        return float((kendalltau(rewards, before).statistic + 1) / 2)
    here, there = rankdata(rewards, method="ordinal"), rankdata(before, method="ordinal")
    found = kendalltau(here, there).statistic if kind == "kendall_ordinal" else np.corrcoef(here, there)[0, 1]
    return float((found + 1) / 2)


def best_and_worst_agree(rewards: FloatArray, before: FloatArray) -> bool:
    """Whether both models name the same best and the same worst completion."""
    return bool(rewards.argmax() == before.argmax() and rewards.argmin() == before.argmin())


def consistency_loss(margin: FloatArray, consistency: FloatArray) -> FloatArray:
    """(n,) C L(chosen > rejected) + (1 - C) L(rejected > chosen)."""
    return np.asarray(-consistency * log_expit(margin) - (1 - consistency) * log_expit(-margin))


def implicit_label(
    policy_one: FloatArray,
    reference_one: FloatArray,
    policy_two: FloatArray,
    reference_two: FloatArray,
    beta: float,
) -> tuple[FloatArray, FloatArray]:
    """Margin and P(first better) of a policy's own implicit reward from summed log-probabilities.

    Source: Aligning LLMs with Self-generated Preference Data (2024).
    """
    margin = beta * ((policy_one - reference_one) - (policy_two - reference_two))
    return margin, np.asarray(expit(margin))


def _entropy(p: FloatArray) -> FloatArray:
    return np.asarray(-xlogy(p, p) - xlogy(1 - p, 1 - p))

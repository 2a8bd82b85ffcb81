"""What training did to held-out pairs, from log-probabilities before and after, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RESAMPLES = 1000
VERSION = "1"


@dataclass(frozen=True)
class Measurement:
    """A mean over pairs with its 95 % interval from resampling prompts; n pairs."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairLogprobs:
    """(n,) log-probabilities, in nats, before and after; `prompts` names each pair's prompt."""

    chosen_before: FloatArray
    rejected_before: FloatArray
    chosen_after: FloatArray
    rejected_after: FloatArray
    prompts: Sequence[str]


def evaluate_pairs(pairs: PairLogprobs, *, seed: int) -> dict[str, Measurement]:
    """Measurements by name; {} without pairs.

    Returns:
        `ranking_accuracy_before`, `ranking_accuracy_after`: share of pairs whose chosen is the likelier one
            (a draw
        counts half). `reward_accuracy`: share whose chosen gained more than rejected, the accuracy of the
        implicit reward; before training every margin is 0, so it has no before. `chosen_change`,
        `rejected_change`: mean change in nats. `displaced`: share whose chosen fell though its margin rose.
    """
    if not len(pairs.prompts):
        return {}
    chosen_change = pairs.chosen_after - pairs.chosen_before
    rejected_change = pairs.rejected_after - pairs.rejected_before
    by_pair: Mapping[str, FloatArray] = {
        "ranking_accuracy_before": _ahead(pairs.chosen_before, pairs.rejected_before),
        "ranking_accuracy_after": _ahead(pairs.chosen_after, pairs.rejected_after),
        "reward_accuracy": _ahead(chosen_change, rejected_change),
        "chosen_change": chosen_change,
        "rejected_change": rejected_change,
        "displaced": ((chosen_change < 0) & (chosen_change > rejected_change)).astype(np.float64),
    }
    weights = _resampled_prompts(pairs.prompts, seed=seed)
    return {name: _measure(values, weights) for name, values in by_pair.items()}


def _ahead(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.where(left == right, 0.5, (left > right).astype(np.float64))


def _resampled_prompts(prompts: Sequence[str], *, seed: int) -> FloatArray:
    """(resamples, n) how often each pair is drawn when prompts are drawn with replacement."""
    _, group = np.unique(np.asarray(prompts, dtype=object).astype(str), return_inverse=True)
    groups = int(group.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES)
    weights: FloatArray = drawn[:, group].astype(np.float64)
    return weights


def _measure(values: FloatArray, weights: FloatArray) -> Measurement:
    means = (weights @ values) / weights.sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Measurement(float(values.mean()), float(low), float(high), int(values.size))

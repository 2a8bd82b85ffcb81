"""What an ensemble of reward models says about labels: strength, spread, groups, and losses that follow from them.

It measures agreement with what most of the same data teaches, not truth: nothing is flipped before the lowest group is
checked against gold (`flip_checked`), and a flip is a new annotation, never a change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from pipelines.labels.errors import LabelError, NoVotes, VotesMalformed
from pipelines.labels.votes import FloatArray, IntArray

GROUPS = ("flip", "ambiguous", "normal", "strong")
FLIP, AMBIGUOUS, STRONG = 0.2, 0.4, 0.9


class FlipUnchecked(LabelError):
    """Gold does not say that the labels to be flipped are mostly wrong."""

    def __init__(self, wrong: int, n: int) -> None:
        self.wrong, self.n = wrong, n
        super().__init__(
            f"Of {n} gold labels in the group to be flipped {wrong} are wrong; flip only where clearly more than half "
            "are. Check 50 to 100 of them against gold, or send the group to people."
        )


@dataclass(frozen=True)
class EnsembleStrength:
    """Per pair: mean and spread over models of chosen minus rejected.

    Attributes:
        mean, spread: (N,) in the models' units; the spread with ddof 0. vote_share: (N,) models for the label.
        soft_label: (N,) sigmoid of the mean. mild_label: (N,) mean of the sigmoids, milder where models differ.
        order: (N,) pairs by rising mean, equal ones as they come. group: (N,) index into `GROUPS`.
        model_correlation: mean correlation of the models' differences; near 1 the spread says little.
    """

    mean: FloatArray
    spread: FloatArray
    vote_share: FloatArray
    soft_label: FloatArray
    mild_label: FloatArray
    order: IntArray
    group: NDArray[np.int8]
    model_correlation: float


def ensemble_strength(
    chosen: FloatArray,
    rejected: FloatArray,
    *,
    flip: float = FLIP,
    ambiguous: float = AMBIGUOUS,
    strong: float = STRONG,
) -> EnsembleStrength:
    """Strength of labels from (M, N) scores of M models; only differences count, each model has its own zero.

    Args:
        chosen, rejected: (M, N) scores of both completions, finite.
        flip, ambiguous, strong: shares of pairs by rising strength at which the groups end.

    Raises:
        NoVotes: no pair or model. VotesMalformed: shapes, NaN, or shares out of order.

    Source: Secrets of RLHF in Large Language Models, part II (2024); groups by floor(share * N).
    """
    if chosen.ndim != 2 or chosen.shape != rejected.shape:
        raise VotesMalformed("scores must be two tables of models by pairs, of one shape")
    if not chosen.size:
        raise NoVotes()
    if not (np.isfinite(chosen).all() and np.isfinite(rejected).all()):
        raise VotesMalformed("scores must be finite; leave pairs without one out")
    if not 0 <= flip <= ambiguous <= strong <= 1:
        raise VotesMalformed(f"shares must rise within 0..1, got {flip}, {ambiguous}, {strong}")
    difference = chosen - rejected
    mean = difference.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    place = np.empty(mean.size, dtype=np.int64)
    place[order] = np.arange(mean.size)
    limits = [int(share * mean.size + 1e-9) for share in (flip, ambiguous, strong)]
    return EnsembleStrength(
        mean=mean,
        spread=difference.std(axis=0),
        vote_share=(difference > 0).mean(axis=0),
        soft_label=expit(mean),
        mild_label=expit(difference).mean(axis=0),
        order=order.astype(np.int64),
        group=np.searchsorted(limits, place, side="right").astype(np.int8),
        model_correlation=_mean_correlation(difference),
    )


def flip_checked(strength: EnsembleStrength, gold_right: FloatArray) -> FloatArray:
    """(N,) -1 for the pairs to be flipped and +1 for the rest, after gold has spoken.

    Args:
        gold_right: (N,) 1 where gold agrees with the label, 0 where not, NaN where there is no gold.

    Raises:
        FlipUnchecked: in the lowest group fewer than 20 have gold, or the share wrong is not clearly above half.
    """
    lowest = strength.group == GROUPS.index("flip")
    known = gold_right[lowest & ~np.isnan(gold_right)]
    wrong = int((known == 0).sum())
    # One-sided 97.5 % bound of the share wrong.
    if known.size < 20 or wrong / known.size - 1.96 * np.sqrt(0.25 / known.size) <= 0.5:
        raise FlipUnchecked(wrong, int(known.size))
    return np.where(lowest, -1.0, 1.0)


def ensemble_losses(delta: FloatArray, strength: EnsembleStrength, sign: FloatArray) -> dict[str, FloatArray]:
    """(N,) losses at the trained model's difference after flips: plain, soft, adaptive margin, and both.

    Args:
        delta: (N,) chosen minus rejected of the model in training. sign: (N,) as from `flip_checked`.
    """
    delta, mean = sign * delta, sign * strength.mean
    label = expit(mean)
    return {
        "plain": -log_expit(delta),
        "soft": _cross_entropy(delta, label),
        "adaptive_margin": -log_expit(delta - mean),
        "soft_and_margin": _cross_entropy(delta - mean, label),
    }


def smoothed_loss(delta: FloatArray, smoothing: float) -> FloatArray:
    """(N,) -(1 - a) log sigmoid(delta) - a log sigmoid(-delta)."""
    if not 0 <= smoothing < 0.5:
        raise VotesMalformed(f"smoothing must lie in 0..0.5, got {smoothing}")
    return _cross_entropy(delta, np.full(delta.shape, 1 - smoothing))


def decile_table(strength: EnsembleStrength, gold_right: FloatArray) -> list[dict[str, float | int | None]]:
    """Mean strength and spread of each tenth by rising strength, with its accuracy where gold is known."""
    rows: list[dict[str, float | int | None]] = []
    for part in np.array_split(strength.order, 10):
        known = gold_right[part][~np.isnan(gold_right[part])]
        rows.append(
            {
                "pairs": int(part.size),
                "mean": float(strength.mean[part].mean()) if part.size else None,
                "spread": float(strength.spread[part].mean()) if part.size else None,
                "gold": int(known.size),
                "accuracy": float(known.mean()) if known.size else None,
            }
        )
    return rows


def _cross_entropy(delta: FloatArray, label: FloatArray) -> FloatArray:
    return np.asarray(-label * log_expit(delta) - (1 - label) * log_expit(-delta))


def _mean_correlation(difference: FloatArray) -> float:
    """Over pairs of models; NaN for one model or where a model says one thing of all pairs."""
    if difference.shape[0] < 2 or (difference.std(axis=1) == 0).any():
        return float("nan")
    table: FloatArray = np.asarray(np.corrcoef(difference))
    return float(table[np.triu_indices(table.shape[0], 1)].mean())

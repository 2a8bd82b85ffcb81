"""Accuracy, log-loss and calibration error of probabilities against gold."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from pipelines.labels.votes import FloatArray, IntArray

FLOOR = 1e-12
GROUPS = 10


@dataclass(frozen=True)
class GoldMeasures:
    """How an answer stands against gold.

    Attributes:
        items: number of items with gold.
        accuracy: share right; a draw counts as its chance.
        log_loss: mean of -log P(gold), in nats.
        calibration_error: mean distance of confidence and accuracy over 10 groups of like confidence.
        groups: confidence, accuracy and number of each group.
    """

    items: int
    accuracy: float
    log_loss: float
    calibration_error: float
    groups: list[dict[str, float]]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def gold_measures(probabilities: FloatArray, gold: IntArray) -> GoldMeasures:
    """Measure (T, C) probabilities against (T,) gold categories; -1 has no gold, C is none of them.

    Example:
        >>> found = gold_measures(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1]))
        >>> found.accuracy, round(found.log_loss, 4)
        (0.75, 0.4581)
    """
    known = gold >= 0
    rows, truth = probabilities[known], gold[known]
    padded = np.concatenate([rows, np.zeros((rows.shape[0], 1))], axis=1)
    chance = padded[np.arange(truth.size), truth]
    tops = rows >= rows.max(axis=1, keepdims=True) - 1e-9
    hit = np.concatenate([tops, np.zeros((rows.shape[0], 1), dtype=bool)], axis=1)[
        np.arange(truth.size), truth
    ]
    right = hit / tops.sum(axis=1)
    groups = calibration_groups(rows.max(axis=1), right)
    total = sum(group["items"] for group in groups)
    error = sum(group["items"] * abs(group["confidence"] - group["accuracy"]) for group in groups) / total
    return GoldMeasures(
        int(truth.size),
        float(right.mean()),
        float(-np.log(np.maximum(chance, FLOOR)).mean()),
        float(error),
        groups,
    )


def calibration_groups(confidence: FloatArray, right: FloatArray) -> list[dict[str, float]]:
    """At most 10 groups of equal number by rising confidence."""
    order = np.argsort(confidence, kind="stable")
    return [
        {
            "confidence": float(confidence[part].mean()),
            "accuracy": float(right[part].mean()),
            "items": int(part.size),
        }
        for part in np.array_split(order, GROUPS)
        if part.size
    ]

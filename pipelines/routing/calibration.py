"""How far a judge's probability can be believed, learnt from comparisons that people judged as well."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from pipelines.routing.errors import NothingToCalibrate, RoutingInputMalformed

FloatArray = NDArray[np.float64]

VERSION = "1"
# Standard deviations of the log slope: around 1 (believe the judge as it is) for the common one, around the
# common one for a stratum's. Small strata so keep to the common slope.
COMMON_SPREAD, STRATUM_SPREAD = 1.0, 0.5
# Beyond these a probability says nothing more, and its logit would be infinite.
EDGE = 1e-6
LOG_SLOPE_BOUNDS = (-8.0, 4.0)
BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Slope of the judge's logit (the inverse of a temperature), common and by stratum.

    Attributes:
        slope: above 0; below 1 the judge was too sure of itself.
        slopes: slope of each stratum seen while fitting; other strata take the common one.
        n: comparisons it was fitted on.
        n_by_stratum: of those, by stratum.
    """

    slope: float
    n: int
    slopes: dict[str, float] = field(default_factory=dict)
    n_by_stratum: dict[str, int] = field(default_factory=dict)

    def apply(self, p_first: FloatArray, strata: NDArray[np.str_] | None = None) -> FloatArray:
        """(n,) calibrated P(first better), on the same side of 0.5 as the judge's own; NaN stays NaN."""
        slope = np.full(p_first.shape, self.slope)
        if strata is not None:
            for name, own in self.slopes.items():
                slope[strata == name] = own
        calibrated: FloatArray = expit(slope * _logits(p_first))
        return calibrated


def fit_calibration(
    p_first: FloatArray, truth_first: FloatArray, strata: NDArray[np.str_] | None = None
) -> Calibration:
    """Temperature scaling by likelihood, shrunk to the stated one and, by stratum, to the common one.

    There is no offset: stored order says nothing, so P(first better) and P(second better) must be treated
        alike.

    Args:
        p_first: (n,) the judge's P(first better), 0..1.
        truth_first: (n,) what people said, 1 first, 0 second, 0.5 tie (or a soft label in between).
        strata: (n,) optional names of groups in which the judge may differ, for example kinds of prompt.

    Returns:
        The `Calibration` that maximises the log-likelihood plus the normal log priors of the log slopes.

    Raises:
        NothingToCalibrate: n is 0.
        RoutingInputMalformed: values outside 0..1 or of other lengths.

    Source: Guo et al. 2017 (temperature scaling); the shrinkage is ours.
    """
    _check_probabilities(p_first, truth_first)
    if p_first.size == 0:
        raise NothingToCalibrate()
    logits = _logits(p_first)
    common = _log_slope(logits, truth_first, around=0.0, spread=COMMON_SPREAD)
    if strata is None:
        return Calibration(slope=float(np.exp(common)), n=int(p_first.size))
    if strata.shape != p_first.shape:
        raise RoutingInputMalformed("strata must be as many as predictions")
    slopes, counts = {}, {}
    for name in np.unique(strata).tolist():
        rows = strata == name
        own = _log_slope(logits[rows], truth_first[rows], around=common, spread=STRATUM_SPREAD)
        slopes[name], counts[name] = float(np.exp(own)), int(rows.sum())
    return Calibration(float(np.exp(common)), int(p_first.size), slopes, counts)


@dataclass(frozen=True)
class Reliability:
    """How well probabilities fit what people said; lower is better for all but accuracy.

    `accuracy` leaves people's ties out and counts a judge at exactly 0.5 half; None where nothing is left.
    """

    n: int
    log_loss: float
    brier: float
    ece: float
    accuracy: float | None


def reliability(p_first: FloatArray, truth_first: FloatArray) -> Reliability:
    """Log-loss (nats), Brier score, expected calibration error over 10 equal-count bins, and accuracy.

    Args:
        p_first: (n,) P(first better), 0..1, not empty.
        truth_first: (n,) 1 first, 0 second, 0.5 tie.

    Raises:
        NothingToCalibrate, RoutingInputMalformed.
    """
    _check_probabilities(p_first, truth_first)
    if p_first.size == 0:
        raise NothingToCalibrate()
    logits = _logits(p_first)
    decided = truth_first != 0.5
    right = np.where(p_first == 0.5, 0.5, (p_first > 0.5) == (truth_first > 0.5))
    return Reliability(
        n=int(p_first.size),
        log_loss=_loss(logits, truth_first) / p_first.size,
        brier=float(np.square(p_first - truth_first).mean()),
        ece=expected_calibration_error(p_first, truth_first),
        accuracy=float(right[decided].mean()) if decided.any() else None,
    )


def expected_calibration_error(p_first: FloatArray, truth_first: FloatArray, *, bins: int = BINS) -> float:
    """Mean gap between confidence in the judge's own choice and how often people chose it, in [0, 1].

    Pairs are sorted by confidence into bins of equal count; fewer pairs than bins make fewer bins.
    """
    chose_first = p_first >= 0.5
    confidence = np.where(chose_first, p_first, 1.0 - p_first)
    hit = np.where(chose_first, truth_first, 1.0 - truth_first)
    order = np.argsort(confidence, kind="stable")
    gaps = [
        abs(float(confidence[part].mean() - hit[part].mean())) * part.size
        for part in np.array_split(order, min(bins, order.size))
    ]
    return sum(gaps) / p_first.size


def _log_slope(logits: FloatArray, truth: FloatArray, *, around: float, spread: float) -> float:
    def penalised(log_slope: float) -> float:
        return _loss(np.exp(log_slope) * logits, truth) + 0.5 * ((log_slope - around) / spread) ** 2

    found = minimize_scalar(penalised, bounds=LOG_SLOPE_BOUNDS, method="bounded", options={"xatol": 1e-6})
    return float(found.x)


def _loss(logits: FloatArray, truth: FloatArray) -> float:
    """Summed cross-entropy in nats, stable for large logits."""
    return float((np.logaddexp(0.0, logits) - truth * logits).sum())


def _logits(p_first: FloatArray) -> FloatArray:
    found: FloatArray = logit(np.clip(p_first, EDGE, 1.0 - EDGE))
    return found


def _check_probabilities(p_first: FloatArray, truth_first: FloatArray) -> None:
    if p_first.ndim != 1 or p_first.shape != truth_first.shape:
        raise RoutingInputMalformed("predictions and answers must be flat and of one length")
    for name, values in (("P(first better)", p_first), ("answers", truth_first)):
        if not (np.isfinite(values) & (values >= 0) & (values <= 1)).all():
            raise RoutingInputMalformed(f"{name} must lie in 0..1")

"""Logistic regression with soft labels: L1 as liblinear states it, and ridge by Newton with standard errors."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from pipelines.labels.errors import LabelError
from pipelines.labels.votes import FloatArray


class RegressionUnsettled(LabelError):
    """A regression did not reach its optimum."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"The regression did not settle: {detail}. Standardise the features or penalise more."
        )


def soft_log_loss(logit: FloatArray, y: FloatArray) -> FloatArray:
    """(n,) -y log sigmoid(z) - (1 - y) log sigmoid(-z)."""
    return np.asarray(-y * log_expit(logit) - (1 - y) * log_expit(-logit))


def l1_logistic(x: FloatArray, y: FloatArray, weight: FloatArray, c: float) -> FloatArray:
    """(k,) coefficients without an intercept that minimise c sum w logloss + sum |b|; y soft, in [0, 1].

    Source: liblinear's objective (Fan et al. 2008), solved to a tight tolerance in positive and negative parts.
    """
    k = x.shape[1]
    # The penalised sum is divided by c, so that a large c does not hide the tolerance.
    penalty = np.full(2 * k, 1.0 / c)

    def objective(parts: FloatArray) -> tuple[float, FloatArray]:
        logit = x @ (parts[:k] - parts[k:])
        slope = x.T @ (weight * (expit(logit) - y))
        value = float((weight * soft_log_loss(logit, y)).sum() + penalty @ parts)
        return value, np.concatenate([slope, -slope]) + penalty

    found = minimize(
        objective, np.zeros(2 * k), jac=True, bounds=[(0, None)] * (2 * k), method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 30},
    )  # fmt: skip
    if found.status == 1:
        raise RegressionUnsettled(str(found.message))
    return np.asarray(found.x[:k] - found.x[k:])


def ridge_logistic(
    x: FloatArray, y: FloatArray, weight: FloatArray, precision: float, *, steps: int = 100
) -> tuple[FloatArray, FloatArray]:
    """(k,) coefficients without an intercept under N(0, 1 / precision), and their (k, k) covariance.

    Raises:
        RegressionUnsettled: Newton's method did not settle, as with separable data and no penalty.
    """
    b = np.zeros(x.shape[1])

    def value(b: FloatArray) -> float:
        return float((weight * soft_log_loss(x @ b, y)).sum() + precision / 2 * b @ b)

    for _ in range(steps):
        chance = expit(x @ b)
        gradient = x.T @ (weight * (chance - y)) + precision * b
        hessian = (x * (weight * chance * (1 - chance))[:, None]).T @ x + precision * np.eye(b.size)
        try:
            inverse = np.linalg.inv(hessian)
        except np.linalg.LinAlgError:
            raise RegressionUnsettled("features are collinear and there is no penalty") from None
        if np.abs(gradient).max() < 1e-8 * max(1.0, float(weight.sum())):
            return b, inverse
        step, before = -inverse @ gradient, value(b)
        while value(b + step) > before + 1e-12 * abs(before) and np.abs(step).max() > 1e-14:
            step = step / 2
        b = b + step
    raise RegressionUnsettled(f"{steps} steps were not enough")

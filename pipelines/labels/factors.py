"""Which properties of completions explain the labels: a regression that does not know which one came first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.logistic import l1_logistic, ridge_logistic, soft_log_loss
from pipelines.labels.votes import FloatArray, IntArray

LEAST_PAIRS, LEAST_VALUES, COLLINEAR = 200, 30, 0.7
LEVEL = 1.959963984540054


class FactorConstant(VotesMalformed):
    """A property that never differs cannot explain anything."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the property {name!r} never differs between the two completions; leave it out")


@dataclass(frozen=True)
class FactorFit:
    """Partial effects of properties on preference.

    Attributes:
        names: (k,) properties. weight: (k,) in logits per unit; above 0 the completion with more is preferred.
        low, high: (k,) 95 % interval, by clusters where they are given.
        preference: (k,) sigmoid(weight), the chance of the side that is better on this alone; 0.5 is indifferent.
        values: (k,) pairs in which the property differs. enough: (k,) whether there are pairs and values for it.
        stability: (k,) share of folds with the whole's sign.
        collinear: pairs of properties whose correlation exceeds 0.7; read them together.
        log_loss, accuracy: held-out over 10 folds; null_log_loss is that of even chances.
    """

    names: list[str]
    weight: FloatArray
    low: FloatArray
    high: FloatArray
    preference: FloatArray
    values: IntArray
    enough: np.ndarray
    stability: FloatArray
    collinear: list[tuple[str, str, float]]
    log_loss: float
    accuracy: float
    null_log_loss: float


def factor_fit(
    x: FloatArray,
    y: FloatArray,
    names: Sequence[str],
    *,
    precision: float = 1.0,
    cluster: IntArray | None = None,
    folds: int = 10,
) -> FactorFit:
    """P(first preferred) = sigmoid(sum w f) without an intercept, so that swapping both completions changes nothing.

    Args:
        x: (n, k) property of the first minus that of the second, finite; signs or bounded numbers.
        y: (n,) soft label in [0, 1], 1 first preferred; leave ties out or give 0.5.
        names: of the properties.
        precision: of the normal prior on each weight, 0 or more.
        cluster: (n,) prompt or rater of each pair: folds keep clusters together and intervals are robust to them.
            None takes every pair as its own.

    Raises:
        NoVotes: no pair. VotesMalformed: shapes, NaN, labels outside. FactorConstant: a property that never
            differs. RegressionUnsettled: separable data without a prior.

    Example:
        >>> random = np.random.default_rng(0)
        >>> x = random.choice([-1.0, 0.0, 1.0], (400, 2))
        >>> y = (random.random(400) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(float)
        >>> found = factor_fit(x, y, ["length", "lists"])
        >>> bool(found.low[0] > 1), bool(found.low[1] < 0 < found.high[1])
        (True, True)

    Source: Dissecting Human and LLM Preferences (2024); ridge with a sandwich covariance in place of its sampler.
    """
    _check(x, y, names)
    group = np.arange(y.size) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    weight = np.ones(y.size)
    w, inverse = ridge_logistic(x, y, weight, precision)
    error = np.sqrt(np.diagonal(inverse @ _meat(x, y, w, group) @ inverse))
    fold = _folds(group, folds)
    signs, losses, hits = [], np.empty(y.size), np.empty(y.size)
    for part in np.unique(fold):
        inside = fold == part
        b, _ = ridge_logistic(x[~inside], y[~inside], weight[~inside], precision)
        signs.append(np.sign(b) == np.sign(w))
        logit = x[inside] @ b
        losses[inside] = soft_log_loss(logit, y[inside])
        hits[inside] = np.where(logit > 0, y[inside], np.where(logit < 0, 1 - y[inside], 0.5))
    values = (x != 0).sum(axis=0)
    return FactorFit(
        list(names),
        w,
        w - LEVEL * error,
        w + LEVEL * error,
        expit(w),
        values,
        (values >= LEAST_VALUES) & (y.size >= LEAST_PAIRS),
        np.mean(signs, axis=0),
        _collinear(x, names),
        float(losses.mean()),
        float(hits.mean()),
        float(np.log(2.0)),
    )


def sparse_weights(x: FloatArray, y: FloatArray, scale: float = 0.1) -> FloatArray:
    """(k,) mode under independent Laplace(0, scale) priors: the published prior, for views that pick few properties."""
    if scale <= 0:
        raise VotesMalformed(f"the prior's scale must be above 0, got {scale}")
    return l1_logistic(x, y, np.ones(y.size), scale)


def length_signs(words_first: IntArray, words_second: IntArray) -> FloatArray:
    """(n,) +1 where the first is clearly longer, -1 where the second is, else 0.

    Source: Dissecting Human and LLM Preferences (2024): a small table up to 11 words, above it by ratio and gap.
    """
    short, long = np.minimum(words_first, words_second), np.maximum(words_first, words_second)
    table = np.array([1, 3, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19])
    small = long >= table[np.minimum(short, 11)]
    ratio, gap = short / np.maximum(long, 1), long - short
    large = ((ratio <= 0.7) & (gap >= 10)) | ((ratio <= 0.8) & (gap >= 20)) | ((ratio <= 0.9) & (gap >= 40))
    clear = np.where(short <= 11, small, large)
    return np.where(clear, np.sign(words_first - words_second), 0).astype(np.float64)


def factor_tau(sign: FloatArray, preference: FloatArray) -> float | None:
    """(concordant - discordant) / pairs with a preference, of a factor's signs and signed preferences.

    Ties of the factor stay in the denominator, so weak factors get small values. None without any preference.

    Source: Uncovering Factor Level Preferences (PROFILE, 2024), in our operational reading.
    """
    strict = preference != 0
    if not strict.any():
        return None
    return float((np.sign(sign[strict]) * np.sign(preference[strict])).mean())


def _check(x: FloatArray, y: FloatArray, names: Sequence[str]) -> None:
    if x.ndim != 2 or y.shape != x.shape[:1] or len(names) != x.shape[1]:
        raise VotesMalformed(
            "properties must be (pairs, properties) with a label a pair and a name a property"
        )
    if not y.size:
        raise NoVotes()
    if not np.isfinite(x).all() or not ((y >= 0) & (y <= 1)).all():
        raise VotesMalformed(
            "properties must be finite and labels lie in 0..1; drop pairs whose score is missing"
        )
    for place, name in enumerate(names):
        if np.ptp(x[:, place]) == 0:
            raise FactorConstant(name)


def _meat(x: FloatArray, y: FloatArray, w: FloatArray, group: IntArray) -> FloatArray:
    """Sum over clusters of their score's outer product."""
    score = x * (y - expit(x @ w))[:, None]
    added = np.stack([np.bincount(group, column) for column in score.T], axis=1)
    return np.asarray(added.T @ added)


def _folds(group: IntArray, folds: int) -> IntArray:
    """Fold of each pair, whole clusters, in a fixed shuffled order."""
    size = int(group.max()) + 1
    order = np.random.default_rng(0).permutation(size)
    return np.asarray((order % min(folds, max(size, 2)))[group], dtype=np.int64)


def _collinear(x: FloatArray, names: Sequence[str]) -> list[tuple[str, str, float]]:
    if x.shape[1] < 2:
        return []
    table: FloatArray = np.asarray(np.corrcoef(x, rowvar=False))
    rows, columns = np.nonzero(np.triu(np.abs(table) > COLLINEAR, 1))
    return [
        (names[i], names[j], float(table[i, j])) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
    ]

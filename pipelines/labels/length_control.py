"""How much of a win rate or of labels is only length: LC-AlpacaEval's regression, and the report for pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.factors import FactorFit, factor_fit
from pipelines.labels.logistic import l1_logistic, ridge_logistic, soft_log_loss
from pipelines.labels.robust import jeffreys_interval
from pipelines.labels.votes import FloatArray, IntArray

STRENGTHS = np.logspace(-4, 4, 10)
FOLDS = 5
GAMED_WEIGHT = 0.2
CLEAR_LENGTH = 0.1
# A standard deviation of 10 on the logit: keeps resamples that one side wins finite, and nothing more.
WEAK_PRECISION = 0.01


@dataclass(frozen=True)
class LengthControlled:
    """A win rate with length held equal.

    Attributes:
        length, difficulty, model: coefficients of tanh(z), of the instruction's difficulty (0 without), and of
            the model.
        raw_win_rate, win_rate, standard_error: in percent; the second and third controlled.
        controlled: (n,) chance of each row at equal length.
        strength: C of the fit. suspicious: the controlled rate is further from the raw one than it should be.
    """

    length: float
    difficulty: float
    model: float
    raw_win_rate: float
    win_rate: float
    standard_error: float
    controlled: FloatArray
    strength: float
    suspicious: bool


@dataclass(frozen=True)
class Gamed:
    """Rows of the baseline against itself told to be short or long; they pin the length's coefficient.

    Attributes:
        z: (g,) standardised length difference. preference: (g,) in [0, 1]. difficulty: (g,).
        sets: number of such runs, which share the weight.
    """

    z: FloatArray
    preference: FloatArray
    difficulty: FloatArray
    sets: int = 2


def length_controlled(
    length_baseline: FloatArray,
    length_model: FloatArray,
    preference: FloatArray,
    difficulty: FloatArray | None = None,
    *,
    gamed: Gamed | None = None,
    strength: float | None = None,
) -> LengthControlled:
    """Length-controlled win rate of a model against a baseline.

    Args:
        length_baseline, length_model: (n,) characters.
        preference: (n,) 1 baseline wins, 2 model wins, 1.5 tie, 0 also a tie, anything between is soft. NaN drops
            the row from the fit; it still gets a controlled chance.
        difficulty: (n,) known difficulty of the instructions, from a joint fit of many models; None leaves the
            term out.
        gamed: extra rows, as in version 1 of the published regression; None for none.
        strength: C; None chooses it by 5 folds among ten from 1e-4 to 1e4.

    Raises:
        NoVotes: no row with a preference. VotesMalformed: shapes, lengths below 0, preferences outside the scale.

    Source: Length-Controlled AlpacaEval (2024), `glm_winrate.py` of its repository.
    """
    y = _wins(length_baseline, length_model, preference)
    difficult = np.zeros(y.size) if difficulty is None else difficulty
    known = ~np.isnan(y)
    delta = length_baseline - length_model
    spread = float(delta.std(ddof=1)) if delta.size > 1 else 0.0
    features = [np.tanh(delta / spread) if spread else np.zeros(y.size), difficult, np.ones(y.size)]
    x, target, weight = np.stack(features, axis=1)[known], y[known], np.ones(int(known.sum()))
    if gamed is not None:
        extra = np.stack([np.tanh(gamed.z), gamed.difficulty, np.zeros(gamed.z.size)], axis=1)
        x, target = np.concatenate([x, extra]), np.concatenate([target, gamed.preference])
        weight = np.concatenate([weight, np.full(gamed.z.size, GAMED_WEIGHT / gamed.sets)])
    kept = (x != 0).any(axis=0)
    strength = _chosen_strength(x[:, kept], target, weight) if strength is None else strength
    b = np.zeros(3)
    b[kept] = l1_logistic(x[:, kept], target, weight, strength)
    controlled = expit(b[1] * difficult + b[2])
    raw, rate = 100 * float(y[known].mean()), 100 * float(controlled.mean())
    error = (
        100 * float(controlled.std(ddof=1) / np.sqrt(controlled.size))
        if controlled.size > 1
        else float("nan")
    )
    suspicious = rate < min(raw - raw / 4, raw - 10) or rate > max(raw + (100 - raw) / 4, raw + 10)
    return LengthControlled(
        float(b[0]), float(b[1]), float(b[2]), raw, rate, error, controlled, strength, suspicious
    )


@dataclass(frozen=True)
class WinRateIntervals:
    """95 % intervals in percent, of the raw and of the controlled win rate."""

    raw_low: float
    raw_high: float
    low: float
    high: float


def length_controlled_intervals(
    length_baseline: FloatArray,
    length_model: FloatArray,
    preference: FloatArray,
    *,
    cluster: IntArray,
    seed: int,
    n_resamples: int = 200,
) -> WinRateIntervals:
    """Percentile intervals of `length_controlled` without difficulties, whose own standard error is then 0.

    Nearly without its penalty: one that shrinks every resample to 50 % would seem to know that nobody wins.

    Args:
        length_baseline, length_model, preference: as there.
        cluster: (n,) what is resampled, mostly the prompt. The spread of the lengths is held.

    Raises:
        NoVotes, VotesMalformed: as `length_controlled`.

    Source: ours; the published error knows only the spread over instructions of known difficulty.
    """
    y = _wins(length_baseline, length_model, preference)
    known = ~np.isnan(y)
    delta = length_baseline - length_model
    spread = float(delta.std(ddof=1)) if delta.size > 1 else 0.0
    columns = [np.tanh(delta / spread)] if spread else []
    x, y = np.stack([*columns, np.ones(delta.size)], axis=1)[known], y[known]
    clusters, place = np.unique(cluster[known], return_inverse=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(clusters.size, np.full(clusters.size, 1 / clusters.size), size=n_resamples)
    rates = []
    for times in drawn:
        weight = times[place].astype(np.float64)
        b, _ = ridge_logistic(x, y, weight, WEAK_PRECISION)
        rates.append((100 * np.average(y, weights=weight), 100 * expit(b[-1])))
    (raw_low, low), (raw_high, high) = np.quantile(np.array(rates), (0.025, 0.975), axis=0)
    return WinRateIntervals(float(raw_low), float(raw_high), float(low), float(high))


def _wins(length_baseline: FloatArray, length_model: FloatArray, preference: FloatArray) -> FloatArray:
    if not length_baseline.shape == length_model.shape == preference.shape or preference.ndim != 1:
        raise VotesMalformed("lengths and preferences must be flat and of one length")
    if (length_baseline < 0).any() or (length_model < 0).any():
        raise VotesMalformed("lengths must be 0 or more")
    known = ~np.isnan(preference)
    if not known.any():
        raise NoVotes()
    tied = np.where(preference == 0, 1.5, preference)
    if (tied[known] < 1).any() or (tied[known] > 2).any():
        raise VotesMalformed("preferences must be 0 (tie) or lie in 1..2")
    return np.asarray(tied - 1)


def _chosen_strength(x: FloatArray, y: FloatArray, weight: FloatArray) -> float:
    """C of least held-out loss; rows go to the folds in turn, from the last one, as the published code has it."""
    fold = (np.arange(y.size)[::-1]) % FOLDS
    losses = []
    for c in STRENGTHS:
        scores = []
        for part in range(FOLDS):
            inside = fold == part
            b = l1_logistic(x[~inside], y[~inside], weight[~inside], float(c))
            each = soft_log_loss(x[inside] @ b, y[inside])
            scores.append(float((weight[inside] * each).sum() / weight[inside].sum()))
        losses.append(float(np.mean(scores)))
    return float(STRENGTHS[int(np.argmin(losses))])


@dataclass(frozen=True)
class LengthReport:
    """Length in a set of labelled pairs.

    Attributes:
        pairs: number of pairs. longer_wins, low, high: share where the longer one won among pairs whose lengths
            differ by more than a tenth, with its 95 % interval; NaN without such pairs.
        compared: number of those pairs.
        fit: regression on length (feature 0) and other features; above 0 the longer one is preferred.
        length_only_accuracy: of always choosing the longer one, a tie of lengths half.
        deciles: share of first winning by tenth of the relative difference of lengths.
        turned: pairs whose likelier side changes at equal length.
    """

    pairs: int
    longer_wins: float
    low: float
    high: float
    compared: int
    fit: FactorFit
    length_only_accuracy: float
    deciles: list[dict[str, float]]
    turned: IntArray


def length_report(
    length_first: FloatArray,
    length_second: FloatArray,
    first_won: FloatArray,
    features: FloatArray | None = None,
) -> LengthReport:
    """Report how far labels follow length.

    Args:
        length_first, length_second: (n,) of both completions. first_won: (n,) soft label in [0, 1].
        features: (n, k) further differences first minus second, or None.

    Raises:
        NoVotes, VotesMalformed: as `factor_fit`; constant lengths are refused there by name.
    """
    gap = (length_first - length_second).astype(np.float64)
    longest = np.maximum(np.maximum(length_first, length_second), 1)
    relative = gap / longest
    spread = float(gap.std()) or 1.0
    columns = np.tanh(gap / spread)[:, None]
    x = columns if features is None else np.concatenate([columns, features], axis=1)
    names = ["length", *(f"feature {number + 1}" for number in range(x.shape[1] - 1))]
    fit = factor_fit(x, first_won, names)
    clear = np.abs(relative) > CLEAR_LENGTH
    longer = np.where(gap > 0, first_won, 1 - first_won)
    wins, compared = float(longer[clear].sum()), int(clear.sum())
    low, high = jeffreys_interval(round(wins), compared) if compared else (float("nan"), float("nan"))
    rest = x @ fit.weight - columns[:, 0] * fit.weight[0]
    turned = np.flatnonzero((x @ fit.weight) * rest < 0)
    parts = np.array_split(np.argsort(relative, kind="stable"), 10)
    return LengthReport(
        pairs=int(gap.size),
        longer_wins=wins / compared if compared else float("nan"),
        low=low,
        high=high,
        compared=compared,
        fit=fit,
        length_only_accuracy=float(np.where(gap == 0, 0.5, longer).mean()),
        deciles=[
            {
                "relative": float(relative[part].mean()),
                "first_won": float(first_won[part].mean()),
                "pairs": float(part.size),
            }
            for part in parts
            if part.size
        ],
        turned=turned,
    )


def length_weights(chance_from_length: FloatArray) -> FloatArray:
    """(n,) weights 1 / P(label | length alone), in 0.5..2 relative to an even chance; scale them once an export."""
    if not ((chance_from_length > 0) & (chance_from_length < 1)).all():
        raise VotesMalformed("chances must lie strictly between 0 and 1")
    return np.clip(0.5 / chance_from_length, 0.5, 2.0)

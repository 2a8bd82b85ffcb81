"""The rule of the two orders: from label probabilities, A shown first and then B, to one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

FloatArray = NDArray[np.float64]

Outcome = Literal["first", "second", "tie", "inconsistent", "unreadable"]
OUTCOMES: tuple[Outcome, ...] = ("first", "second", "tie")

VERSION = "1"


@dataclass(frozen=True)
class Verdict:
    """One comparison's verdict.

    Attributes:
        key: of the comparison.
        outcome: `first`, `second` or `tie`; `inconsistent` where the orders name different winners (never a
            tie, never a vote); `unreadable` where the model did not answer with a label.
        p_first: P(first better) from the mean of both orders' logits, 0..1; None if unreadable without an
            answer.
        p_tie: P(tie) likewise; 0 for a judge of two labels.
        p_first_ab, p_first_ba: P(first better) with first shown as A, and as B; None without an answer.
        label_mass: least probability of all labels together, of both orders; None without an answer.
        flags: `identical`, `empty_first`, `empty_second` (decided by rule), `too_long` (not asked).
    """

    key: int
    outcome: Outcome
    p_first: float | None
    p_tie: float
    p_first_ab: float | None
    p_first_ba: float | None
    label_mass: float | None
    flags: tuple[str, ...] = ()


def combine_orders(
    key: int, ab: FloatArray, ba: FloatArray, *, min_label_mass: float, flags: tuple[str, ...] = ()
) -> Verdict:
    """One verdict from both orders.

    Args:
        key: of the comparison.
        ab: (K,) log-probability, over the whole vocabulary, of the labels A, B and optionally tie, first
            shown as A.
        ba: (K,) the same with first shown as B.
        min_label_mass: below it the answer is unreadable.
        flags: kept on the verdict.

    Returns:
        The verdict. Both orders must name the same winner. Where one says tie and the other a winner, the
        mean of the logits decides (the stored rule for weak wins). An order whose labels are exactly equal
        names nobody, and the other decides.

    Example:
        >>> found = combine_orders(1, np.log([0.8, 0.1]), np.log([0.3, 0.6]), min_label_mass=0.5)
        >>> found.outcome, round(found.p_first, 3)
        ('first', 0.8)

    Source: logits of labels averaged over both orders; the outcome rule is this platform's.
    """
    # Turned from A, B, tie to first, second, tie.
    turned = ba[[1, 0, *range(2, ba.size)]]
    mean = softmax((ab + turned) / 2)
    orders = [softmax(each) for each in (ab, turned)]
    mass = float(np.exp(min(logsumexp(ab), logsumexp(ba))))
    winners = [_winner(each) for each in orders]
    return Verdict(
        key=key,
        outcome="unreadable" if mass < min_label_mass else _outcome(winners, mean),
        p_first=_first_share(mean),
        p_tie=float(mean[2]) if mean.size > 2 else 0.0,
        p_first_ab=_first_share(orders[0]),
        p_first_ba=_first_share(orders[1]),
        label_mass=mass,
        flags=flags,
    )


def verdict_by_rule(key: int, outcome: Outcome, flags: tuple[str, ...]) -> Verdict:
    """A verdict without a call: an empty answer loses, two of them tie, a question too long is not asked."""
    p_first = {"first": 1.0, "second": 0.0, "tie": 0.5}.get(outcome)
    return Verdict(key, outcome, p_first, 1.0 if outcome == "tie" else 0.0, None, None, None, flags)


def _winner(probabilities: FloatArray) -> int | None:
    best = np.flatnonzero(probabilities >= probabilities.max() - 1e-12)
    return int(best[0]) if best.size == 1 else None


def _outcome(winners: Sequence[int | None], mean: FloatArray) -> Outcome:
    if set(winners) == {0, 1}:
        return "inconsistent"
    best = _winner(mean)
    if best is None:
        # Both orders are undecided: a judge of three labels may call it a tie, one of two cannot.
        return "tie" if mean.size > 2 else "inconsistent"
    return OUTCOMES[best]


def _first_share(probabilities: FloatArray) -> float:
    """P(first better), half of the tie's mass left to each side so that 0.5 stays the middle."""
    tie = float(probabilities[2]) if probabilities.size > 2 else 0.0
    return float(probabilities[0]) + tie / 2


@dataclass(frozen=True)
class JudgeSummary:
    """Of n verdicts.

    Attributes:
        read: verdicts with a label from both orders.
        unreadable: verdicts without.
        consistency: share of `read` whose orders agree; None without any.
        first_shown_rate: share of single orders that prefer the answer shown first; 0.5 is no position bias.
    """

    n: int
    read: int
    unreadable: int
    consistency: float | None
    first_shown_rate: float | None


def judge_summary(verdicts: Sequence[Verdict]) -> JudgeSummary:
    """Consistency, position bias and unreadable answers of a judge; verdicts by rule do not count."""
    asked = [verdict for verdict in verdicts if verdict.label_mass is not None]
    read = [verdict for verdict in asked if verdict.outcome != "unreadable"]
    both = [
        (verdict.p_first_ab, 1.0 - verdict.p_first_ba)
        for verdict in read
        if verdict.p_first_ab is not None and verdict.p_first_ba is not None
    ]
    shown = [0.5 if p == 0.5 else float(p > 0.5) for pair in both for p in pair]
    agree = [verdict.outcome != "inconsistent" for verdict in read]
    return JudgeSummary(
        n=len(verdicts),
        read=len(read),
        unreadable=sum(verdict.outcome == "unreadable" for verdict in verdicts),
        consistency=sum(agree) / len(agree) if agree else None,
        first_shown_rate=sum(shown) / len(shown) if shown else None,
    )

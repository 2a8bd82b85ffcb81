"""How a pairwise question is drawn: its steps from left to right, with key, words and pips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STEP_WORDS = {1: ["better"], 2: ["slightly", "better"], 3: ["slightly", "better", "much better"]}
REASON_KEYS = "qwerty"


@dataclass(frozen=True)
class Step:
    """`value` is what the form posts; `pips` shows strength without words; `asks` whether reasons are asked for."""

    value: str
    keys: str
    side: str
    word: str
    pips: range
    asks: bool


@dataclass(frozen=True)
class Drawn:
    steps: list[Step]
    has_middle: bool
    reasons: list[tuple[str, str]]


def question_drawn(question: Mapping[str, Any]) -> Drawn:
    """The scale of a question. An even scale has no middle step; its tie stands beside the scale."""
    steps = int(question["steps"])
    reasons = [str(reason) for reason in question.get("reasons") or []]
    return Drawn(
        steps=[_step(value, steps, bool(reasons)) for value in range(1, steps + 1)],
        has_middle=steps % 2 == 1,
        reasons=list(zip(REASON_KEYS + " " * len(reasons), reasons, strict=False)),
    )


def _step(value: int, steps: int, has_reasons: bool) -> Step:
    m = steps // 2
    signed = value - m - 1 if steps % 2 or value <= m else value - m
    if signed == 0:
        return Step(str(value), f"{value} 0", "", "Equally good", range(0), False)
    side, strength = ("A" if signed < 0 else "B"), abs(signed)
    asks = has_reasons and (strength >= 2 or m == 1)
    return Step(str(value), str(value), side, f"{side} {STEP_WORDS[m][strength - 1]}", range(strength), asks)

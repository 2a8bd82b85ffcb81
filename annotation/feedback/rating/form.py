"""How a rating is drawn: one row an aspect, a scale of its numbers or a slider that shows none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.feedback.drawing import Choice, Drawn, Row, Shown, cannot_judge


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    rows = [
        _row(question, f"{name}.{aspect['key']}", str(aspect["label"]), fields) for aspect in question["aspects"]
    ]
    return Drawn(rows, cannot_judge(question, name, fields), {"slider": True} if question.get("slider") else {})


def _row(question: Mapping[str, Any], name: str, label: str, fields: Mapping[str, str]) -> Row:
    low, high, needed = question["low"], question["high"], bool(question.get("required"))
    words: Sequence[str] = question.get("words") or []
    ends = [words[0], words[-1]] if words else [f"{low}", f"{high}"]
    if question.get("slider"):
        value = fields.get(name, "")
        return Row(name, label, "slider", needed=needed, value=value, ends=ends, low=low, high=high)
    every = words if len(words) == high - low + 1 else ()
    choices = [step(value, low, high, every, fields.get(name, "")) for value in range(low, high + 1)]
    return Row(name, label, "scale", choices, needed=needed, ends=ends)


def step(value: int, low: int, high: int, words: Sequence[str], given: str) -> Choice:
    """A number from 0 to 9 is its own key; other scales count from the left."""
    cap = str(value) if low >= 0 and high <= 9 else str((value - low + 1) % 10)
    word = f"{value} {words[value - low]}" if words else str(value)
    return Choice(str(value), cap, word, chosen=given == str(value), cap=cap)

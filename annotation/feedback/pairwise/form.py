"""How a pairwise question is drawn: the scale, one more for each aspect, confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.feedback.drawing import Choice, Drawn, Row, Shown, cannot_judge

# The words of a scale of strength m, weakest first, where the form brings none.
STRENGTHS = {
    1: [gettext_noop("better")],
    2: [gettext_noop("slightly"), gettext_noop("better")],
    3: [gettext_noop("slightly"), gettext_noop("better"), gettext_noop("much better")],
}


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    """The overall row first or last, as the form says (`aspects_first`), because the first colours the others."""
    overall = _scale(question, name, "", fields, asks=bool(question.get("reasons") or question.get("sentence")))
    aspects = [
        _scale(question, f"{name}.aspect.{aspect['key']}", aspect["label"], fields)
        for aspect in question.get("aspects") or []
    ]
    rows = [*aspects, overall] if question.get("aspects_first") else [overall, *aspects]
    return Drawn([*rows, *_confidence(question, name, fields)], _outcomes(question, name, fields))


def _scale(
    question: Mapping[str, Any], name: str, label: str, fields: Mapping[str, str], asks: bool = False
) -> Row:
    steps, given = int(question["steps"]), fields.get(name, "")
    choices = [step_choice(question, value, steps, asks, given) for value in range(1, steps + 1)]
    if steps % 2 == 0 and label:
        choices.append(tie_choice(given))
    needed = not label or bool(question.get("aspects_required", True))
    ends = (_("A better"), _("B better"))
    return Row(name, label, "scale", choices, needed=needed and bool(question.get("required")), ends=ends)


def step_choice(question: Mapping[str, Any], value: int, steps: int, asks: bool, given: str) -> Choice:
    m = steps // 2
    signed = value - m - 1 if steps % 2 or value <= m else value - m
    chosen = given == str(value) or (signed == 0 and given == "tie")
    if signed == 0:
        return Choice(str(value), f"{value} 0", _("Equally good"), pips=0, chosen=chosen, cap=str(value))
    side, strength = ("A" if signed < 0 else "B"), abs(signed)
    own = question.get("words") or []
    word = str(own[strength - 1]) if own else _(STRENGTHS[m][strength - 1])
    asked = asks and (strength >= 2 or m == 1)
    return Choice(str(value), str(value), f"{side} {word}", side, strength, asked, chosen, cap=str(value))


def tie_choice(given: str) -> Choice:
    return Choice("tie", "0", _("Equally good"), pips=0, chosen=given == "tie", cap="0")


def _outcomes(question: Mapping[str, Any], name: str, fields: Mapping[str, str]) -> list[Choice]:
    given = fields.get(name, "")
    outcomes = [tie_choice(given)] if int(question["steps"]) % 2 == 0 else []
    if question.get("both_bad"):
        outcomes.append(Choice("both_bad", "x", _("Both bad"), chosen=given == "both_bad"))
    return outcomes + cannot_judge(question, name, fields)


def _confidence(question: Mapping[str, Any], name: str, fields: Mapping[str, str]) -> list[Row]:
    words = question.get("confidence") or []
    field = f"{name}.confidence"
    choices = [
        Choice(str(at), str(at + 1), str(word), chosen=fields.get(field) == str(at), cap=str(at + 1))
        for at, word in enumerate(words)
    ]
    return [Row(field, _("How sure are you?"), "choices", choices, needed=False)] if words else []

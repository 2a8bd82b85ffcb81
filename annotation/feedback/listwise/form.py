"""How a ranking is drawn: one row a completion with its place, or two rows for the best and the worst."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.feedback.drawing import Choice, Drawn, Row, Shown, cannot_judge

PLACES = [
    gettext_noop("1st"), gettext_noop("2nd"), gettext_noop("3rd"), gettext_noop("4th"), gettext_noop("5th"),
    gettext_noop("6th"), gettext_noop("7th"), gettext_noop("8th"), gettext_noop("9th"),
]  # fmt: skip


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    needed, outcomes = bool(question.get("required")), cannot_judge(question, name, fields)
    if question.get("method", "rank") == "best_worst":
        ends = [("best", _("Best")), ("worst", _("Worst"))]
        return Drawn([_end(f"{name}.{end}", label, shown, fields, needed) for end, label in ends], outcomes)
    rows = [_place(f"{name}.rank.{letter}", letter, shown, fields, needed) for letter in shown.sides]
    return Drawn(rows, outcomes, {"ties": bool(question.get("ties", True)), "places": [_(p) for p in PLACES]})


def _place(name: str, letter: str, shown: Shown, fields: Mapping[str, str], needed: bool) -> Row:
    choices = [
        Choice(str(at), str(at), _(PLACES[at - 1]), chosen=fields.get(name) == str(at))
        for at in range(1, len(shown.texts) + 1)
    ]
    return Row(name, letter, "place", choices, needed=needed, jump=letter.lower())


def _end(name: str, label: str, shown: Shown, fields: Mapping[str, str], needed: bool) -> Row:
    choices = [
        Choice(letter, f"{letter.lower()} {at}", letter, letter, chosen=fields.get(name) == letter)
        for at, letter in enumerate(shown.sides, start=1)
    ]
    return Row(name, label, "choices", choices, needed=needed)

"""How steps are drawn: a row inside the completion for each step; siblings as a ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.feedback.drawing import Choice, Drawn, Row, Shown, cannot_judge, rows_said
from annotation.feedback.listwise.form import question_drawn as ranking_drawn
from annotation.feedback.stepwise.answer import Step, steps_of


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    if question["mode"] == "siblings":
        return ranking_drawn(question, name, side, shown, fields)
    steps = steps_of(question["cut"], *shown.texts[shown.sides.index(side)])
    row = _label_row if question["mode"] == "each" else _first_bad_row
    rows = [row(question, name, at, step, fields) for at, step in enumerate(steps, start=1)]
    if question["mode"] == "first_bad":
        rows.append(_none_row(question, name, fields))
    return Drawn(rows, cannot_judge(question, name, fields))


def _label_row(question: Mapping[str, Any], name: str, at: int, step: Step, fields: Mapping[str, str]) -> Row:
    field = f"{name}.step.{at}"
    choices = [
        Choice(str(label), str(key), str(label), chosen=fields.get(field) == label, cap=str(key))
        for key, label in enumerate(question["labels"], start=1)
    ]
    needed, label = bool(question.get("required")), _("Step {n}").format(n=at)
    return Row(field, label, "choices", choices, needed, text=step.text, is_message=step.is_message)


def _first_bad_row(question: Mapping[str, Any], name: str, at: int, step: Step, fields: Mapping[str, str]) -> Row:
    field = f"{name}.first_bad"
    choice = Choice(str(at), str(at), _("Goes wrong here"), chosen=fields.get(field) == str(at), cap=str(at))
    needed, label = bool(question.get("required")), _("Step {n}").format(n=at)
    return Row(field, label, "choices", [choice], needed, field, text=step.text, is_message=step.is_message)


def _none_row(question: Mapping[str, Any], name: str, fields: Mapping[str, str]) -> Row:
    field = f"{name}.first_bad"
    choice = Choice("none", "0", _("No step is wrong"), chosen=fields.get(field) == "none", cap="0")
    return Row(field, "", "choices", [choice], bool(question.get("required")), group=field)


# How many steps are named of each label.
MOST_NAMED = 12


def answer_said(
    question: Mapping[str, Any], answer: Mapping[str, Any], option_order: Sequence[int]
) -> list[str]:
    """How many steps have each label, and which those are that differ from most: "21 right", "3 wrong (6, 23, 24)"."""
    if question["mode"] == "siblings":
        return rows_said(question, answer, option_order)
    if question["mode"] == "first_bad":
        bad = answer["first_bad"]
        return [_("No step is wrong") if bad is None else f"{_('Step {n}').format(n=bad + 1)}: {_('Goes wrong here')}"]
    counts = Counter(answer["labels"])
    most = max(counts, key=counts.__getitem__, default=None)
    return [
        f"{counts[label]} {label}" + ("" if label == most else f" ({_named(answer['labels'], label)})")
        for label in question["labels"]
        if counts[label]
    ]


def _named(labels: Sequence[str], label: str) -> str:
    steps = [str(at) for at, given in enumerate(labels, start=1) if given == label]
    return ", ".join(steps[:MOST_NAMED] + ["…"] * (len(steps) > MOST_NAMED))

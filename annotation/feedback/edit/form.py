"""How an edit is drawn: which completion is repaired, and a text field that begins with its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.errors import FormRefused
from annotation.feedback import SIDES
from annotation.feedback.drawing import Choice, Drawn, Row, Shown, cannot_judge
from annotation.feedback.edit.answer import MOST_CHARACTERS, last_words


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    sources = {
        letter: words
        for letter, text in zip(shown.sides, shown.texts, strict=True)
        if (words := _editable(*text)) is not None
    }
    field = f"{name}.source"
    choices = [
        Choice(letter, str(at), letter, letter, chosen=fields.get(field) == letter, cap=str(at))
        for at, letter in enumerate(sources, start=1)
    ]
    needed, text = bool(question.get("required")), fields.get(f"{name}.text", "")
    row = Row(field, _("Repair"), "edit", choices, needed, jump="e", value=text)
    return Drawn([row], cannot_judge(question, name, fields), {"sources": sources, "most": MOST_CHARACTERS})


def _editable(form: str, body: str) -> str | None:
    try:
        return last_words(form, body)
    except FormRefused:
        return None


def answer_said(
    question: Mapping[str, Any], answer: Mapping[str, Any], option_order: Sequence[int]
) -> list[str]:
    """Which completion was repaired; of one alone, that it was."""
    if len(option_order) == 1:
        return [_("Repaired")]
    return [_("{side} repaired").format(side=SIDES[list(option_order).index(answer["source"])])]

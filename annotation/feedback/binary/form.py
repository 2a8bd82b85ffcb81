"""How a binary question is drawn: one row, or one for each principle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.feedback.binary.answer import labels_offered
from annotation.feedback.drawing import Choice, Drawn, Row, Shown, cannot_judge

WORDS = {
    "thumbs": (gettext_noop("Desirable"), gettext_noop("Not desirable"), gettext_noop("Does not apply")),
    "yes_no": (gettext_noop("Yes"), gettext_noop("No"), gettext_noop("Does not apply")),
}


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    asked = question.get("principles") or []
    rows = [
        (f"{name}.principle.{principle['key']}", str(principle["label"])) for principle in asked
    ] or [(name, "")]
    return Drawn(
        [_row(question, field, label, fields) for field, label in rows], cannot_judge(question, name, fields)
    )


def _row(question: Mapping[str, Any], name: str, label: str, fields: Mapping[str, str]) -> Row:
    words = WORDS[question.get("words", "yes_no")]
    choices = [
        Choice(value, str(at), _(word), chosen=fields.get(name) == value, cap=str(at))
        for at, (value, word) in enumerate(zip(labels_offered(question), words, strict=False), start=1)
    ]
    return Row(name, label, "choices", choices, needed=bool(question.get("required")))

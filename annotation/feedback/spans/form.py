"""How spans are drawn: one row a completion; marking is the script's work, on the completion's source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.feedback.binary.answer import labels_offered
from annotation.feedback.binary.form import WORDS
from annotation.feedback.drawing import (
    NAME_LENGTH,
    Drawn,
    Row,
    Shown,
    cannot_judge,
    cut,
    marks_said,
    rows_said,
)
from annotation.feedback.rating.form import step


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    field = f"{name}.marks"
    row = Row(field, "", "spans", needed=bool(question.get("required")), jump="m", value=fields.get(field, ""))
    data = {
        "side": side,
        "categories": question.get("categories") or [],
        "severities": question.get("severities") or [],
        "comment": bool(question.get("comment", True)),
        "questions": [_asked(one) for one in question.get("questions") or []],
    }
    return Drawn([row], cannot_judge(question, name, fields), data)


def _asked(question: Mapping[str, Any]) -> dict[str, Any]:
    """A question asked of each span, as rows of choices (value, words, key): `path` leads to the value in its answer."""
    title = str(question["title"])
    if question["type"] == "binary":
        words = zip(labels_offered(question), WORDS[question.get("words", "yes_no")], strict=False)
        choices: list[list[Any]] = [[label, _(word), str(at)] for at, (label, word) in enumerate(words, start=1)]
        parts = question.get("principles") or []
        rows = [{"path": ["principles", p["key"]], "label": p["label"]} for p in parts] or [
            {"path": ["label"], "label": title}
        ]
    else:
        choices = _steps(question)
        rows = [{"path": ["values", part["key"]], "label": part["label"]} for part in question["aspects"]]
    needed, help_words = bool(question.get("required")), str(question.get("help") or "")
    return {
        "key": question["key"], "title": title, "help": help_words, "needed": needed, "choices": choices, "rows": rows,
    }  # fmt: skip


def _steps(question: Mapping[str, Any]) -> list[list[Any]]:
    """The numbers of a scale, each with its word; where only the ends have words, those with theirs."""
    low, high, words = question["low"], question["high"], question.get("words") or []
    every = words if len(words) == high - low + 1 else [words[0], *[""] * (high - low - 1), words[-1]] if words else ()
    steps = [(value, step(value, low, high, every, "")) for value in range(low, high + 1)]
    return [[value, one.word.strip(), one.cap] for value, one in steps]


QUOTE_LENGTH = 40


def answer_said(
    question: Mapping[str, Any], answer: Mapping[str, Any], option_order: Sequence[int]
) -> list[str]:
    """The marked words, shortened, each after its category and severity, and before what else it was asked."""
    return marks_said([_quoted(question, span, option_order) for span in answer["spans"]])


def _quoted(question: Mapping[str, Any], span: Mapping[str, Any], option_order: Sequence[int]) -> str:
    kind = " ".join(str(span[name]) for name in ("category", "severity") if span.get(name))
    answers = [
        f"{cut(asked['title'], NAME_LENGTH)} {', '.join(rows_said(asked, answer, option_order))}"
        for asked in question.get("questions") or []
        if (answer := span["answers"].get(asked["key"]))
    ]
    said = f" ({'; '.join(answers)})" if answers else ""
    return f"{kind} “{cut(span['quote'], QUOTE_LENGTH)}”{said}".strip()

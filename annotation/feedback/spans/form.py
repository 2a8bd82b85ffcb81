"""How spans are drawn: one row a completion; marking is the script's work, on the completion's source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotation.feedback.binary.answer import labels_offered
from annotation.feedback.drawing import Drawn, Row, Shown, cut, marks_said


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    row = Row(name, "", "spans", needed=bool(question.get("required")), jump="m", value=fields.get(name, ""))
    data = {
        "side": side,
        "categories": question.get("categories") or [],
        "severities": question.get("severities") or [],
        "comment": bool(question.get("comment", True)),
        "questions": [_asked(one) for one in question.get("questions") or []],
    }
    return Drawn([row], data=data)


def _asked(question: Mapping[str, Any]) -> dict[str, Any]:
    """A question asked of each span, as rows of words: `path` leads to the value inside its answer."""
    key, title = str(question["key"]), str(question["title"])
    if question["type"] == "binary":
        words = labels_offered(question)
        said = {"yes": _("Yes"), "no": _("No"), "does_not_apply": _("Does not apply")}
        choices: list[list[Any]] = [[word, said[word]] for word in words]
        parts = question.get("principles") or []
        rows = [{"path": ["principles", p["key"]], "label": p["label"]} for p in parts] or [
            {"path": ["label"], "label": title}
        ]
    else:
        choices = [[value, str(value)] for value in range(question["low"], question["high"] + 1)]
        rows = [{"path": ["values", part["key"]], "label": part["label"]} for part in question["aspects"]]
    return {"key": key, "title": title, "needed": bool(question.get("required")), "choices": choices, "rows": rows}


QUOTE_LENGTH = 40


def answer_said(
    question: Mapping[str, Any], answer: Mapping[str, Any], option_order: Sequence[int]
) -> list[str]:
    """The marked words, shortened, each after its category and severity."""
    return marks_said([_quoted(span) for span in answer["spans"]])


def _quoted(span: Mapping[str, Any]) -> str:
    kind = " ".join(str(span[name]) for name in ("category", "severity") if span.get(name))
    return f"{kind} “{cut(span['quote'], QUOTE_LENGTH)}”".strip()

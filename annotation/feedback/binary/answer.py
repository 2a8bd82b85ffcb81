"""Binary answers: one label, or one for each principle.

Answer: `{"label": "yes" | "no" | "does_not_apply", "principles": {key: label}, "reasons", "sentence"}`, or
`{"outcome": "cannot_judge"}`. Without principles `label` is the answer (thumbs: yes is desirable); with principles it is
None and each principle has a label. `does_not_apply` only where the form offers it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import NOTHING, About, Summary
from annotation.feedback.shared import (
    CANNOT_JUDGE,
    answer_object,
    answer_unplaced,
    is_cannot_judge,
    parts_check,
    reasons_checked,
    reasons_from_form,
    reasons_to_form,
    sentence_checked,
    words_check,
)

answer_placed = answer_unplaced
SUBJECTS = ("completion", "comparison")
NEEDS_TEXTS = False
SIZES = (1, 9)
LABELS = ("yes", "no", "does_not_apply")
# What the form may say instead of yes and no.
WORDS = {"thumbs": ("Desirable", "Not desirable"), "yes_no": ("Yes", "No")}


def question_check(question: Mapping[str, Any]) -> None:
    if question.get("words", "yes_no") not in WORDS:
        raise FormRefused(f"The words of a binary question are thumbs or yes_no; got {question.get('words')!r}.")
    parts_check(question, "principles")
    words_check(question, "reasons")


def labels_offered(question: Mapping[str, Any]) -> tuple[str, ...]:
    return LABELS if question.get("does_not_apply") else LABELS[:2]


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    given = answer_object(question, answer, {"label", "principles", "outcome", "reasons", "sentence"})
    if is_cannot_judge(question, given):
        return {"outcome": CANNOT_JUDGE}
    asked = {part["key"]: part["label"] for part in question.get("principles") or []}
    labels = given.get("principles") or {}
    if not isinstance(labels, Mapping) or set(labels) - set(asked):
        principles = ", ".join(asked) or Phrase(_("none"))
        raise FormRefused(_("Question {key!r} has the principles {principles}."), key=question["key"], principles=principles)
    if missing := [label for key, label in asked.items() if key not in labels]:
        raise FormRefused(_("The principle {label!r} needs an answer."), label=missing[0])
    if asked and given.get("label") is not None:
        raise FormRefused(
            _("Question {key!r} is answered principle by principle; it has no label of its own."), key=question["key"]
        )
    return {
        "label": None if asked else _label(question, given.get("label")),
        "principles": {key: _label(question, labels[key]) for key in asked},
        "reasons": reasons_checked(question, given),
        "sentence": sentence_checked(question, given),
    }


def _label(question: Mapping[str, Any], label: Any) -> str:
    if label not in labels_offered(question):
        raise FormRefused(
            _("Question {key!r}: a label is one of {labels}; got {label!r}."),
            key=question["key"],
            labels=", ".join(labels_offered(question)),
            label=label,
        )
    return str(label)


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    return Summary(CANNOT_JUDGE) if answer.get("outcome") == CANNOT_JUDGE else NOTHING


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME` (a label, or cannot_judge), `NAME.principle.KEY`, `NAME.reasons`, `NAME.sentence`."""
    if form.get(name) == CANNOT_JUDGE:
        return {"outcome": CANNOT_JUDGE}
    asked = [part["key"] for part in question.get("principles") or []]
    labels = {key: form[f"{name}.principle.{key}"] for key in asked if form.get(f"{name}.principle.{key}")}
    label = None if asked else form.get(name) or None
    if label is None and not labels:
        return None
    return {"label": label, "principles": labels, **reasons_from_form(form, name)}


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    if answer.get("outcome") == CANNOT_JUDGE:
        return {name: CANNOT_JUDGE}
    fields = {f"{name}.principle.{key}": label for key, label in answer["principles"].items()}
    return fields | ({name: answer["label"]} if answer["label"] else {}) | reasons_to_form(answer, name)

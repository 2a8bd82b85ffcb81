"""Ratings: one whole number an aspect, `low`..`high` of the question.

Answer: `{"values": {aspect: number}, "reasons", "sentence"}`, or `{"outcome": "cannot_judge"}`. Untouched is not an
answer: nothing is preselected, and a slider posts nothing before it was moved.
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
    whole,
    whole_from_form,
    words_check,
)

answer_placed = answer_unplaced
SUBJECTS = ("completion", "comparison")
NEEDS_TEXTS = False
SIZES = (1, 9)
MOST_STEPS = 11


def question_check(question: Mapping[str, Any]) -> None:
    low, high = question.get("low"), question.get("high")
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in (low, high)):
        raise FormRefused(f"A rating needs whole numbers low and high; got {low!r} and {high!r}.")
    assert isinstance(low, int) and isinstance(high, int), "checked above"
    if not -1000 <= low < high <= 1000:
        raise FormRefused(f"A rating goes from low to a larger high, -1000 to 1000; got {low} to {high}.")
    if not question.get("slider") and high - low >= MOST_STEPS:
        raise FormRefused(f"A scale has at most {MOST_STEPS} steps; use a slider for {low} to {high}.")
    words = words_check(question, "words", most=MOST_STEPS)
    if words and not question.get("slider") and len(words) not in {2, high - low + 1}:
        raise FormRefused(f"A scale {low} to {high} needs words for both ends or for all {high - low + 1} steps.")
    parts_check(question, "aspects", least=1)
    words_check(question, "reasons")


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    given = answer_object(question, answer, {"values", "outcome", "reasons", "sentence"})
    if is_cannot_judge(question, given):
        return {"outcome": CANNOT_JUDGE}
    asked = {part["key"]: part["label"] for part in question["aspects"]}
    values = given.get("values")
    if not isinstance(values, Mapping) or set(values) - set(asked):
        raise FormRefused(_("Question {key!r} has the aspects {aspects}."), key=question["key"], aspects=", ".join(asked))
    if missing := [label for key, label in asked.items() if key not in values]:
        raise FormRefused(_("The aspect {label!r} needs a rating."), label=missing[0])
    low, high = question["low"], question["high"]
    return {
        "values": {
            key: whole(question, values[key], low, high, Phrase(_("the rating of {aspect}"), aspect=key)) for key in asked
        },
        "reasons": reasons_checked(question, given),
        "sentence": sentence_checked(question, given),
    }


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    return Summary(CANNOT_JUDGE) if answer.get("outcome") == CANNOT_JUDGE else NOTHING


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME.ASPECT` (a whole number); `NAME` may be cannot_judge."""
    if form.get(name) == CANNOT_JUDGE:
        return {"outcome": CANNOT_JUDGE}
    values = {
        part["key"]: value
        for part in question["aspects"]
        if (value := whole_from_form(question, form.get(f"{name}.{part['key']}", ""), Phrase(_("a rating")))) is not None
    }
    return {"values": values, **reasons_from_form(form, name)} if values else None


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    if answer.get("outcome") == CANNOT_JUDGE:
        return {name: CANNOT_JUDGE}
    return {f"{name}.{key}": str(value) for key, value in answer["values"].items()} | reasons_to_form(answer, name)

"""Segments: stretches of time of two sounds or films that play in step, each with a choice between the two.

Answer: `{"segments": [{"start", "end", "outcome", "vote", "comment"}]}` in order of time, or `{"outcome":
"cannot_judge"}`. Seconds from the beginning of both, rounded to hundredths, start < end. Segments may touch, not overlap,
and lie inside the longer of the two where lengths are known. `outcome` and `vote` are those of a pairwise question of as
many `steps`. An empty list says that they differ nowhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import NOTHING, About, Summary
from annotation.feedback.pairwise.answer import (
    STEPS,
    choice_checked,
    choice_from_form,
    choice_to_form,
    turned,
)
from annotation.feedback.shared import CANNOT_JUDGE, answer_object, is_cannot_judge, sentence_checked

SUBJECTS = ("comparison",)
NEEDS_TEXTS = True
SIZES = (2, 2)
MOST_SEGMENTS = 100
LONGEST_SECONDS = 86_400.0
# Players and files tell lengths that differ by parts of a frame.
TOLERANCE_SECONDS = 0.25
ENDS = {"start": _("start"), "end": _("end")}
FIELDS = {"start", "end", "outcome", "vote", "comment"}


def question_check(question: Mapping[str, Any]) -> None:
    most = question.get("most", MOST_SEGMENTS)
    if question.get("steps") not in STEPS:
        raise FormRefused(f"The scale of a segment has 2, 3, 5 or 7 steps; got {question.get('steps')!r}.")
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST_SEGMENTS:
        raise FormRefused(f"At most 1 to {MOST_SEGMENTS} segments can be marked; got {most!r}.")


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    if about.size != 2:
        raise FormRefused(_("Segments compare 2 completions; this comparison has {size}."), size=about.size)
    read = answer_object(question, answer, {"segments", "outcome"})
    if is_cannot_judge(question, read):
        return {"outcome": CANNOT_JUDGE}
    given, most = read.get("segments"), question.get("most", MOST_SEGMENTS)
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > most:
        raise FormRefused(_("Question {key!r}: segments must be a list of at most {most}."), key=question["key"], most=most)
    checked = sorted((_segment_checked(question, one, about) for one in given), key=lambda one: float(one["start"]))
    for one, after in pairwise(checked):
        if after["start"] < one["end"]:
            both = {"one": _words(one), "other": _words(after)}
            raise FormRefused(_("Segments may touch, not overlap: {one} and {other} do."), **both)
    return {"segments": checked}


def _segment_checked(question: Mapping[str, Any], segment: Any, about: About) -> dict[str, Any]:
    one = answer_object(question, segment, FIELDS)
    start, end = (_seconds(one.get(name), name) for name in ENDS)
    if not start < end:
        raise FormRefused(_("A segment ends after it starts; got {start:g} s to {end:g} s."), start=start, end=end)
    if about.seconds is not None and end > about.seconds + TOLERANCE_SECONDS:
        raise FormRefused(
            _("A segment ends at {end:g} s; what is judged lasts {seconds:g} s."), end=end, seconds=about.seconds
        )
    choice = choice_checked(question, {"outcome": one.get("outcome"), "vote": one.get("vote")})
    return {"start": start, "end": end, **choice, "comment": sentence_checked(question, one, "comment")}


def _seconds(value: Any, name: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not 0 <= value <= LONGEST_SECONDS:
        raise FormRefused(
            _("The {what} of a segment is a number of seconds, 0 to {most:g}; got {value!r}."),
            what=Phrase(ENDS[name]),
            most=LONGEST_SECONDS,
            value=value,
        )
    return round(float(value), 2)


def _words(segment: Mapping[str, Any]) -> Phrase:
    return Phrase(_("{start:g} to {end:g} s"), start=segment["start"], end=segment["end"])


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    """What is better in places says nothing about the whole."""
    return Summary(CANNOT_JUDGE) if answer.get("outcome") == CANNOT_JUDGE else NOTHING


def answer_placed(
    question: Mapping[str, Any], answer: Mapping[str, Any], places: Sequence[int]
) -> dict[str, Any]:
    if list(places) == [0, 1] or "segments" not in answer:
        return dict(answer)
    return {"segments": [{**one, **turned(one)} for one in answer["segments"]]}


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME.marks`: JSON of `[{start, end, choice, comment}]`, `choice` as the field of a pairwise question;
    `NAME` may be cannot_judge. Empty: not answered."""
    if form.get(name) == CANNOT_JUDGE:
        return {"outcome": CANNOT_JUDGE}
    text = form.get(f"{name}.marks", "")
    if text == "":
        return None
    try:
        marks = json.loads(text)
    except (ValueError, RecursionError):
        raise FormRefused(_("Question {key!r}: the segments are not JSON."), key=question["key"]) from None
    if not isinstance(marks, list) or not all(isinstance(mark, dict) for mark in marks):
        raise FormRefused(_("Question {key!r}: the segments are a list of objects."), key=question["key"])
    return {"segments": [_from_mark(question, mark, option_order) for mark in marks]}


def _from_mark(question: Mapping[str, Any], mark: Mapping[str, Any], option_order: Sequence[int]) -> dict[str, Any]:
    choice = choice_from_form(question, str(mark.get("choice", "")), option_order)
    if choice is None:
        raise FormRefused(_("Each segment needs a choice of the completion that is better there."))
    return {name: value for name, value in mark.items() if name != "choice"} | choice


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    if answer.get("outcome") == CANNOT_JUDGE:
        return {name: CANNOT_JUDGE}
    marks = [
        {
            "start": one["start"],
            "end": one["end"],
            "choice": choice_to_form(question, one, option_order),
            "comment": one["comment"],
        }
        for one in answer["segments"]
    ]
    return {f"{name}.marks": json.dumps(marks, ensure_ascii=False)}

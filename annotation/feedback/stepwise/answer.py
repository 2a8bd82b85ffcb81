"""Stepwise answers: labels of a completion's steps, the first bad step, or an order of siblings.

Answer by the question's `mode`: `each`: `{"labels": [word, ...]}`, one of the form's labels a step; `first_bad`:
`{"first_bad": step from 0, or None: no step is bad, "steps": n}`; `siblings` (of the comparison): a ranking as in
`listwise`. `cut` says how a text falls into steps: `lines` (one without a letter or digit, as a lone brace, goes with the
line before it; a formula or table of several lines is one step), `paragraphs` (a block of code is one step of either),
`messages`, or `auto`: the turns of a chat of several, else lines. Also `{"outcome": "cannot_judge"}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import NOTHING, About, Summary
from annotation.feedback.listwise import answer as ranking
from annotation.feedback.shared import (
    CANNOT_JUDGE,
    answer_object,
    is_cannot_judge,
    sentence_checked,
    whole,
    whole_from_form,
    words_check,
)

SUBJECTS = ("completion", "comparison")
NEEDS_TEXTS = True
SIZES = (1, 9)
MODES = ("each", "first_bad", "siblings")
CUTS = ("auto", "lines", "paragraphs", "messages")


def question_check(question: Mapping[str, Any]) -> None:
    if question.get("mode") not in MODES:
        raise FormRefused(f"A stepwise mode is one of {', '.join(MODES)}; got {question.get('mode')!r}.")
    if (question["mode"] == "siblings") != (question.get("subject") == "comparison"):
        raise FormRefused("Siblings are ranked of the comparison; steps are labelled of each completion.")
    if question["mode"] == "siblings":
        return ranking.question_check(question)
    if question.get("cut") not in CUTS:
        raise FormRefused(f"A completion is cut in {', '.join(CUTS)}; got {question.get('cut')!r}.")
    if question["mode"] == "each":
        words_check(question, "labels", least=2, most=9)
    return None


@dataclass(frozen=True)
class Step:
    """A piece of a completion. `is_message`: `text` is one message of a chat as JSON."""

    text: str
    is_message: bool = False


def steps_of(cut: str, form: str, body: str) -> list[Step]:
    """A completion's steps in order; empty ones are none. Messages of a plain text: its paragraphs.

    Cut by lines or paragraphs, what a message holds beyond its words (tool calls, media) and what a tool answered stay
    steps of their own, so that nothing of a chat goes unseen.

    Example:
        >>> chat = '[{"role": "assistant", "content": "a\\nb"}, {"role": "tool", "content": "c"}]'
        >>> [step.is_message for step in steps_of("lines", "messages", chat)]
        [False, False, True]
        >>> len(steps_of("auto", "messages", chat))
        2
        >>> len(steps_of("lines", "messages", '[{"role": "user", "content": "a\\nb", "name": "Ada"}]'))
        2
    """
    if form != "messages":
        return _pieces("lines" if cut == "auto" else cut, body)
    messages = json.loads(body)
    by = ("messages" if len(messages) > 1 else "lines") if cut == "auto" else cut
    return [step for message in messages for step in _steps_of_message(by, message)]


def _steps_of_message(cut: str, message: Mapping[str, Any]) -> list[Step]:
    content, is_answer = message.get("content"), message.get("role") == "tool"
    if cut == "messages" or message.get("tool_calls") or is_answer or not isinstance(content, str):
        return [Step(json.dumps(message, ensure_ascii=False), is_message=True)]
    return _pieces(cut, content)


# What a line needs to be a step of its own.
SAYS = re.compile(r"\w")
# What opens or closes a block of code, indented at will, as in a list.
FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})")
FORMULAS = {"$$": "$$", "\\[": "\\]"}
LONGEST_FORMULA = 60  # lines; a text of marks must not be searched to its end from each


def _pieces(cut: str, text: str) -> list[Step]:
    """Lines, or what stands between empty ones. A fenced block of code is one step, its fences with it; so is a formula or a
    table of several lines."""
    lines = text.split("\n")
    pieces: list[list[str]] = [[]]
    at = 0
    while at < len(lines):
        line, end = lines[at], _block_end(cut, lines, at)
        if end > at:
            pieces += [lines[at:end], []]
        elif cut == "lines" and SAYS.search(line):
            pieces.append([line])
        elif line.strip():
            pieces[-1].append(line)
        elif cut == "paragraphs":
            pieces.append([])
        at = max(end, at + 1)
    texts = ["\n".join(piece).strip("\n") for piece in pieces]
    return [Step(text) for text in texts if text.strip()]


def _block_end(cut: str, lines: Sequence[str], at: int) -> int:
    """The line after the block that begins at line `at`; `at` where none does. Paragraphs hold formulas and tables whole."""
    if mark := FENCE.match(lines[at]):
        closing = (n for n in range(at + 1, len(lines)) if _is_fence_end(lines[n], mark[1]))
        return next(closing, len(lines) - 1) + 1
    if cut != "lines":
        return at
    end = at
    while end < len(lines) and lines[end].lstrip().startswith("|"):
        end += 1
    opening = lines[at].strip()[:2]
    if opening not in FORMULAS or lines[at].count(opening) > 1:
        return end if end > at + 1 else at
    for n in range(at, min(len(lines), at + LONGEST_FORMULA)):
        if not lines[n].strip():
            break
        if FORMULAS[opening] in lines[n].strip()[0 if n > at else 2 :]:
            return n + 1 if n > at and lines[n].rstrip().endswith(FORMULAS[opening]) else at
    return at


def _is_fence_end(line: str, fence: str) -> bool:
    mark = FENCE.match(line)
    return mark is not None and mark[1].startswith(fence) and not line[mark.end() :].strip()


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    if question["mode"] == "siblings":
        return ranking.answer_check(question, answer, about)
    given = answer_object(question, answer, {"labels", "first_bad", "steps", "outcome", "sentence"})
    if is_cannot_judge(question, given):
        return {"outcome": CANNOT_JUDGE}
    assert about.texts is not None and position is not None, "stepwise needs the texts"
    count = len(steps_of(question["cut"], *about.texts[position]))
    chosen = _labels(question, given, count) if question["mode"] == "each" else _first_bad(question, given, count)
    return {**chosen, "sentence": sentence_checked(question, given)}


def _labels(question: Mapping[str, Any], answer: Mapping[str, Any], count: int) -> dict[str, Any]:
    labels = answer.get("labels")
    if not isinstance(labels, Sequence) or isinstance(labels, str) or len(labels) != count:
        raise FormRefused(
            _("Question {key!r}: this completion has {count} steps; each needs a label."), key=question["key"], count=count
        )
    for step, label in enumerate(labels, start=1):
        if label not in question["labels"]:
            offered = ", ".join(question["labels"])
            raise FormRefused(_("Step {step} needs one of {labels}; got {label!r}."), step=step, labels=offered, label=label)
    return {"labels": list(labels)}


def _first_bad(question: Mapping[str, Any], answer: Mapping[str, Any], count: int) -> dict[str, Any]:
    first = answer.get("first_bad")
    return {
        "first_bad": None if first is None else whole(question, first, 0, count - 1, Phrase(_("the first bad step"))),
        "steps": count,
    }


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    if question["mode"] == "siblings":
        return ranking.answer_summary(question, answer)
    return Summary(CANNOT_JUDGE) if answer.get("outcome") == CANNOT_JUDGE else NOTHING


def answer_placed(
    question: Mapping[str, Any], answer: Mapping[str, Any], places: Sequence[int]
) -> dict[str, Any]:
    return ranking.answer_placed(question, answer, places) if question["mode"] == "siblings" else dict(answer)


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME.step.N` (a label; N from 1), or `NAME.first_bad` (a step from 1, or "none")."""
    if question["mode"] == "siblings":
        return ranking.answer_from_form(question, form, name, option_order)
    if form.get(name) == CANNOT_JUDGE:
        return {"outcome": CANNOT_JUDGE}
    sentence = form.get(f"{name}.sentence", "").strip()
    if question["mode"] == "first_bad":
        choice = form.get(f"{name}.first_bad", "")
        if choice == "":
            return None
        step = None if choice == "none" else whole_from_form(question, choice, Phrase(_("the first bad step")))
        return {"first_bad": None if step is None else step - 1, "sentence": sentence}
    prefix = f"{name}.step."
    given = {field.removeprefix(prefix): label for field, label in form.items() if field.startswith(prefix) and label}
    if not given:
        return None
    steps = [whole_from_form(question, step, Phrase(_("a step"))) or 0 for step in given]
    labels: list[str | None] = [None] * max(steps)
    if min(steps) < 1 or len(labels) > 10_000:
        raise FormRefused(_("Question {key!r}: steps are numbered from 1."), key=question["key"])
    for step, label in zip(steps, given.values(), strict=True):
        labels[step - 1] = label
    return {"labels": labels, "sentence": sentence}


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    if question["mode"] == "siblings":
        return ranking.answer_to_form(question, answer, name, option_order)
    if answer.get("outcome") == CANNOT_JUDGE:
        return {name: CANNOT_JUDGE}
    fields = {f"{name}.sentence": answer["sentence"]} if answer.get("sentence") else {}
    if question["mode"] == "first_bad":
        first = answer["first_bad"]
        return fields | {f"{name}.first_bad": "none" if first is None else str(first + 1)}
    return fields | {f"{name}.step.{step}": label for step, label in enumerate(answer["labels"], start=1)}

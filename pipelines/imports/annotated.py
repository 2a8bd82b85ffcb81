"""Completions with people's answers about them: `{prompt, completions: [{id, text, model}], annotations: [{rater, at,
shown_order, answers}]}`.

Answers are those of the project's form, by question key, and speak of the completions in the row's order: `first` is the
first of `completions`. `shown_order` names them by id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from annotation.errors import FormRefused
from annotation.feedback import About, answers_placed, answers_summary, answers_validate, needs_texts
from annotation.played import played_media
from pipelines.imports.errors import RowRefused
from pipelines.imports.prompt_completions import model_name
from pipelines.imports.rows import (
    MESSAGES,
    NAME,
    AnnotationValue,
    CompletionValue,
    Limits,
    Row,
    TextValue,
    completion_value,
    context_value,
    name_value,
    prompt_value,
    shown,
    stored_order,
)

NAME_LENGTH = 200


def looks_like(record: Mapping[str, Any]) -> bool:
    return isinstance(record["completions"], list) and isinstance(record["annotations"], list)


def parse_row(record: Mapping[str, Any], limits: Limits) -> Row:
    """A row whose answers are as they came; `row_checked` holds them against a form."""
    items, shared = record["completions"], record.get("prompt")
    if not isinstance(items, list) or not items:
        raise RowRefused("completions_too_few", "completions must be a list of one or more")
    ids = [_id(item, number) for number, item in enumerate(items, start=1)]
    if len(set(ids)) < len(ids):
        raise RowRefused("wrong_type", "each completion needs an id of its own")
    own = [shared if item.get("prompt") is None else item["prompt"] for item in items]
    if any(prompt is None for prompt in own):
        raise RowRefused("missing_field", "it has no prompt, neither of its own nor of each completion")
    prompts = [_prompt(prompt) for prompt in own]
    completions = tuple(
        _completion(item, prompt, prompts[0], number, limits)
        for number, (item, prompt) in enumerate(zip(items, prompts, strict=True), start=1)
    )
    context = context_value(record.get("context"))
    given = record["annotations"]
    if not isinstance(given, list):
        raise RowRefused("wrong_type", "annotations must be a list; an empty one where nobody has answered yet")
    annotations = tuple(_annotation(one, number, ids) for number, one in enumerate(given, start=1))
    return Row(prompts[0], completions, context=context, annotations=annotations, is_one=True)


def _id(item: object, number: int) -> str:
    found = item.get("id") if isinstance(item, dict) else None
    if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
        raise RowRefused("missing_field", f"completion {number} must be an object with an id, a text or a number")
    return str(found)


def _prompt(value: object) -> TextValue:
    """A text, messages, or `{"name": ...}` where the file does not hold the text."""
    if not isinstance(value, dict):
        return prompt_value(value)
    name = value.get("name")
    if set(value) != {"name"} or not isinstance(name, str) or not name.strip() or len(name) > NAME_LENGTH:
        raise RowRefused("wrong_type", f"a prompt that is a name only is {{name}} of 1 to {NAME_LENGTH} characters")
    return name_value(name, "prompt")


def _completion(
    item: Mapping[str, Any], prompt: TextValue, first: TextValue, number: int, limits: Limits
) -> CompletionValue:
    field = f"completion {number}"
    if item.get("text") is None and item.get("messages") is None:
        raise RowRefused("text_not_in_file", f"{field} ({shown(str(item['id']))}) has no text in the file")
    if item.get("text") is not None and item.get("messages") is not None:
        raise RowRefused("wrong_type", f"{field} has both a text and messages")
    value = item["messages"] if item.get("text") is None else item["text"]
    if prompt.form == MESSAGES and isinstance(value, str):
        value = [{"role": "assistant", "content": value}]
    text = completion_value(value, field, limits)
    if prompt.form not in {NAME, text.form}:
        raise RowRefused("mixed_forms", f"{field} and its prompt must both be texts or both be messages")
    own = None if prompt.sha256 == first.sha256 else prompt
    return CompletionValue(text, model_name(item.get("model"), field), prompt=own)


def _annotation(given: object, number: int, ids: Sequence[str]) -> AnnotationValue:
    field = f"annotation {number}"
    if not isinstance(given, dict) or not isinstance(given.get("answers"), dict):
        raise RowRefused("wrong_type", f"{field} must be an object with answers, an object by question")
    rater, at = given.get("rater"), given.get("at")
    if rater is not None and (
        not isinstance(rater, str) or not 0 < len(rater.strip()) <= NAME_LENGTH or not rater.isprintable()
    ):
        raise RowRefused("wrong_type", f"the rater of {field} must be a name of 1 to {NAME_LENGTH} printable characters")
    order = _shown(given.get("shown_order"), field, ids)
    return AnnotationValue(rater, _moment(at, field), order, given["answers"])


def _moment(at: object, field: str) -> datetime | None:
    if at is None:
        return None
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RowRefused("wrong_type", f"the time of {field} must be like 2026-05-01T12:30:00Z, with its zone")
    return moment


def _shown(order: object, field: str, ids: Sequence[str]) -> tuple[int, ...] | None:
    if order is None:
        return None
    named = [str(one) for one in order] if isinstance(order, list) else []
    if sorted(named) != sorted(ids):
        raise RowRefused("wrong_type", f"shown_order of {field} must name each completion's id once, in the order shown")
    return tuple(ids.index(one) for one in named)


def row_checked(row: Row, questions: Sequence[Mapping[str, Any]]) -> Row:
    """The row with its answers held against the form and mapped to stored positions.

    Raises:
        RowRefused: an answer does not fit, with the form's own sentence.
    """
    order = stored_order(row)
    places = [order.index(index) for index in range(len(order))]
    texts = [(one.text.form, one.text.body) for one in row.completions] if needs_texts(questions) else None
    about = About(len(order), texts, _seconds(row) if texts else None)
    checked = [_checked(one, number, questions, about, places) for number, one in enumerate(row.annotations, start=1)]
    return replace(row, annotations=tuple(checked))


def _seconds(row: Row) -> float | None:
    """How long the longest of the sounds or films lasts with which the completions begin, where all are known."""
    known = {medium.sha256: medium.seconds for medium in row.media}
    firsts = [next(iter(played_media(one.text.form, one.text.body)), "") for one in row.completions]
    lengths = [known.get(first) for first in firsts]
    return None if None in lengths else max(filter(None, lengths), default=None)


def _checked(
    given: AnnotationValue, number: int, questions: Sequence[Mapping[str, Any]], about: About, places: Sequence[int]
) -> AnnotationValue:
    try:
        answers = answers_placed(questions, answers_validate(questions, given.answers, about).answers, places)
    except FormRefused as refused:
        raise RowRefused("answer_refused", f"annotation {number}: {str(refused).rstrip('.')}") from None
    summary = answers_summary(questions, answers)
    return replace(
        given,
        answers=answers,
        shown=None if given.shown is None else tuple(places[index] for index in given.shown),
        outcome=summary.outcome,
        vote=summary.vote,
        vote_scale=summary.vote_scale,
    )

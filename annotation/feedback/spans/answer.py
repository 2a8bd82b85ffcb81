"""Spans: passages of one completion.

Answer: `{"spans": [{"message", "start", "end", "quote", "category", "severity", "comment", "answers"}]}`, in order of
their place. `start` and `end` count Unicode code points of the text (of a chat: of the content of message `message`,
from 0; of a plain text `message` is None), end exclusive; `quote` is that passage and must equal the text. An empty list
says that nothing was found. `questions` of the question are asked of each span, under `answers` by their keys: binary or
rating questions without a `subject`. Also `{"outcome": "cannot_judge"}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import KEY, NOTHING, About, Summary, answer_module
from annotation.feedback import question_check as asked_check
from annotation.feedback.shared import (
    CANNOT_JUDGE,
    answer_object,
    answer_unplaced,
    is_cannot_judge,
    sentence_checked,
    whole,
    words_check,
)

answer_placed = answer_unplaced
SUBJECTS = ("completion",)
NEEDS_TEXTS = True
SIZES = (1, 9)
MOST_SPANS = 200
FIELDS = {"message", "start", "end", "quote", "category", "severity", "comment", "answers"}
ASKED_OF_SPANS = ("binary", "rating")
# What a passage cannot be asked with: its mark has rows of choices only, and decides nothing beyond itself.
NOT_OF_SPANS = ("slider", "cannot_judge", "reasons", "sentence", "overall")


def question_check(question: Mapping[str, Any]) -> None:
    words_check(question, "categories", most=60)
    words_check(question, "severities", most=9)
    given = question.get("questions") or []
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise FormRefused(f"Question {question.get('key')!r}: questions must be a list; got {type(given).__name__}.")
    for asked in given:
        question_check_of_span(asked)
    keys = [asked["key"] for asked in given]
    if len(set(keys)) < len(keys):
        raise FormRefused(f"Every question of a span needs a key of its own; got {', '.join(map(repr, keys))}.")


def question_check_of_span(asked: Any) -> None:
    """Refuse a question that each span could not be asked."""
    if not isinstance(asked, Mapping) or asked.get("type") not in ASKED_OF_SPANS:
        raise FormRefused(f"A span is asked {' and '.join(ASKED_OF_SPANS)} questions only.")
    key = asked.get("key")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise FormRefused(f"A question's key has small letters, digits and _, and begins with a letter; got {key!r}.")
    if "subject" in asked:
        raise FormRefused(f"The question {key!r} of a span has no subject; it is asked of each span.")
    if odd := next((name for name in NOT_OF_SPANS if asked.get(name)), None):
        raise FormRefused(f"The question {key!r} of a span cannot have {odd}.")
    asked_check({**asked, "subject": SUBJECTS[0]})


def text_of(form: str, body: str, message: int | None) -> str:
    """The text that a span counts in."""
    if form != "messages":
        if message is not None:
            raise FormRefused(_("This completion is one text; its spans name no message."))
        return body
    messages = json.loads(body)
    content = messages[message].get("content") if message is not None and 0 <= message < len(messages) else None
    if not isinstance(content, str):
        raise FormRefused(_("This completion has no text in message {message!r}."), message=message)
    return content


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    parts = answer_object(question, answer, {"spans", "outcome"})
    if is_cannot_judge(question, parts):
        return {"outcome": CANNOT_JUDGE}
    given = parts.get("spans")
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > MOST_SPANS:
        raise FormRefused(
            _("Question {key!r}: spans must be a list of at most {most}."), key=question["key"], most=MOST_SPANS
        )
    assert about.texts is not None and position is not None, "spans need the texts"
    checked = [_span_checked(question, span, about, position) for span in given]
    return {"spans": sorted(checked, key=lambda span: (span["message"] or 0, span["start"], span["end"]))}


def _span_checked(question: Mapping[str, Any], span: Any, about: About, position: int) -> dict[str, Any]:
    one = answer_object(question, span, FIELDS)
    message = one.get("message")
    if message is not None:
        message = whole(question, message, 0, 10_000, Phrase(_("message")))
    assert about.texts is not None, "checked by the caller"
    text = text_of(*about.texts[position], message)
    start = whole(question, one.get("start"), 0, len(text), Phrase(_("the start of a span")))
    end = whole(question, one.get("end"), start + 1, len(text), Phrase(_("the end of a span")))
    if "quote" in one and one["quote"] != text[start:end]:
        raise FormRefused(
            _("The span {start} to {end} does not hold the passage that came with it. Mark it again."), start=start, end=end
        )
    return {
        "message": message,
        "start": start,
        "end": end,
        "quote": text[start:end],
        "category": _one_of(question, "categories", one.get("category"), Phrase(_("category"))),
        "severity": _one_of(question, "severities", one.get("severity"), Phrase(_("severity"))),
        "comment": sentence_checked(question, one, "comment"),
        "answers": _answers(question, one.get("answers") or {}, about, position),
    }


def _one_of(question: Mapping[str, Any], name: str, word: Any, what: Phrase) -> str:
    offered = question.get(name) or []
    if not offered and word in (None, ""):
        return ""
    if word not in offered:
        words = ", ".join(offered) or Phrase(_("none"))
        raise FormRefused(_("A span's {what} is one of {words}; got {word!r}."), what=what, words=words, word=word)
    return str(word)


def _answers(question: Mapping[str, Any], answers: Any, about: About, position: int) -> dict[str, Any]:
    asked = {one["key"]: one for one in question.get("questions") or []}
    if not isinstance(answers, Mapping) or set(answers) - set(asked):
        raise FormRefused(_("A span is asked {keys}."), keys=", ".join(asked) or Phrase(_("nothing more")))
    for key, one in asked.items():
        if one.get("required") and answers.get(key) is None:
            raise FormRefused(_("Each span needs an answer to {title!r}."), title=one["title"])
    return {
        key: answer_module(asked[key]["type"]).answer_check(asked[key], answer, about, position)
        for key, answer in answers.items()
        if answer is not None
    }


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    return Summary(CANNOT_JUDGE) if answer.get("outcome") == CANNOT_JUDGE else NOTHING


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME.marks`: JSON of the list of spans; `NAME` may be cannot_judge. Empty: not answered."""
    if form.get(name) == CANNOT_JUDGE:
        return {"outcome": CANNOT_JUDGE}
    text = form.get(f"{name}.marks", "")
    if text == "":
        return None
    try:
        return {"spans": json.loads(text)}
    except (ValueError, RecursionError):
        raise FormRefused(_("Question {key!r}: the spans are not JSON."), key=question["key"]) from None


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    if answer.get("outcome") == CANNOT_JUDGE:
        return {name: CANNOT_JUDGE}
    return {f"{name}.marks": json.dumps(answer["spans"], ensure_ascii=False)}

"""Feedback types: how a question is asked and what an answer means. One folder and one line below each.

A question is a dict of a form revision: `key`, `type`, `subject` (comparison, completion or span), `title`, `help`,
`required`, and what its type adds. An answer is a dict as well, always in stored order: whoever reads a form maps the
shown sides back before anything is stored. Read first: `pairwise/answer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from annotation.errors import FormRefused


@dataclass(frozen=True)
class FeedbackType:
    """`answer`: dotted path of the pure module; `template`: the form part; `script`: its ES module or ''."""

    label: str
    answer: str
    template: str
    script: str


FEEDBACK_TYPES: dict[str, FeedbackType] = {
    "pairwise": FeedbackType("Pairwise", "annotation.feedback.pairwise.answer", "pairwise/question.html", ""),
}

# What `create_project --template` offers: the questions of the first form revision.
TEMPLATES: dict[str, list[dict[str, Any]]] = {
    "pairwise": [
        {
            "key": "preference",
            "type": "pairwise",
            "subject": "comparison",
            "title": "Which answer is better?",
            "help": "",
            "required": True,
            "steps": 7,
            "both_bad": True,
            "cannot_judge": True,
            "reasons": [],
        }
    ],
}


@dataclass(frozen=True)
class Summary:
    """What aggregation needs of an answer. `vote`: signed strength in stored order, -scale..scale, or None."""

    outcome: str
    vote: int | None
    vote_scale: int | None


class AnswerModule(Protocol):
    def question_check(self, question: Mapping[str, Any]) -> None: ...
    def answer_check(self, question: Mapping[str, Any], answer: Any) -> dict[str, Any]: ...
    def answer_summary(self, question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary: ...
    def answer_from_form(
        self, question: Mapping[str, Any], form: Mapping[str, str], option_order: Sequence[int]
    ) -> dict[str, Any] | None: ...


@dataclass(frozen=True)
class Validated:
    """Checked answers. `gives_place_back`: every required answer is "cannot judge"."""

    answers: dict[str, Any]
    summary: Summary
    gives_place_back: bool


def answer_module(type_key: str) -> AnswerModule:
    """The pure rules of one feedback type."""
    if type_key not in FEEDBACK_TYPES:
        raise FormRefused(f"There is no feedback type {type_key!r}; known are {', '.join(FEEDBACK_TYPES)}.")
    module: Any = import_module(FEEDBACK_TYPES[type_key].answer)
    return module  # type: ignore[no-any-return]  # named as text in the table


def questions_check(questions: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a form that could not be answered: no question, a key twice, an unknown type, a broken scale."""
    if not questions:
        raise FormRefused("A form needs at least one question; this one has none.")
    keys = [question.get("key", "") for question in questions]
    if "" in keys or len(set(keys)) < len(keys):
        raise FormRefused(f"Every question needs a key of its own; got {', '.join(map(repr, keys))}.")
    if not any(question.get("required") for question in questions):
        raise FormRefused("A form needs at least one required question.")
    for question in questions:
        answer_module(str(question.get("type"))).question_check(question)


def answers_validate(questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> Validated:
    """Check answers (stored order, by question key) against the form's questions; raise `FormRefused` in one sentence."""
    unknown = set(answers) - {question["key"] for question in questions}
    if unknown:
        raise FormRefused(f"The form has no question {', '.join(sorted(map(repr, unknown)))}.")
    checked: dict[str, Any] = {}
    summaries: list[tuple[bool, Summary]] = []
    for question in questions:
        key = question["key"]
        if answers.get(key) is None:
            if question.get("required"):
                raise FormRefused(f"The question {question.get('title') or key!r} needs an answer.")
            continue
        module = answer_module(question["type"])
        checked[key] = module.answer_check(question, answers[key])
        summaries.append((bool(question.get("required")), module.answer_summary(question, checked[key])))
    return Validated(
        answers=checked,
        summary=summaries[0][1],
        gives_place_back=all(s.outcome == "cannot_judge" for required, s in summaries if required),
    )


def answers_from_form(
    questions: Sequence[Mapping[str, Any]], form: Mapping[str, str], option_order: Sequence[int]
) -> dict[str, Any]:
    """Read a posted form, whose fields speak of the sides as shown, into answers in stored order."""
    read = {q["key"]: answer_module(q["type"]).answer_from_form(q, form, option_order) for q in questions}
    return {key: answer for key, answer in read.items() if answer is not None}

"""Feedback types: how a question is asked and what an answer means. One folder and one line below each.

A form is an ordered list of questions. A question is a dict of a form revision: `key`, `type`, `subject` (comparison or
completion), `title`, `help`, `required`, and what its type adds. An answer is a dict too, always in stored order; a
question asked of each completion has the answer `{"completions": [answer or None, ...]}`, by stored position. Whoever
reads a form maps the shown sides back before anything is stored. Read first: `pairwise/answer.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from annotation.errors import FormRefused, _

SIDES = "ABCDEFGHI"
KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
MOST_QUESTIONS = 20
MOST_HELP = 2_000
# What an answer may hold at all, far above what any type asks for.
MOST_DEPTH = 20
LARGEST_NUMBER = 10**15


@dataclass(frozen=True)
class FeedbackType:
    """`path`: dotted path of the folder, which has `answer.py` (pure rule), `setup.py` (what can be set),
    `form.py` (drawing), `question.html`; `script`: its ES module or ''; `keys`: its shortcuts in words."""

    label: str
    path: str
    script: str
    keys: str


FEEDBACK_TYPES: dict[str, FeedbackType] = {
    "pairwise": FeedbackType("Pairwise", "annotation.feedback.pairwise", "", "1 to 7, 0, X, U; J and K for aspects"),
    "listwise": FeedbackType("Listwise", "annotation.feedback.listwise", "ranking", "a letter, then its place"),
    "binary": FeedbackType("Binary", "annotation.feedback.binary", "", "1 yes, 2 no, 3 does not apply"),
    "rating": FeedbackType("Rating", "annotation.feedback.rating", "slider", "1 to 9; arrows on a slider"),
    "joint": FeedbackType("Joint", "annotation.feedback.joint", "", "1 to 7, 0, X, U"),
    "stepwise": FeedbackType("Stepwise", "annotation.feedback.stepwise", "ranking", "1 to 9, J and K for steps"),
    "edit": FeedbackType("Edit", "annotation.feedback.edit", "edit", "E opens the text"),
    "spans": FeedbackType("Spans", "annotation.feedback.spans", "spans", "M, arrows, Shift and arrows, Enter"),
    "segments": FeedbackType("Segments", "annotation.feedback.segments", "segments", "Space plays, M marks start and end"),
}


@dataclass(frozen=True)
class About:
    """What a rule may need to know of the comparison. `texts`: form and body by stored position, or None where the
    caller did not load them (only types with `NEEDS_TEXTS` ask for them). `seconds`: how long the longest of the sounds
    and films lasts with which the completions begin; None where one of them is not known."""

    size: int
    texts: Sequence[tuple[str, str]] | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Summary:
    """What aggregation needs of an answer. `vote`: signed strength in stored order, -scale..scale, or None.

    `outcome` is "" for an answer that says nothing about first and second.
    """

    outcome: str = ""
    vote: int | None = None
    vote_scale: int | None = None


NOTHING = Summary()


class AnswerModule(Protocol):
    """The pure rules of one type. `name` is the form field that holds the answer, `KEY` or, of a completion, `KEY.A`.

    `SIZES`: of how many completions it can be asked, least and most.
    """

    SUBJECTS: tuple[str, ...]
    NEEDS_TEXTS: bool
    SIZES: tuple[int, int]

    def question_check(self, question: Mapping[str, Any]) -> None: ...
    def answer_check(
        self, question: Mapping[str, Any], answer: Any, about: About, position: int | None
    ) -> dict[str, Any]: ...
    def answer_summary(self, question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary: ...
    def answer_placed(
        self, question: Mapping[str, Any], answer: Mapping[str, Any], places: Sequence[int]
    ) -> dict[str, Any]: ...
    def answer_from_form(
        self, question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
    ) -> dict[str, Any] | None: ...
    def answer_to_form(
        self, question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
    ) -> dict[str, str]: ...


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
    module: Any = import_module(f"{FEEDBACK_TYPES[type_key].path}.answer")
    return module  # type: ignore[no-any-return]  # named as text in the table


def questions_check(questions: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a form that could not be answered: no question, a key twice, an unknown type, a broken scale."""
    if not questions:
        raise FormRefused("A form needs at least one question; this one has none.")
    if len(questions) > MOST_QUESTIONS:
        raise FormRefused(f"A form has at most {MOST_QUESTIONS} questions; got {len(questions)}.")
    of_spans = sum(len(asked) for one in questions if isinstance(asked := one.get("questions"), list))
    if len(questions) + of_spans > MOST_QUESTIONS:
        raise FormRefused(f"A form has at most {MOST_QUESTIONS} questions; got {len(questions)} and {of_spans} of spans.")
    keys = [str(question.get("key", "")) for question in questions]
    if odd := next((key for key in keys if not KEY.fullmatch(key)), None):
        raise FormRefused(f"A question's key has small letters, digits and _, and begins with a letter; got {odd!r}.")
    if "" in keys or len(set(keys)) < len(keys):
        raise FormRefused(f"Every question needs a key of its own; got {', '.join(map(repr, keys))}.")
    if not any(question.get("required") for question in questions):
        raise FormRefused("A form needs at least one required question.")
    for question in questions:
        question_check(question)


def question_check(question: Mapping[str, Any]) -> None:
    """Refuse one question that could not be asked; its key is checked with the others'."""
    type_key, title = str(question.get("type")), question.get("title")
    module = answer_module(type_key)
    if not isinstance(title, str) or not title.strip() or len(title) > 300:
        raise FormRefused(f"The question {question['key']!r} needs a title of up to 300 characters.")
    if not isinstance(question.get("help", ""), str) or len(question.get("help", "")) > MOST_HELP:
        raise FormRefused(f"The help of the question {question['key']!r} is a text of up to {MOST_HELP:,} characters.")
    if not all(is_storable(text) for text in _texts(question)):
        raise FormRefused(f"The question {question['key']!r} holds a NUL or half a character, which cannot be stored.")
    if question.get("subject") not in module.SUBJECTS:
        raise FormRefused(
            f"A {type_key} question is asked of the {' or the '.join(module.SUBJECTS)}; got {question.get('subject')!r}."
        )
    module.question_check(question)


def sizes_taken(questions: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Of how many completions a comparison may be for this form, least and most: what its required questions take."""
    taken = [answer_module(question["type"]).SIZES for question in questions if question.get("required")]
    return max((least for least, _ in taken), default=1), min((most for _, most in taken), default=len(SIDES))


def sizes_words(questions: Sequence[Mapping[str, Any]]) -> str:
    """The same in words."""
    least, most = sizes_taken(questions)
    return f"{least} completions" if least == most else f"{least} to {most} completions"


def _texts(value: Any) -> Iterator[str]:
    """Every text in a question, keys too."""
    if isinstance(value, str):
        yield value
    for inner in _inner(value):
        yield from _texts(inner)


def is_storable(text: str) -> bool:
    """Whether the database can keep a text: no NUL, no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def needs_texts(questions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether checking answers to this form takes the completions' texts."""
    return any(answer_module(question["type"]).NEEDS_TEXTS for question in questions)


def answers_validate(
    questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], about: About
) -> Validated:
    """Check answers (stored order, by question key) against the form; raise `FormRefused` in one sentence.

    The summary is that of the question marked `overall`, else of the first one that says something about first and
    second.
    """
    _answers_storable(answers)
    unknown = set(answers) - {question["key"] for question in questions}
    if unknown:
        raise FormRefused(_("The form has no question {keys}."), keys=", ".join(sorted(map(repr, unknown))))
    checked: dict[str, Any] = {}
    for question in questions:
        key = question["key"]
        if answers.get(key) is None:
            if question.get("required"):
                raise FormRefused(_("The question {title!r} needs an answer."), title=question.get("title") or key)
            continue
        module = answer_module(question["type"])
        checked[key] = (
            _each_checked(module, question, answers[key], about)
            if question["subject"] == "completion"
            else module.answer_check(question, answers[key], about, None)
        )
    if not checked:
        raise FormRefused(_("Nothing was answered."))
    summaries = _summaries(questions, checked)
    return Validated(checked, _overall(summaries), _gives_back(summaries))


def _answers_storable(answers: Mapping[str, Any]) -> None:
    """Refuse what no type could read or the database not keep, so that no type needs to ask. Goes as deep as it allows."""
    level: list[Any] = [answers]
    for _depth in range(MOST_DEPTH):
        if any(isinstance(value, int) and abs(value) > LARGEST_NUMBER for value in level):
            raise FormRefused(_("The answer holds a number of more than 15 digits; no question asks for one."))
        if not all(is_storable(value) for value in level if isinstance(value, str)):
            raise FormRefused(_("The answer holds a NUL or half a character, which cannot be stored. Take it out."))
        level = [inner for value in level for inner in _inner(value)]
    if level:
        raise FormRefused(_("The answer is nested deeper than any question asks."))


def _inner(value: Any) -> Iterator[Any]:
    """What an object or a list holds, an object's keys too."""
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from value


def answers_placed(
    questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], places: Sequence[int]
) -> dict[str, Any]:
    """Checked answers about completions in another order, as answers in stored order: number i stands at `places[i]`."""
    moved: dict[str, Any] = {}
    for question in questions:
        if (answer := answers.get(question["key"])) is None:
            continue
        module = answer_module(question["type"])
        if question["subject"] != "completion":
            moved[question["key"]] = module.answer_placed(question, answer, places)
            continue
        given = dict(zip(places, answer["completions"], strict=True))
        moved[question["key"]] = {"completions": [given[place] for place in range(len(places))]}
    return moved


def answers_summary(questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> Summary:
    """The summary of stored answers, as `answers_validate` gives it."""
    return _overall(_summaries(questions, answers))


def gives_place_back(questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> bool:
    """Whether stored answers say of every required question that it cannot be judged."""
    return _gives_back(_summaries(questions, answers))


Summaries = list[tuple[Mapping[str, Any], Summary]]


def _summaries(questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> Summaries:
    return [
        (
            question,
            _each_summary(answer)
            if question["subject"] == "completion"
            else answer_module(question["type"]).answer_summary(question, answer),
        )
        for question in questions
        if (answer := answers.get(question["key"])) is not None
    ]


def _gives_back(summaries: Summaries) -> bool:
    return all(one.outcome == "cannot_judge" for question, one in summaries if question.get("required"))


def _each_checked(
    module: AnswerModule, question: Mapping[str, Any], answer: Any, about: About
) -> dict[str, Any]:
    given = answer.get("completions") if isinstance(answer, Mapping) else None
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != about.size:
        raise FormRefused(
            _(
                "The question {title!r} is asked of each completion, {size} here; its answer is an object with that many "
                "completions."
            ),
            title=question["title"],
            size=about.size,
        )
    if question.get("required") and any(one is None for one in given):
        raise FormRefused(_("The question {title!r} needs an answer for each completion."), title=question["title"])
    return {
        "completions": [
            None if one is None else module.answer_check(question, one, about, place)
            for place, one in enumerate(given)
        ]
    }


def _each_summary(answer: Mapping[str, Any]) -> Summary:
    """Answers for single completions are never made into a preference; only "cannot judge" of all is told."""
    given = [one for one in answer["completions"] if one is not None]
    return Summary("cannot_judge") if given and all(o.get("outcome") == "cannot_judge" for o in given) else NOTHING


def _overall(summaries: Summaries) -> Summary:
    marked = [summary for question, summary in summaries if question.get("overall") and summary.outcome]
    spoken = [summary for _, summary in summaries if summary.outcome not in {"", "cannot_judge"}]
    unable = [summary for _, summary in summaries if summary.outcome]
    return (marked or spoken or unable or [NOTHING])[0]


def answers_from_form(
    questions: Sequence[Mapping[str, Any]], form: Mapping[str, str], option_order: Sequence[int]
) -> dict[str, Any]:
    """Read a posted form, whose fields speak of the sides as shown, into answers in stored order.

    `option_order[0]` is the stored position of the completion shown as A. A question of each completion has one set of
    fields a side: `KEY.A`, `KEY.B`.
    """
    read: dict[str, Any] = {}
    for question in questions:
        module, key = answer_module(question["type"]), question["key"]
        if question["subject"] != "completion":
            read[key] = module.answer_from_form(question, form, key, option_order)
            continue
        by_position: list[dict[str, Any] | None] = [None] * len(option_order)
        for side, position in zip(SIDES, option_order, strict=False):
            by_position[position] = module.answer_from_form(question, form, f"{key}.{side}", option_order)
        read[key] = {"completions": by_position} if any(one is not None for one in by_position) else None
    return {key: answer for key, answer in read.items() if answer is not None}


def answers_to_form(
    questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], option_order: Sequence[int]
) -> dict[str, str]:
    """The fields that would post these answers, for a form that is to be corrected: `answers_from_form` backwards."""
    fields: dict[str, str] = {}
    for question in questions:
        module, key, answer = answer_module(question["type"]), question["key"], answers.get(question["key"])
        if answer is None:
            continue
        if question["subject"] != "completion":
            fields |= module.answer_to_form(question, answer, key, option_order)
            continue
        for side, position in zip(SIDES, option_order, strict=False):
            if (one := answer["completions"][position]) is not None:
                fields |= module.answer_to_form(question, one, f"{key}.{side}", option_order)
    return fields

"""The editor of forms: questions as flat text fields, and back. Pure.

Each feedback type says in `<type>/setup.py` what can be set: `TITLE`, `SETTINGS`, and `SAMPLE`, how many completions a
preview shows. A draft is what the editor holds: one dict of text fields a question, kept as typed until it is a form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal, Protocol, cast

from annotation.errors import FormRefused, QuestionRefused
from annotation.feedback import (
    FEEDBACK_TYPES,
    KEY,
    MOST_QUESTIONS,
    answer_module,
    question_check,
    questions_check,
)

Draft = list[dict[str, str]]
Question = dict[str, Any]
Kind = Literal["choice", "flag", "number", "lines", "parts"]
OWN = {"key", "type", "subject", "title", "help", "required", "overall"}
SUBJECT_WORDS = {"comparison": "the comparison as a whole", "completion": "each completion"}
FIELD = re.compile(r"q\.(\d{1,3})\.(\w{1,40})")
MOST_MORE = 20_000
MOST_TITLE = 300


@dataclass(frozen=True)
class Setting:
    """One thing that a question of a type can set under `name`.

    `kind`: a choice of `choices` (value and words), a flag, a whole number, words a line, or parts (key and label) a
    line. `default`: of a new question; `absent`: what a question without it means.
    """

    name: str
    kind: Kind
    label: str
    default: Any = None
    choices: tuple[tuple[Any, str], ...] = ()
    help: str = ""
    absent: Any = None


@dataclass(frozen=True)
class Fault:
    """Something that does not fit: in the question at `place` (from 0), or None, in the form as a whole. `field`: its name
    in the editor, or "" where it is no single one. `beside`: the sentence without the question's name, for its own place."""

    place: int | None
    field: str
    sentence: str
    beside: str = ""


class SetupModule(Protocol):
    TITLE: str
    SETTINGS: tuple[Setting, ...]
    SAMPLE: int


def type_setup(type_key: str) -> SetupModule:
    """What can be set of one feedback type."""
    answer_module(type_key)
    module: Any = import_module(f"{FEEDBACK_TYPES[type_key].path}.setup")
    return module  # type: ignore[no-any-return]  # named as text in the table


# Drafts


def draft_from(questions: Sequence[Mapping[str, Any]]) -> Draft:
    """The draft of a form. What the editor does not know is carried along as JSON under `more`."""
    return [_fields_of(question) for question in questions]


def draft_read(posted: Mapping[str, str]) -> Draft:
    """The draft out of posted fields `q.N.NAME`, in the order of N."""
    found: dict[int, dict[str, str]] = {}
    for field, text in posted.items():
        if match := FIELD.fullmatch(field):
            found.setdefault(int(match[1]), {})[match[2]] = text.replace("\r\n", "\n")
    draft = [found[number] for number in sorted(found)]
    if any(fields.get("type") not in FEEDBACK_TYPES for fields in draft) or len(draft) > MOST_QUESTIONS:
        raise FormRefused(f"A form has up to {MOST_QUESTIONS} questions, each of a feedback type. Reload the page.")
    return draft


def draft_add(draft: Draft, type_key: str) -> Draft:
    """With one more question, as its type begins."""
    module = type_setup(type_key)
    if len(draft) >= MOST_QUESTIONS:
        raise FormRefused(f"A form has at most {MOST_QUESTIONS} questions.")
    taken = {fields.get("key") for fields in draft}
    key = next(name for n in range(1, 99) if (name := type_key if n == 1 else f"{type_key}_{n}") not in taken)
    question = {
        "key": key, "type": type_key, "subject": answer_module(type_key).SUBJECTS[0], "title": module.TITLE,
        "required": not any(fields.get("required") for fields in draft),
        **{setting.name: setting.default for setting in module.SETTINGS if setting.default is not None},
    }  # fmt: skip
    return [*draft, _fields_of(question)]


def draft_removed(draft: Draft, place: int) -> Draft:
    return [fields for at, fields in enumerate(draft) if at != place]


def draft_moved(draft: Draft, place: int, by: int) -> Draft:
    """With one question moved up (-1) or down (1); at an end nothing moves."""
    to = place + by
    if not (0 <= place < len(draft) and 0 <= to < len(draft)):
        return draft
    moved = list(draft)
    moved.insert(to, moved.pop(place))
    return moved


def draft_questions(draft: Draft) -> list[Question]:
    """The form that a draft says.

    Raises:
        QuestionRefused: something in one question does not fit; it names the question and its number from 1.
        FormRefused: the questions do not make a form together.
    """
    for fault in draft_faults(draft):
        raise QuestionRefused(fault.sentence, fault.place + 1) if fault.place is not None else FormRefused(fault.sentence)
    return [_question(fields)[0] for fields in draft]


def draft_faults(draft: Draft) -> list[Fault]:
    """All that keeps a draft from being a form, in the order of its questions; empty where it is one."""
    questions, faults = [], []
    for place, fields in enumerate(draft):
        question, wrong = _question(fields)
        name = f"Question {place + 1}, “{question['title'] or fields['type']}”"
        questions.append(question)
        faults += [Fault(place, field, f"{name}: {beside}", beside) for field, beside in wrong.items()]
    if not faults:
        try:
            questions_check(questions)
        except FormRefused as refused:
            faults.append(Fault(None, "", str(refused)))
    return faults


def questions_from_json(text: str) -> list[Question]:
    """A form out of JSON: a list of questions, or an object that has one under `questions`.

    Raises:
        FormRefused: it is not that, or not a form.
    """
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormRefused(f"The form is not JSON: {error}.") from None
    questions = read.get("questions") if isinstance(read, dict) else read
    if not isinstance(questions, list) or not all(isinstance(question, dict) for question in questions):
        raise FormRefused("A form is a list of questions, each an object, or an object with that list under questions.")
    questions_check(questions)
    return questions


# One question


def _fields_of(question: Mapping[str, Any]) -> dict[str, str]:
    settings = type_setup(question["type"]).SETTINGS
    fields = {
        name: str(question.get(name) or "") for name in ("key", "type", "subject", "title", "help")
    } | {name: "1" for name in ("required", "overall") if question.get(name)}
    for setting in settings:
        value = question.get(setting.name, setting.absent)
        if (text := KINDS[setting.kind].write(value)) != "":
            fields[setting.name] = text
    known = OWN | {setting.name for setting in settings}
    more = {name: value for name, value in question.items() if name not in known}
    return fields | ({"more": json.dumps(more, ensure_ascii=False)} if more else {})


def _question(fields: Mapping[str, str]) -> tuple[Question, dict[str, str]]:
    """The question that these fields say, and by field what is wrong with it ("" for what is no single field's)."""
    wrong: dict[str, str] = {}

    def read(name: str, reader: Callable[[], Any]) -> Any:
        try:
            return reader()
        except FormRefused as refused:
            wrong[name] = str(refused)
            return None

    question: Question = {
        **(read("", lambda: _more(fields.get("more", ""))) or {}),
        "key": fields.get("key", "").strip(),
        "type": fields["type"],
        "subject": fields.get("subject", ""),
        "title": " ".join(fields.get("title", "").split()),
        "help": fields.get("help", "").strip(),
        "required": "required" in fields,
    }
    if "overall" in fields:
        question["overall"] = True
    for setting in type_setup(fields["type"]).SETTINGS:
        text = fields.get(setting.name, "")
        value = read(setting.name, partial(KINDS[setting.kind].read, setting, text))
        if value is not None:
            question[setting.name] = value
    if not KEY.fullmatch(question["key"]):
        wrong["key"] = (
            f"its key has small letters, digits and _, and begins with a letter; got {question['key'][:40]!r}."
        )
    if not 0 < len(question["title"]) <= MOST_TITLE:
        wrong["title"] = f"it needs a title of up to {MOST_TITLE} characters."
    # What only shows when all of it is read: a scale whose words do not fit its steps, a name given twice.
    if not wrong:
        read("", lambda: question_check(question))
    return question, wrong


def _more(text: str) -> Question:
    if not text:
        return {}
    try:
        more = json.loads(text) if len(text) <= MOST_MORE else None
    except (ValueError, RecursionError):
        more = None
    if not isinstance(more, dict):
        raise FormRefused("its further settings are not one JSON object. Reload the page.")
    return more


# Kinds of settings: how a value is read from a field and written into it


def _choice_read(setting: Setting, text: str) -> Any:
    values = {str(value): value for value, _ in setting.choices}
    if text == "":
        return setting.absent
    if text not in values:
        raise FormRefused(f"{setting.label} is one of {', '.join(values)}; got {text[:40]!r}.")
    return values[text]


def _number_read(setting: Setting, text: str) -> int | None:
    text = text.strip().replace("−", "-")
    if text == "":
        return cast("int | None", setting.absent)
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 6:
        raise FormRefused(f"{setting.label} is a whole number; got {text[:40]!r}.")
    return int(text)


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.split("\n") if line.strip()]


def _parts_read(setting: Setting, text: str) -> list[dict[str, str]]:
    """A line a part: its label, or `key = label`."""
    parts: list[dict[str, str]] = []
    for line in _lines(text):
        key, equals, label = (piece.strip() for piece in line.partition("="))
        if not equals or not KEY.fullmatch(key):
            key, label = part_key(line), line
        parts.append({"key": key, "label": label})
    return parts


def _parts_write(parts: Sequence[Mapping[str, str]] | None) -> str:
    return "\n".join(
        part["label"] if part_key(part["label"]) == part["key"] else f"{part['key']} = {part['label']}"
        for part in parts or []
    )


def part_key(label: str) -> str:
    """The key of a part that has only a label.

    Example:
        >>> part_key("Follows the instruction"), part_key("2nd try")
        ('follows_the_instruction', 'p_2nd_try')
    """
    words = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:38].strip("_")
    return words if KEY.fullmatch(words) else f"p_{words}".rstrip("_")


@dataclass(frozen=True)
class _Kind:
    read: Any
    write: Any


KINDS: dict[str, _Kind] = {
    "choice": _Kind(_choice_read, lambda value: "" if value is None else str(value)),
    "flag": _Kind(lambda setting, text: text != "", lambda value: "1" if value else ""),
    "number": _Kind(_number_read, lambda value: "" if value is None else str(value)),
    "lines": _Kind(lambda setting, text: _lines(text), lambda words: "\n".join(words or [])),
    "parts": _Kind(_parts_read, _parts_write),
}


# What the editor draws


@dataclass(frozen=True)
class SettingDrawn:
    setting: Setting
    value: str
    options: list[tuple[str, str]]
    fault: str

    @property
    def rows(self) -> int:
        return min(8, max(2, self.value.count("\n") + 2))


@dataclass(frozen=True)
class QuestionDrawn:
    """One question of the editor. `place` from 0; `label` and `keys` of its type; `faults` by field, "" for the rest."""

    place: int
    type: str
    label: str
    keys: str
    fields: dict[str, str]
    subjects: list[tuple[str, str]]
    settings: list[SettingDrawn]
    faults: dict[str, str]

    @property
    def fault(self) -> str:
        return self.faults.get("", "")

    @property
    def number(self) -> int:
        return self.place + 1

    @property
    def place_text(self) -> str:
        return str(self.place)


def draft_drawn(draft: Draft, faults: Sequence[Fault] = ()) -> list[QuestionDrawn]:
    """The draft as it was typed, each sentence of `faults` beside its field."""
    drawn = []
    for place, fields in enumerate(draft):
        own = {fault.field: fault.beside[:1].upper() + fault.beside[1:] for fault in faults if fault.place == place}
        entry = FEEDBACK_TYPES[fields["type"]]
        settings = [
            SettingDrawn(
                one,
                fields.get(one.name, ""),
                [(str(value), words) for value, words in one.choices],
                own.get(one.name, ""),
            )
            for one in type_setup(fields["type"]).SETTINGS
        ]
        subjects = [(subject, SUBJECT_WORDS[subject]) for subject in answer_module(fields["type"]).SUBJECTS]
        drawn.append(QuestionDrawn(place, fields["type"], entry.label, entry.keys, fields, subjects, settings, own))
    return drawn


def sample_size(questions: Sequence[Mapping[str, Any]]) -> int:
    """How many completions a preview of this form shows: two where a question compares two, else what its types ask for."""
    samples = {question["type"]: type_setup(question["type"]).SAMPLE for question in questions}
    return 2 if 2 in samples.values() else max(samples.values(), default=1)

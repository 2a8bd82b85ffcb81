"""The editor of forms: questions as flat text fields, and back. Pure.

Each feedback type says in `<type>/setup.py` what can be set: `TITLE`, `SETTINGS`, and `SAMPLE`, how many completions a
preview shows. A draft is what the editor holds: one dict of text fields a question, kept as typed until it is a form. It is
flat: what is asked of marked passages stands after its spans question, with the subject `span`, which no form has.
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
from annotation.feedback.draft_order import (
    SPAN,
    SPANS,
    Draft,
    draft_moved,
    draft_removed,
    is_of_span,
    marking_of,
)
from annotation.feedback.spans.answer import ASKED_OF_SPANS, NOT_OF_SPANS, question_check_of_span

Question = dict[str, Any]
Kind = Literal["choice", "flag", "number", "lines", "parts"]
OWN = {"key", "type", "subject", "title", "help", "required", "overall"}
SUBJECT_WORDS = {
    "comparison": "the comparison as a whole", "completion": "each completion", SPAN: "each marked passage",
}  # fmt: skip
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
    draft: Draft = []
    for question in questions:
        of_spans = question.get("questions") or [] if question["type"] == SPANS else []
        draft += [_fields_of(question), *(_fields_of({**asked, "subject": SPAN}) for asked in of_spans)]
    return draft


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
        "required": not any(fields.get("required") for fields in draft if not is_of_span(fields)),
        **{setting.name: setting.default for setting in module.SETTINGS if setting.default is not None},
    }  # fmt: skip
    return [*draft, _fields_of(question)]


def draft_questions(draft: Draft) -> list[Question]:
    """The form that a draft says.

    Raises:
        QuestionRefused: something in one question does not fit; it names the question and its number from 1.
        FormRefused: the questions do not make a form together.
    """
    for fault in draft_faults(draft):
        raise QuestionRefused(fault.sentence, fault.place + 1) if fault.place is not None else FormRefused(fault.sentence)
    return _folded(draft, [_question(fields)[0] for fields in draft])


def _folded(draft: Draft, questions: Sequence[Question]) -> list[Question]:
    """Each question of a passage inside its spans question; the rest as it stands."""
    folded = {at: question for at, question in enumerate(questions) if not is_of_span(draft[at])}
    for at in range(len(draft)):
        if (marking := marking_of(draft, at)) is not None:
            folded[marking] = {**folded[marking], "questions": [*(folded[marking].get("questions") or []), questions[at]]}
    return list(folded.values())


def draft_faults(draft: Draft) -> list[Fault]:
    """All that keeps a draft from being a form, in the order of its questions; empty where it is one."""
    questions: list[Question] = []
    faults: list[Fault] = []
    for place, fields in enumerate(draft):
        question, wrong = _question(fields)
        wrong = _wrong_of_span(draft, place, questions) | wrong
        name = f"Question {place + 1}, “{question['title'] or fields['type']}”"
        questions.append(question)
        faults += [Fault(place, field, f"{name}: {beside}", beside) for field, beside in wrong.items()]
    if not faults:
        try:
            questions_check(_folded(draft, questions))
        except FormRefused as refused:
            faults.append(Fault(None, "", str(refused)))
    return faults


def _wrong_of_span(draft: Draft, place: int, before: Sequence[Question]) -> dict[str, str]:
    """What is wrong with where a question of a passage stands: no spans question above it, or one that has its name."""
    if not is_of_span(draft[place]) or draft[place]["type"] not in ASKED_OF_SPANS:
        return {}
    marking = marking_of(draft, place)
    if marking is None:
        return {"subject": "it is asked of marked passages, and no question above it marks any."}
    key = draft[place].get("key", "").strip()
    if any(marking_of(draft, at) == marking and before[at]["key"] == key for at in range(place)):
        return {"key": f"another question of the same passages is named {key!r} already."}
    return {}


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
    known = OWN | {setting.name for setting in settings} | ({"questions"} if question["type"] == SPANS else set())
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
    check: Callable[[Question], None] = question_check
    if is_of_span(fields):
        check = question_check_of_span
        del question["subject"]
        wrong |= _unasked_of_span(question)
    # What only shows when all of it is read: a scale whose words do not fit its steps, a name given twice.
    if not wrong:
        read("", lambda: check(question))
    return question, wrong


def _unasked_of_span(question: Question) -> dict[str, str]:
    """By field what a passage cannot be asked."""
    if question["type"] not in ASKED_OF_SPANS:
        names = " and ".join(FEEDBACK_TYPES[key].label.lower() for key in ASKED_OF_SPANS)
        return {"subject": f"a marked passage is asked {names} questions only."}
    wrong = {
        one.name: f"{one.label} does not go with a marked passage; take it out."
        for one in type_setup(question["type"]).SETTINGS
        if one.name in NOT_OF_SPANS and question.get(one.name)
    }
    return wrong | ({"overall": "what is said of a passage decides no preference."} if question.get("overall") else {})


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
    """One question of the editor. `place` from 0; `label` and `keys` of its type; `faults` by field, "" for the rest.

    `marks`: the number of the spans question whose passages it is asked of. `decides`: whether the editor asks if it decides
    the preference. `goes_up`, `goes_down`, `goes_out`: whether it can be moved and removed.
    """

    place: int
    type: str
    label: str
    keys: str
    fields: dict[str, str]
    subjects: list[tuple[str, str]]
    settings: list[SettingDrawn]
    faults: dict[str, str]
    marks: int | None
    decides: bool
    goes_up: bool
    goes_down: bool
    goes_out: bool

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
    drawn, whole = [], [fields for fields in draft if not is_of_span(fields)]
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
            if not is_of_span(fields) or one.name not in NOT_OF_SPANS or fields.get(one.name)
        ]
        marking = marking_of(draft, place)
        drawn.append(
            QuestionDrawn(
                place, fields["type"], entry.label, entry.keys, fields, _subjects(fields["type"]), settings, own,
                marks=None if marking is None else marking + 1,
                decides="overall" in fields if is_of_span(fields) else len(whole) > 1,
                goes_up=draft_moved(draft, place, -1) != draft,
                goes_down=draft_moved(draft, place, 1) != draft,
                goes_out=bool(draft_removed(draft, place)),
            )
        )  # fmt: skip
    return drawn


def _subjects(type_key: str) -> list[tuple[str, str]]:
    subjects = answer_module(type_key).SUBJECTS + ((SPAN,) if type_key in ASKED_OF_SPANS else ())
    return [(subject, SUBJECT_WORDS[subject]) for subject in subjects]


def sample_size(questions: Sequence[Mapping[str, Any]]) -> int:
    """How many completions a preview of this form shows: two where a question compares two, else what its types ask for."""
    samples = {question["type"]: type_setup(question["type"]).SAMPLE for question in questions}
    return 2 if 2 in samples.values() else max(samples.values(), default=1)

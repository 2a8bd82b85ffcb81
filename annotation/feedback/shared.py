"""Checks that several feedback types have in common: words, chips, sentences, choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import SIDES

SENTENCE_LIMIT = 2_000
CANNOT_JUDGE = "cannot_judge"
# What the free texts of an answer are called in sentences.
TEXTS = {"sentence": _("sentence"), "comment": _("comment")}


def words_check(question: Mapping[str, Any], name: str, *, least: int = 0, most: int = 40) -> list[str]:
    """A list of different, non-empty words or short phrases that a question has under `name`."""
    words = question.get(name) or []
    if not isinstance(words, Sequence) or isinstance(words, str):
        raise FormRefused(f"{_of(question)}: {name} must be a list of words; got {type(words).__name__}.")
    if not least <= len(words) <= most:
        raise FormRefused(f"{_of(question)}: {name} must have {least} to {most} entries; got {len(words)}.")
    if any(not isinstance(word, str) or not word.strip() or len(word) > 200 or "\n" in word for word in words):
        raise FormRefused(f"{_of(question)}: each of {name} must be one line of up to 200 characters.")
    if len(set(words)) < len(words):
        raise FormRefused(f"{_of(question)}: {name} has an entry twice.")
    return list(words)


def parts_check(question: Mapping[str, Any], name: str, *, least: int = 0) -> list[dict[str, str]]:
    """A list of `{key, label}`: aspects or principles."""
    parts = question.get(name) or []
    keys = [part.get("key") for part in parts if isinstance(part, Mapping)]
    labels = [part.get("label") for part in parts if isinstance(part, Mapping)]
    if len(keys) != len(parts) or not least <= len(parts) <= 20:
        raise FormRefused(f"{_of(question)}: {name} must be {least} to 20 objects with key and label.")
    if any(not isinstance(k, str) or not k.replace("_", "").isalnum() or not k.isascii() for k in keys):
        raise FormRefused(f"{_of(question)}: the keys of {name} have letters, digits and _.")
    if any(not isinstance(label, str) or not label.strip() or len(label) > 200 for label in labels):
        raise FormRefused(f"{_of(question)}: each of {name} needs a label of up to 200 characters.")
    if len(set(keys)) < len(keys):
        raise FormRefused(f"{_of(question)}: {name} has a key twice.")
    return [dict(part) for part in parts]


def answer_object(question: Mapping[str, Any], answer: Any, known: set[str]) -> Mapping[str, Any]:
    """The answer as an object that has no field the type does not know."""
    if not isinstance(answer, Mapping):
        raise FormRefused(
            _("Question {key!r}: an answer to a {type} question is an object; got {got}."),
            key=question.get("key"),
            type=question["type"],
            got=type(answer).__name__,
        )
    if unknown := sorted(set(answer) - known):
        raise FormRefused(
            _("Question {key!r}: a {type} answer has no field {field!r}."),
            key=question.get("key"),
            type=question["type"],
            field=unknown[0],
        )
    return answer


def is_cannot_judge(question: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Whether the answer says that it cannot be judged, where the form allows that."""
    if answer.get("outcome") != CANNOT_JUDGE:
        return False
    if not question.get("cannot_judge"):
        raise FormRefused(_("Question {key!r}: this form does not offer cannot judge."), key=question.get("key"))
    return True


def reasons_checked(question: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """The chips chosen, in the form's order."""
    given = answer.get("reasons") or []
    if not isinstance(given, Sequence) or isinstance(given, str):
        got = type(given).__name__
        raise FormRefused(_("Question {key!r}: reasons must be a list; got {got}."), key=question.get("key"), got=got)
    offered = question.get("reasons") or []
    if unknown := [reason for reason in given if reason not in offered]:
        raise FormRefused(_("The form has no reason {reason!r}."), reason=unknown[0])
    return [reason for reason in offered if reason in given]


def sentence_checked(question: Mapping[str, Any], answer: Mapping[str, Any], name: str = "sentence") -> str:
    """Free text: up to 2,000 characters, no NUL."""
    sentence = answer.get(name) or ""
    if not isinstance(sentence, str) or len(sentence) > SENTENCE_LIMIT or "\x00" in sentence:
        raise FormRefused(
            _("The {what} may have {most:,} characters and no NUL; it has {length:,}."),
            what=Phrase(TEXTS[name]),
            most=SENTENCE_LIMIT,
            length=len(str(sentence)),
        )
    return sentence


def answer_unplaced(
    question: Mapping[str, Any], answer: Mapping[str, Any], places: Sequence[int]
) -> dict[str, Any]:
    """`answer_placed` of types whose answers name no position."""
    return dict(answer)


def whole(question: Mapping[str, Any], value: Any, low: int, high: int, what: Phrase) -> int:
    """A whole number of a range."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise FormRefused(
            _("Question {key!r}: {what} must be {low} to {high}; got {value!r}."),
            key=question.get("key"),
            what=what,
            low=low,
            high=high,
            value=value,
        )
    return value


def whole_from_form(question: Mapping[str, Any], text: str, what: Phrase) -> int | None:
    """A posted whole number; an empty field is none."""
    if text == "":
        return None
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 6:
        raise FormRefused(
            _("Question {key!r}: {what} must be a whole number; got {text!r}."),
            key=question.get("key"),
            what=what,
            text=text[:40],
        )
    return int(text)


def side_position(side: str, option_order: Sequence[int]) -> int:
    """The stored position of the completion shown as this letter."""
    sides = SIDES[: len(option_order)]
    if side not in list(sides):
        raise FormRefused(_("A side is one of {sides}; got {side!r}."), sides=", ".join(sides), side=side[:40])
    return option_order[sides.index(side)]


def reasons_from_form(form: Mapping[str, str], name: str) -> dict[str, Any]:
    """`NAME.reasons`, joined by newlines, and `NAME.sentence`."""
    return {
        "reasons": [reason for reason in form.get(f"{name}.reasons", "").split("\n") if reason],
        "sentence": form.get(f"{name}.sentence", "").strip(),
    }


def reasons_to_form(answer: Mapping[str, Any], name: str) -> dict[str, str]:
    fields = {f"{name}.reasons": "\n".join(answer.get("reasons") or []), f"{name}.sentence": answer.get("sentence", "")}
    return {field: text for field, text in fields.items() if text}


def _of(question: Mapping[str, Any]) -> str:
    return f"Question {question.get('key')!r}"

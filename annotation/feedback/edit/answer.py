"""Edits: a new text made from one of the completions.

Answer: `{"source": stored position, "text", "distance"}`. `distance` is the share of both texts' words that are not in their
longest common subsequence, 0 to 1, computed here and never taken from outside. An unchanged text is refused: it would
prefer a completion over itself. Also `{"outcome": "cannot_judge"}`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import NOTHING, SIDES, About, Summary
from annotation.feedback.shared import CANNOT_JUDGE, answer_object, is_cannot_judge, side_position, whole

SUBJECTS = ("comparison",)
NEEDS_TEXTS = True
SIZES = (1, 9)
MOST_CHARACTERS = 200_000
# Pairs of words up to which the common ones are found in their order: some tenths of a second, 50 MB.
MOST_WORD_PAIRS = 200_000_000


def question_check(question: Mapping[str, Any]) -> None:
    """An edit has nothing to set beyond title and help."""


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    given = answer_object(question, answer, {"source", "text", "distance", "outcome"})
    if is_cannot_judge(question, given):
        return {"outcome": CANNOT_JUDGE}
    assert about.texts is not None, "an edit needs the texts"
    source = whole(question, given.get("source"), 0, about.size - 1, Phrase(_("the repaired completion")))
    text = given.get("text")
    if not isinstance(text, str) or not text.strip():
        raise FormRefused(_("The repair is empty. Write what the completion should say, or take the repair out."))
    if len(text) > MOST_CHARACTERS or "\x00" in text:
        raise FormRefused(
            _("A repair has at most {most:,} characters and no NUL; got {length:,}."),
            most=MOST_CHARACTERS,
            length=len(text),
        )
    form, body = about.texts[source]
    original = last_words(form, body)
    if text == original:
        raise FormRefused(_("The text was not changed. Change it, or take the repair out."))
    taken = [place for place, (f, b) in enumerate(about.texts) if place != source and last_words(f, b) == text]
    if taken:
        raise FormRefused(_("The repair equals another completion of this comparison. Prefer that one instead."))
    return {"source": source, "text": text, "distance": edit_distance(original, text)}


def last_words(form: str, body: str) -> str:
    """What of a completion can be edited: the text, or the content of its last message."""
    if form != "messages":
        return body
    content = json.loads(body)[-1].get("content")
    if not isinstance(content, str):
        raise FormRefused(_("Only the text of a message can be edited; this completion ends with something else."))
    return content


def edit_distance(original: str, text: str) -> float:
    """The share of words that changed: 1 - 2 C / (words of both), 0 to 1, with C words in common in their order.

    Where what changed is so long that C would take more than a moment, words are in common whatever their order, so that
    the share is a lower bound.

    Example:
        >>> edit_distance("one two three four", "one 2 three four")
        0.25
    """
    a, b = original.split(" "), text.split(" ")
    start = next((at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))
    after = zip(reversed(a[start:]), reversed(b[start:]), strict=False)
    end = next((at for at, (one, other) in enumerate(after) if one != other), min(len(a), len(b)) - start)
    own, new = a[start : len(a) - end], b[start : len(b) - end]
    is_long = len(own) * len(new) > MOST_WORD_PAIRS
    common = (Counter(own) & Counter(new)).total() if is_long else common_subsequence(own, new)
    return round(1.0 - 2 * (start + end + common) / (len(a) + len(b)), 4)


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence, in time of |first| |second| / 64.

    Example:
        >>> common_subsequence("abcbdab", "bdcaba")
        4

    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited".
    """
    short, long = sorted((first, second), key=len)
    bits = {word: bytearray(len(long) // 8 + 1) for word in set(short).intersection(long)}
    for position, word in enumerate(long):
        if word in bits:
            bits[word][position // 8] |= 1 << position % 8
    where = {word: int.from_bytes(positions, "little") for word, positions in bits.items()}
    mask = (1 << len(long)) - 1
    # A bit that turns to 0 is one more word in common.
    left = mask
    for word in short:
        match = left & where.get(word, 0)
        left = ((left + match) | (left - match)) & mask
    return len(long) - left.bit_count()


def edited(question: Mapping[str, Any], answer: Mapping[str, Any] | None) -> tuple[int, str] | None:
    """The edited completion's position and the new text, of a stored answer to an edit question; None of any other."""
    if question["type"] != "edit" or answer is None or "text" not in answer:
        return None
    return answer["source"], answer["text"]


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    return Summary(CANNOT_JUDGE) if answer.get("outcome") == CANNOT_JUDGE else NOTHING


def answer_placed(
    question: Mapping[str, Any], answer: Mapping[str, Any], places: Sequence[int]
) -> dict[str, Any]:
    return {**answer, "source": places[answer["source"]]} if "source" in answer else dict(answer)


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME.source` (a side's letter) and `NAME.text` with its line ends as typed. No source: None."""
    if form.get(name) == CANNOT_JUDGE:
        return {"outcome": CANNOT_JUDGE}
    side = form.get(f"{name}.source", "")
    if side == "":
        return None
    return {"source": side_position(side, option_order), "text": form.get(f"{name}.text", "").replace("\r\n", "\n")}


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    if answer.get("outcome") == CANNOT_JUDGE:
        return {name: CANNOT_JUDGE}
    return {f"{name}.source": SIDES[list(option_order).index(answer["source"])], f"{name}.text": answer["text"]}

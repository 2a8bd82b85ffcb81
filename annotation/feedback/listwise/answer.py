"""Listwise answers: a place for each completion, or the best and the worst of them.

Answer: `{"ranks": [...], "reasons", "sentence"}` by stored position, 1 is best, places skipped by a tie stay empty (1, 1,
3); or `{"best", "worst", ...}` with stored positions (best-worst sets); or `{"outcome": "cannot_judge"}`. `method` of the
question is `rank` or `best_worst`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import NOTHING, SIDES, About, Summary
from annotation.feedback.shared import (
    CANNOT_JUDGE,
    answer_object,
    is_cannot_judge,
    reasons_checked,
    reasons_from_form,
    reasons_to_form,
    sentence_checked,
    side_position,
    whole,
    whole_from_form,
    words_check,
)

SUBJECTS = ("comparison",)
NEEDS_TEXTS = False
SIZES = (2, 9)
METHODS = ("rank", "best_worst")


def question_check(question: Mapping[str, Any]) -> None:
    if question.get("method", "rank") not in METHODS:
        raise FormRefused(f"A listwise method is rank or best_worst; got {question.get('method')!r}.")
    words_check(question, "reasons")


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    given = answer_object(question, answer, {"ranks", "best", "worst", "outcome", "reasons", "sentence"})
    if is_cannot_judge(question, given):
        return {"outcome": CANNOT_JUDGE}
    chosen = _ranks(question, given, about) if question.get("method", "rank") == "rank" else _ends(question, given, about)
    return {**chosen, "reasons": reasons_checked(question, given), "sentence": sentence_checked(question, given)}


def _ranks(question: Mapping[str, Any], answer: Mapping[str, Any], about: About) -> dict[str, Any]:
    ranks = answer.get("ranks")
    if not isinstance(ranks, Sequence) or isinstance(ranks, str) or len(ranks) != about.size:
        raise FormRefused(
            _("A ranking gives each of the {size} completions a place; got {ranks!r}."), size=about.size, ranks=ranks
        )
    placed = [whole(question, rank, 1, about.size, Phrase(_("a place"))) for rank in ranks]
    if not question.get("ties", True) and len(set(placed)) < len(placed):
        raise FormRefused(_("This form has no ties; two completions have the same place."))
    return {"ranks": [1 + sum(other < rank for other in placed) for rank in placed]}


def _ends(question: Mapping[str, Any], answer: Mapping[str, Any], about: About) -> dict[str, Any]:
    best = whole(question, answer.get("best"), 0, about.size - 1, Phrase(_("best")))
    worst = whole(question, answer.get("worst"), 0, about.size - 1, Phrase(_("worst")))
    if best == worst:
        raise FormRefused(_("The best and the worst completion must be two different ones."))
    return {"best": best, "worst": worst}


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    """Of two completions a ranking is a choice without strength; of more it says nothing about first and second."""
    if answer.get("outcome") == CANNOT_JUDGE:
        return Summary(CANNOT_JUDGE)
    ranks = answer.get("ranks") or ([1, 2] if answer["best"] == 0 else [2, 1])
    if len(ranks) != 2 or (answer.get("best") or 0) > 1 or (answer.get("worst") or 0) > 1:
        return NOTHING
    return Summary("tie" if ranks[0] == ranks[1] else "first" if ranks[0] < ranks[1] else "second")


def answer_placed(
    question: Mapping[str, Any], answer: Mapping[str, Any], places: Sequence[int]
) -> dict[str, Any]:
    moved = dict(answer)
    if "ranks" in answer:
        given = dict(zip(places, answer["ranks"], strict=True))
        moved["ranks"] = [given[place] for place in range(len(places))]
    return moved | {end: places[answer[end]] for end in ("best", "worst") if end in answer}


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME.rank.A` ("1" is best) a side, or `NAME.best` and `NAME.worst` (a side's letter); `NAME` may be
    cannot_judge. Nothing placed: None; some placed: refused by `answer_check`."""
    if form.get(name) == CANNOT_JUDGE:
        return {"outcome": CANNOT_JUDGE}
    extra = reasons_from_form(form, name)
    if question.get("method", "rank") == "best_worst":
        best, worst = (_position(form.get(f"{name}.{end}", ""), option_order) for end in ("best", "worst"))
        return None if best is None and worst is None else {"best": best, "worst": worst, **extra}
    sides = SIDES[: len(option_order)]
    shown = [whole_from_form(question, form.get(f"{name}.rank.{side}", ""), Phrase(_("a place"))) for side in sides]
    if all(rank is None for rank in shown):
        return None
    if unplaced := [side for side, rank in zip(sides, shown, strict=True) if rank is None]:
        raise FormRefused(_("Completion {side} has no place yet; every completion needs one."), side=unplaced[0])
    ranks: list[int | None] = [None] * len(option_order)
    for rank, position in zip(shown, option_order, strict=True):
        ranks[position] = rank
    return {"ranks": ranks, **extra}


def _position(side: str, option_order: Sequence[int]) -> int | None:
    return side_position(side, option_order) if side else None


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    if answer.get("outcome") == CANNOT_JUDGE:
        return {name: CANNOT_JUDGE}
    fields = reasons_to_form(answer, name)
    if "ranks" in answer:
        shown = zip(SIDES, option_order, strict=False)
        return fields | {f"{name}.rank.{side}": str(answer["ranks"][position]) for side, position in shown}
    ends = {end: SIDES[list(option_order).index(answer[end])] for end in ("best", "worst")}
    return fields | {f"{name}.{end}": side for end, side in ends.items()}

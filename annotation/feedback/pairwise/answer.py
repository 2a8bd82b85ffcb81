"""Pairwise answers: an outcome, a signed strength, aspects of the same scale, confidence and reasons.

Answer: `{"outcome", "vote", "aspects", "confidence", "reasons", "sentence"}`. `vote` is -m..m in stored order, negative:
the first completion is better, 0 only for a tie; None for both_bad and cannot_judge. A scale of `steps` has m =
steps // 2; an even one has no middle step, its tie is an outcome of its own. `aspects` maps an aspect's key to
`{"outcome", "vote"}` of the same scale; `confidence` is the place of a word of the form, from 0, or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import FormRefused, Phrase, _
from annotation.feedback import About, Summary
from annotation.feedback.shared import (
    answer_object,
    parts_check,
    reasons_checked,
    reasons_from_form,
    reasons_to_form,
    sentence_checked,
    whole,
    whole_from_form,
    words_check,
)

SUBJECTS = ("comparison",)
NEEDS_TEXTS = False
SIZES = (2, 2)
STEPS = (2, 3, 5, 7)
WITHOUT_STRENGTH = ("both_bad", "cannot_judge")


def question_check(question: Mapping[str, Any]) -> None:
    if question.get("steps") not in STEPS:
        raise FormRefused(f"A pairwise scale has 2, 3, 5 or 7 steps; got {question.get('steps')!r}.")
    parts_check(question, "aspects")
    words_check(question, "reasons")
    words_check(question, "confidence", most=9)
    words = words_check(question, "words", most=3)
    if words and len(words) != scale(question):
        raise FormRefused(
            f"A scale of {question['steps']} steps needs {scale(question)} words, weakest first; got {len(words)}."
        )


def scale(question: Mapping[str, Any]) -> int:
    """m, the largest strength."""
    return int(question["steps"]) // 2


def answer_check(
    question: Mapping[str, Any], answer: Any, about: About, position: int | None = None
) -> dict[str, Any]:
    if about.size != 2:
        raise FormRefused(_("A pairwise question compares 2 completions; this comparison has {size}."), size=about.size)
    known = {"outcome", "vote", "aspects", "confidence", "reasons", "sentence"}
    given = answer_object(question, answer, known)
    words = question.get("confidence") or []
    confidence = given.get("confidence")
    return {
        **choice_checked(question, given),
        "aspects": _aspects_checked(question, given),
        "confidence": None
        if confidence is None
        else whole(question, confidence, 0, len(words) - 1, Phrase(_("confidence"))),
        "reasons": reasons_checked(question, given),
        "sentence": sentence_checked(question, given),
    }


def choice_checked(question: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    m, outcome, vote = scale(question), answer.get("outcome"), answer.get("vote")
    allowed = ["first", "second", "tie", *(key for key in WITHOUT_STRENGTH if question.get(key))]
    if outcome not in allowed:
        offered = ", ".join(sorted(allowed))
        raise FormRefused(_("The outcome must be one of {offered}; got {outcome!r}."), offered=offered, outcome=outcome)
    if outcome in WITHOUT_STRENGTH:
        if vote is not None:
            raise FormRefused(
                _("An answer {outcome!r} has no preference strength; got {vote!r}."), outcome=outcome, vote=vote
            )
    elif not isinstance(vote, int) or isinstance(vote, bool) or not -m <= vote <= m:
        raise FormRefused(_("Preference strength must be {low} to {high}; got {vote!r}."), low=-m, high=m, vote=vote)
    elif outcome != ("tie" if vote == 0 else "first" if vote < 0 else "second"):
        raise FormRefused(_("Strength {vote} and outcome {outcome!r} contradict each other."), vote=vote, outcome=outcome)
    return {"outcome": outcome, "vote": vote}


def _aspects_checked(question: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    aspects = {aspect["key"]: aspect["label"] for aspect in question.get("aspects") or []}
    given = answer.get("aspects") or {}
    if not isinstance(given, Mapping) or set(given) - set(aspects):
        named = ", ".join(aspects) or Phrase(_("none"))
        raise FormRefused(_("Question {key!r} has the aspects {aspects}."), key=question["key"], aspects=named)
    if answer.get("outcome") == "cannot_judge":
        return {}
    missing = [label for key, label in aspects.items() if key not in given]
    # Who finds both bad has said so of every aspect that is left out.
    if missing and question.get("aspects_required", True) and answer.get("outcome") not in WITHOUT_STRENGTH:
        raise FormRefused(_("The aspect {label!r} needs an answer."), label=missing[0])
    for key, one in given.items():
        if not isinstance(one, Mapping):
            raise FormRefused(_("The aspect {label!r} needs an object with outcome and vote."), label=aspects[key])
    return {key: choice_checked(question, given[key]) for key in aspects if key in given}


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    has_vote = answer["vote"] is not None
    return Summary(answer["outcome"], answer["vote"], scale(question) if has_vote else None)


def answer_placed(
    question: Mapping[str, Any], answer: Mapping[str, Any], places: Sequence[int]
) -> dict[str, Any]:
    """Turned round where the first of the two stands second."""
    if list(places) == [0, 1]:
        return dict(answer)
    aspects = {key: turned(one) for key, one in (answer.get("aspects") or {}).items()}
    return {**answer, **turned(answer), "aspects": aspects}


def turned(choice: Mapping[str, Any]) -> dict[str, Any]:
    outcome, vote = choice["outcome"], choice["vote"]
    return {
        "outcome": {"first": "second", "second": "first"}.get(outcome, outcome),
        "vote": None if vote is None else -vote,
    }


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], name: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read `NAME`: a step from the left ("1".."7"), or an outcome's key; `NAME.aspect.KEY` likewise,
    `NAME.confidence` from 0, `NAME.reasons`, `NAME.sentence`. No choice: None."""
    choice = choice_from_form(question, form.get(name, ""), option_order)
    if choice is None:
        return None
    aspects = {
        aspect["key"]: read
        for aspect in question.get("aspects") or []
        if (read := choice_from_form(question, form.get(f"{name}.aspect.{aspect['key']}", ""), option_order))
    }
    confidence = whole_from_form(question, form.get(f"{name}.confidence", ""), Phrase(_("confidence")))
    return {**choice, "aspects": aspects, "confidence": confidence, **reasons_from_form(form, name)}


def choice_from_form(
    question: Mapping[str, Any], choice: str, option_order: Sequence[int]
) -> dict[str, Any] | None:
    if choice == "":
        return None
    if choice in WITHOUT_STRENGTH:
        return {"outcome": choice, "vote": None}
    shown = 0 if choice == "tie" else _shown_vote(int(question["steps"]), choice)
    vote = shown if list(option_order) == [0, 1] else -shown
    return {"outcome": "tie" if vote == 0 else "first" if vote < 0 else "second", "vote": vote}


def _shown_vote(steps: int, choice: str) -> int:
    """The signed strength of a step counted from the left; negative: A is better."""
    if not choice.isascii() or not choice.isdigit() or not 1 <= int(choice) <= steps:
        raise FormRefused(_("The choice must be a step from 1 to {steps}; got {choice!r}."), steps=steps, choice=choice[:40])
    step, m = int(choice), steps // 2
    if steps % 2:
        return step - m - 1
    return step - m - 1 if step <= m else step - m


def answer_to_form(
    question: Mapping[str, Any], answer: Mapping[str, Any], name: str, option_order: Sequence[int]
) -> dict[str, str]:
    fields = {name: choice_to_form(question, answer, option_order), **reasons_to_form(answer, name)}
    for key, one in (answer.get("aspects") or {}).items():
        fields[f"{name}.aspect.{key}"] = choice_to_form(question, one, option_order)
    if answer.get("confidence") is not None:
        fields[f"{name}.confidence"] = str(answer["confidence"])
    return fields


def choice_to_form(question: Mapping[str, Any], answer: Mapping[str, Any], option_order: Sequence[int]) -> str:
    vote, steps = answer["vote"], int(question["steps"])
    if vote is None:
        return str(answer["outcome"])
    shown, m = vote if list(option_order) == [0, 1] else -vote, steps // 2
    if steps % 2:
        return str(shown + m + 1)
    return "tie" if shown == 0 else str(shown + m + 1 if shown < 0 else shown + m)

"""Pairwise answers: an outcome, a signed strength, and reasons.

Answer: `{"outcome", "vote", "reasons", "sentence"}`. `vote` is -m..m in stored order, negative: the first completion is
better, 0 only for a tie; None for both_bad and cannot_judge. A scale of `steps` has m = steps // 2; an even one has no
middle step, its tie is an outcome of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import FormRefused
from annotation.feedback import Summary

STEPS = (2, 3, 5, 7)
SENTENCE_LIMIT = 2_000
WORDS: dict[int, list[str]] = {
    1: ["better"],
    2: ["slightly better", "better"],
    3: ["slightly better", "better", "much better"],
}


def question_check(question: Mapping[str, Any]) -> None:
    if question.get("steps") not in STEPS:
        raise FormRefused(f"A pairwise scale has 2, 3, 5 or 7 steps; got {question.get('steps')!r}.")
    if question.get("subject") != "comparison":
        raise FormRefused("A pairwise question is asked of the comparison.")


def scale(question: Mapping[str, Any]) -> int:
    """m, the largest strength."""
    return int(question["steps"]) // 2


def answer_check(question: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    if not isinstance(answer, Mapping):
        raise FormRefused(f"A pairwise answer is an object with an outcome; got {type(answer).__name__}.")
    m = scale(question)
    outcome, vote = answer.get("outcome"), answer.get("vote")
    allowed = {"first", "second", "tie"} | {k for k in ("both_bad", "cannot_judge") if question.get(k)}
    if outcome not in allowed:
        raise FormRefused(f"The outcome must be one of {', '.join(sorted(allowed))}; got {outcome!r}.")
    if outcome in {"both_bad", "cannot_judge"}:
        if vote is not None:
            raise FormRefused(f"An answer {outcome!r} has no preference strength; got {vote!r}.")
    elif not isinstance(vote, int) or isinstance(vote, bool) or not -m <= vote <= m:
        raise FormRefused(f"Preference strength must be {-m} to {m}; got {vote!r}.")
    elif outcome != ("tie" if vote == 0 else "first" if vote < 0 else "second"):
        raise FormRefused(f"Strength {vote} and outcome {outcome!r} contradict each other.")
    reasons = answer.get("reasons") or []
    unknown = [r for r in reasons if r not in (question.get("reasons") or [])]
    if unknown:
        raise FormRefused(f"The form has no reason {unknown[0]!r}.")
    sentence = str(answer.get("sentence") or "")
    if len(sentence) > SENTENCE_LIMIT or "\x00" in sentence:
        raise FormRefused(f"The sentence may have {SENTENCE_LIMIT:,} characters and no NUL; it has {len(sentence):,}.")
    return {"outcome": outcome, "vote": vote, "reasons": list(reasons), "sentence": sentence}


def answer_summary(question: Mapping[str, Any], answer: Mapping[str, Any]) -> Summary:
    has_vote = answer["vote"] is not None
    return Summary(answer["outcome"], answer["vote"], scale(question) if has_vote else None)


def answer_from_form(
    question: Mapping[str, Any], form: Mapping[str, str], option_order: Sequence[int]
) -> dict[str, Any] | None:
    """Read the field named by the question's key: a step from the left ("1".."7"), or an outcome's key.

    `option_order[0]` is the stored position of the completion shown as A. Reasons come as `KEY.reasons`, joined by
    newlines, the sentence as `KEY.sentence`. No choice: None.
    """
    key = question["key"]
    choice = form.get(key, "")
    if choice == "":
        return None
    extra = {
        "reasons": [r for r in form.get(f"{key}.reasons", "").split("\n") if r],
        "sentence": form.get(f"{key}.sentence", "").strip(),
    }
    if choice in {"both_bad", "cannot_judge"}:
        return {"outcome": choice, "vote": None, **extra}
    shown = 0 if choice == "tie" else _shown_vote(int(question["steps"]), choice)
    vote = shown if list(option_order) == [0, 1] else -shown
    return {"outcome": "tie" if vote == 0 else "first" if vote < 0 else "second", "vote": vote, **extra}


def _shown_vote(steps: int, choice: str) -> int:
    """The signed strength of a step counted from the left; negative: A is better."""
    if not choice.isascii() or not choice.isdigit() or not 1 <= int(choice) <= steps:
        raise FormRefused(f"The choice must be a step from 1 to {steps}; got {choice!r}.")
    step, m = int(choice), steps // 2
    if steps % 2:
        return step - m - 1
    return step - m - 1 if step <= m else step - m

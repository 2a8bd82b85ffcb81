"""Forms to begin from: what `create_project --template` and the set-up page offer. One entry below each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Question = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """`completions`: how many of one comparison the form suits, least and most."""

    label: str
    questions: Sequence[Question]
    completions: tuple[int, int] = (2, 2)


def _question(key: str, type_key: str, title: str, subject: str = "comparison", **more: Any) -> Question:
    return {"key": key, "type": type_key, "subject": subject, "title": title, "help": "", "required": True, **more}


def _parts(**labels: str) -> list[dict[str, str]]:
    return [{"key": key, "label": label} for key, label in labels.items()]


def pairwise(title: str = "Which answer is better?", **more: Any) -> Question:
    return _question(
        "preference",
        "pairwise",
        title,
        **{"steps": 7, "both_bad": True, "cannot_judge": True, "reasons": [], **more},
    )


def _rating(title: str, low: int, high: int, aspects: Mapping[str, str], **more: Any) -> Question:
    parts = _parts(**aspects)
    more = {"low": low, "high": high, "aspects": parts, "cannot_judge": True, **more}
    return _question("rating", "rating", title, "completion", **more)


SEVERITIES = ["minor", "major"]
REASONS = ["Follows the request", "Correct", "Clear", "Complete", "Right length", "Safe"]
# Of one completion, which may be good or bad for it.
GROUNDS = ["The request", "The facts", "The writing", "Completeness", "Length", "Safety"]

TEMPLATES: dict[str, Template] = {
    "pairwise": Template("Pairwise: which of two is better", [pairwise()]),
    "pairwise-reasons": Template("Pairwise, with reasons", [pairwise(reasons=REASONS)]),
    "pairwise-aspects": Template(
        "Pairwise on several aspects",
        [
            pairwise(
                "Which answer is better overall?",
                steps=5,
                overall=True,
                aspects=_parts(
                    helpful="More helpful", correct="More correct", coherent="More coherent",
                    complex="More complex", verbose="Longer-winded",
                ),
                confidence=["guessing", "fairly sure", "sure"],
            )
        ],
    ),  # fmt: skip
    "listwise": Template(
        "Listwise: rank three to nine",
        [
            _question(
                "ranking", "listwise", "Order the answers, best first", method="rank", ties=True, cannot_judge=True
            )
        ],
        (2, 9),
    ),
    "best-worst": Template(
        "Listwise: the best and the worst",
        [_question("ends", "listwise", "Which is best, which is worst?", method="best_worst", cannot_judge=True)],
        (3, 9),
    ),
    "thumbs": Template(
        "Binary: thumbs for one completion",
        [
            _question(
                "thumb", "binary", "Is this answer what was wanted?", "completion",
                words="thumbs", reasons=GROUNDS, cannot_judge=True,
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "principles": Template(
        "Binary: yes or no to principles",
        [
            _question(
                "principles", "binary", "What holds for this answer?", "completion",
                words="yes_no", does_not_apply=True, cannot_judge=True,
                principles=_parts(
                    sources="Cites a source", on_topic="Stays on the topic",
                    admits="Says what it does not know", no_harm="Does no harm",
                ),
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "helpsteer2": Template(
        "Rating: the five of HelpSteer2",
        [
            _rating(
                "Rate this answer", 0, 4,
                {"helpfulness": "Helpfulness", "correctness": "Correctness", "coherence": "Coherence",
                 "complexity": "Complexity", "verbosity": "Verbosity"},
                words=["lowest", "highest"],
                help="Complexity and verbosity say how much, not how good: what only an expert writes is complex, what goes"
                " into every detail is verbose.",
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "ultrafeedback": Template(
        "Rating: the four of UltraFeedback",
        [
            _rating(
                "Rate this answer", 1, 5,
                {"instruction_following": "Follows the instruction", "honesty": "Honest",
                 "truthfulness": "Truthful", "helpfulness": "Helpful"},
                words=["lowest", "highest"],
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "slider": Template(
        "Rating: a slider from 1 to 100",
        [_rating("How good is this answer?", 1, 100, {"quality": "Quality"}, slider=True, words=["terrible", "perfect"])],
        (1, 9),
    ),
    "opinion-score": Template(
        "Rating: opinion score for media",
        [
            _rating(
                "How good is it?", 1, 5, {"opinion": "Quality"},
                words=["bad", "poor", "fair", "good", "excellent"],
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "joint": Template(
        "Joint: two prompts with their completions",
        [
            _question(
                "preference", "joint", "Which prompt is answered better?",
                steps=7, both_bad=True, cannot_judge=True, reasons=[],
            )
        ],
    ),  # fmt: skip
    "steps": Template(
        "Stepwise: a label for each step",
        [
            _question(
                "steps", "stepwise", "Is each step right?", "completion",
                mode="each", cut="auto", labels=["right", "neutral", "wrong"], cannot_judge=True,
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "first-bad-step": Template(
        "Stepwise: the first bad step",
        [
            _question(
                "steps", "stepwise", "Where does it go wrong first?", "completion",
                mode="first_bad", cut="auto", cannot_judge=True,
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "siblings": Template(
        "Tree: siblings under a shared path",
        [
            _question(
                "siblings", "stepwise", "Order the next turns, best first", mode="siblings", ties=True, cannot_judge=True
            )
        ],
        (2, 9),
    ),
    "edit": Template(
        "Edit: prefer, then repair",
        [
            pairwise(),
            _question("edit", "edit", "Repair the better answer", required=False),
        ],
    ),
    "spans": Template(
        "Spans: mark errors with category and severity",
        [
            _question(
                "errors", "spans", "Mark every error", "completion",
                categories=["accuracy", "fluency", "style", "terminology", "other"], severities=SEVERITIES,
                cannot_judge=True,
            )
        ],
        (1, 9),
    ),  # fmt: skip
    "segments": Template(
        "Segments: where one of two sounds or films is better",
        [
            pairwise("Which is better as a whole?", steps=5, overall=True),
            _question(
                "segments", "segments", "Where is one better than the other?", steps=5, most=20, cannot_judge=True
            ),
        ],
    ),
}

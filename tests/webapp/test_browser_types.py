"""Every feedback type by keyboard alone in a real browser, wide and narrow; drafts, no script, right to left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, Project, User
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.lending import comparison_of, lend, project_with

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PAGE = "/p/ours/annotate/"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
LINES = "First 2 + 2 = 4.\nThen 4 + 4 = 9.\nSo the sum is 9."
Answers = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`keys` answer one comparison; `said` says whether the stored answers are what they mean. `order`: sides shown."""

    form: str | Sequence[dict[str, Any]]
    keys: Sequence[str]
    said: Callable[[Answers], bool]
    completions: Sequence[str] = ("The first answer.", "The second answer.")
    prompts: Sequence[str] = ("What is asked?",)
    order: Sequence[int] | None = None
    context: str = ""
    more: dict[str, object] = field(default_factory=dict)


def one(answers: Answers, key: str) -> Any:
    return answers[key]["completions"][0]


MIXED = [
    {"key": "overall", "type": "pairwise", "subject": "comparison", "title": "Which is better?", "required": True,
     "steps": 3, "overall": True},
    {"key": "ok", "type": "binary", "subject": "completion", "title": "Usable?", "required": True, "words": "yes_no"},
    {"key": "quality", "type": "rating", "subject": "completion", "title": "How good?", "required": False,
     "low": 1, "high": 5, "aspects": [{"key": "overall", "label": "Overall"}]},
]  # fmt: skip
HELPSTEER2 = ["helpfulness", "correctness", "coherence", "complexity", "verbosity"]
FIVE = [f"Answer number {n}." for n in range(5)]

CASES = {
    "pairwise": Case("pairwise", ["6"], lambda a: a["preference"]["vote"] == -2, order=[1, 0]),
    "pairwise-tie": Case("pairwise", ["0"], lambda a: a["preference"]["outcome"] == "tie"),
    "pairwise-reasons": Case(
        "pairwise-reasons", ["7", "q", "e", "Enter"],
        lambda a: a["preference"]["reasons"] == ["Follows the request", "Clear"],
    ),
    "pairwise-aspects": Case(
        "pairwise-aspects", ["4", "5", "1", "3", "0", "2", "3", "Enter"],
        lambda a: a["preference"]["vote"] == 1 and a["preference"]["aspects"]["correct"]["vote"] == -2
        and a["preference"]["aspects"]["verbose"]["vote"] == -1 and a["preference"]["confidence"] == 2,
    ),
    "pairwise-cannot-judge": Case(
        "pairwise-aspects", ["u", "Enter"], lambda a: a["preference"]["outcome"] == "cannot_judge"
    ),
    "listwise": Case(
        "listwise", ["c", "1", "a", "2", "d", "2", "b", "4", "Enter"],
        lambda a: a["ranking"]["ranks"] == [2, 4, 1, 2], FIVE[:4],
    ),
    "listwise-arrows": Case(
        "listwise", ["1", "2", "3", "c", "ArrowUp", "ArrowUp", "Enter"],
        lambda a: a["ranking"]["ranks"] == [1, 3, 2], FIVE[:3],
    ),
    "best-worst": Case(
        "best-worst", ["b", "e", "Enter"], lambda a: (a["ends"]["best"], a["ends"]["worst"]) == (3, 4), FIVE,
        order=[0, 3, 2, 1, 4],
    ),
    "thumbs": Case(
        "thumbs", ["1", "2", "w", "Enter"],
        lambda a: [c["label"] for c in a["thumb"]["completions"]] == ["yes", "no"]
        and a["thumb"]["completions"][1]["reasons"] == ["Correct"],
    ),
    "principles": Case(
        "principles", ["1", "2", "3", "1", "Enter"],
        lambda a: one(a, "principles")["principles"]
        == {"sources": "yes", "on_topic": "no", "admits": "does_not_apply", "no_harm": "yes"},
        ["The only answer."],
    ),
    "helpsteer2": Case(
        "helpsteer2", [*"4321004321", "Enter"],
        lambda a: [[c["values"][key] for key in HELPSTEER2] for c in a["rating"]["completions"]]
        == [[4, 3, 2, 1, 0], [0, 4, 3, 2, 1]],
    ),
    "slider": Case(
        "slider", ["ArrowRight", "Shift+ArrowRight", "j", "9", "Enter"],
        lambda a: [c["values"]["quality"] for c in a["rating"]["completions"]] == [61, 90],
    ),
    "opinion-score": Case(
        "opinion-score", ["5", "Enter"], lambda a: one(a, "rating")["values"] == {"opinion": 5}, ["The only answer."]
    ),
    "joint": Case(
        "joint", ["2"], lambda a: a["preference"]["vote"] == -2, prompts=["What is asked?", "What else is asked?"]
    ),
    "steps": Case(
        "steps", ["1", "3", "k", "2", "2", "Enter"],
        lambda a: one(a, "steps")["labels"] == ["right", "neutral", "neutral"], [LINES],
    ),
    "first-bad-step": Case("first-bad-step", ["j", "1", "Enter"], lambda a: one(a, "steps")["first_bad"] == 1, [LINES]),
    "no-bad-step": Case("first-bad-step", ["0", "Enter"], lambda a: one(a, "steps")["first_bad"] is None, [LINES]),
    "siblings": Case(
        "siblings", ["b", "1", "2", "3", "Enter"], lambda a: a["siblings"]["ranks"] == [3, 1, 2], FIVE[:3]
    ),
    "edit": Case(
        "edit", ["7", "e", "End", *"!!", "Escape", "Enter"],
        lambda a: a["edit"]["text"] == "The second answer.!!" and a["edit"]["source"] == 1,
    ),
    "spans": Case(
        "spans", ["m", *["ArrowRight"] * 3, "Shift+ArrowRight", "Enter", "1", "2", "Enter"],
        lambda a: [(s["quote"], s["category"], s["severity"]) for s in one(a, "errors")["spans"]]
        == [("second wörd", "accuracy", "major")],
        ["\n🙂\r\nOne\u202e second wörd here."],
    ),
    "spans-nothing": Case("spans", ["0", "0", "Enter"], lambda a: one(a, "errors")["spans"] == []),
    "mixed": Case(
        MIXED, ["3", "1", "5", "2", "j", "Enter"],
        lambda a: a["overall"]["vote"] == 1 and one(a, "quality")["values"] == {"overall": 5},
        context="Judge as a teacher would.",
    ),
}  # fmt: skip


def opened(open_page: Opener, case: Case, person: str = "Ben", **options: Any) -> tuple[Any, User, Project]:
    place = project_with(case.form)
    ben = cast.person(person, place, "annotator")
    lend(ben, comparison_of(place, case.prompts, case.completions, case.context), case.order)
    return open_page(ben, PAGE, **options), ben, place


def stored_soon(page: Any) -> Annotation:
    page.wait_for_function("() => document.querySelector('[data-count]')?.textContent === '1'", timeout=6000)
    return Annotation.objects.get(state="current")


def test_there_is_a_case_for_every_template() -> None:
    forms = [case.form for case in CASES.values() if isinstance(case.form, str)]
    assert set(TEMPLATES) - set(forms) == {"ultrafeedback"}, "ultrafeedback is a rating like helpsteer2"


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", CASES)
def test_it_is_answered_by_keyboard_alone(open_page: Opener, name: str, width: int) -> None:
    case = CASES[name]
    page, _, _ = opened(open_page, case, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    for key in case.keys:
        page.keyboard.press(key)
    answers = stored_soon(page).answers
    assert case.said(answers), answers
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

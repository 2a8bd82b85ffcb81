"""What an annotator sees of the workspace beyond answering: which keys act now, and what is kept for them."""

from __future__ import annotations

from typing import Any

import pytest

from annotation.models import Annotation, Project, User
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.lending import comparison_of, lend, project_with
from tests.webapp.test_browser_types import CASES, PAGE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BOTH_UNSURE = [
    {"key": "overall", "type": "pairwise", "subject": "comparison", "title": "Which is better?", "required": True,
     "steps": 5, "cannot_judge": True},
    {"key": "thumb", "type": "binary", "subject": "completion", "title": "Usable?", "required": True,
     "words": "thumbs", "cannot_judge": True},
]  # fmt: skip


def place_of(questions: Any, *completions: Any, prompts: Any = ("What is asked?",)) -> tuple[Project, User]:
    place = project_with(questions)
    ben = cast.person("Ben", place, "annotator")
    lend(ben, comparison_of(place, prompts, completions or ("The first answer.", "The second answer.")))
    return place, ben


def shown(page: Any) -> str:
    return str(page.locator("[data-item]").get_attribute("data-assignment"))


def ready(page: Any) -> Any:
    page.locator("body[data-ready]").wait_for()
    return page


def caps(page: Any, letter: str) -> list[str]:
    """The questions beside which this key is printed."""
    printed = page.locator(f".block .outcome[data-key={letter}] kbd:visible")
    return [one.evaluate("kbd => kbd.closest('[data-block]').dataset.block") for one in printed.all()]


def test_a_key_is_printed_only_beside_the_question_that_it_answers(open_page: Opener) -> None:
    _, ben = place_of(BOTH_UNSURE)
    page = ready(open_page(ben, PAGE))
    assert caps(page, "u") == ["overall"]
    page.keyboard.press("u")
    assert caps(page, "u") == ["thumb.A"]
    page.keyboard.press("1")
    assert caps(page, "u") == ["thumb.B"]
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert caps(page, "u") == ["overall"]
    assert page.locator(".outcome:visible").count() == 3, "each can still be chosen by pointer"


def test_the_key_of_marking_acts_on_the_completion_at_the_cursor(open_page: Opener) -> None:
    _, ben = place_of("spans", "One wrong word.", "Two wrong words.")
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("j")
    for key in ("m", "Enter"):
        page.keyboard.press(key)
    assert page.locator("[data-block='errors.B'] .mark").count() == 1
    assert page.locator("[data-block='errors.A'] .mark").count() == 0


def test_a_draft_comes_back_with_its_first_question_at_the_cursor(open_page: Opener) -> None:
    _, ben = place_of(BOTH_UNSURE)
    page = ready(open_page(ben, PAGE))
    for key in ("2", "1", "2"):
        page.keyboard.press(key)
    page.wait_for_function("() => Object.keys(localStorage).some(name => name.includes('draft'))")
    page.reload()
    ready(page)
    assert page.locator("[data-row].here").get_attribute("data-row") == "overall"
    assert page.locator("[data-row] input:checked").count() == 3

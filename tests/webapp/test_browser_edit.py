"""Repairing a completion by keyboard: keys stay with the text, each side keeps its own, and only what is meant is saved."""

from __future__ import annotations

from typing import Any

import pytest

from annotation.models import Annotation
from tests.webapp.conftest import Opener
from tests.webapp.test_browser_types import PAGE
from tests.webapp.test_browser_workspace import place_of, ready, saved

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
FIRST, SECOND = "The first answer.", "The second answer."
LONG = "\n".join(f"Line {n} says a few words." for n in range(120))
# The top of the line in which the caret stands, where no line is broken.
CARET = """() => {
  const field = document.activeElement, style = getComputedStyle(field);
  const line = field.value.slice(0, field.selectionStart).split("\\n").length - 1;
  return field.getBoundingClientRect().top + parseFloat(style.paddingTop) + line * parseFloat(style.lineHeight);
}"""
CHOSEN = "[data-look=edit] input:checked"


def opened(open_page: Opener, *completions: str, width: int = 1280, height: int = 800) -> Any:
    _, ben = place_of("edit", *completions)
    page = ready(open_page(ben, PAGE))
    page.set_default_timeout(5_000)
    page.set_viewport_size({"width": width, "height": height})
    return page


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def write(page: Any, text: str) -> None:
    """What is typed goes into the field, in which the caret stands at the beginning."""
    page.locator("textarea:focus").wait_for()
    page.keyboard.insert_text(text)


def note(page: Any) -> str:
    return str(page.locator("[data-edit-note]").inner_text())


def cursor(page: Any) -> str:
    return str(page.locator("[data-row].here").get_attribute("data-row"))


def answers(page: Any) -> dict[str, Any]:
    saved(page, 1)
    found: dict[str, Any] = Annotation.objects.get(state="current", assignment__isnull=False).answers
    return found


@pytest.mark.parametrize(("width", "other"), [(1280, 360), (360, 1280)])
def test_turning_the_screen_keeps_focus_caret_and_text(open_page: Opener, width: int, other: int) -> None:
    page = opened(open_page, width=width)
    press(page, "7", "e", "x")
    page.set_viewport_size({"width": other, "height": 800})
    press(page, *"1u", "Enter", *"j")
    page.set_viewport_size({"width": width, "height": 800})
    press(page, *"p5", "Enter")
    assert page.input_value("textarea:focus") == f"x1u\njp5\n{SECOND}"
    assert not Annotation.objects.exists()


def test_each_side_has_its_own_text(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "1", "e")
    write(page, "Mended. ")
    press(page, "Escape", "2")
    assert page.input_value("textarea:focus") == SECOND
    write(page, "Other. ")
    press(page, "Escape", "1")
    assert page.input_value("textarea:focus") == f"Mended. {FIRST}"
    press(page, "Escape", "2", "Control+Enter")
    edit = answers(page)["edit"]
    assert (edit["source"], edit["text"]) == (1, f"Other. {SECOND}")


def test_digits_stay_on_the_scale(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "2", "1")
    assert cursor(page) == "preference" and page.locator(CHOSEN).count() == 0
    assert page.locator(".q-edit .q-label kbd").inner_text() == "E"
    press(page, "j")
    assert cursor(page) == "edit.source"
    press(page, "Enter")
    assert answers(page).keys() == {"preference"}


@pytest.mark.parametrize("before", ["", "4", "x"])
def test_without_a_preferred_side_the_key_asks_which(open_page: Opener, before: str) -> None:
    page = opened(open_page)
    press(page, *before, "e")
    assert cursor(page) == "edit.source" and page.locator(CHOSEN).count() == 0
    assert page.locator("[data-live]").inner_text() == "Choose the completion to repair."
    press(page, "2")
    assert page.input_value("textarea:focus") == SECOND


def test_a_repair_is_set_aside_by_cannot_judge(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "1", "e")
    write(page, "Mended. ")
    press(page, "Escape", "k", "u")
    assert note(page) == "Set aside: no repair is saved."
    assert page.locator("[data-look=edit].aside").count() == 1
    assert page.locator("[data-preview]").is_hidden()
    press(page, "Enter")
    assert answers(page).keys() == {"preference"}


def test_what_was_set_aside_counts_again_with_a_preference(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "1", "e")
    write(page, "Mended. ")
    press(page, "Escape", "k", "u", "1", "Enter")
    assert answers(page)["edit"]["text"] == f"Mended. {FIRST}"


@pytest.mark.parametrize("width", [1280, 360])
def test_the_line_being_written_stays_above_the_foot(open_page: Opener, width: int) -> None:
    page = opened(open_page, FIRST, LONG, width=width)
    press(page, "7", "e", "a")
    for _ in range(90):
        page.keyboard.press("ArrowDown")
    press(page, *"new ")
    page.wait_for_timeout(100)
    caret, foot = page.evaluate(CARET), page.locator("[data-edit-foot]").bounding_box()
    header = page.locator("#side-B > header").bounding_box()
    assert header["y"] + header["height"] <= caret and caret + 24 <= foot["y"]
    assert foot["y"] + foot["height"] <= page.locator(".dock").bounding_box()["y"] + 4
    assert "new" in page.locator("[data-preview] ins").last.inner_text()
    assert page.locator("[data-edit-drop]").is_visible()
    press(page, "Control+Enter")
    assert "new " in answers(page)["edit"]["text"]


def test_the_key_that_submits_is_said_beside_the_field(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "7", "e", "x")
    assert " ".join(page.locator(".edit-keys").inner_text().split()) == "Ctrl Enter submits Esc back to the keys"


@pytest.mark.parametrize("is_by_key", [True, False])
def test_a_repair_that_was_taken_out_comes_back_with_its_side(open_page: Opener, is_by_key: bool) -> None:
    page = opened(open_page)
    press(page, "7", "e")
    write(page, "Mended. ")
    if is_by_key:
        press(page, "Escape", "p")
    else:
        page.get_by_role("button", name="Take the repair out").click()
    assert page.locator("textarea").is_hidden() and page.locator(CHOSEN).count() == 0
    press(page, "2")
    assert page.input_value("textarea:focus") == f"Mended. {SECOND}"


def test_a_box_that_was_only_opened_is_closed_by_p(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "7", "e", "Escape", "p")
    assert page.locator("textarea").is_hidden()
    assert page.locator("[data-row=preference] input:checked").count() == 1
    press(page, "Enter")
    assert answers(page).keys() == {"preference"}


def test_what_is_no_repair_says_so_beside_the_field(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "7", "e")
    assert note(page) == "Unchanged: no repair is saved."
    assert page.locator("[data-preview]").is_hidden()
    press(page, "Control+a", "Delete")
    assert note(page) == "Empty: no repair is saved."
    assert page.locator("[data-preview]").is_hidden()
    write(page, FIRST)
    assert note(page) == "The same as A: no repair is saved."
    write(page, " Mended.")
    assert page.locator("[data-edit-note]").is_hidden()
    assert page.locator("[data-preview]").inner_text().startswith("What the repair changes:")


def test_a_repair_that_the_server_would_refuse_is_told_of_before(open_page: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("answer", "form"):
        monkeypatch.setattr(f"annotation.feedback.edit.{module}.MOST_CHARACTERS", 30)
    page = opened(open_page, FIRST, SECOND)
    press(page, "7", "e")
    write(page, "Thirteen characters 😀 and more: ")
    press(page, "Escape", "Enter")
    page.locator("[data-toast-slot]", has_text=f"at most 30 characters; this one has {32 + len(SECOND)}.").wait_for()
    assert "at most 30" in note(page) and not Annotation.objects.exists()


def test_line_ends_of_a_file_are_no_repair(open_page: Opener) -> None:
    page = opened(open_page, FIRST, "One line.\r\nAnother.")
    press(page, "7", "e")
    assert note(page) == "Unchanged: no repair is saved."


def test_changes_are_shown_with_the_words_around_them(open_page: Opener) -> None:
    page = opened(open_page, FIRST, LONG)
    press(page, "7", "e")
    page.locator("textarea:focus").evaluate("(field) => field.setSelectionRange(0, 4)")
    write(page, "Row")
    said = page.locator("[data-preview]").inner_text().strip()
    assert said == "What the repair changes: Line Row 0 says a few words. …"


def test_enter_answers_for_a_digit_that_answered_nothing(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "j", "7")
    page.get_by_text("7 answers nothing here.").first.wait_for()
    press(page, "Enter")
    page.get_by_text("Still to answer").first.wait_for()
    press(page, "7", "j", "7", "Enter")
    assert answers(page).keys() == {"preference"}


def test_nothing_scrolls_inside_the_page_on_a_phone(open_page: Opener) -> None:
    page = opened(open_page, FIRST, LONG, width=360)
    press(page, "7", "e", *"One ")
    scrolling = page.evaluate("""() => [...document.querySelectorAll("body, body *")].filter((one) => {
      const [up, side] = [getComputedStyle(one).overflowY, one.scrollHeight > one.clientHeight + 1];
      return side && (up === "auto" || up === "scroll") && one.offsetParent;
    }).map((one) => one.className || one.tagName)""")
    assert scrolling == []


def test_opening_a_repair_moves_no_column(open_page: Opener) -> None:
    page = opened(open_page, FIRST, SECOND, height=600)
    press(page, "7")
    before = page.locator("#side-B").bounding_box()
    press(page, "e", *["Enter"] * 40)
    assert page.evaluate("document.documentElement.scrollHeight > innerHeight")
    after = page.locator("#side-B").bounding_box()
    assert (before["x"], before["width"]) == (after["x"], after["width"])
    assert page.evaluate("getComputedStyle(document.documentElement).scrollbarGutter") == "stable"


def test_a_repair_is_opened_by_touch(open_page: Opener) -> None:
    page = opened(open_page, width=360)
    page.locator("[data-row=preference] label").last.click()
    page.locator(".q-edit label[data-key='2']").click()
    write(page, "Mended. ")
    press(page, "Escape")
    page.locator(".q-edit label[data-key='2']").click()
    write(page, "Really: ")
    page.get_by_role("button", name="Submit").click()
    assert answers(page)["edit"]["text"] == f"Mended. Really: {SECOND}"


def test_a_correction_is_written_and_sent_in_the_same_way(open_page: Opener) -> None:
    page = opened(open_page)
    press(page, "7", "e")
    write(page, "Mended. ")
    press(page, "Control+Enter")
    saved(page, 1)
    first = Annotation.objects.get(assignment__isnull=False)
    page.get_by_text("You have judged all").wait_for()
    page.goto(f"/p/ours/history/{first.pk}/")
    ready(page)
    press(page, "e", "Control+Home")
    write(page, "Well ")
    page.set_viewport_size({"width": 360, "height": 800})
    press(page, "Enter", "Control+Enter")
    page.get_by_text("The correction counts instead").wait_for()
    texts = [one.answers["edit"]["text"] for one in Annotation.objects.filter(state="current", assignment__isnull=False)]
    assert texts == [f"Well \nMended. {SECOND}"]

"""The list of one's own answers and the page of one in a real browser: what waits is sent, what was changed is not lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, Project, User
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.lending import comparison_of, lend, project_with
from tests.webapp.test_browser_types import RULES

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PAGE, LIST = "/p/ours/annotate/", "/p/ours/history/"


@pytest.fixture
def place() -> Project:
    return project_with("pairwise")


@pytest.fixture
def ben(place: Project) -> User:
    return cast.person("Ben", place, "annotator")


def with_one_waiting(open_page: Opener, ben: User, place: Project) -> Any:
    """Ben's list of answers, with one that could not be sent; what is sent from here on is aborted until unrouted."""
    lend(ben, comparison_of(place, ["What?"], ["One.", "Another."]))
    page = open_page(ben, PAGE)
    page.context.route("**/submit", lambda route: route.abort())
    page.keyboard.press("6")
    page.get_by_text("1 answer kept on this device").first.wait_for()
    page.goto(LIST)
    page.get_by_text("1 answer kept on this device, sending when back").wait_for()
    return page


def try_now(page: Any) -> None:
    """Also where the page tries by itself this moment, and has no button any more."""
    page.evaluate("document.querySelector('[data-ways] button')?.click()")


def test_the_list_says_what_waits_sends_it_and_shows_it(open_page: Opener, place: Project, ben: User) -> None:
    page = with_one_waiting(open_page, ben, place)
    assert page.locator("table.data").count() == 0 and Annotation.objects.count() == 0
    page.context.unroute("**/submit")
    try_now(page)
    page.get_by_text("1 answer that waited in this browser is saved now.").wait_for()
    assert Annotation.objects.get().rater.participation.annotator == ben
    assert page.evaluate("localStorage.length") == 0
    page.get_by_role("link", name="Load this page anew").click()
    page.locator("table.data").get_by_text("B better").wait_for()
    assert page.locator("[data-outbox]").is_hidden()


def test_an_error_of_the_server_names_its_reference(open_page: Opener, place: Project, ben: User) -> None:
    page = with_one_waiting(open_page, ben, place)
    error = {"error": "Nothing that was saved is lost.", "reference": "12ab34cd"}
    page.context.route("**/submit", lambda route: route.fulfill(status=500, json=error))  # before the one that aborts
    try_now(page)
    page.get_by_text("1 answer kept on this device, trying again (reference 12ab34cd)").wait_for()
    page.goto(PAGE)
    page.get_by_text("trying again (reference 12ab34cd)").first.wait_for()


def test_what_is_refused_is_said_in_the_servers_sentence(open_page: Opener, place: Project, ben: User) -> None:
    page = with_one_waiting(open_page, ben, place)
    assignment = page.evaluate("JSON.parse(Object.values(localStorage)[0]).assignment")
    other = open_page(ben, f"{PAGE}?assignment={assignment}")
    other.keyboard.press("2")
    other.get_by_text("You have judged all").wait_for()
    page.context.unroute("**/submit")
    try_now(page)
    page.get_by_text("You answered this comparison in another tab.").wait_for()
    assert page.evaluate("localStorage.length") == 0 and Annotation.objects.count() == 1


def test_what_waits_is_sent_for_its_own_account_only(open_page: Opener, place: Project, ben: User) -> None:
    page = with_one_waiting(open_page, ben, place)
    cy = open_page(cast.person("Cy", place, "annotator"), LIST)
    own = page.context.cookies()
    page.context.unroute("**/submit")
    page.context.clear_cookies()
    page.context.add_cookies(cy.context.cookies())
    try_now(page)
    page.get_by_role("link", name="Sign in").wait_for()
    page.reload()
    page.wait_for_load_state("networkidle")
    assert page.locator("[data-outbox]").is_hidden() and Annotation.objects.count() == 0
    page.context.clear_cookies()
    page.context.add_cookies(own)
    page.goto(LIST)
    page.get_by_text("is saved now.").wait_for()


def test_answers_of_other_projects_are_counted_and_sent_too(open_page: Opener, place: Project, ben: User) -> None:
    page = with_one_waiting(open_page, ben, place)
    theirs = cast.project("theirs")
    cast.Membership.objects.create(project=theirs, user=ben, role="annotator")
    page.goto("/p/theirs/history/")
    page.get_by_text("Of these in other projects: 1").wait_for()
    page.context.unroute("**/submit")
    try_now(page)
    page.get_by_text("is saved now.").wait_for()
    assert Annotation.objects.get().project == place


def test_an_answer_at_which_the_server_fails_each_time_is_set_aside_by_hand(
    open_page: Opener, place: Project, ben: User, tmp_path: Path
) -> None:
    """Only then, only after it was kept as a file and confirmed; what else waits stays, and the page is free of it."""
    page = with_one_waiting(open_page, ben, place)
    [kept] = page.evaluate("Object.values(localStorage).map((text) => JSON.parse(text))")
    assert page.locator("[data-aside]").count() == 0, "what waits for the network has no such way"
    page.context.route("**/submit", lambda route: route.fulfill(status=500, json={"error": "Broken.", "reference": "12ab34cd"}))
    for tries in (1, 2, 3):
        with page.expect_response("**/submit"):
            try_now(page)
        page.get_by_text("trying again (reference 12ab34cd)").wait_for()
        assert tries > 1 or page.locator("[data-aside]").count() == 0, "once may be an accident"
    page.get_by_text("B better – the server fails at it each time.").wait_for()
    page.set_viewport_size({"width": 360, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_role("button", name="Set aside…").click()
    assert page.evaluate("document.activeElement.textContent") == "Go on trying"
    assert Axe().run(page, options=RULES).violations_count == 0
    assert page.get_by_role("button", name="Set it aside").is_disabled()
    page.keyboard.press("Escape")
    assert page.evaluate("localStorage.length") == 1, "nothing was confirmed"
    page.get_by_role("button", name="Set aside…").click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Keep it as a file").click()
    downloading.value.save_as(tmp_path / "answer.json")
    assert json.loads((tmp_path / "answer.json").read_text()) == {"project": "ours", **kept}
    assert "Another." not in (tmp_path / "answer.json").read_text(), "no text that was judged"
    page.get_by_role("button", name="Set it aside").click()
    page.get_by_text("B better – set aside; it is not sent any more.").wait_for()
    assert page.evaluate("localStorage.length") == 0 and page.get_by_text("kept on this device").count() == 0
    page.goto(PAGE)
    page.locator("body[data-ready]").wait_for()
    assert page.get_by_text("kept on this device").count() == 0 and Annotation.objects.count() == 0


def correcting(open_page: Opener, ben: User, place: Project) -> Any:
    """The page on which Ben corrects "B better"."""
    lend(ben, comparison_of(place, ["What?"], ["One.", "Another."]))
    page = open_page(ben, PAGE)
    page.keyboard.press("6")
    page.get_by_text("You have judged all").wait_for()
    page.goto(f"{LIST}{Annotation.objects.get().pk}/")
    page.locator("body[data-ready]").wait_for()
    return page


@pytest.mark.parametrize("key", ["h", "Escape"])
def test_a_key_leads_from_an_answer_back_to_the_list(open_page: Opener, place: Project, ben: User, key: str) -> None:
    page = correcting(open_page, ben, place)
    assert page.locator("button.primary kbd").inner_text() == "Enter"
    assert page.locator(".crit strong").inner_text() == TEMPLATES["pairwise"].questions[0]["title"]
    page.keyboard.press(key)
    page.wait_for_url("**/history/")


@pytest.mark.parametrize("key", ["h", "Escape"])
def test_a_change_is_marked_and_leaving_asks(open_page: Opener, place: Project, ben: User, key: str) -> None:
    page = correcting(open_page, ben, place)
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.keyboard.press("2")
    page.get_by_text("Changed, not saved yet").wait_for()
    page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"] and page.locator("[data-answer]").is_visible()
    page.keyboard.press("6")
    page.get_by_text("Changed, not saved yet").wait_for(state="detached")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.get_by_text("The correction counts instead of the earlier answer").wait_for()
    assert asked == ["beforeunload"]


RANKING = ["First.\n\n" + "Words of it. " * 60, "Second.\n\n" + "More words. " * 60, "Third.\n\n" + "Others. " * 90, "Fourth. " * 50]


def answered(open_page: Opener, form: str, keys: str, completions: list[str], **options: Any) -> Any:
    """The page on which Ben answered the one comparison of a project with this form, and its address of the answer."""
    place = project_with(form)
    ben = cast.person("Ben", place, "annotator")
    lend(ben, comparison_of(place, ["What?"], completions))
    page = open_page(ben, PAGE, **options)
    for key in [*keys, "Enter"]:
        page.keyboard.press(key)
    page.get_by_text("You have judged all").wait_for()
    return page


def at_answer(page: Any) -> Any:
    page.goto(f"{LIST}{Annotation.objects.latest('pk').pk}/")
    page.locator("body[data-ready]").wait_for()
    return page


def test_a_narrow_list_says_all_values_and_what_became_of_each(open_page: Opener) -> None:
    page = at_answer(answered(open_page, "principles", "1231", ["<b>One.</b>"]))
    page.set_viewport_size({"width": 360, "height": 800})
    for key in ["k", "k", "k", "2", "Enter"]:
        page.keyboard.press(key)
    page.get_by_text("The correction counts").wait_for()
    assert page.locator(".page-head a bdi").all_inner_texts()[0] == "Cites a source: Yes"
    page.goto(LIST)
    newer, older = page.locator("tbody tr").all()
    said = "Cites a source: {}, Stays on the topic: No, Says what it does not know: Does not apply, Does no harm: Yes"
    assert said.format("No") in newer.inner_text() and said.format("Yes") in older.inner_text()
    assert "counts" in newer.inner_text() and older.get_by_role("link", name="corrected; see the newer answer").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.querySelectorAll('.tw, .said')].every((one) => one.scrollWidth <= one.clientWidth)")


def test_keys_of_the_list_start_at_the_answer_that_one_comes_from(open_page: Opener, place: Project, ben: User) -> None:
    for number in range(3):
        lend(ben, comparison_of(place, [f"What is {number}?"], ["One.", f"Another {number}."]))
    page = open_page(ben, PAGE)
    for number in range(1, 4):
        page.goto(PAGE)
        page.locator("body[data-ready]").wait_for()
        page.keyboard.press("6")
        page.locator("[data-count]", has_text=str(number)).wait_for()
    page.goto(LIST)
    for key in ["j", "j"]:
        page.keyboard.press(key)
    second = page.evaluate("document.activeElement.href")
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(second)
    page.locator("body[data-ready]").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_url(f"**{LIST}")
    page.wait_for_function("href => document.activeElement.href === href", arg=second)
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.href") != second
    page.keyboard.press("Escape")
    page.wait_for_url(f"**{PAGE}")


def test_a_correction_goes_on_from_its_form(open_page: Opener) -> None:
    page = at_answer(answered(open_page, "pairwise-reasons", "7", ["One.", "Two."]))
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    shown = page.locator("#keys [data-cap]:visible").all_inner_texts()
    assert "H" in shown and not {"S", "F", "Z", "D", "G"} & set(shown)
    page.keyboard.press("Escape")
    for key in ["Tab", *"jh 7", "Enter"]:
        page.keyboard.press(key)
    page.get_by_text("The correction counts").wait_for()
    assert Annotation.objects.latest("pk").answers["preference"]["sentence"] == "jh 7"


def test_a_narrow_correction_of_a_ranking_shows_its_places_where_it_is_answered(open_page: Opener) -> None:
    page = answered(open_page, "listwise", "1123", RANKING)
    page.set_viewport_size({"width": 360, "height": 800})
    at_answer(page)
    bar = page.locator(".panel-form").bounding_box()
    assert bar and bar["y"] + bar["height"] <= 800 and page.locator(".hand").first.is_visible()
    button = page.locator("button.primary").bounding_box()
    page.keyboard.press("d")
    page.keyboard.press("1")
    page.get_by_text("Changed, not saved yet").wait_for()
    assert page.locator(".hand .at").all_inner_texts() == ["1st", "1st", "4th", "1st"]
    bar, dock = page.locator(".panel-form").bounding_box(), page.locator("form.dock").bounding_box()
    assert bar and dock and bar["y"] + bar["height"] <= dock["y"] + 1, "nothing of it is under the dock"
    assert page.locator("button.primary").bounding_box() == button, "it stays where it was"


def test_the_completion_in_hand_comes_into_view(open_page: Opener) -> None:
    place = project_with("listwise")
    ben = cast.person("Ben", place, "annotator")
    lend(ben, comparison_of(place, ["What?"], RANKING))
    page = open_page(ben, PAGE)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.locator(".ranking .hint").is_visible()
    for key, letter in [("1", "B"), ("2", "C"), ("2", "D"), ("b", "B")]:
        page.keyboard.press(key)
        top = page.evaluate("(letter) => document.getElementById(`side-${letter}`).getBoundingClientRect().top", letter)
        assert 0 <= top < 300, letter
        assert page.evaluate("!document.activeElement.matches('article')")

"""Setting a project up in a real browser: the preview follows what is typed, at 1280 and 360 px, without a violation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import TimeoutError

from annotation.models import Annotation, Project, User
from tests import cast
from tests.webapp.lending import comparison_of, lend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def site() -> User:
    person = cast.person("Site")
    User.objects.filter(pk=person.pk).update(is_site_admin=True)
    return person


def picture(page, name: str) -> None:
    """Kept only where somebody asks for pictures."""
    if folder := os.environ.get("WINNOW_TEST_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def preview(page):
    return page.frame_locator("iframe[name=preview]")


def violations(page) -> list[str]:
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found.response["violations"]]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")])
def test_the_preview_follows_what_is_typed_and_the_form_is_created(open_page, site, width, scheme):
    page = open_page(site, "/projects/new/", color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    preview(page).locator("text=Which answer is better?").first.wait_for()
    page.fill("#q-0-title", "Which text is funnier?")
    preview(page).locator("text=Which text is funnier?").first.wait_for()
    page.select_option("#q-0-steps", "3")
    preview(page).locator(".scale input").nth(3).wait_for(state="detached")
    page.select_option("#add-type", "edit")
    page.click("button[value=add]")
    page.wait_for_selector("#q-1-title:focus")
    assert page.input_value("#q-0-title") == "Which text is funnier?"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert violations(page) == []
    picture(page, f"setup-{width}-{scheme}")
    page.fill("#title", "Jokes")
    page.fill("#slug", "jokes")
    page.press("#slug", "Enter")
    page.wait_for_url("**/p/jokes/")
    questions = Project.objects.get(slug="jokes").form_revisions.get().questions
    assert [question["type"] for question in questions] == ["pairwise", "edit"] and questions[0]["steps"] == 3


def test_an_error_shows_at_its_question(open_page, site):
    project = cast.project("jokes")
    page = open_page(site, f"/p/{project.slug}/settings/form/")
    page.fill("#q-0-reasons", "Twice\nTwice")
    page.click("text=Save as a new revision")
    page.wait_for_selector("#q-0-error")
    assert "has an entry twice" in page.inner_text("#q-0-error")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    assert page.input_value("#q-0-reasons") == "Twice\nTwice" and violations(page) == []
    picture(page, "setup-error")
    page.fill("#q-0-reasons", "Once")
    page.click("text=Save as a new revision")
    page.wait_for_selector(".note.success")
    assert project.form_revisions.count() == 2


LISTED = ("listwise", "edit", "spans", "best-worst")


@pytest.mark.parametrize("width", [1280, 360])
def test_the_preview_works_by_keyboard_and_sends_nothing(open_page, site, width):
    page = open_page(site, "/projects/new/?template=pairwise")
    page.set_viewport_size({"width": width, "height": 900})
    requests: list[str] = []
    frame = page.frame(name="preview")
    frame.wait_for_selector("body[data-ready]")
    page.click("text=Try it with your own texts")
    page.fill("#sample-prompt", "Why is the sky blue?")
    page.fill("#sample-a", "It scatters blue light more.")
    page.fill("#sample-b", "Somebody painted it.")
    frame.wait_for_selector("text=Somebody painted it.")
    page.on("request", lambda request: requests.append(request.url))
    frame.focus("[data-heading]")
    page.keyboard.press("2")
    frame.wait_for_selector("text=Would be saved")
    assert frame.locator("input:checked").count() == 0 and violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [url for url in requests if "/static/" not in url] == []
    assert not Annotation.objects.exists() and page.evaluate("Object.keys(localStorage)") == []
    # A changed question is asked at once, and the own texts stay.
    page.fill("#q-0-title", "Which is truer?")
    frame.wait_for_selector("text=Which is truer?")
    assert frame.locator("text=Why is the sky blue?").count() >= 1
    picture(page, f"setup-own-{width}")


def press_until(page, frame, keys: list[str], selector: str) -> None:
    """The preview is drawn again while the page settles; what was pressed into the one before it is pressed again."""
    for _ in range(8):
        frame.focus("[data-heading]")
        for key in keys:
            page.keyboard.press(key)
        try:
            frame.wait_for_selector(selector, timeout=4_000)
            return
        except TimeoutError:
            page.keyboard.press("Escape")
    raise AssertionError(f"{keys} never brought {selector}")


@pytest.mark.parametrize("template", LISTED)
def test_what_script_adds_to_a_type_works_in_the_preview(open_page, site, template):
    page = open_page(site, f"/projects/new/?template={template}")
    frame = page.frame(name="preview")
    frame.wait_for_selector("body.scripted[data-ready]")
    frame.focus("[data-heading]")
    if template == "listwise":
        for key in ("a", "1", "b", "2", "c", "3"):
            page.keyboard.press(key)
    elif template == "best-worst":
        for key in ("a", "b"):
            page.keyboard.press(key)
    elif template == "edit":
        press_until(page, frame, ["e", "1"], "textarea:visible")
        page.keyboard.type("Better: ")
        page.keyboard.press("Escape")
    else:
        press_until(page, frame, ["m", "Shift+ArrowRight", "Enter"], ".mark")
    picture(page, f"setup-{template}")
    assert violations(page) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")])
def test_what_is_asked_of_marked_passages_is_set_up_and_answered_by_keyboard(open_page, site, width, scheme):
    page = open_page(site, "/projects/new/?template=spans", color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for title, type_key in (("Is this a fact?", "binary"), ("How bad is it?", "rating")):
        page.select_option("#add-type", type_key)
        page.click("button[value=add]")
        at = 1 if type_key == "binary" else 2
        page.wait_for_selector(f"#q-{at}-title:focus")
        page.fill(f"#q-{at}-title", title)
        page.select_option(f"#q-{at}-subject", "span")
    page.fill("#q-1-help", "What can be looked up.")
    page.fill("#q-2-words", "harmless\nruinous")
    page.check("input[name='q.1.required']")
    frame = page.frame(name="preview")
    frame.wait_for_selector("body[data-ready]")
    # The preview asks a mark for all of it.
    press_until(page, frame, ["m", "Shift+ArrowRight", "Enter"], ".mark:has-text('How bad is it?')")
    assert frame.locator(".mark.open .q-row").count() == 4 and "5 ruinous" in frame.locator(".mark.open").inner_text()
    picture(page, f"setup-of-spans-{width}-{scheme}")
    page.click("button[value='up.2']")
    page.wait_for_selector("#q-1-title:focus")
    assert page.input_value("#q-1-title") == "How bad is it?"
    assert page.locator("text=of each passage marked in question 1").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth") and violations(page) == []
    page.fill("#title", "Errors")
    page.fill("#slug", "errors")
    page.press("#slug", "Enter")
    page.wait_for_url("**/p/errors/")
    place = Project.objects.get(slug="errors")
    (marking,) = place.form_revisions.get().questions
    assert [one["key"] for one in marking["questions"]] == ["rating", "binary"]

    ben = cast.person("Ben", place, "annotator")
    lend(ben, comparison_of(place, ["Tell me."], ["The moon is cheese, they say."]))
    page = open_page(ben, "/p/errors/annotate/", color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for key in ("m", "ArrowRight", "Enter", "1", "2", "4", "2"):
        page.keyboard.press(key)
    assert page.locator(".mark [data-row] input:checked").count() == 4 and violations(page) == []
    picture(page, f"asked-of-spans-{width}-{scheme}")
    # One answer is taken out again, and given anew.
    page.keyboard.press("p")
    assert page.locator(".mark [data-row] input:checked").count() == 3
    page.keyboard.press("1")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-count]')?.textContent === '1'")
    (span,) = Annotation.objects.get().answers["errors"]["completions"][0]["spans"]
    assert (span["quote"], span["category"], span["severity"]) == ("moon", "accuracy", "major")
    assert span["answers"]["rating"]["values"] == {"quality": 4} and span["answers"]["binary"]["label"] == "yes"

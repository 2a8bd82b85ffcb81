"""Breaks that a project sets: nothing new is handed out, what is held may be finished, and then it goes on."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from annotation.models import Annotation, Assignment, Project
from tests import cast
from tests.webapp.conftest import Opener

JSON = {"Accept": "application/json"}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture
def place(db: None) -> Project:
    project = cast.project("ours", session_comparisons=2)
    cast.comparisons(project, 6)
    return project


@pytest.fixture
def ben(place: Project) -> Client:
    client = Client()
    client.force_login(cast.person("Ben", place, "annotator"))
    return client


def following(client: Client, have: str = "") -> dict[str, Any]:
    return client.get("/p/ours/annotate/next", {"have": have}, headers=JSON).json()


def answer(client: Client, given: dict[str, Any]) -> int:
    fields = {"submit_key": given["submit_key"], "form": given["form"], "preference": "6"}
    reply = client.post(f"/p/ours/annotate/{given['id']}/submit", fields, headers=JSON)
    assert reply.status_code == 201
    return int(reply.json()["annotation_id"])


def test_after_the_last_of_a_session_nothing_new_comes_until_the_break_is_over(ben: Client) -> None:
    first = following(ben)["assignments"][0]
    second = following(ben, str(first["id"]))["assignments"][0]
    both = f"{first['id']},{second['id']}"
    assert following(ben, both) == {"assignments": []}, "two are held and two are left"
    answer(ben, first)
    assert following(ben, str(second["id"])) == {"assignments": []}
    answer(ben, second)
    assert following(ben)["rest"]["reason"] == "session" and not Assignment.objects.filter(state="leased").exists()
    page = ben.get("/p/ours/annotate/").content.decode()
    assert "Time for a break" in page and "The next comparison is yours from:" in page
    Project.objects.update(break_minutes=0)  # as if the break were over: answers are never changed
    assert len(following(ben)["assignments"]) == 1


def test_what_is_held_may_be_finished_and_an_undo_goes_on(place: Project, ben: Client) -> None:
    first = following(ben)["assignments"][0]
    second = following(ben, str(first["id"]))["assignments"][0]
    last = answer(ben, first)
    Project.objects.update(session_comparisons=1)
    assert following(ben)["assignments"][0]["id"] == second["id"]
    assert b"data-item" in ben.get("/p/ours/annotate/").content
    assert ben.post(f"/p/ours/annotate/undo/{last}", headers=JSON).json()["assignment"] == first["id"]
    answer(ben, second)
    assert following(ben)["assignments"][0]["id"] == first["id"]


def test_a_day_has_its_own_cap_and_others_are_not_stopped(place: Project, ben: Client) -> None:
    Project.objects.update(session_comparisons=0, day_comparisons=1)
    answer(ben, following(ben)["assignments"][0])
    assert following(ben)["rest"]["reason"] == "day"
    assert b"That is all for today" in ben.get("/p/ours/annotate/").content
    cy = Client()
    cy.force_login(cast.person("Cy", place, "annotator"))
    assert len(following(cy)["assignments"]) == 1


def test_without_a_cap_nothing_is_asked(place: Project, ben: Client) -> None:
    Project.objects.update(session_comparisons=0)
    answer(ben, following(ben)["assignments"][0])
    reply = following(ben)
    assert len(reply["assignments"]) == 1 and "rest" not in reply


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_counts_down_to_the_break(open_page: Opener, width: int) -> None:
    project = cast.project("ours", session_comparisons=2)
    cast.comparisons(project, 4)
    page = open_page(cast.person("Ben", project, "annotator"), "/p/ours/annotate/", reduced_motion="reduce")
    page.locator("body[data-ready]").wait_for()
    page.set_viewport_size({"width": width, "height": 800})
    left = page.locator("[data-left]")
    assert left.text_content() == "2 until a break"
    first = page.locator("[data-item]").get_attribute("data-assignment")
    page.keyboard.press("6")
    page.wait_for_function("() => document.querySelector('[data-left]').textContent === '1 until a break'")
    page.wait_for_function("id => document.querySelector('[data-item]').dataset.assignment !== id", arg=first)
    rest = page.get_by_role("heading", name="Time for a break")
    for _ in range(40):  # a key pressed while the page still goes on is not taken
        page.keyboard.press("2")
        page.wait_for_timeout(500)
        if rest.count():
            break
    rest.wait_for()
    assert Annotation.objects.count() == 2
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="Undo the last answer").click()
    page.locator("[data-item]").wait_for()

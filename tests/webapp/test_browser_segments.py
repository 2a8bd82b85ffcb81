"""Segments of two sounds by keyboard alone and by mouse, wide and narrow; drafts, undo, corrections; the gate of media."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotation.models import Annotation, Comparison, ComparisonCompletion, Demand, Media, Project, User
from pipelines.services.importing import ImportOptions, import_file
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.lending import lend, project_with
from tests.webapp.test_media import wav

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PAGE = "/p/ours/annotate/"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
LENGTHS = {"a": 12.0, "b": 9.0}
# A is better from 1 to 3 s, B clearly from 4.1 to 7.1 s.
KEYS = ["4", "ArrowRight", "m", "ArrowRight", "ArrowRight", "m", "2", "ArrowRight", "Shift+ArrowRight", "m",
        *["ArrowRight"] * 3, "m", "5"]  # fmt: skip


def sounds(tmp_path: Path, **fields: object) -> Project:
    """Two comparisons of two sounds each; nothing needs to be played, unless the fields say so."""
    place = project_with("segments", **{"media_seconds": 0, **fields})
    rows = []
    for number in (1, 2):
        messages = {}
        for name, seconds in LENGTHS.items():
            (tmp_path / f"{name}{number}.wav").write_bytes(wav(seconds, 100 + 10 * number + len(messages)))
            messages[name] = [{"role": "assistant", "content": [{"type": "audio", "audio": f"{name}{number}.wav"}]}]
        prompt = [{"role": "user", "content": f"Rain, number {number}"}]
        rows.append({"prompt": prompt, "completions": [{"id": name, "messages": said} for name, said in messages.items()], "annotations": []})  # fmt: skip
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_file(project=place, path=path, options=ImportOptions(media=str(tmp_path)))
    return place


def order_by_length(comparison: Comparison) -> list[int]:
    """The stored positions, the longer sound first: it is then A."""
    places = ComparisonCompletion.objects.filter(comparison=comparison).order_by("position")
    bodies = places.values_list("completion__text__body", flat=True)
    seconds = [Media.objects.get(pk=body.split("sha256:")[1][:64]).seconds for body in bodies]
    return sorted(range(2), key=lambda at: -seconds[at])


@pytest.fixture
def place(db: None, tmp_path: Path) -> Project:
    return sounds(tmp_path)


def opened(open_page: Opener, place: Project, **options: Any) -> tuple[Any, User, list[int]]:
    comparison = Comparison.objects.order_by("id")[0]
    Demand.objects.filter(comparison=comparison).delete()
    ben, order = cast.person("Ben", place, "annotator"), order_by_length(comparison)
    lend(ben, comparison, order)
    page = open_page(ben, PAGE, reduced_motion="reduce", **options)
    ready(page)
    return page, ben, order


def ready(page: Any) -> None:
    page.locator("body[data-ready]").wait_for()
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((it) => it.readyState > 0)")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def stored(page: Any) -> Annotation:
    page.wait_for_function("() => document.querySelector('[data-count]')?.textContent === '1'")
    return Annotation.objects.get(state="current", assignment__isnull=False)


def said(annotation: Annotation, order: list[int]) -> list[tuple[float, float, int]]:
    """Start, end and strength of each segment; positive: the second side shown is better."""
    turn = 1 if order == [0, 1] else -1
    return [(one["start"], one["end"], turn * one["vote"]) for one in annotation.answers["segments"]["segments"]]


@pytest.mark.parametrize("width", [1280, 360])
def test_segments_are_marked_by_keyboard_alone(open_page: Opener, place: Project, width: int) -> None:
    page, _, order = opened(open_page, place)
    page.set_viewport_size({"width": width, "height": 800})
    press(page, *KEYS)
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    # To the first and its end by a tenth less, away with a third.
    press(page, "k", "4", "j", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "m", "ArrowRight", "m", "Delete")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    press(page, "Enter")
    assert said(stored(page), order) == [(1.0, 3.0, 1), (4.1, 7.1, 2)]


def test_the_keys_of_the_time_line_act_wherever_the_cursor_is(open_page: Opener, place: Project) -> None:
    page, _, order = opened(open_page, place)
    press(page, "ArrowRight", "m", "ArrowRight", "m", "2")
    assert page.locator("[data-row].here").get_attribute("data-label") != "0:01.0 – 0:02.0", "on to the first question"
    press(page, "ArrowRight", "ArrowRight", "m", "ArrowRight", "m", "5", "4", "Enter")
    assert said(stored(page), order) == [(1.0, 2.0, -1), (4.0, 5.0, 2)]


def test_both_bad_answers_no_other_question_than_its_own_once_that_is_answered(open_page: Opener, place: Project) -> None:
    page, _, _ = opened(open_page, place)
    press(page, "2", "ArrowRight", "m", "ArrowRight", "m", "x", "1", "Enter")
    assert stored(page).answers["preference"]["outcome"] in {"first", "second"}


def test_a_segment_without_an_end_is_told_before_it_is_lost(open_page: Opener, place: Project) -> None:
    page, _, order = opened(open_page, place)
    press(page, "4", "ArrowRight", "m", "ArrowRight", "m", "2", "ArrowRight", "m", "Enter")
    page.get_by_text("A segment begins at 0:03.0 and has no end: M marks it, Escape forgets it.").first.wait_for()
    press(page, "Escape", "Enter")
    assert said(stored(page), order) == [(1.0, 2.0, -1)]
    assert "0:01.0 – 0:02.0: A slightly" in page.locator("[data-toast-slot]").inner_text()


def test_a_time_that_cannot_be_is_told_beside_it(open_page: Opener, place: Project) -> None:
    page, _, order = opened(open_page, place)
    press(page, "4", "ArrowRight", "m", "ArrowRight", "m", "2", "k", "j")
    page.locator(".mark [data-end=end]").fill("0:00.5")
    page.locator(".mark [data-end=end]").press("Tab")
    assert page.locator(".mark [data-fault]").inner_text() == "That place is taken, outside, or no time; the segment stays as it was."
    page.locator(".mark [data-end=end]").fill("2.5")
    page.locator(".mark [data-end=end]").press("Tab")
    assert page.locator(".mark [data-fault]").inner_text() == ""
    page.locator("body").press("Escape")
    page.locator("button.primary").click()
    assert said(stored(page), order) == [(1.0, 2.5, -1)]


def test_the_side_that_will_be_heard_is_chosen_before_it_plays_and_a_rewind_takes_along_what_was_over(
    open_page: Opener, place: Project
) -> None:
    page, _, _ = opened(open_page, place)
    page.get_by_role("button", name="Play both, hear A").wait_for()
    press(page, "Shift+ ")
    page.get_by_role("button", name="Play both, hear B").wait_for()
    press(page, *["ArrowRight"] * 10, " ")
    page.get_by_role("button", name="Pause; B is heard").wait_for()
    press(page, *["ArrowLeft"] * 4)
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((it) => !it.paused)")


def test_what_plays_is_marked_and_a_segment_is_played_by_itself(open_page: Opener, place: Project) -> None:
    page, _, order = opened(open_page, place)
    press(page, "3", "j", " ")
    page.wait_for_function("() => document.querySelector('#side-A audio').currentTime > 0.6")
    press(page, "m")
    page.wait_for_function("() => document.querySelector('.tl-mark.open').getBoundingClientRect().width > 40")
    press(page, "m")
    assert page.evaluate("[...document.querySelectorAll('audio')].every((it) => it.paused)")
    press(page, "1", "k", "j", " ")
    page.wait_for_function("() => !document.querySelector('#side-A audio').paused")
    page.wait_for_function("() => document.querySelector('#side-A audio').paused")
    end = float(page.locator("#side-A audio").evaluate("it => it.currentTime"))
    press(page, "Enter")
    ((start, stop, vote),) = said(stored(page), order)
    assert vote == -2 and 0.5 < start < stop and abs(end - stop) < 0.05


def test_the_mouse_draws_moves_and_goes(open_page: Opener, place: Project) -> None:
    page, _, order = opened(open_page, place)
    press(page, "3")
    box = page.locator(".tl-track").bounding_box()
    at = lambda seconds: (box["x"] + box["width"] * seconds / 12, box["y"] + box["height"] / 2)  # noqa: E731 - six of a kind

    def drag(start: float, end: float) -> None:
        page.mouse.move(*at(start))
        page.mouse.down()
        page.mouse.move(*at((start + end) / 2))
        page.mouse.move(*at(end))
        page.mouse.up()

    drag(2, 4)
    page.locator(".segments label[data-word='A better']").click()
    drag(4, 6)  # from the first one's end: that end moves
    drag(5, 9)  # inside the first: nothing new
    drag(8, 5.5)  # backwards, and up to the first one's end
    page.locator(".segments .mark:has(.here) label[data-word='B slightly']").click()
    page.mouse.click(*at(10))
    assert abs(page.locator("#side-A audio").evaluate("it => it.currentTime") - 10) < 0.1
    assert page.locator("#side-B audio").evaluate("it => it.currentTime") == pytest.approx(9, abs=0.1)
    page.get_by_role("button", name="Submit").click()
    given = said(stored(page), order)
    assert [vote for *_, vote in given] == [-2, 1]
    assert [round(place) for one in given for place in one[:2]] == [2, 6, 6, 8]


def test_a_draft_and_an_undone_answer_come_back(open_page: Opener, place: Project) -> None:
    page, _, order = opened(open_page, place)
    press(page, *KEYS)
    page.locator(".segments .mark").nth(1).get_by_placeholder("Comment, optional").fill("Too loud")
    page.wait_for_timeout(500)
    page.reload()
    ready(page)
    assert page.locator(".segments .mark").count() == 2
    first = page.locator("[data-item]").get_attribute("data-assignment")
    press(page, "Enter")
    page.wait_for_function("id => document.querySelector('[data-item]').dataset.assignment !== id", arg=first)
    page.locator("[data-undo-button]").wait_for()
    press(page, "z")
    page.wait_for_function("id => document.querySelector('[data-item]').dataset.assignment === id", arg=first)
    page.locator("#stage:not([data-rests])").wait_for()
    press(page, "Enter")
    page.wait_for_function("() => document.querySelector('[data-count]').textContent === '1'")
    again = Annotation.objects.get(state="current", assignment__isnull=False)
    assert said(again, order) == [(1.0, 3.0, -1), (4.1, 7.1, 2)]
    assert again.answers["segments"]["segments"][1]["comment"] == "Too loud"


def test_a_correction_begins_with_the_segments_given(open_page: Opener, place: Project) -> None:
    page, _, order = opened(open_page, place)
    press(page, *KEYS, "Enter")
    first = stored(page)
    page.goto("/p/ours/history/")
    assert page.get_by_text("1–3 s").count() and page.get_by_text("4.1–7.1 s").count()
    page.goto(f"/p/ours/history/{first.pk}/")
    page.wait_for_function("() => document.body.classList.contains('scripted')")
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    page.locator(".segments .mark").nth(1).get_by_label("Remove the segment").click()
    press(page, "Enter")
    page.get_by_text("The correction counts instead").wait_for()
    assert said(Annotation.objects.get(state="current", assignment__isnull=False), order) == [(1.0, 3.0, -1)]


def test_they_may_differ_nowhere_and_not_be_judged(open_page: Opener, place: Project) -> None:
    page, _, _ = opened(open_page, place)
    press(page, "3", "0", "u", "0", "Enter")
    assert stored(page).answers["segments"] == {"segments": []}, "judged after all"


def test_two_texts_have_no_time_line_and_can_be_answered(open_page: Opener) -> None:
    place = project_with("segments")
    cast.comparison(place, "Which?", "One.", "Two.")
    page = open_page(cast.person("Ben", place, "annotator"), PAGE)
    page.locator("body[data-ready]").wait_for()
    assert page.get_by_text("Segments need a sound or film on both sides").count() == 1
    press(page, "3", "m", "u", "Enter")
    assert stored(page).answers["segments"] == {"outcome": "cannot_judge"}


def test_the_gate_names_the_side_that_was_not_played_and_the_server_holds_it(open_page: Opener, tmp_path: Path) -> None:
    place = sounds(tmp_path, media_seconds=1, media_percent=20)
    page, _, _ = opened(open_page, place)
    gate = page.locator("[data-gate]")
    words = "To be played before you answer: A: 3 seconds more, B: 2 seconds more"
    assert gate.inner_text() == words
    press(page, "3", *["ArrowRight"] * 6, *["ArrowLeft"] * 6)
    page.wait_for_timeout(500)
    assert gate.inner_text() == words, "to go there is not to play"
    press(page, "0", "Enter")
    page.locator("[data-toast-slot]").get_by_text("A: 3 seconds more").wait_for()
    press(page, " ")
    page.wait_for_function("() => !document.querySelector('[data-gate]').textContent.includes('A:')")
    assert gate.inner_text() == "To be played before you answer: B: 2 seconds more", "what is muted was not heard"
    press(page, "Shift+ ")
    page.wait_for_function("() => document.querySelector('[data-gate]').textContent === ''")
    press(page, " ")
    page.evaluate("() => document.querySelector('[data-item]').removeAttribute('data-gate-seconds')")
    press(page, "Enter")
    exposure = stored(page).exposure
    assert exposure["share_a"] >= 0.19 and exposure["share_b"] >= 0.19 and exposure["played_b"] >= 1


def test_an_answer_without_enough_played_is_refused_by_the_server(open_page: Opener, tmp_path: Path) -> None:
    page, _, _ = opened(open_page, sounds(tmp_path, media_percent=50))
    page.evaluate("() => document.querySelector('[data-item]').removeAttribute('data-gate-seconds')")
    press(page, "3", "0", "Enter")
    page.get_by_text("Of A and B too little was played: 50% of each are wanted").first.wait_for()
    assert not Annotation.objects.exists()
    page.reload()
    ready(page)
    press(page, "k", "u", "j", "u", "Enter")  # What was refused stands there again.
    assert stored(page).outcome == "cannot_judge"

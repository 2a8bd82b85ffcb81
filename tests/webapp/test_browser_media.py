"""Media in a real browser: one plays at a time, both in step, what was played is told, and sections load in place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotation.models import Annotation, Project
from pipelines.services.importing import ImportOptions, import_file
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.test_media import png, wav

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PAGE = "/p/ours/annotate/"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture
def place(db: None, tmp_path: Path) -> Project:
    """One comparison of two sounds, under a picture."""
    project = cast.project("ours")
    for name, data in {"a.png": png(90, 64), "a.wav": wav(3, 120), "b.wav": wav(3, 130)}.items():
        (tmp_path / name).write_bytes(data)

    def sound(name: str) -> list[dict[str, object]]:
        return [{"role": "assistant", "content": [{"type": "audio", "audio": name, "text": "Rain"}]}]

    row = {
        "prompt": [{"role": "user", "content": [{"type": "image", "image": "a.png", "text": "A roof"}, {"type": "text", "text": "How does it sound?"}]}],
        "chosen": sound("a.wav"),
        "rejected": sound("b.wav"),
    }  # fmt: skip
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(row) + "\n")
    import_file(project=project, path=path, options=ImportOptions(media=str(tmp_path)))
    return project


def test_sounds_play_one_at_a_time_or_in_step_and_the_page_is_told(open_page: Opener, place: Project) -> None:
    page = open_page(cast.person("Ben", place, "annotator"), PAGE)
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((it) => it.readyState > 0)")
    assert page.locator("[data-medium=image] img").evaluate("it => it.complete && it.naturalWidth") == 64
    assert page.get_by_alt_text("A roof").count() == 1
    told = page.evaluate_handle("const told = []; addEventListener('winnow:played', (e) => told.push(e.detail)); told")
    audio = page.locator("audio")
    audio.nth(0).evaluate("it => it.play()")
    audio.nth(1).evaluate("it => it.play()")
    page.wait_for_function("() => document.querySelectorAll('audio')[0].paused && !document.querySelectorAll('audio')[1].paused")
    page.wait_for_function("() => document.querySelector('#side-B').dataset.played >= '1'")
    left = "async () => (await import('/static/js/media.js')).unplayed(document.querySelector('[data-item]')).map((it) => it.side)"
    assert page.evaluate(left) == ["A", "B"]
    audio.nth(1).evaluate("it => it.pause()")
    page.get_by_role("button", name="Play both").click()
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((it) => !it.paused)")
    page.wait_for_function("() => document.querySelector('#side-A').dataset.played >= '1'")
    assert [it.evaluate("it => it.muted") for it in audio.all()] == [False, True]
    first, second = (it.evaluate("it => it.currentTime") for it in audio.all())
    assert abs(first - second) < 0.6
    page.get_by_role("button", name="Hear B instead").click()
    assert [it.evaluate("it => it.muted") for it in audio.all()] == [True, False]
    page.wait_for_function("() => document.querySelector('#side-B').dataset.share === '1'")
    assert page.evaluate(left) == ["A"], "its second was played, and three are asked for: all that there is"
    assert {it["side"] for it in told.json_value()} == {"A", "B"}


@pytest.mark.parametrize("width", [1280, 360])
def test_captions_of_a_sound_stand_below_it_and_a_film_has_its_poster(open_page: Opener, tmp_path: Path, width: int) -> None:
    project = cast.project("ours")
    files = {"a.wav": wav(4), "p.png": png(90, 64), "v.webm": b"\x1a\x45\xdf\xa3\x01webm"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "c.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:04.000\n<i>Rain</i> on a <b>roof</b>\n")
    beside = {"captions": [{"file": "c.vtt", "language": "en", "label": "English"}], "transcript": "Rain on a roof"}
    sound = {"type": "audio", "audio": "a.wav", **beside}
    film = {"type": "video", "video": "v.webm", "poster": "p.png", "text": "A roof", **beside}
    row = {"prompt": [{"role": "user", "content": "Rain"}], "chosen": [{"role": "assistant", "content": [sound]}],
           "rejected": [{"role": "assistant", "content": [film]}]}  # fmt: skip
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n")
    import_file(project=project, path=tmp_path / "x.jsonl", options=ImportOptions(media=str(tmp_path)))
    page = open_page(cast.person("Ben", project, "annotator"), PAGE)
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("audio").evaluate("it => it.play()")
    page.locator(".cues").get_by_text("Rain on a roof").wait_for()
    assert page.evaluate("async () => (await fetch(document.querySelector('video').poster)).headers.get('content-type')") == "image/png"
    page.get_by_text("Transcript").first.click()
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_section_is_loaded_where_it_stands(open_page: Opener) -> None:
    project = cast.project("ours")
    cast.comparison(project, "Long?", ("word *word* " * 800 + "\n\n") * 24 + "THE-END", "short")
    page = open_page(cast.person("Ben", project, "annotator"), PAGE)
    last = page.locator("details.section").last
    last.locator("summary").click()
    page.get_by_text("THE-END").first.wait_for()
    assert last.locator("a").count() == 0
    page.context.clear_cookies()
    first = page.locator("details.section").first
    with page.expect_response("**/section*"):
        first.locator("summary").click()
    page.wait_for_function("() => !document.querySelector('[aria-busy]')")
    assert first.locator("a").count() == 1 and page.locator("#login").count() == 0


def test_a_reload_forgets_nothing_that_was_played(open_page: Opener, place: Project) -> None:
    page = open_page(cast.person("Ben", place, "annotator"), PAGE)
    page.locator("body[data-ready]").wait_for()
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((it) => it.readyState > 0)")
    for at, side in enumerate("AB"):
        page.locator("audio").nth(at).evaluate("it => it.play()")
        page.locator(f"#side-{side}[data-share='1']").wait_for()
    page.reload()
    page.locator("body[data-ready]").wait_for()
    page.locator("#side-A[data-share='1'][data-played]").wait_for()
    page.locator("#side-B[data-share='1'][data-played]").wait_for()
    assert page.locator("[data-gate]").inner_text() == ""
    assert "rain" not in page.evaluate("JSON.stringify(sessionStorage)").lower()
    page.keyboard.press("6")
    page.get_by_text("You have judged all").wait_for()
    exposure = Annotation.objects.get(assignment__isnull=False).exposure
    assert (exposure["share_a"], exposure["share_b"]) == (1, 1) and exposure["played_b"] >= 2


def test_an_answer_waits_until_both_sides_were_played(open_page: Opener, place: Project) -> None:
    page = open_page(cast.person("Ben", place, "annotator"), PAGE)
    page.locator("body[data-ready]").wait_for()
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((it) => it.readyState > 0)")
    page.keyboard.press("6")
    page.get_by_text("To be played before you answer: A: 3 seconds more, B: 3 seconds more").first.wait_for()
    given = Annotation.objects.filter(assignment__isnull=False)  # the file's own choice is one too
    assert given.count() == 0
    page.get_by_role("button", name="Play both").click()
    page.wait_for_function("() => !document.querySelector('[data-gate]').textContent.includes('A:')")
    page.locator("[data-play-both]:has-text('Play both')").wait_for()
    page.get_by_role("button", name="Play both").click()
    page.get_by_role("button", name="Hear B instead").click()
    page.wait_for_function("() => document.querySelector('[data-gate]').textContent === ''")
    page.keyboard.press("6")
    page.get_by_text("You have judged all").wait_for()
    exposure = given.get().exposure
    assert exposure["played_a"] >= 2 and exposure["played_b"] >= 2

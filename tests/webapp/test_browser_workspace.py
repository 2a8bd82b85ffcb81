"""What an annotator sees of the workspace beyond answering: which keys act now, and what is kept for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from annotation.models import Annotation, Assignment, Project, Rater, User
from annotation.services.assignment import assignment_release
from pipelines.models import Prediction
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.lending import chat, comparison_of, lend, project_with
from tests.webapp.test_browser_types import PAGE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
COMES_BACK = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
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


def test_time_counts_once_over_a_reload_and_an_undo(open_page: Opener) -> None:
    page = ready(open_page(place_with(3), PAGE))
    page.clock.install()
    page.reload()
    ready(page)
    page.clock.run_for(20_000)
    page.reload()
    first = shown(ready(page))
    page.keyboard.press("5")
    page.clock.run_for(1_000)
    moved_on(page, first)
    saved(page, 1)
    second = shown(page)
    page.clock.run_for(5_000)
    page.keyboard.press("z")
    page.wait_for_function("id => document.querySelector('[data-item]').dataset.assignment === id", arg=first)
    for n, keys in enumerate((["4", "Enter"], ["5"]), start=1):
        page.clock.run_for(1_000)
        page.locator("#stage:not([data-rests])").wait_for()
        before = shown(page)
        for key in keys:
            page.keyboard.press(key)
        page.clock.run_for(1_000)
        moved_on(page, before)
        saved(page, n)
    kept = {one.assignment_id: one for one in Annotation.objects.filter(state="current")}
    assert 20 <= kept[int(first)].active_seconds < 60 and kept[int(first)].exposure["dwell_a"] >= 20
    assert 5 <= kept[int(second)].active_seconds < 30


def saved(page: Any, n: int) -> None:
    page.wait_for_function("n => document.querySelector('[data-count]').textContent === String(n)", arg=n)


def moved_on(page: Any, before: str) -> None:
    page.wait_for_function("id => document.querySelector('[data-item]')?.dataset.assignment !== id", arg=before)
    page.locator("#stage:not([data-rests])").wait_for()


def held_ahead(page: Any, n: int, user: User) -> None:
    """Until the page asked for all that it may hold: one shown and the others."""
    for _ in range(200):
        if Assignment.objects.filter(participation__annotator=user, state="leased").count() == n:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"The page never held {n} comparisons.")


@pytest.mark.parametrize(("plenty", "answers"), [(8, 6), (100, 3)])
def test_more_is_held_for_the_time_without_network_while_plenty_is_open(
    open_page: Opener, monkeypatch: pytest.MonkeyPatch, plenty: int, answers: int
) -> None:
    monkeypatch.setattr("annotation.services.assignment.PLENTY_OPEN", plenty)
    place = cast.project("ours")
    ben = cast.person("Ben", place, "annotator")
    cast.comparisons(place, 14)
    page = ready(open_page(ben, PAGE))
    held_ahead(page, answers, ben)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    for _ in range(answers - 1):
        before = shown(page)
        page.keyboard.press("5")
        moved_on(page, before)
    page.keyboard.press("5")
    page.get_by_text("Nothing more to judge until").first.wait_for()
    page.context.set_offline(False)
    saved(page, answers)
    assert Annotation.objects.count() == answers


def test_what_was_answered_is_not_asked_again_after_going_back(open_page: Opener) -> None:
    place = cast.project("ours")
    ben = cast.person("Ben", place, "annotator")
    cast.comparisons(place, 4)
    page = ready(open_page(ben, PAGE))
    first = shown(page)
    page.keyboard.press("5")
    moved_on(page, first)
    saved(page, 1)
    second = shown(page)
    page.keyboard.press("h")
    page.wait_for_url("**/history/")
    page.go_back()
    ready(page)
    page.wait_for_function("id => document.querySelector('[data-item]')?.dataset.assignment === id", arg=second)
    assert Annotation.objects.count() == 1


def test_a_page_out_of_the_browsers_memory_goes_on_where_one_is(open_page: Opener) -> None:
    """The same tab's memory is kept by some browsers only, so the event is sent here; the other tab's answer is real."""
    place = cast.project("ours")
    ben = cast.person("Ben", place, "annotator")
    cast.comparisons(place, 4)
    page, other = ready(open_page(ben, PAGE)), ready(open_page(ben, PAGE))
    first = shown(page)
    assert shown(other) == first
    other.keyboard.press("5")
    saved(other, 1)
    page.evaluate(COMES_BACK)
    moved_on(page, first)
    second = shown(page)
    with page.expect_response("**/heartbeat"):
        page.evaluate(COMES_BACK)
    page.keyboard.press("5")
    moved_on(page, second)
    saved(page, 1)


def test_a_lost_lease_is_told_before_the_answer(open_page: Opener) -> None:
    page = ready(open_page(place_with(1), PAGE))
    page.clock.install()
    page.reload()
    first = shown(ready(page))
    place = Project.objects.get(slug="ours")
    assignment_release(assignment_id=int(first), project_id=place.pk, reason="curator")
    page.clock.fast_forward("20:00")
    page.mouse.move(300, 300)
    page.get_by_text("This comparison is not held for you any more").first.wait_for()
    page.keyboard.press("5")
    page.clock.run_for(1_000)
    saved(page, 1)
    assert Annotation.objects.get().late


@pytest.mark.parametrize("width", [360, 1280])
def test_the_menu_says_until_when_a_comparison_is_held(open_page: Opener, width: int) -> None:
    page = ready(open_page(place_with(2), PAGE, timezone_id="Asia/Kolkata"))
    for is_renewed in (False, True):
        if is_renewed:
            with page.expect_response("**/heartbeat"):
                page.evaluate(COMES_BACK)
        else:
            Assignment.objects.update(lease_until=timezone.now() + timedelta(minutes=4))
            page.reload()
            page.set_viewport_size({"width": width, "height": 780})
            ready(page).keyboard.press("s")
        until = Assignment.objects.get(pk=int(shown(page))).lease_until
        assert until is not None
        words = f"Held for you until {until.astimezone(ZoneInfo('Asia/Kolkata')):%H:%M}, longer while you work here."
        page.get_by_text(words).locator("visible=true").wait_for()
        menu = page.locator(".menu:visible").bounding_box()
        assert menu and menu["x"] >= 0 and menu["x"] + menu["width"] <= width and menu["y"] >= 0


def place_with(n: int) -> User:
    place = cast.project("ours")
    ben = cast.person("Ben", place, "annotator")
    cast.comparisons(place, n)
    return ben


def test_what_is_answered_while_the_server_is_asked_goes_its_way(open_page: Opener) -> None:
    """One's own comparison comes out of the browser's memory; the heartbeat takes its time, and no next one can be had."""
    page = ready(open_page(place_with(1), PAGE))
    first = shown(page)
    asked: list[Any] = []
    page.route("**/heartbeat", lambda route: asked.append(route))
    page.route("**/annotate/next*", lambda route: route.fulfill(status=503, body=""))
    page.evaluate(COMES_BACK)
    page.keyboard.press("5")
    saved(page, 1)
    page.locator("[data-item][data-waits]").wait_for()
    asked[0].continue_()
    page.wait_for_function("() => document.querySelector('[data-answer]').dataset.sent === '1'")
    cast.comparison(Project.objects.get(slug="ours"), "One more?", "Yes.", "No.", wanted=1)
    page.unroute("**/annotate/next*")
    moved_on(page, first)


def test_what_was_skipped_takes_no_answer_where_the_next_does_not_come(open_page: Opener) -> None:
    page = ready(open_page(place_with(1), PAGE))
    first = shown(page)
    page.route("**/annotate/next*", lambda route: route.fulfill(status=503, body=""))
    page.keyboard.press("s")
    page.keyboard.press("1")
    page.get_by_text("There is no connection; the next comparison comes when it is back.").first.wait_for()
    page.keyboard.press("5")
    cast.comparison(Project.objects.get(slug="ours"), "One more?", "Yes.", "No.", wanted=1)
    page.unroute("**/annotate/next*")
    moved_on(page, first)
    assert not Annotation.objects.exists()


def test_the_first_that_comes_is_shown_while_others_are_on_their_way(open_page: Opener) -> None:
    page = open_page(place_with(4), PAGE)
    asked: list[Any] = []
    address = page.url
    page.goto("about:blank")
    page.route("**/annotate/next*", lambda route: asked.append(route))
    page.goto(address)
    first = shown(ready(page))
    page.keyboard.press("5")
    saved(page, 1)
    asked[0].continue_()
    moved_on(page, first)
    assert len(asked) == 2, "the second is still asked for"
    page.unroute_all(behavior="ignoreErrors")


def test_without_network_one_stays_on_the_page(open_page: Opener) -> None:
    _, ben = place_of("pairwise")
    page = ready(open_page(ben, PAGE))
    page.context.set_offline(True)
    page.keyboard.press("h")
    page.get_by_text("There is no connection").first.wait_for()
    assert page.url.endswith(PAGE)
    page.context.set_offline(False)


def test_the_key_sheet_says_what_the_keys_of_this_form_answer(open_page: Opener) -> None:
    _, ben = place_of(BOTH_UNSURE)
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("?")
    sheet = page.locator("#keys[open]")
    assert sheet.locator("h3").all_inner_texts() == ["Which is better?", "Usable?", "All questions", "Tools"]
    said = [" ".join(one.split()) for one in sheet.locator("[data-sheet] .keys div").all_inner_texts()]
    assert said == [
        *("1 A better", "2 A slightly", "3 / 0 Equally good", "4 B slightly", "5 B better", "U Cannot judge"),
        *("1 Desirable", "2 Not desirable", "U Cannot judge"),
    ]


def test_a_key_opens_the_earlier_turns_of_a_long_chat(open_page: Opener) -> None:
    prompt = chat(*[(role, f"Turn {n} of it.") for n in range(3) for role in ("user", "assistant")], ("user", "And now?"))
    _, ben = place_of("pairwise", prompts=[prompt])
    page = ready(open_page(ben, PAGE))
    assert page.get_by_text("Turn 1 of it.").first.is_hidden()
    page.keyboard.press("o")
    page.get_by_text("Turn 1 of it.").first.wait_for()
    page.keyboard.press("o")
    assert page.get_by_text("Turn 1 of it.").first.is_hidden()


def test_of_two_chats_each_folds_its_earlier_turns_and_one_key_opens_both(open_page: Opener) -> None:
    long = chat(*[(role, f"Turn {n} of it.") for n in range(3) for role in ("user", "assistant")], ("user", "And now?"))
    _, ben = place_of("joint", prompts=[long, "What is asked?"])
    page = ready(open_page(ben, PAGE))
    assert page.get_by_text("And now?").first.is_visible()
    assert page.get_by_text("Turn 1 of it.").first.is_hidden()
    page.keyboard.press("o")
    page.get_by_text("Turn 1 of it.").first.wait_for()


@pytest.mark.parametrize("keys", [["g", "g"], ["s", "Escape"], ["o"]])
def test_after_a_look_elsewhere_a_digit_and_enter_answer(open_page: Opener, keys: list[str]) -> None:
    prompt = chat(*[(role, f"Turn {n} of it.") for n in range(3) for role in ("user", "assistant")], ("user", "And now?"))
    _, ben = place_of("pairwise-reasons", prompts=[prompt])
    page = ready(open_page(ben, PAGE))
    for key in keys:
        page.keyboard.press(key)
    page.keyboard.press("7")
    page.keyboard.press("Enter")
    saved(page, 1)


def test_arrows_scroll_until_a_completion_is_in_hand(open_page: Opener) -> None:
    _, ben = place_of("listwise", "One.", "Two.", "Three.")
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    page.keyboard.press("ArrowUp")
    assert page.locator("[data-look=place] select").evaluate_all("all => all.map((one) => one.value)") == ["", "", "1"]


RANKED = {
    "typed": ("4231", "4231"),
    "the same place is a tie, gaps stay": ("4231 d2", "4232"),
    "past the neighbour, then a tie": ("4231 b↓ d2", "4322"),
    "typed over by digits": ("4231 b↓ d2 a4231", "4231"),
    "typed over by letters": ("4231 b↓ d2 a4231 d1b2c3a4", "4231"),
    "typed over a tie of all": ("1111 d1b2c3a4", "4231"),
    "the first and the second swapped": ("1234 b2a1", "1234"),
    "swapped from the other side": ("1234 a2b1", "2134"),
    "the first moves down": ("1234 a↓", "2134"),
    "the second moves down and makes no tie": ("1234 b↓", "1324"),
    "past a tie of two at once": ("1223 a↓", "2114"),
    "out of a tie, upwards": ("1224 c↑", "1324"),
    "out of a tie at the end": ("1244 d↑", "1243"),
    "past the first or the last is nowhere": ("1234 a↑d↓", "1234"),
    "the last place in a tie at the end": ("1234 c4", "1244"),
    "one without a place takes a free one": ("1 c↑ d↓", "1-24"),
    "a letter first, then the next without a place": ("c2341", "4123"),
    "all cleared": ("1234 P", "----"),
    "all cleared and placed anew": ("1234 c P 4321", "4321"),
}
PRESSES = {"↑": "ArrowUp", "↓": "ArrowDown", "P": "Shift+P"}


def places(page: Any) -> str:
    selects = page.locator("[data-look=place] select")
    return str(selects.evaluate_all("all => all.map((one) => one.value || '-').join('')"))


def ranked(page: Any, keys: str) -> str:
    for key in keys.replace(" ", ""):
        page.keyboard.press(PRESSES.get(key, key))
    return places(page)


def test_a_typed_place_stays_as_typed(open_page: Opener) -> None:
    """Each sequence on an empty ranking: the place of A, B, C and D after it, as it stands in the fields."""
    _, ben = place_of("listwise", "One.", "Two.", "Three.", "Four.")
    page = ready(open_page(ben, PAGE))
    found = {}
    for name, (keys, _expected) in RANKED.items():
        assert ranked(page, "P") == "----"
        found[name] = ranked(page, keys)
    assert found == {name: expected for name, (_, expected) in RANKED.items()}


def test_siblings_are_cleared_whole_too(open_page: Opener) -> None:
    _, ben = place_of("siblings", "One.", "Two.", "Three.")
    page = ready(open_page(ben, PAGE))
    assert (ranked(page, "a1"), ranked(page, "P"), ranked(page, "231")) == ("1--", "---", "231")


def test_gaps_of_a_ranking_are_closed_in_what_is_saved_and_said(open_page: Opener) -> None:
    place, ben = place_of("listwise", "One.", "Two.", "Three.", "Four.")
    lend(ben, comparison_of(place, ["And this?"], ["One.", "Two.", "Three.", "Four."]))
    page = ready(open_page(ben, PAGE))
    first = shown(page)
    assert ranked(page, "1123") == "1123"
    names = ["1st", "1st", "3rd", "4th"]
    assert page.locator(".hand .at").all_inner_texts() == names, "once all are placed, as saved"
    badges = page.locator(".side [data-verdict]").all_inner_texts()
    assert [words.split(",")[0] for words in badges] == names
    assert page.locator(".slot .letter").evaluate_all("all => all.map((one) => one.closest('.slot').dataset.slot + one.textContent)") == [
        "1A", "1B", "3C", "4D"
    ]  # fmt: skip
    page.keyboard.press("Enter")
    saved(page, 1)
    assert Annotation.objects.get(state="current").answers["ranking"]["ranks"] == [1, 1, 3, 4]
    moved_on(page, first)
    page.locator("[data-undo-button]").wait_for()
    page.keyboard.press("z")
    page.locator(f"[data-item][data-assignment='{first}'] .ranking").wait_for()
    assert places(page) == "1134", "undone, it is as it was saved"


def test_what_is_typed_next_means_the_places_that_are_shown(open_page: Opener) -> None:
    _, ben = place_of("listwise", "One.", "Two.", "Three.", "Four.")
    page = ready(open_page(ben, PAGE))
    ranked(page, "112")
    assert page.locator(".hand .at").all_inner_texts() == ["1st", "1st", "2nd", "–"], "as typed while one has no place"
    assert ranked(page, "4d3") == "1133", "C is shown as 3rd, and D ties with it"
    assert page.locator(".hand .at").all_inner_texts() == ["1st", "1st", "3rd", "3rd"]
    ranked(page, "P4444")
    assert page.locator(".hand .at").all_inner_texts() == ["1st"] * 4


# Keys on the full ranking A 1, B 2, C 3, and the places of A, B and C after each of them.
TYPED_OVER = [("b", "123"), ("1", "113"), ("c", "113"), ("1", "111"), ("a", "111"), ("2", "311"), ("b", "311"), ("3", "221")]
SEEN_PLACES = """() => {
  const rows = [...document.querySelectorAll("[data-look=place]")], letters = rows.map((row) => row.dataset.label.trim());
  const number = (words) => words.trim()[0];
  return {
    grid: rows.map((row) => number(row.querySelector(".at").textContent)).join(""),
    slots: letters.map((letter) => [...document.querySelectorAll(".slot .letter")].find((one) => one.textContent === letter).closest(".slot").dataset.slot).join(""),
    badges: letters.map((letter) => number(document.querySelector(`#side-${letter} [data-verdict]`).textContent)).join(""),
    stored: letters.map((letter) => Object.values(JSON.parse(localStorage.getItem(Object.keys(localStorage).find((name) => name.includes("draft")))))[0].fields[`ranking.rank.${letter}`]).join(""),
  };
}"""


def test_once_all_have_a_place_a_digit_means_the_place_on_the_screen(open_page: Opener) -> None:
    """Also where the pass that types it over made a tie on the way: what is shown is what is stored, at every key."""
    place, ben = place_of("listwise", "One.", "Two.", "Three.")
    lend(ben, comparison_of(place, ["And this?"], ["One.", "Two."]))
    page = ready(open_page(ben, PAGE))
    ranked(page, "123")
    for key, expected in TYPED_OVER:
        page.keyboard.press(key)
        page.wait_for_timeout(400)  # until the draft is kept, which is what Enter would send
        assert page.evaluate(SEEN_PLACES) == dict.fromkeys(("grid", "slots", "badges", "stored"), expected), key
    page.keyboard.press("Enter")
    page.get_by_text("Saved: ").first.wait_for()
    assert page.locator("[data-toast-slot] b").inner_text() == "C > A = B"
    assert Annotation.objects.get(state="current").answers["ranking"]["ranks"] == [2, 2, 1]


def test_without_ties_a_taken_place_is_free_for_the_newer(open_page: Opener) -> None:
    question = {"key": "ranking", "type": "listwise", "subject": "comparison", "title": "Order them", "required": True, "ties": False}
    _, ben = place_of([question], "One.", "Two.", "Three.")
    page = ready(open_page(ben, PAGE))
    assert ranked(page, "123b1") == "-13"
    assert page.locator("[data-row].here").get_attribute("data-row") == "ranking.rank.A", "which is to be placed anew"
    assert ranked(page, "2") == "213"
    assert ranked(page, "c↑") == "312"


def test_what_is_dragged_onto_a_place_ties_with_who_stands_there(open_page: Opener) -> None:
    _, ben = place_of("listwise", "One.", "Two.", "Three.")
    page = ready(open_page(ben, PAGE))
    ranked(page, "123")
    page.locator(".hand").nth(2).drag_to(page.locator(".slot").nth(1))
    assert places(page) == "122"


def test_digits_bring_the_next_completion_into_view(open_page: Opener) -> None:
    """What can be seen already does not move."""
    _, ben = place_of("listwise", *[f"Some long words of {n}. " * 150 for n in range(4)])
    page = ready(open_page(ben, PAGE, reduced_motion="reduce"))
    page.set_viewport_size({"width": 1280, "height": 800})
    page.keyboard.press("1")
    assert page.evaluate("scrollY") == 0, "B stands beside A"
    page.keyboard.press("2")
    top = page.evaluate("document.getElementById('side-C').getBoundingClientRect().top")
    assert page.evaluate("scrollY") > 0
    assert 0 <= top <= 500


def test_p_takes_out_what_was_answered_last(open_page: Opener) -> None:
    _, ben = place_of(BOTH_UNSURE)
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("1")
    page.keyboard.press("p")
    assert page.locator("[data-row].here").get_attribute("data-row") == "overall"
    assert page.locator("[data-row] input:checked").count() == 0


def test_both_bad_can_be_said_wherever_the_cursor_is(open_page: Opener) -> None:
    _, ben = place_of("edit")
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("2")
    page.keyboard.press("j")
    assert page.locator("[data-row].here").get_attribute("data-row") != "preference"
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    saved(page, 1)
    assert Annotation.objects.get(state="current").outcome == "both_bad"


def test_finished_marks_are_come_back_to_by_key(open_page: Opener) -> None:
    _, ben = place_of("spans", "One wrong word and another.")
    page = ready(open_page(ben, PAGE))
    for key in ("m", "Enter", "1", "1", "k", "k", "k", "m", "ArrowRight", "Enter", "2", "2"):
        page.keyboard.press(key)
    assert page.locator(".mark-body:visible").count() == 1, "the first mark is finished and put away"
    for _ in range(3):
        page.keyboard.press("k")
    assert page.locator(".mark.open .mark-head").inner_text().startswith("One")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    saved(page, 1)
    spans = Annotation.objects.get().answers["errors"]["completions"][0]["spans"]
    assert [(span["quote"], span["category"], span["severity"]) for span in spans] == [
        ("One", "style", "minor"), ("wrong", "fluency", "major"),
    ]  # fmt: skip


@pytest.mark.parametrize("width", [1440, 360])
def test_the_field_of_an_edit_is_as_wide_as_the_text_and_grows_with_it(open_page: Opener, width: int) -> None:
    _, ben = place_of("edit", "The first answer.", "The second answer.")
    page = ready(open_page(ben, PAGE))
    page.set_viewport_size({"width": width, "height": 900})
    page.keyboard.press("7")
    page.keyboard.press("e")
    field = page.locator("textarea:focus")
    before = field.bounding_box()
    if width == 1440:
        side = page.locator("#side-B").bounding_box()
        assert side["x"] <= before["x"] and before["width"] > 0.9 * (side["width"] - 60)
        page.keyboard.insert_text("A line.\n" * 30)
        page.wait_for_function("least => document.activeElement.offsetHeight > least", arg=before["height"] + 200)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.keyboard.insert_text("It is better now. ")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    saved(page, 1)
    assert "It is better now." in Annotation.objects.get(assignment__isnull=False).answers["edit"]["text"]


def test_an_edit_follows_the_preference_until_words_are_written(open_page: Opener) -> None:
    _, ben = place_of("edit", "The first answer.", "The second answer.")
    page = ready(open_page(ben, PAGE))
    for key in ("7", "e"):
        page.keyboard.press(key)
    was = page.input_value("textarea:focus")
    page.keyboard.press("Escape")
    page.locator("[data-row=preference] label").first.click()
    page.keyboard.press("e")
    assert page.input_value("textarea:focus") != was, "nothing was written, so it repairs what is preferred now"
    page.keyboard.insert_text("Really: ")
    page.keyboard.press("Escape")
    assert not page.locator("[data-edit-note]").is_visible()
    page.locator("[data-row=preference] label").nth(6).click()
    said = page.locator("[data-edit-note]")
    said.wait_for()
    assert said.inner_text() == "You prefer B, and this repairs A."
    page.locator("[data-row=preference] label").first.click()
    said.wait_for(state="hidden")


def test_answers_typed_anew_meet_their_rows(open_page: Opener) -> None:
    _, ben = place_of("helpsteer2", "One.")
    page = ready(open_page(ben, PAGE))
    for key in "12340kkkkk43210":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    saved(page, 1)
    scores = Annotation.objects.get().answers["rating"]["completions"][0]["values"]
    assert [scores[aspect] for aspect in ("helpfulness", "correctness", "coherence", "complexity", "verbosity")] == [4, 3, 2, 1, 0]


def test_a_digit_that_answers_nothing_is_told_of(open_page: Opener) -> None:
    _, ben = place_of("helpsteer2", "One.")
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("9")
    page.get_by_text("9 answers nothing here.").first.wait_for()
    assert page.locator("[data-row] input:checked").count() == 0


def test_a_changed_answer_waits_for_enter(open_page: Opener) -> None:
    _, ben = place_of("pairwise-reasons")
    page = ready(open_page(ben, PAGE))
    for key in ("6", "q", "4"):
        page.keyboard.press(key)
    page.wait_for_timeout(600)
    assert not Annotation.objects.exists()
    page.keyboard.press("Enter")
    saved(page, 1)
    assert Annotation.objects.get().vote == 0


def test_reasons_for_one_side_do_not_stand_for_the_other(open_page: Opener) -> None:
    _, ben = place_of("pairwise-reasons")
    page = ready(open_page(ben, PAGE))
    for key in ("7", "q", "6"):
        page.keyboard.press(key)
    assert page.locator(".chip input:checked").count() == 1, "B is better for the same reason, only less"
    page.keyboard.press("2")
    assert page.locator(".chip input:checked").count() == 0


def test_keys_typed_in_one_go_after_an_undo_are_all_taken_or_none(open_page: Opener) -> None:
    place = cast.project("ours")
    ben = cast.person("Ben", place, "annotator")
    cast.comparisons(place, 3)
    page = ready(open_page(ben, PAGE))
    first = shown(page)
    page.keyboard.press("6")
    moved_on(page, first)
    saved(page, 1)
    for key in ("z", "1", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("id => document.querySelector('[data-item]')?.dataset.assignment === id", arg=first)
    page.locator("#stage:not([data-rests])").wait_for()
    page.wait_for_timeout(600)
    assert not Annotation.objects.filter(state="current").exists(), "the old answer was not sent again"
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    saved(page, 1)
    assert abs(Annotation.objects.get(state="current").vote) == 3


def test_when_it_is_too_late_to_undo_the_next_keys_answer_nothing(open_page: Opener) -> None:
    page = ready(open_page(place_with(3), PAGE))
    first = shown(page)
    page.keyboard.press("6")
    moved_on(page, first)
    saved(page, 1)
    page.wait_for_function("() => !document.querySelector('[data-toast-slot] b')", timeout=20_000)
    for key in ("z", "1", "2"):
        page.keyboard.press(key)
    page.get_by_text("Too late to undo.").first.wait_for()
    assert page.locator("[data-row] input:checked").count() == 0
    assert Annotation.objects.count() == 1


def test_an_undo_pressed_at_once_is_not_lost(open_page: Opener) -> None:
    page = ready(open_page(place_with(3), PAGE))
    first = shown(page)
    for key in ("6", "z", "7"):
        page.keyboard.press(key)
    page.get_by_text("Undone:").first.wait_for()
    assert shown(page) == first
    assert Annotation.objects.filter(state="withdrawn").count() == 1
    assert not Annotation.objects.filter(state="current").exists(), "the key after it answered nothing"


def test_undo_after_a_skip_says_that_a_skip_stays(open_page: Opener) -> None:
    page = ready(open_page(place_with(3), PAGE))
    first = shown(page)
    for key in ("s", "1"):
        page.keyboard.press(key)
    moved_on(page, first)
    page.keyboard.press("z")
    page.get_by_text("A skip is not taken back").first.wait_for()


def test_taking_cannot_judge_back_leaves_the_cursor_where_it_is(open_page: Opener) -> None:
    _, ben = place_of("listwise", "One.", "Two.", "Three.")
    page = ready(open_page(ben, PAGE))
    here, progress = page.locator("[data-row].here"), page.locator("[data-progress]")
    row = here.get_attribute("data-row")
    page.keyboard.press("u")
    assert progress.inner_text() == "Cannot judge"
    page.keyboard.press("u")
    assert here.get_attribute("data-row") == row and progress.inner_text() == "0 of 3 answered"


def test_shift_and_a_digit_answer_the_open_steps_from_here_on(open_page: Opener) -> None:
    _, ben = place_of("steps", "Add.\nCarry.\nWrite.\nCheck.")
    page = ready(open_page(ben, PAGE))
    for key in ("3", "Shift+1", "Enter"):
        page.keyboard.press(key)
    saved(page, 1)
    (given,) = Annotation.objects.get().answers["steps"]["completions"]
    third, *others = given["labels"]
    assert len(others) == 3 and set(others) != {third} and len(set(others)) == 1


def test_a_passage_is_not_marked_twice(open_page: Opener) -> None:
    _, ben = place_of("spans", "One wrong word.")
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("m")
    assert page.locator(".hint .legend").count() > 1, "what the digits stand for"
    for key in ("1", "m", "2"):
        page.keyboard.press(key)
    assert page.locator(".mark").count() == 1
    page.get_by_text("This passage is marked already.").first.wait_for()


def test_reasons_go_with_what_cannot_be_judged(open_page: Opener) -> None:
    _, ben = place_of("thumbs", "One.")
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("1")
    page.locator("[data-reasons]").wait_for()
    page.keyboard.press("u")
    page.locator("[data-reasons]").wait_for(state="hidden")
    box = page.locator("[data-item] label:has(input:checked)")
    assert box.evaluate("it => getComputedStyle(it).textDecorationLine") == "none", "what is chosen is not struck"


def test_a_completion_without_a_step_can_be_skipped_by_key(open_page: Opener) -> None:
    place, ben = place_of("steps", "")
    page = ready(open_page(ben, PAGE))
    for key in ("1", "s", "1"):
        page.keyboard.press(key)
    page.get_by_text("You have judged all").wait_for()
    assert Assignment.objects.get().state == "skipped"


def test_a_short_latin_prompt_stands_under_its_heading_in_arabic(open_page: Opener) -> None:
    _, ben = place_of("pairwise", prompts=["Which city?"])
    User.objects.filter(pk=ben.pk).update(interface_language="ar")
    page = ready(open_page(ben, PAGE))
    ends = """() => [document.querySelector("[data-heading]"), document.querySelector(".ask .text")].map((it) => {
      const range = document.createRange();
      range.selectNodeContents(it);
      return range.getBoundingClientRect().right;
    })"""
    heading, words = page.evaluate(ends)
    assert abs(heading - words) < 2
    assert page.locator(".scale .word bdi").first.evaluate("it => getComputedStyle(it).direction") == "rtl"


LONG = "A sentence of the answer. " * 400
IS_ON_TOP = """row => {
  const box = row.getBoundingClientRect();
  return row.contains(document.elementFromPoint(box.left + box.width / 2, box.top + 2));
}"""


def test_the_reminder_covers_no_row_of_the_panel(open_page: Opener) -> None:
    _, ben = place_of("pairwise-aspects", LONG, f"{LONG}The end.")
    page = ready(open_page(ben, PAGE))
    page.mouse.move(300, 500)
    page.mouse.wheel(0, 2000)
    page.locator(".scrolled > .reminder > div:visible").wait_for()
    assert page.locator(".panel-in [data-row]").first.evaluate(IS_ON_TOP)


@pytest.mark.parametrize(("form", "n"), [("principles", 1), ("pairwise", 2), ("listwise", 3)])
def test_differences_are_offered_between_two_completions_only(open_page: Opener, form: str, n: int) -> None:
    _, ben = place_of(form, *("The first answer.", "The second answer.", "A third answer.")[:n])
    page = ready(open_page(ben, PAGE))
    assert page.locator("button[data-do=differences]").is_visible() == (n == 2)
    for key in ("Shift+D", "n"):
        page.keyboard.press(key)
    assert page.locator("body.differs").count() == (n == 2)
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    for key in "dn":
        assert page.locator(f"#keys [data-cap={key}]").is_visible() == (n == 2)


SHARED = """async ([shared, own]) => {
  const { sharedPairs } = await import("/static/js/differences.js"), words = (name) => Array.from({ length: shared + own }, (_, at) => ({ word: at % 2 && at < 2 * shared ? `same${at}` : `${name}${at}` }));
  return sharedPairs(words("a"), words("b"))?.length ?? null;
}"""


def test_what_long_texts_share_is_found_or_said_to_be_too_much(open_page: Opener) -> None:
    many = [" ".join(f"{name}{n}" for n in range(2_500)) for name in "ab"]
    _, ben = place_of("pairwise", *many)
    page = ready(open_page(ben, PAGE))
    assert page.evaluate(SHARED, [1_300, 1_300]) == 1_300
    assert page.evaluate(SHARED, [0, 2_500]) is None
    page.keyboard.press("d")
    page.locator("[data-toast-slot]", has_text="Too long, or too different").wait_for()
    assert page.locator("body.differs").count() == 0 and page.evaluate("CSS.highlights.get('differs')?.size ?? 0") == 0


def test_the_keys_printed_at_the_end_work_there(open_page: Opener) -> None:
    _, ben = place_of("pairwise")
    page = ready(open_page(ben, PAGE))
    page.keyboard.press("5")
    page.get_by_text("You have judged all").wait_for()
    ready(page)
    for key in ("j", "p", "d", "n", "Enter", "g"):
        page.keyboard.press(key)
    page.locator("#guide").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#keys").wait_for(state="hidden")
    assert page.locator("button[form=undo-form] kbd").inner_text() == "Z"
    page.keyboard.press("z")
    page.locator("[data-item]").wait_for()
    assert Annotation.objects.filter(state="withdrawn").count() == 1
    page.keyboard.press("h")
    page.wait_for_url("**/history/")


@pytest.mark.parametrize(
    ("form", "keys", "said"),
    [("slider", ["5", "Enter"], "Saved: rated"), ("spans", ["0", "Enter"], "Saved: nothing marked")],
)
def test_an_answer_without_words_is_named_by_what_was_done(
    open_page: Opener, form: str, keys: list[str], said: str
) -> None:
    place, ben = place_of(form, "The only answer.")
    lend(ben, comparison_of(place, ["What else?"], ["Another answer."]))
    page = ready(open_page(ben, PAGE))
    for key in keys:
        page.keyboard.press(key)
    page.locator("[data-toast-slot]", has_text=said).wait_for()


@pytest.mark.parametrize("others", [0, 1])
def test_an_opinion_that_came_with_the_page_is_kept_with_the_next_answer(open_page: Opener, others: int) -> None:
    place = cast.project("ours")
    ben, made = cast.person("Ben", place, "annotator"), cast.comparison(place, "What?", "One.", "Another.")
    judge = Rater.objects.create(project=place, kind="model", name="judge")
    Prediction.objects.create(
        project=place, comparison=made, rater=judge, outcome="first", p_first=0.8, method="judge", method_version="1"
    )
    Project.objects.update(show_opinion="after")
    page = ready(open_page(ben, PAGE))
    first = shown(page)
    page.keyboard.press("6")
    page.get_by_text("You have judged all").wait_for()
    if others:
        cast.comparison(place, "What else?", "One.", "Another.")
        page.reload()
        assert shown(ready(page)) != first
    page.locator("[data-opinion]").wait_for()
    page.keyboard.press("z")
    page.wait_for_function("id => document.querySelector('[data-item]')?.dataset.assignment === id", arg=first)
    ready(page).locator("#stage:not([data-rests])").wait_for()
    for key in ("1", "Enter"):
        page.keyboard.press(key)
    saved(page, 1)
    assert Annotation.objects.get(state="current", assignment__isnull=False).exposure["opinion_seen"] is True


def test_undoing_where_nothing_was_done_says_so(open_page: Opener) -> None:
    page = ready(open_page(place_with(1), PAGE))
    page.keyboard.press("z")
    page.locator("[data-toast-slot]", has_text="Nothing to undo.").wait_for()

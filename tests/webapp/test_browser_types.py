"""Every feedback type by keyboard alone in a real browser, wide and narrow; drafts, no script, right to left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, Assignment, Project, User
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
UNABLE = {"outcome": "cannot_judge"}
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
    "pairwise-aspects-both-bad": Case(
        "pairwise-aspects", ["x", "Enter"],
        lambda a: a["preference"]["outcome"] == "both_bad" and a["preference"]["aspects"] == {},
    ),
    "listwise": Case(
        "listwise", ["c", "1", "a", "2", "d", "2", "b", "4", "Enter"],
        lambda a: a["ranking"]["ranks"] == [2, 4, 1, 2], FIVE[:4],
    ),
    "listwise-arrows": Case(
        "listwise", ["1", "2", "3", "c", "ArrowUp", "ArrowUp", "Enter"],
        lambda a: a["ranking"]["ranks"] == [2, 3, 1], FIVE[:3],
    ),
    "best-worst": Case(
        "best-worst", ["b", "e", "Enter"], lambda a: (a["ends"]["best"], a["ends"]["worst"]) == (3, 4), FIVE,
        order=[0, 3, 2, 1, 4],
    ),
    "thumbs": Case(
        "thumbs", ["1", "2", "w", "Enter"],
        lambda a: [c["label"] for c in a["thumb"]["completions"]] == ["yes", "no"]
        and a["thumb"]["completions"][1]["reasons"] == ["The facts"],
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
    "first-bad-step": Case("first-bad-step", ["2", "Enter"], lambda a: one(a, "steps")["first_bad"] == 1, [LINES]),
    "third-bad-step": Case(
        "first-bad-step", ["j", "1", "0", "3", "Enter"], lambda a: one(a, "steps")["first_bad"] == 2, [LINES]
    ),
    "twelfth-bad-step": Case(
        "first-bad-step", ["1", "2", "Enter"], lambda a: one(a, "steps")["first_bad"] == 11, ["\n".join(f"Line {n}." for n in range(1, 15))]
    ),
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
    "spans-comment": Case(
        "spans", ["m", "Enter", "1", "2", "Tab", *"no go", "Enter"],
        lambda a: [s["comment"] for s in one(a, "errors")["spans"]] == ["no go"], ["One word here."],
    ),
    "spans-nothing": Case("spans", ["0", "0", "Enter"], lambda a: one(a, "errors")["spans"] == []),
    "slider-cannot-judge": Case(
        "slider", ["7", "j", "u", "Enter"],
        lambda a: a["rating"]["completions"] == [{"values": {"quality": 70}, "reasons": [], "sentence": ""}, UNABLE],
    ),
    "helpsteer2-cannot-judge": Case(
        "helpsteer2", [*"432", "u", "Enter"], lambda a: a["rating"]["completions"] == [UNABLE], ["The only answer."]
    ),
    "principles-cannot-judge": Case(
        "principles", ["1", "u", "Enter"], lambda a: one(a, "principles") == UNABLE, ["The only answer."]
    ),
    "first-bad-step-cannot-judge": Case("first-bad-step", ["2", "u", "Enter"], lambda a: one(a, "steps") == UNABLE, [LINES]),
    "first-bad-step-judged-after-all": Case(
        "first-bad-step", ["u", "2", "Enter"], lambda a: one(a, "steps")["first_bad"] == 1, [LINES]
    ),
    "siblings-cannot-judge": Case("siblings", ["b", "1", "u", "Enter"], lambda a: a["siblings"] == UNABLE, FIVE[:3]),
    "spans-cannot-judge": Case(
        "spans", ["0", "m", "ArrowRight", "u", "Enter"], lambda a: a["errors"]["completions"] == [{"spans": []}, UNABLE]
    ),
    "spans-judged-after-all": Case(
        "spans", ["u", "m", "Enter", "1", "2", "Enter"],
        lambda a: [(s["quote"], s["severity"]) for s in one(a, "errors")["spans"]] == [("One", "major")], ["One word here."],
    ),
    "spans-nothing-after-all": Case(
        "spans", ["0", "u", "0", "Enter"], lambda a: one(a, "errors") == {"spans": []}, ["One word here."]
    ),
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
    page = open_page(ben, PAGE, **options)
    if options.get("java_script_enabled", True):
        page.locator("body[data-ready]").wait_for()
    return page, ben, place


def pressed_without_scrolling(page: Any, keys: list[str]) -> None:
    """Press the keys. Before the last, after which the page may go on at once, nothing scrolls sideways."""
    *before, last = keys
    for key in before:
        page.keyboard.press(key)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.keyboard.press(last)


def stored_soon(page: Any) -> Annotation:
    page.wait_for_function("() => document.querySelector('[data-count]')?.textContent === '1'")
    return Annotation.objects.get(state="current", assignment__isnull=False)


def test_there_is_a_case_for_every_template() -> None:
    forms = [case.form for case in CASES.values() if isinstance(case.form, str)]
    elsewhere = {"ultrafeedback", "segments"}
    assert set(TEMPLATES) - set(forms) == elsewhere, "ultrafeedback is a rating like helpsteer2; segments have their own file"


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", CASES)
def test_it_is_answered_by_keyboard_alone(open_page: Opener, name: str, width: int) -> None:
    case = CASES[name]
    page, _, _ = opened(open_page, case, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    pressed_without_scrolling(page, case.keys)
    answers = stored_soon(page).answers
    assert case.said(answers), answers


def test_tab_leads_from_the_choice_to_its_sentence(open_page: Opener) -> None:
    page, _, _ = opened(open_page, CASES["pairwise-reasons"])
    for key in ["7", "q", "Tab", *"clear", "Enter"]:
        page.keyboard.press(key)
    answer = stored_soon(page).answers["preference"]
    assert (answer["reasons"], answer["sentence"]) == (["Follows the request"], "clear")


def test_the_best_is_not_the_worst(open_page: Opener) -> None:
    page, _, _ = opened(open_page, CASES["best-worst"])
    for key in ["b", "b", "Enter"]:
        page.keyboard.press(key)
    assert page.locator("[data-toast-slot]").inner_text() == "Still to answer: Best"
    assert not Annotation.objects.exists()


@pytest.mark.parametrize("width", [1280, 360])
def test_one_rating_alone_is_submitted_by_pointer_and_can_be_skipped_and_flagged(open_page: Opener, width: int) -> None:
    page, _, _ = opened(open_page, CASES["opinion-score"])
    page.set_viewport_size({"width": width, "height": 800})
    assert page.locator(".panel-form .scale label").all_inner_texts() == ["1\n1 bad", "2\n2 poor", "3\n3 fair", "4\n4 good", "5\n5 excellent"]
    assert page.locator("details.more > summary:visible").all_inner_texts() == (["S\nSkip", "F\nFlag"] if width == 1280 else ["⋯"])
    page.keyboard.press("s")
    menu = page.locator(".menu:visible").bounding_box()
    assert menu and menu["x"] >= 0 and menu["x"] + menu["width"] <= width
    page.keyboard.press("Escape")
    page.locator(".scale label").nth(3).click()
    page.get_by_role("button", name="Submit").click()
    assert one(stored_soon(page).answers, "rating")["values"] == {"opinion": 4}


ENDS_SEEN = """() => [...document.querySelectorAll("[data-look=choices] .opts label")].filter((label) => {
const box = label.getBoundingClientRect(), top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
return box.width >= 24 && box.height >= 24 && label.contains(top); }).length"""


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 780)])
def test_the_best_and_the_worst_are_seen_together_while_one_reads_and_answers(open_page: Opener, width: int, height: int) -> None:
    case = replace(CASES["best-worst"], completions=[f"Answer number {n}. " * 60 for n in range(9)], order=None)
    page, _, _ = opened(open_page, case, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": height})
    for key in ["", "b", "e"]:
        if key:
            page.keyboard.press(key)
        page.mouse.wheel(0, 400)
        assert page.evaluate(ENDS_SEEN) == 18, f"two rows of nine letters, after {key!r}"
    assert page.locator(".opts label:has(:checked)").all_inner_texts() == ["B", "E"]


SEEN_WHOLE = """() => { const words = document.querySelector("[data-toast-slot] b").getBoundingClientRect();
return document.documentElement.scrollWidth <= innerWidth
&& words.left >= 0 && words.right <= innerWidth && words.top >= 0 && words.bottom <= innerHeight; }"""


@pytest.mark.parametrize(
    ("name", "keys", "word"),
    [
        ("thumbs", "u1", "A: Cannot judge; B: Desirable"),
        ("best-worst", "ac", "Best: A, Worst: C"),
        ("listwise-arrows", "213", "B > A > C"),
        ("first-bad-step", "0", "No step is wrong"),
        ("first-bad-step", "2", "Step 2: Goes wrong here"),
        ("helpsteer2", "4321004321", "A: 4 3 2 1 0; B: 0 4 3 2 1"),
        ("principles", "1231", "Cites a source: Yes, Stays on the topic: No, Says what it does not know: Does not apply, Does no harm: Yes"),
        ("steps", "131", "2 right, 1 wrong (2)"),
        ("pairwise-aspects", "2321412", "A slightly, Equally good, A slightly, A better, B slightly, A better, fairly sure"),
        ("mixed", "3152", "B better; A: Yes; A: Overall 5; B: No"),
        ("pairwise-tie", "x", "Both bad"),
    ],
)
def test_saved_says_what_was_answered(open_page: Opener, name: str, keys: str, word: str) -> None:
    page, ben, place = opened(open_page, CASES[name])
    lend(ben, comparison_of(place, ["And this?"], ["One.", "Two."]))
    for key in keys:
        page.keyboard.press(key)
    if name != "pairwise-tie":
        page.keyboard.press("Enter")
    page.get_by_text("Saved: ").first.wait_for()
    assert page.locator("[data-toast-slot] b").inner_text() == word
    for width in (1440, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(SEEN_WHOLE), width


def test_enter_says_what_is_missing(open_page: Opener) -> None:
    page, _, _ = opened(open_page, CASES["helpsteer2"])
    page.keyboard.press("4")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.get_by_text("Still to answer: A Correctness").first.wait_for()
    assert page.evaluate("document.activeElement.dataset.row") == "rating.A.correctness"
    assert Annotation.objects.count() == 0


@pytest.mark.parametrize("name", ["pairwise-aspects", "listwise", "thumbs", "spans", "edit", "slider"])
def test_a_draft_survives_a_reload(open_page: Opener, name: str) -> None:
    """All but the last key before Enter, a reload, then the rest."""
    case = CASES[name]
    page, _, _ = opened(open_page, case)
    at = list(case.keys).index("Enter", 6) if name == "spans" else -1
    for key in case.keys[:at]:
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    kept = page.evaluate("JSON.stringify(localStorage)")
    assert "draft" in kept and "What is asked" not in kept and "wörd" not in kept
    page.reload()
    page.locator("body[data-ready]").wait_for()
    page.keyboard.press("Enter")
    answers = stored_soon(page).answers
    assert case.said(answers), answers
    page.get_by_text("You have judged all").wait_for()
    assert page.evaluate("localStorage.length") == 0


def test_marks_without_a_category_are_not_done_after_a_reload(open_page: Opener) -> None:
    page, _, _ = opened(open_page, CASES["spans"])
    for key in ["m", "Shift+ArrowRight", "Enter"]:
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert page.locator(".mark-body").first.is_visible()
    page.keyboard.press("Enter")
    page.get_by_text("Still to answer").first.wait_for()
    assert Annotation.objects.count() == 0


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_answer_comes_back_as_it_was(open_page: Opener, status: int) -> None:
    """The server's word against the page's: what it does not take is a draft again."""
    case = CASES["listwise"]
    page, ben, place = opened(open_page, case)
    lend(ben, comparison_of(place, ["What else?"], FIVE[:3]))
    first = page.locator("[data-item]").get_attribute("data-assignment")
    refusal = {"status": status, "json": {"error": "That does not fit."}}
    page.route("**/submit", lambda route: route.fulfill(**refusal))
    for key in case.keys:
        page.keyboard.press(key)
    page.get_by_text("That does not fit.").first.wait_for()
    page.unroute("**/submit")
    page.goto(page.url)
    page.locator("body[data-ready]").wait_for()
    page.wait_for_function("id => document.querySelector('[data-item]').dataset.assignment === id", arg=first)
    page.locator("#stage:not([data-rests])").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-count]').textContent === '1'")
    assert case.said(Annotation.objects.get(state="current").answers)


def test_an_undone_answer_comes_back_as_it_was(open_page: Opener) -> None:
    case = CASES["listwise"]
    page, ben, place = opened(open_page, case)
    lend(ben, comparison_of(place, ["What else?"], FIVE[:3]))
    page.reload()
    page.locator("body[data-ready]").wait_for()
    first = page.locator("[data-item]").get_attribute("data-assignment")
    for key in case.keys:
        page.keyboard.press(key)
    page.wait_for_function("id => document.querySelector('[data-item]').dataset.assignment !== id", arg=first)
    page.locator("[data-undo-button]").wait_for()
    page.keyboard.press("z")
    page.wait_for_function("id => document.querySelector('[data-item]').dataset.assignment === id", arg=first)
    page.locator("#stage:not([data-rests])").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-count]').textContent === '1'")
    assert case.said(Annotation.objects.get(state="current").answers)


NO_SCRIPT: dict[str, Callable[[Any], None]] = {
    "pairwise-aspects": lambda page: [
        page.locator(f"label:has([name='{name}'][value='4'])").click()
        for name in ["preference", *(f"preference.aspect.{a}" for a in "helpful correct coherent complex verbose".split())]
    ],
    "listwise": lambda page: [
        page.locator(f"select[name='ranking.rank.{side}']").select_option(place)
        for side, place in zip("ABCD", "2412", strict=True)
    ],
    "best-worst": lambda page: [
        page.locator(f"label:has([name='ends.{end}'][value={side}])").click() for end, side in [("best", "B"), ("worst", "E")]
    ],
    "thumbs": lambda page: [
        page.locator("label:has([name='thumb.A'][value=yes])").click(),
        page.locator("label:has([name='thumb.B'][value=no])").click(),
        page.locator("label:has([name='thumb.B.reasons'][value='The facts'])").click(),
    ],
    "principles": lambda page: [
        page.locator(f"label:has([name='principles.A.principle.{key}'][value={word}])").click()
        for key, word in [("sources", "yes"), ("on_topic", "no"), ("admits", "does_not_apply"), ("no_harm", "yes")]
    ],
    "slider-cannot-judge": lambda page: [
        page.locator("[name='rating.A.quality']").fill("70"), page.locator("label:has([name='rating.B'])").click(),
    ],
    "first-bad-step-cannot-judge": lambda page: page.locator("label:has([name='steps.A'])").click(),
    "siblings-cannot-judge": lambda page: page.locator("label:has([name=siblings])").click(),
    "spans-cannot-judge": lambda page: [page.locator(f"label:has([name='errors.{side}'])").click() for side in "AB"],
}  # fmt: skip


@pytest.mark.parametrize("name", NO_SCRIPT)
def test_the_loop_goes_on_without_script(open_page: Opener, name: str) -> None:
    """Answer, see that it was saved, undo, answer again."""
    case = CASES[name]
    page, _, _ = opened(open_page, case, java_script_enabled=False)
    for state in ("withdrawn", "current"):
        NO_SCRIPT[name](page)
        page.locator("button.primary[form=answer]").click()
        if state == "withdrawn":
            page.get_by_role("button", name="Undo").click()
    answers = Annotation.objects.get(state="current").answers
    assert name in {"pairwise-aspects", "spans-cannot-judge"} or case.said(answers), answers
    assert Annotation.objects.filter(state="withdrawn").count() == 1


@pytest.mark.parametrize("name", ["pairwise-reasons", "listwise", "spans", "helpsteer2", "steps", "edit", "slider"])
def test_a_correction_begins_with_the_answer_that_it_replaces(open_page: Opener, name: str) -> None:
    case = CASES[name]
    page, _, _ = opened(open_page, case)
    for key in case.keys:
        page.keyboard.press(key)
    first = stored_soon(page)
    page.get_by_text("You have judged all").wait_for()
    page.goto(f"/p/ours/history/{first.pk}/")
    page.wait_for_function("() => document.body.classList.contains('scripted')")
    assert Axe().run(page, options=RULES).violations_count == 0
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing was changed, so your answer stands as it was.").wait_for()
    assert Annotation.objects.get(assignment__isnull=False).pk == first.pk, "the form gave the same answer back"


def test_a_page_left_open_takes_no_comparison_from_whoever_signed_in_since(open_page: Opener) -> None:
    page, _, place = opened(open_page, CASES["pairwise"])
    cy = cast.person("Cy", place, "annotator")
    other = open_page(cy, "/account/")
    page.context.clear_cookies()
    page.context.add_cookies(other.context.cookies())
    cast.comparison(place, "For whom?", "One.", "Another.")
    page.route("**/submit", lambda route: route.fulfill(status=201, json={"annotation_id": 1, "replay": False, "late": False}))
    page.keyboard.press("6")
    page.get_by_text("Somebody else is signed in here now.").first.wait_for()
    assert not Assignment.objects.filter(participation__annotator=cy).exists()


def test_answers_wait_for_their_own_account(open_page: Opener) -> None:
    """Somebody else signs in with the same browser: nothing is sent in their name, nothing is lost."""
    page, ben, place = opened(open_page, CASES["pairwise"])
    cy = cast.person("Cy", place, "annotator")
    page.route("**/submit", lambda route: route.abort())
    page.keyboard.press("6")
    page.get_by_text("1 answer kept on this device").first.wait_for()
    other = open_page(cy, "/account/")
    page.context.clear_cookies()
    page.context.add_cookies(other.context.cookies())
    page.unroute("**/submit")
    page.get_by_role("button", name="Try now").first.click()
    page.get_by_text("Sign in again as yourself").first.wait_for()
    assert Annotation.objects.count() == 0
    page.goto("/account/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in/**")
    page.fill("#login", ben.email)
    page.fill("#password", cast.PASSWORD)
    page.click("button.primary")
    page.wait_for_load_state()
    page.goto("/account/")
    page.goto(PAGE)
    page.wait_for_function("() => !Object.keys(localStorage).some(name => name.includes('outbox'))")
    assert Annotation.objects.get().rater.participation.annotator == ben


def test_signing_out_with_answers_waiting_asks_first(open_page: Opener) -> None:
    page, _, _ = opened(open_page, CASES["pairwise"])
    page.route("**/submit", lambda route: route.abort())
    page.keyboard.press("6")
    page.get_by_text("1 answer kept on this device").first.wait_for()
    page.goto("/account/")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("Answers of yours wait in this browser").wait_for()
    page.get_by_role("button", name="Stay signed in").click()
    assert page.url.endswith("/account/")


def test_two_minutes_without_network_lose_nothing(open_page: Opener) -> None:
    case = CASES["listwise"]
    page, ben, place = opened(open_page, case)
    lend(ben, comparison_of(place, ["What else?"], FIVE[:3]))
    page.clock.install()
    page.reload()
    page.locator("body[data-ready]").wait_for()
    page.locator("#stage:not([data-rests])").wait_for()
    page.context.set_offline(True)
    for key in case.keys:
        page.keyboard.press(key)
    page.clock.run_for(1_000)
    page.get_by_text("1 answer kept on this device").first.wait_for()
    page.clock.run_for(120_000)
    assert Annotation.objects.count() == 0
    for key in ["b", "1", "2", "3", "Enter"]:
        page.keyboard.press(key)
    page.clock.run_for(1_000)
    page.get_by_text("2 answers kept on this device").first.wait_for()
    page.context.set_offline(False)
    page.clock.run_for(40_000)
    page.wait_for_function("() => localStorage.length === 0")
    assert Annotation.objects.filter(state="current").count() == 2


def test_keys_follow_the_person(open_page: Opener) -> None:
    """Changed on one machine, refused where two would clash, in force on another."""
    page, ben, place = opened(open_page, CASES["pairwise"])
    page.keyboard.press("?")
    page.get_by_text("Change keys").click()
    page.locator("[data-key-settings] input[name=u]").fill("x")
    page.locator("[data-key-settings] input[name=u]").blur()
    page.get_by_text("The key X is used twice").wait_for()
    with page.expect_response("**/account/keys"):
        page.locator("[data-key-settings] input[name=u]").fill("c")
        page.locator("[data-key-settings] input[name=u]").blur()
    other = open_page(ben, PAGE)
    other.locator("body[data-ready]").wait_for()
    assert other.locator("[data-outcome][data-key=u] kbd").inner_text() == "C"
    other.keyboard.press("u")
    other.keyboard.press("c")
    assert stored_soon(other).outcome == "cannot_judge"


def test_a_break_is_proposed_after_fifty_minutes(open_page: Opener) -> None:
    page, _, _ = opened(open_page, CASES["pairwise"])
    page.clock.install()
    page.reload()
    assert page.locator("[data-break]").is_hidden()
    for _ in range(51):
        page.keyboard.press("Shift")
        page.clock.run_for(59_000)
    page.locator("[data-break]").wait_for()
    page.get_by_role("button", name="Close").last.click()
    assert page.locator("[data-break]").is_hidden()


BURST_ON_ARRIVAL = """() => {
  const stage = document.getElementById("stage");
  const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  new MutationObserver((_, watch) => {
    if (!("rests" in stage.dataset)) return;
    watch.disconnect();
    press("b");
    setTimeout(() => { press("1"); window.typed = true; }, 450);
  }).observe(stage, { attributes: true });
}"""


def test_a_letter_that_came_too_soon_takes_its_digit_along(open_page: Opener) -> None:
    page, ben, place = opened(open_page, CASES["listwise"])
    lend(ben, comparison_of(place, ["What else?"], FIVE[:3]))
    page.reload()
    page.locator("#stage:not([data-rests])").wait_for()
    page.evaluate(BURST_ON_ARRIVAL)
    for key in CASES["listwise"].keys:
        page.keyboard.press(key)
    page.wait_for_function("() => window.typed")
    assert page.locator(".slot.filled").count() == 0


def test_the_first_wrong_step_is_taken_out_from_any_row_and_missed_as_one_question(open_page: Opener) -> None:
    page, _, _ = opened(open_page, CASES["first-bad-step"])
    page.keyboard.press("Enter")
    assert page.locator("[data-toast-slot]").inner_text() == "Still to answer: Where does it go wrong first?"
    for key in ("2", "k", "k", "p"):
        page.keyboard.press(key)
    assert page.locator("[data-row] input:checked").count() == 0


def test_a_long_formula_in_a_line_scrolls_by_itself_on_a_narrow_page(open_page: Opener) -> None:
    case = CASES["pairwise"]
    place = project_with(case.form)
    ben = cast.person("Ben", place, "annotator")
    formula = f"It is ${'a+b+c+' * 20}z$, and $$x$$ too."
    lend(ben, comparison_of(place, case.prompts, [formula, "No."]), [0, 1])
    page = open_page(ben, PAGE)
    page.set_viewport_size({"width": 360, "height": 780})
    page.locator("body[data-ready]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("(one => one.scrollWidth > one.clientWidth)(document.querySelector('math[tabindex]'))")
    assert Axe().run(page, options=RULES).violations_count == 0


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", ["pairwise", "listwise", "helpsteer2", "spans"])
def test_right_to_left_keeps_a_first_and_loses_nothing(open_page: Opener, name: str, width: int) -> None:
    case = CASES[name]
    place = project_with(case.form)
    ben = cast.person("Ben", place, "annotator")
    User.objects.filter(pk=ben.pk).update(interface_language="ar")
    lend(ben, comparison_of(place, case.prompts, case.completions), case.order)
    page = open_page(ben, PAGE, reduced_motion="reduce", color_scheme="dark")
    page.locator("body[data-ready]").wait_for()
    page.set_viewport_size({"width": width, "height": 800})
    assert page.locator("html").get_attribute("dir") == "rtl"
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    if width == 1280 and len(case.completions) > 1:
        a, b = (page.locator(f"#side-{side}").bounding_box()["x"] for side in "AB")
        assert a < b, "A is the left one in every language, because keys follow the sides"
    pressed_without_scrolling(page, case.keys)
    stored = stored_soon(page)
    assert case.said(stored.answers), stored.answers
    assert stored.interface_language == "ar"

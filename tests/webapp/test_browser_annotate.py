"""The annotation page in a real browser: keys, double submit, reload, undo, offline, no script, hostile texts."""

from __future__ import annotations

import pytest

from annotation.models import Annotation, Assignment, Flag, Project, User
from annotation.services.demand import comparison_settle
from tests import cast
from tests.webapp.conftest import Opener

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PAGE = "/p/ours/annotate/"


@pytest.fixture
def place() -> Project:
    return cast.project("ours")


@pytest.fixture
def ben(place: Project) -> User:
    return cast.person("Ben", place, "annotator")


def shown(page) -> str:
    return page.locator("[data-item]").get_attribute("data-assignment")


def answer_by_key(page, key: str) -> str:
    """Press a key as soon as one is taken, and wait until another comparison stands there and takes keys."""
    before = shown(page)
    page.wait_for_function("() => !('rests' in document.getElementById('stage').dataset)")
    page.keyboard.press(key)
    page.wait_for_function(
        "id => document.querySelector('[data-item]')?.dataset.assignment !== id", arg=before
    )
    page.wait_for_function("() => !('rests' in document.getElementById('stage').dataset)")
    return before


def wait_saved(page, n: int) -> None:
    page.wait_for_function("n => document.querySelector('[data-count]').textContent === String(n)", arg=n)


def test_five_votes_by_keyboard_with_a_reload_and_a_double_submit(
    open_page: Opener, place: Project, ben: User
) -> None:
    cast.comparisons(place, 7)
    page = open_page(ben, PAGE, sign_in=True)
    answered = [answer_by_key(page, "7"), answer_by_key(page, "2")]
    wait_saved(page, 2)
    assert page.locator("[data-toast-slot]").inner_text().startswith("Saved: A better")
    page.reload()
    answered.append(answer_by_key(page, "0"))
    wait_saved(page, 3)
    page.locator("label[data-key='6']").click()
    answered.append(shown(page))
    page.locator("button.primary").dblclick()
    page.wait_for_function(
        "id => document.querySelector('[data-item]')?.dataset.assignment !== id", arg=answered[-1]
    )
    answered.append(answer_by_key(page, "x"))
    wait_saved(page, 5)
    stored = {a.assignment_id: a for a in Annotation.objects.all()}
    assert sorted(stored) == sorted(map(int, answered))
    outcomes = [stored[int(i)].outcome for i in answered]
    assert outcomes[2] == "tie" and outcomes[4] == "both_bad"
    for at, (side, strength) in {0: (1, 3), 1: (0, 2), 3: (1, 2)}.items():
        row = stored[int(answered[at])]
        better = row.shown_order[side]
        assert row.vote == (-strength if better == 0 else strength)
    assert all(row.active_seconds is not None for row in stored.values())


def test_undo_brings_the_comparison_back(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 3)
    page = open_page(ben, PAGE)
    first = answer_by_key(page, "1")
    wait_saved(page, 1)
    page.keyboard.press("z")
    page.wait_for_function(
        "id => document.querySelector('[data-item]')?.dataset.assignment === id", arg=first
    )
    page.locator("#stage:not([data-rests])").wait_for()
    page.keyboard.press("5")
    answer_by_key(page, "Enter")
    wait_saved(page, 1)
    assert sorted(Annotation.objects.values_list("state", flat=True)) == [
        "current",
        "retraction",
        "withdrawn",
    ]


def test_undo_goes_on_where_the_comparison_set_aside_is_lost(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 4)
    page = open_page(ben, PAGE)
    first = answer_by_key(page, "1")
    wait_saved(page, 1)
    page.route(f"**/next?*assignment={shown(page)}", lambda route: route.fulfill(status=204))
    page.keyboard.press("z")
    page.wait_for_function("id => document.querySelector('[data-item]')?.dataset.assignment === id", arg=first)
    page.locator("#stage:not([data-rests])").wait_for()
    page.keyboard.press("5")
    answer_by_key(page, "Enter")
    answer_by_key(page, "6")
    wait_saved(page, 2)


def test_what_cannot_be_shown_leaves_a_way_on(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 4)
    page = open_page(ben, PAGE)
    first = shown(page)
    page.evaluate("""() => { document.getElementById("stage").replaceChildren = function (...next) {
      delete this.replaceChildren;
      throw new Error("This one cannot be drawn.");
    }; }""")
    page.keyboard.press("5")
    page.get_by_role("link", name="Load this page anew").click()
    page.wait_for_function("id => document.querySelector('[data-item]')?.dataset.assignment !== id", arg=first)
    page.locator("body[data-ready]").wait_for()
    answer_by_key(page, "6")
    wait_saved(page, 2)


def test_answers_given_offline_are_sent_when_the_connection_is_back(
    open_page: Opener, place: Project, ben: User
) -> None:
    cast.comparisons(place, 4)
    page = open_page(ben, PAGE)
    page.wait_for_timeout(500)
    page.context.set_offline(True)
    page.keyboard.press("3")
    page.wait_for_function("document.body.innerText.includes('1 answer kept on this device')")
    assert Annotation.objects.count() == 0
    kept = page.evaluate("JSON.stringify(localStorage)")
    assert "Question" not in kept and "Answer" not in kept
    page.context.set_offline(False)
    wait_saved(page, 1)
    assert Annotation.objects.count() == 1
    assert page.evaluate("localStorage.length") == 0


def test_what_waits_for_the_network_moves_on_when_it_is_back_and_takes_no_other_answer_meanwhile(
    open_page: Opener, place: Project, ben: User
) -> None:
    cast.comparisons(place, 5)
    page = open_page(ben, PAGE)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    for key in ("3", "5"):
        answer_by_key(page, key)
    last = shown(page)
    page.keyboard.press("6")
    page.get_by_text("Nothing more to judge until").first.wait_for()
    page.keyboard.press("1")
    assert shown(page) == last and page.locator("[data-answer] input:checked").get_attribute("value") == "6"
    page.context.set_offline(False)
    page.wait_for_function(
        "id => document.querySelector('[data-item]')?.dataset.assignment !== id", arg=last
    )
    answer_by_key(page, "4")
    wait_saved(page, 4)
    assert Annotation.objects.count() == 4


def test_a_refused_answer_is_explained_over_the_next_comparison(
    open_page: Opener, place: Project, ben: User
) -> None:
    cast.comparisons(place, 4)
    page, other = open_page(ben, PAGE), open_page(ben, PAGE)
    assert shown(page) == shown(other)
    answer_by_key(page, "3")
    wait_saved(page, 1)
    answer_by_key(other, "6")
    other.wait_for_timeout(500)
    assert other.locator("[data-toast-slot] .warn").inner_text()


def test_a_key_too_many_does_not_answer_what_nobody_has_seen(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 3)
    page = open_page(ben, PAGE)
    answer_by_key(page, "1")
    page.evaluate("document.getElementById('stage').dataset.rests = ''")
    for key in ("5", "Enter"):
        page.keyboard.press(key)
    assert page.locator("[data-answer] input:checked").count() == 0
    page.evaluate("delete document.getElementById('stage').dataset.rests")
    answer_by_key(page, "5")
    wait_saved(page, 2)


def test_undo_after_a_skip_takes_no_earlier_answer_back(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 4)
    page = open_page(ben, PAGE)
    answer_by_key(page, "1")
    wait_saved(page, 1)
    page.keyboard.press("s")
    answer_by_key(page, "1")
    page.get_by_text("Skipped.").first.wait_for()
    page.keyboard.press("z")
    page.wait_for_timeout(300)
    assert [a.state for a in Annotation.objects.all()] == ["current"]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_key_of_a_flag_leads_into_its_field(open_page: Opener, place: Project, ben: User, width: int) -> None:
    cast.comparisons(place, 2)
    page = open_page(ben, PAGE)
    page.set_viewport_size({"width": width, "height": 740})
    page.keyboard.press("f")
    page.wait_for_function("() => document.activeElement.matches('input[form=flag-form]')")
    page.keyboard.type("2 is wrong")
    page.keyboard.press("Enter")
    page.get_by_text("Flagged for the curator").first.wait_for()
    assert Flag.objects.get().reason == "2 is wrong"


@pytest.mark.parametrize("width", [360, 1280])
def test_a_flag_reaches_the_curator(open_page: Opener, place: Project, ben: User, width: int) -> None:
    cast.comparisons(place, 2)
    page = open_page(ben, PAGE)
    page.set_viewport_size({"width": width, "height": 740})
    menu = page.locator("details.more:visible").last
    menu.locator("summary").click()
    menu.locator("input").fill("B stops in the middle")
    page.keyboard.press("Enter")
    page.get_by_text("Flagged for the curator").first.wait_for()
    assert Flag.objects.get().reason == "B stops in the middle"


@pytest.mark.parametrize("width", [360, 1280])
def test_ones_own_flag_is_seen_while_it_stands(open_page: Opener, place: Project, ben: User, width: int) -> None:
    """At once, after a reload, in the menu too; a new reason takes its place, and a curator's settling ends it."""
    cast.comparisons(place, 2)
    page = open_page(ben, PAGE)
    page.set_viewport_size({"width": width, "height": 740})
    assert page.locator("[data-flagged]:visible").count() == 0
    for reason in ("B stops", "B <b>stops</b> in the middle"):
        page.keyboard.press("f")
        page.wait_for_function("() => document.activeElement.matches('input[form=flag-form]')")
        page.keyboard.type(f" {reason} ")
        page.keyboard.press("Enter")
        page.get_by_text(f"Flagged: {reason}").wait_for()
        page.locator("details.more[open]").wait_for(state="detached")
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert page.locator("[data-flagged]:visible").inner_text() == f"Flagged: {reason}"
    page.keyboard.press("f")
    page.get_by_text(f"Your flag: {reason}").locator("visible=true").wait_for()
    comparison_settle(project_id=place.pk, comparison_id=Flag.objects.get().comparison_id)
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert page.locator("[data-flagged]:visible").count() == 0


def test_skip_by_key_shows_its_menu_on_a_narrow_page(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 2)
    page = open_page(ben, PAGE)
    page.set_viewport_size({"width": 360, "height": 740})
    first = shown(page)
    page.keyboard.press("s")
    assert page.locator("details.more.thin .menu").is_visible()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "id => document.querySelector('[data-item]')?.dataset.assignment !== id", arg=first
    )


@pytest.mark.parametrize(("key", "width", "inside"), [("s", 360, "BUTTON"), ("f", 360, "INPUT"), ("s", 1440, "BUTTON")])
def test_a_menu_has_the_focus_before_the_next_key_can_come(
    open_page: Opener, place: Project, ben: User, key: str, width: int, inside: str
) -> None:
    cast.comparisons(place, 1)
    page = open_page(ben, PAGE)
    page.set_viewport_size({"width": width, "height": 740})
    press = "key => { document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); }"
    focused = "document.activeElement.closest('details.more[open] .menu') && document.activeElement.tagName"
    assert page.evaluate(f"key => {{ ({press})(key); return {focused}; }}", key) == inside


def test_an_answer_survives_closing_the_page_before_it_was_sent(
    open_page: Opener, place: Project, ben: User
) -> None:
    cast.comparisons(place, 3)
    page = open_page(ben, PAGE)
    page.route("**/submit", lambda route: route.abort())
    page.keyboard.press("6")
    page.wait_for_function("document.body.innerText.includes('kept on this device')")
    page.unroute("**/submit")
    page.reload()
    wait_saved(page, 1)
    assert Annotation.objects.count() == 1


def test_an_answer_that_the_browser_cannot_store_is_sent_all_the_same(
    open_page: Opener, place: Project, ben: User
) -> None:
    cast.comparisons(place, 3)
    page = open_page(ben, PAGE)
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; }")
    page.route("**/submit", lambda route: route.abort())
    page.keyboard.press("6")
    page.get_by_text("1 answer kept on this device, sending when back. Keep this page open").first.wait_for()
    page.unroute("**/submit")
    wait_saved(page, 1)
    assert Annotation.objects.count() == 1


def test_an_answer_at_which_the_server_fails_holds_back_no_other(
    open_page: Opener, place: Project, ben: User
) -> None:
    cast.comparisons(place, 5)
    page = open_page(ben, PAGE)
    failing = shown(page)
    broken = {"status": 500, "json": {"error": "Something broke.", "reference": "12ab34cd"}}
    page.route(f"**/{failing}/submit", lambda route: route.fulfill(**broken))
    for key in ("6", "5", "3"):
        answer_by_key(page, key)
    wait_saved(page, 2)
    page.locator("[data-saved-state]", has_text="1 answer kept on this device, trying again").wait_for()
    page.unroute(f"**/{failing}/submit")
    wait_saved(page, 3)
    assert Annotation.objects.filter(assignment_id=failing).count() == 1


TWO_TABS = """async () => {
  const { Outbox } = await import("/static/js/outbox.js"), entry = (key) => ({ fields: { submit_key: key } });
  const [one, other] = [new Outbox("winnow.outbox.0.none"), new Outbox("winnow.outbox.0.none")];
  one.add(entry("first"));
  const seen = Storage.prototype.getItem;
  Storage.prototype.getItem = () => null; // What the one wrote has not come to the other yet.
  other.add(entry("second"));
  Storage.prototype.getItem = seen;
  return one.all().map(({ fields }) => fields.submit_key).sort();
}"""


def test_two_tabs_do_not_overwrite_what_the_other_has_not_sent(open_page: Opener, place: Project, ben: User) -> None:
    page = open_page(ben, PAGE)
    assert page.evaluate(TWO_TABS) == ["first", "second"]


@pytest.mark.parametrize("status", [200, 302, 404, 413, 502])
def test_what_a_proxy_says_settles_no_answer(
    open_page: Opener, place: Project, ben: User, status: int
) -> None:
    cast.comparisons(place, 3)
    page = open_page(ben, PAGE)
    headers = {"Location": "/sign-in/"} if status == 302 else {}
    page.route(
        "**/submit", lambda route: route.fulfill(status=status, body="<h1>portal</h1>", headers=headers)
    )
    page.locator("body[data-ready]").wait_for()
    page.keyboard.press("6")
    page.get_by_text("1 answer kept on this device").first.wait_for()
    page.unroute("**/submit")
    wait_saved(page, 1)
    assert Annotation.objects.count() == 1


def test_the_loop_works_without_script(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 2)
    page = open_page(ben, PAGE, java_script_enabled=False)
    page.locator("label[data-key='2']").click()
    page.locator("button.primary").click()
    assert "Saved." in page.locator("[data-toast-slot]").inner_text()
    page.get_by_role("button", name="Undo").click()
    assert Annotation.objects.filter(state="current").count() == 0
    page.locator("details.wide summary", has_text="Skip").click()
    page.get_by_role("button", name="Not my field").click()
    assert Assignment.objects.filter(state="skipped").count() == 1


def test_keys_rest_while_typing_and_can_be_switched_off(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparisons(place, 2)
    page = open_page(ben, PAGE)
    page.keyboard.press("f")
    page.keyboard.type("7 of 9 are cut off")
    assert Annotation.objects.count() == 0
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.locator("[data-key-settings] input[name=on]").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("7")
    page.wait_for_timeout(500)
    assert Annotation.objects.count() == 0


def test_tools_of_the_page(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparison(place, "Which?", "The **red** house is small.", "The **blue** house is small.")
    page = open_page(ben, PAGE)
    page.keyboard.press("d")
    assert page.evaluate("[...CSS.highlights.get('differs')].map(String).sort()") == ["blue", "red"]
    page.keyboard.press("v")
    assert "**red**" in page.locator(".pair").inner_text()
    page.keyboard.press("g")
    assert page.locator("#guide").is_visible()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.keyboard.press("2")
    page.get_by_text("You have judged all").wait_for()
    assert Assignment.objects.get().closing_reason == "too_long"


HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) " + (
    "![x](http://192.0.2.1/p.png) \u202e"
)


def test_hostile_texts_do_nothing(open_page: Opener, place: Project, ben: User) -> None:
    cast.comparison(place, HOSTILE, HOSTILE + " one", "<svg onload=alert(1)> two </div></main><form>")
    page = open_page(ben, PAGE)
    page.wait_for_timeout(300)
    assert page.locator(".side").count() == 2
    assert page.locator(".side img, .side a:not(.btn), .side script").count() == 0
    assert "<script>alert(1)</script>" in page.locator(".pair").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_it_is_accessible(open_page: Opener, place: Project, ben: User, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    cast.comparisons(place, 2)
    page = open_page(ben, PAGE, color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("label[data-key='6']").click()
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

"""The other pages in a real browser: readable in both themes, at 360 px, without script errors, by the strict policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotation.models import Comparison, Group, Import, LanguageModel, Project, Rater, User
from annotation.services.people import user_invite
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.test_curate import Scene, scene  # noqa: F401 - a fixture
from workers.loop import drain

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
PAGES = [
    "/", "/account/", "/models/", "/p/ours/", "/p/ours/comparisons/", "/p/ours/raters/", "/p/ours/disagreement/", "/p/ours/drivers/", "/p/ours/circles/", "/p/ours/agreement/", "/p/ours/groups/",
    "/p/ours/leases/",
    "/p/ours/queue/",
    "/p/ours/imports/", "/p/ours/routing/", "/p/ours/filter/", "/p/ours/jobs/", "/p/ours/versions/",
    "/p/ours/versions/freeze/", "/p/ours/runs/", "/p/ours/reports/", "/p/ours/people/", "/p/ours/settings/",
    "/p/ours/history/", "/p/ours/guidelines/",
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 360)])
def test_every_page_is_accessible_and_fits(open_page: Opener, scene: Scene, scheme: str, width: int) -> None:  # noqa: F811 - a fixture is taken by its name
    first = Comparison.objects.order_by("id").first()
    page = open_page(scene.ada, "/", color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    wrong = []
    for address in [*PAGES, f"/p/ours/comparisons/{first.pk}/"]:
        page.goto(address)
        found = Axe().run(page, options=RULES)
        if found.violations_count:
            wrong.append(f"{address}: {found.generate_report()}")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.append(f"{address} is wider than the window")
    assert wrong == []


@pytest.mark.parametrize("width", [1280, 360])
def test_no_name_however_long_widens_a_page(open_page: Opener, scene: Scene, width: int) -> None:  # noqa: F811 - a fixture is taken by its name
    long = "Donaudampfschifffahrtsgesellschaftskapitän" * 2
    for fields, rows in [
        ({"title": long}, Project.objects.all()),
        ({"name": long}, User.objects.all()),
        ({"name": f"{long}-judge"}, Rater.objects.filter(kind="model")),
        ({"name": long}, LanguageModel.objects.all()),
    ]:
        rows.update(**fields)
    Group.objects.create(project=scene.project, name=long[:80])
    page = open_page(scene.ada, "/")
    page.set_viewport_size({"width": width, "height": 800})
    wide = []
    for address in PAGES:
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(address)
    assert wide == []


def test_an_upload_by_hand(open_page: Opener, scene: Scene, settings, tmp_path) -> None:  # noqa: F811 - a fixture is taken by its name
    settings.UPLOADS_DIR = tmp_path / "uploads"
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        "\n".join(json.dumps({"prompt": f"P{n}", "chosen": "yes", "rejected": "no"}) for n in range(3))
    )
    page = open_page(scene.ada, "/p/ours/imports/")
    page.set_input_files("#file", str(file))
    page.get_by_role("button", name="Read the file").click()
    page.get_by_text("Reading the file").wait_for()
    drain(queue="default", worker="test")
    page.get_by_text("New comparisons").wait_for()
    page.get_by_text("imported", exact=True).wait_for()
    assert Import.objects.get().counts["taken"] == 3


def test_the_filter_previews_as_one_chooses(open_page: Opener, scene: Scene) -> None:  # noqa: F811 - a fixture is taken by its name
    page = open_page(scene.ada, "/p/ours/filter/")
    before = page.locator("#preview .outcome-line").inner_text()
    page.locator("input[type=range]").fill("50")
    page.locator("input[type=range]").dispatch_event("change")
    page.wait_for_function(
        "t => document.querySelector('#preview .outcome-line').innerText !== t", arg=before
    )


def test_what_cannot_be_undone_is_asked_first(open_page: Opener, scene: Scene) -> None:  # noqa: F811 - a fixture is taken by its name
    page = open_page(scene.ada, "/p/ours/settings/")
    page.get_by_role("button", name="Archive…").click()
    assert page.locator("dialog[open] h2").inner_text() == f"Archive {scene.project.title}?"
    page.get_by_role("button", name="Keep everything as it is").click()
    scene.project.refresh_from_db()
    assert scene.project.archived_at is None
    page.get_by_role("button", name="Archive…").click()
    page.locator("dialog[open]").get_by_role("button", name="Archive").click()
    page.get_by_text("The project is archived.").wait_for()


def test_a_one_time_link_lets_somebody_in_whose_browser_was_never_here(browser: Any, live_server: Any) -> None:
    place = cast.project("ours")
    _, token = user_invite(email="new@example.org", role="annotator", project=place)
    context = browser.new_context(base_url=live_server.url)
    try:
        page = context.new_page()
        page.goto(f"/welcome/{token}/")
        page.fill("[name=password]", "a long enough passphrase")
        page.fill("[name=again]", "a long enough passphrase")
        page.keyboard.press("Enter")
        page.wait_for_url(live_server.url + "/")
        assert page.locator("h1").count() == 1
    finally:
        context.close()

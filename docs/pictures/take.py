"""Takes the pictures of the documents from a running app: light, dark and at 360 px.

    python docs/pictures/take.py --address http://127.0.0.1:8000 --email EMAIL --project SLUG [--only NAME ...]
    python docs/pictures/take.py --address http://127.0.0.1:8000 --email EMAIL --types [--only NAME ...]

With `--types` it makes a project of each example (`examples.py`), as a site administrator, and pictures the annotator's
page with an answer begun. The password is read from WINNOW_PASSWORD. The newest version and run of the project are
pictured where there are some.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from examples import EXAMPLES, Example, as_line, row
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
LOOKS: dict[str, tuple[int, int, str]] = {
    "light": (1440, 900, "light"),
    "dark": (1440, 900, "dark"),
    "360": (360, 780, "light"),
}
BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "google-chrome", "chromium")


def pages(slug: str, version: str, run: str) -> dict[str, str]:
    """Addresses by picture name; empty ones are left out."""
    project = f"/p/{slug}/"
    return {
        "home": "/",
        "project": project,
        "annotate": f"{project}annotate/",
        "comparisons": f"{project}comparisons/",
        "raters": f"{project}raters/",
        "routing": f"{project}routing/",
        "filter": f"{project}filter/",
        "version": f"{project}versions/{version}/" if version else "",
        "run": f"{project}runs/{run}/" if run else "",
    }


def sign_in(page: Any, address: str, email: str, password: str) -> None:
    page.goto(f"{address}/sign-in/")
    page.fill("#login", email)
    page.fill("#password", password)
    page.click("button.primary")
    page.wait_for_load_state()
    if page.url != f"{address}/":
        raise SystemExit(f"{email} could not sign in at {address}; WINNOW_PASSWORD holds the password.")


def newest(page: Any, address: str) -> str:
    """The name in the first row of a list, or nothing."""
    page.goto(address)
    link = page.locator("[data-rows] a[data-open]").first
    return str(link.inner_text()) if link.count() else ""


def take(browser: Any, options: argparse.Namespace, look: str) -> None:
    width, height, scheme = LOOKS[look]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, suffix = context.new_page(), "" if look == "light" else f"-{look}"
    page.set_default_timeout(120_000)
    if not options.only or "sign-in" in options.only:
        page.goto(f"{options.address}/sign-in/")
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=HERE / f"sign-in{suffix}.png")
    sign_in(page, options.address, options.email, os.environ["WINNOW_PASSWORD"])
    project = f"{options.address}/p/{options.project}"
    known = pages(options.project, newest(page, f"{project}/versions/"), newest(page, f"{project}/runs/"))
    for name, path in known.items():
        if path and (not options.only or name in options.only):
            page.goto(options.address + path)
            page.wait_for_timeout(300)
            page.screenshot(path=HERE / f"{name}{suffix}.png")
    context.close()


MOST_WAITS = 60


def example_open(page: Any, address: str, name: str, example: Example, folder: Path) -> None:
    """The annotator's page of the example's project, which is made where there is none."""
    project = f"{address}/p/example-{name}"
    if page.goto(f"{project}/").status == 404:
        page.goto(f"{address}/projects/new/?template={example.template}")
        page.fill("#title", f"Example: {name}")
        page.fill("#slug", f"example-{name}")
        page.locator("button.primary").click()
        page.wait_for_url(f"{project}/")
        page.goto(f"{project}/imports/")
        page.set_input_files("#file", file_of(name, example, folder))
        page.select_option("#shape", "annotated")
        page.locator("main button.primary").click()
    for _ in range(MOST_WAITS):
        page.goto(f"{project}/annotate/")
        if page.locator("[data-item]").count():
            return
        page.wait_for_timeout(1_000)
    raise SystemExit(
        f"The example {name} has no comparison for you after a minute. Either its import did not end: look at"
        f" {project}/imports/. Or it was lent to you and left too often: take the pictures from a home of their own."
    )


def file_of(name: str, example: Example, folder: Path) -> Path:
    """The example as a file to upload; sounds come as bytes, so theirs is Parquet."""
    if name != "segments":
        path = folder / f"{name}.jsonl"
        path.write_text(as_line(example), encoding="utf-8")
        return path
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist([row(example)]), path)
    return path


def take_types(browser: Any, options: argparse.Namespace) -> None:
    width, height, scheme = LOOKS["light"]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(120_000)
    sign_in(page, options.address, options.email, os.environ["WINNOW_PASSWORD"])
    with TemporaryDirectory() as folder:
        for name, example in EXAMPLES.items():
            if options.only and name not in options.only:
                continue
            example_open(page, options.address, name, example, Path(folder))
            page.locator("body[data-ready]").wait_for()
            page.wait_for_function("() => [...document.querySelectorAll('audio')].every((it) => it.readyState > 0)")
            for key in example.keys:
                page.keyboard.press(key)
            page.wait_for_timeout(400)
            page.screenshot(path=HERE / f"type-{name}.png")
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--email", required=True)
    parser.add_argument("--project", default="")
    parser.add_argument("--types", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    if bool(options.project) == options.types:
        parser.error("say either --project SLUG or --types")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for look in () if options.types else LOOKS:
            take(browser, options, look)
        if options.types:
            take_types(browser, options)
        browser.close()


if __name__ == "__main__":
    main()

"""Takes the pictures of the documents from a running app: light, dark and at 360 px.

    python docs/pictures/take.py --address http://127.0.0.1:8000 --email EMAIL --project SLUG [--only NAME ...]

The password is read from WINNOW_PASSWORD. The newest version and run of the project are pictured where there are some.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

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
    page.wait_for_url(f"{address}/")


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--email", required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for look in LOOKS:
            take(browser, options, look)
        browser.close()


if __name__ == "__main__":
    main()

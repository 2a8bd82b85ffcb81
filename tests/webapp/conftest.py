"""A signed-in page of a real browser, which fails the test for anything that a user would call broken."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from annotation.models import User
from tests import cast

Opener = Callable[..., Any]
MOST_WAITS = 200


def _session(person: User) -> dict[str, str]:
    """The cookie of a session, as the sign-in form would have set it."""
    client = Client()
    client.force_login(person)
    return {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}


@pytest.fixture
def open_page(browser: Any, live_server: Any) -> Iterator[Opener]:
    """Opens an address as a person, in a window of its own; at the end nothing may have gone wrong in any of them."""
    contexts, wrong, flying = [], [], set()

    def open_as(person: User, address: str, *, sign_in: bool = False, **options: Any) -> Any:
        context = browser.new_context(
            base_url=live_server.url, viewport={"width": 1440, "height": 900}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda m: (
                wrong.append(m.text)
                if m.type == "error" and not m.text.startswith("Failed to load resource")
                else None
            ),
        )
        page.on("request", lambda r: flying.add(r))
        for end in ("requestfinished", "requestfailed"):
            page.on(end, lambda r: flying.discard(r))
        page.on("pageerror", lambda e: wrong.append(str(e)))
        # The browser's own question before something changed is left belongs to the test that leaves it.
        page.on("dialog", lambda d: wrong.append(f"dialog: {d.message}") if d.type != "beforeunload" else None)
        page.on(
            "request",
            lambda r: wrong.append(r.url) if not r.url.startswith((live_server.url, "data:")) else None,
        )
        if sign_in:
            page.goto("/sign-in/")
            page.fill("#login", person.email)
            page.fill("#password", cast.PASSWORD)
            page.click("button.primary")
            page.wait_for_url(live_server.url + "/")
        else:
            context.add_cookies([_session(person) | {"url": live_server.url}])
        page.goto(address)
        if options.get("java_script_enabled", True) and page.locator("body.annotate[data-next] [data-item]").count():
            # A key that comes before the script is there answers nothing.
            page.locator("body[data-ready]").wait_for()
        return page

    yield open_as
    for context in contexts:
        # What the server still answers holds locks that emptying the tables would wait for, and it for them.
        for page in context.pages:
            for _ in range(MOST_WAITS):
                if not flying:
                    break
                page.wait_for_timeout(20)
        context.close()
    _let_the_server_end()
    assert wrong == []


BUSY = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND backend_type = 'client backend' AND state <> 'idle'
"""


def _let_the_server_end() -> None:
    """What was asked for by a page that is closed by now is still answered, under locks that emptying the tables waits for."""
    for _ in range(MOST_WAITS):
        with connection.cursor() as cursor:
            cursor.execute(BUSY)
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.05)
    warnings.warn("The server was still answering a closed page when the tables were emptied.", stacklevel=2)

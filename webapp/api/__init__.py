"""The HTTP API: the same selectors and services as the pages, as typed JSON under /api/.

Who may call what stands in `webapp/access.py`, as for pages; errors become JSON in `webapp/middleware.py`. The loop of
annotators is not here: it is `views/annotate.py`, which speaks JSON too. Both are told in docs/api.md.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.security import SessionAuth


def service_token(request: HttpRequest) -> Any:
    """A request that the middleware has let in by a token; no cookie speaks for it."""
    return request.user if getattr(request, "scopes", None) is not None else None


# With a session the form token is checked as for pages; ninja's own views are exempt from Django's check.
api = NinjaAPI(
    title="Winnow",
    version="1",
    docs_url=None,
    urls_namespace="api",
    auth=[service_token, SessionAuth(csrf=True)],
)

from webapp.api import operations  # noqa: F401 - its decorators fill `api`

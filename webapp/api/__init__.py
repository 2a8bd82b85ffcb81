"""The HTTP API: the same selectors and services as the pages, as typed JSON under /api/.

Who may call what stands in `webapp/access.py`, as for pages; errors become JSON in `webapp/middleware.py`. The loop of
annotators is not here: it is `views/annotate.py`, which speaks JSON too. Both are told in docs/api.md.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.security import SessionAuth

from webapp.middleware import error_page


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


@api.exception_handler(ValidationError)
def input_refused(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """What does not fit the shapes in `schemas.py`, in the one form that errors have here."""
    found = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors)
    return error_page(request, 422, f"The request does not fit: {found}.", fields={"retryable": False})


@api.exception_handler(HttpError)
def request_refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    """A body that is no JSON, or nobody signed in."""
    return error_page(request, error.status_code, str(error), fields={"retryable": False})


from webapp.api import operations  # noqa: F401 - its decorators fill `api`

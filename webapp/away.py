"""When the database is not there for a moment: one sentence for whoever asks, one line in the log."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext, gettext_noop

SENTENCE = gettext_noop(
    "The database does not answer just now. Nothing that was saved is lost; try again in a few seconds."
)
CLASSES = {"08", "53", "57"}  # connection exception, out of resources, operator intervention
QUERY_CANCELED = "57014"


def database_away(error: BaseException | None) -> bool:
    """Whether the database is not there, rather than having refused something."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.__cause__, "sqlstate", "")
    return state is None or (state[:2] in CLASSES and state != QUERY_CANCELED)


def away_page(request: HttpRequest, *, as_json: bool) -> HttpResponse:
    """503 without asking the database: so without the person's name and tabs, in the language that is active."""
    response: HttpResponse
    if as_json:
        response = JsonResponse({"error": gettext(SENTENCE), "retryable": True}, status=503)
    else:
        template = "parts/error.html" if request.headers.get("HX-Request") else "error.html"
        context = {"title": gettext("Not now"), "message": gettext(SENTENCE), "status": 503, "reference": ""}
        response = HttpResponse(render_to_string(template, context), status=503)
    response.headers["Retry-After"] = "2"
    return response


class OneLine(logging.Filter):
    """Leaves the trace out where it says only that the database is away: every request would bring another."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and database_away(record.exc_info[1]):
            record.msg, record.args = f"{record.getMessage()}: the database does not answer", ()
            record.exc_info = None
        return True

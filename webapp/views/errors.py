"""Django's own errors in our words: unknown address, broken request, missing form token."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_noop

from webapp.away import away_page, database_away
from webapp.middleware import ABSENT, error_page, wants_json


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 400, gettext_noop("The request could not be read."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 403, gettext_noop("That is not allowed."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    sentence = gettext_noop("This page was open for too long or came from elsewhere. Reload it and try again.")
    return error_page(request, 403, sentence)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 404, ABSENT)


def broken(request: HttpRequest) -> HttpResponse:
    # Django calls this while it handles what went wrong.
    if database_away(sys.exc_info()[1]):
        return away_page(request, as_json=wants_json(request))
    return error_page(request, 500, "")

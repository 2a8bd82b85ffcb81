"""The three rings around every view: what a browser may load, who may come in, and what an error looks like."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils import translation
from django.utils.translation import gettext_noop

from annotation.errors import (
    AnnotationError,
    Conflict,
    KeptAsSurplus,
    NotAllowed,
    NotFound,
    Phrase,
    SomebodyElse,
)
from annotation.models import User
from annotation.selectors.access import Found, project_with_roles, projects_with_roles
from annotation.selectors.tokens import service_token_get
from pipelines.errors import MissingExtra, PipelineError
from webapp.access import ACCESS, SIGNED_IN, Rule
from webapp.away import away_page, database_away
from webapp.language import language_of
from webapp.sign_in import reading

logger = logging.getLogger(__name__)
Handler = Callable[[HttpRequest], HttpResponse]

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "media-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


# The same words for what is absent and for what is forbidden.
ABSENT = gettext_noop(
    "The address may be wrong, or it is not open to you. Ask whoever invited you if you expected something here."
)
LOST = gettext_noop("Nothing that was saved is lost. Try again; if it stays, tell your administrator the reference.")


class ContentSecurityPolicy:
    """Scripts, styles and data from here only; nothing inline. A response may bring a policy of its own (reports)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"
        )
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # Links that models wrote: no name is looked up before somebody follows one.
        response.headers.setdefault("X-DNS-Prefetch-Control", "off")
        return response


def wants_json(request: HttpRequest) -> bool:
    """Programs and the page's scripts ask for JSON; browsers' own form posts and links do not."""
    return request.path.startswith("/api/") or request.headers.get("Accept", "").startswith(
        "application/json"
    )


class AccessTable:
    """Reads `webapp/access.py` before each view; a view without a row there is refused.

    Sets `request.project` and `request.roles` where the URL names a project, and signs service tokens in.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.project, request.roles, request.scopes = None, frozenset(), None  # type: ignore[attr-defined]
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith("Bearer "):
            token = service_token_get(token=authorization.removeprefix("Bearer ").strip())
            request.user = token.user if token else AnonymousUser()
            request.scopes = frozenset(token.scopes) if token else frozenset()  # type: ignore[attr-defined]
            request.token_project_id = token.project_id if token else None  # type: ignore[attr-defined]
            # No cookie vouches for this request, so there is nothing that another site could abuse.
            request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if refused := _nul_found(request):
            return error_page(request, 400, refused)
        match = request.resolver_match
        name = match.view_name if match else ""
        rule = ACCESS.get(name)
        if rule is None:
            logger.error("view_without_access_row view=%s", name)
            return error_page(
                request, 500, f"The view {name!r} has no row in webapp/access.py, so nobody may open it."
            )
        who = rule.who(request.method or "")
        if not who:
            return HttpResponseNotAllowed(
                [m for m, allowed in (("GET", rule.get), ("POST", rule.post)) if allowed]
            )
        if "anyone" in who:
            return None
        slug = kwargs.get("slug", "")
        found = self._person_with_project(request, slug)
        if not request.user.is_authenticated:
            return self._sign_in_first(request)
        try:
            self._check(request, rule, who, slug, found)
        except NotFound as error:
            return error_page(request, 404, error.phrase)
        return None

    def _person_with_project(self, request: HttpRequest, slug: str) -> Found | None:
        """Signs in whom the session names; the project comes along in the same query."""
        if request.scopes is not None:  # type: ignore[attr-defined]
            return None
        store = request.session
        store.slug = slug
        if SESSION_KEY not in store:
            return None
        with reading(store.person):
            is_theirs = store.person is not None and request.user.pk == store.person.pk
        return store.project if is_theirs else None

    def _check(
        self, request: HttpRequest, rule: Rule, who: frozenset[str], slug: str, found: Found | None
    ) -> None:
        scopes = request.scopes  # type: ignore[attr-defined]
        if scopes is not None and (not rule.scope or rule.scope not in scopes):
            raise NotFound(ABSENT)
        if slug:
            self._project_check(request, slug, who, found)
        elif not who & SIGNED_IN and not self._has_role_anywhere(request, who):
            raise NotFound(ABSENT)

    def _has_role_anywhere(self, request: HttpRequest, who: frozenset[str]) -> bool:
        user: User = request.user  # type: ignore[assignment]
        if user.is_site_admin:
            return "site_admin" in who
        return bool(who - {"site_admin"} and projects_with_roles(user=user, roles=who))

    def _sign_in_first(self, request: HttpRequest) -> HttpResponseBase:
        if wants_json(request) or request.scopes is not None:  # type: ignore[attr-defined]
            sentence = gettext_noop("Sign in first, or send a service token that is still valid.")
            return JsonResponse({"error": _said(request, sentence)}, status=401)
        if request.headers.get("HX-Request"):
            return HttpResponse(status=401, headers={"HX-Redirect": resolve_url(settings.LOGIN_URL)})
        return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")

    def _project_check(
        self, request: HttpRequest, slug: str, who: frozenset[str], found: Found | None
    ) -> None:
        if found is None or found[0].slug != slug:
            found = project_with_roles(user=request.user, slug=slug)  # type: ignore[arg-type]
        limit = getattr(request, "token_project_id", None)
        if found is None or not found[1] & who or limit not in {None, found[0].pk}:
            raise NotFound(ABSENT)
        request.project, request.roles = found  # type: ignore[attr-defined]


def _nul_found(request: HttpRequest) -> Phrase | None:
    """What the database cannot hold and no person types."""
    if "\x00" in request.path:
        return Phrase(gettext_noop("The address holds a NUL character (U+0000), which no name here has."))
    for fields in (request.GET, request.POST):
        for name, values in fields.lists():
            if "\x00" in name or any("\x00" in value for value in values):
                return Phrase(
                    gettext_noop("The field {name} holds a NUL character (U+0000), which cannot be stored. Take it out."),
                    name=name.replace("\x00", "")[:40],
                )
    if request.content_type == "application/json" and b"\\u0000" in request.body:
        return Phrase(gettext_noop("The body holds a NUL character (U+0000), which cannot be stored. Take it out."))
    return None


TITLES = {
    400: gettext_noop("That did not fit"),
    401: gettext_noop("Somebody else is signed in here"),
    403: gettext_noop("That is not allowed"),
    404: gettext_noop("There is nothing here for you"),
    409: gettext_noop("Somebody was first"),
    500: gettext_noop("Something broke on our side"),
    503: gettext_noop("Not now"),
}


def status_of(error: Exception) -> int:
    """The one place where errors become status codes."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, SomebodyElse):
        return 401
    if isinstance(error, NotAllowed):
        return 403
    if isinstance(error, Conflict):
        return 409
    if isinstance(error, MissingExtra) or getattr(error, "retryable", False):
        return 503
    return 400 if isinstance(error, AnnotationError | PipelineError) else 500


# These have pages of their own (`views/errors.py`).
DJANGOS_OWN = (Http404, PermissionDenied, SuspiciousOperation, BadRequest, MultiPartParserError)


class ErrorPages:
    """Our errors become a status with one sentence, as a page, a fragment or JSON; others a reference for the log."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DJANGOS_OWN):
            return None
        if database_away(error):
            logger.warning("request_failed path=%s", request.path, exc_info=error)
            return away_page(request, as_json=wants_json(request))
        if not isinstance(error, AnnotationError | PipelineError):
            return None if settings.DEBUG else error_page(request, 500, "", reference=_logged(error))
        message = error.phrase if isinstance(error, AnnotationError) else str(error)
        return error_page(request, status_of(error), message, fields=_fields(error))


def _fields(error: Exception) -> dict[str, Any]:
    fields = {"retryable": bool(getattr(error, "retryable", False))}
    return fields | ({"annotation_id": error.annotation_id} if isinstance(error, KeptAsSurplus) else {})


def _logged(error: Exception) -> str:
    reference = secrets.token_hex(4)
    logger.error("request_failed reference=%s", reference, exc_info=error)
    return reference


def error_page(
    request: HttpRequest,
    status: int,
    message: str | Phrase,
    *,
    reference: str = "",
    fields: dict[str, Any] | None = None,
) -> HttpResponse:
    """The same sentence for a program and for a person; a person's own language, but not within a page in English."""
    with translation.override(_language(request)):
        return _error_page(request, status, _said(request, message or LOST), reference, fields)


def _language(request: HttpRequest) -> str | None:
    is_within = request.path.startswith("/api/") or bool(request.headers.get("HX-Request"))
    return translation.get_language() if is_within else language_of(request)


def _said(request: HttpRequest, message: str | Phrase) -> str:
    """The sentence in that language. What the catalogue lacks, for curators, stays English."""
    phrase, language = (message if isinstance(message, Phrase) else Phrase(message)), _language(request)
    if language == settings.LANGUAGE_CODE:
        return str(phrase)
    with translation.override(language):
        return phrase.said(translation.gettext)


def _error_page(
    request: HttpRequest, status: int, message: str, reference: str, fields: dict[str, Any] | None
) -> HttpResponse:
    if wants_json(request):
        body = {"error": message, **(fields or {}), **({"reference": reference} if reference else {})}
        return JsonResponse(body, status=status)
    context = {
        "title": translation.gettext(TITLES.get(status, TITLES[500])),
        "message": message,
        "status": status,
        "reference": reference,
    }
    template = "parts/error.html" if request.headers.get("HX-Request") else "error.html"
    return render(request, template, context, status=status)

"""Coming in: the sign-in form, the one-time link that sets a password, signing out, one's own account."""

from __future__ import annotations

from allauth.account.forms import LoginForm
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from annotation.selectors.access import project_list_for, roles_in
from annotation.selectors.profiles import Asked, profiles_asked
from annotation.services.people import account_change, keys_change, sign_in_link_get, sign_in_link_use
from webapp.access import JUDGES
from webapp.requests import Request
from webapp.views.annotate import KEYS
from webapp.views.profiles import consent_words


def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in by e-mail and password; allauth counts and slows down wrong tries."""
    next_url = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(next_url, {request.get_host()}, require_https=request.is_secure()):
        next_url = "/"
    if request.user.is_authenticated:
        return redirect(next_url)
    form = LoginForm(request.POST or None, request=request)
    if request.method == "POST" and form.is_valid():
        response: HttpResponse = form.login(request, redirect_url=next_url)
        request.session.set_expiry(settings.SESSION_COOKIE_AGE)
        return response
    return render(
        request, "sign_in.html", {"form": form, "next": next_url}, status=400 if form.errors else 200
    )


def sign_out(request: Request) -> HttpResponse:
    logout(request)
    return redirect("sign_in")


def welcome(request: Request, token: str) -> HttpResponse:
    """A one-time link: opening it changes nothing, setting a password uses it up and signs in."""
    link = sign_in_link_get(token=token)
    if request.method == "GET":
        return _private(render(request, "welcome.html", {"person": link.user}))
    password = request.POST.get("password", "")
    if password != request.POST.get("again", ""):
        context = {"person": link.user, "error": _("The two passwords differ. Type the same one twice.")}
        return _private(render(request, "welcome.html", context, status=400))
    user = sign_in_link_use(token=token, password=password)
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return redirect("home")


def _private(response: HttpResponse) -> HttpResponse:
    """The address is the secret: it is not stored, and not told to other sites. With `no-referrer` a browser would not say
    either where this page's own form comes from, and the form would be refused."""
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def _profiles(request: Request) -> list[tuple[Asked, str]]:
    """What each project of theirs asks of those who judge, and what any keeps of them, with the words to agree to."""
    projects = project_list_for(user=request.user)
    roles = roles_in(user=request.user, projects=projects)
    judged = [project for project in projects if roles[project.pk] & JUDGES]
    return [(asked, consent_words(asked.project)) for asked in profiles_asked(user_id=request.user.pk, judged=judged)]


def account(request: Request) -> HttpResponse:
    """One's name, language and password."""
    if request.method == "GET":
        return render(request, "account.html", {"languages": settings.LANGUAGES, "profiles": _profiles(request)})
    account_change(
        user=request.user,
        name=request.POST.get("name", ""),
        old_password=request.POST.get("old_password", ""),
        new_password=request.POST.get("new_password", ""),
        interface_language=request.POST.get("interface_language"),
    )
    update_session_auth_hash(request, request.user)
    with translation.override(request.user.interface_language):
        messages.success(request, translation.gettext("Your account was changed."))
    return redirect("account")


def account_keys(request: Request) -> JsonResponse:
    """One's own keys on the annotation page; the reply is what is in force."""
    keys = {name: request.POST.get(name, name) for name in KEYS}
    return JsonResponse(keys_change(user=request.user, is_on=request.POST.get("on") == "on", keys=keys))

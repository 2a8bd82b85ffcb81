"""A project as a whole: overview, guidelines, settings, tokens; and making one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.errors import Refused
from annotation.selectors import judging, overview
from annotation.selectors.profiles import attributes_text
from annotation.selectors.tokens import service_token_list
from annotation.services import people as people_services
from annotation.services import projects as project_services
from annotation.services.projects import CONDITIONS, Conditions
from pipelines.selectors.overview import latest_of, pipeline_state, running_in
from webapp.access import ACCESS, BUILDERS, JUDGES

SCOPES = sorted({rule.scope for rule in ACCESS.values() if rule.scope})
from webapp.requests import Request


def project(request: Request, slug: str) -> HttpResponse:
    """How far the work is, and what comes next for the roles one has."""
    found, roles = request.project, request.roles
    context: dict[str, Any] = {"question": overview.questions_of([found]).get(found.pk, [{}])[0]}
    if roles & JUDGES:
        context["waiting"] = overview.waiting_for(user_id=request.user.pk, projects=[found])[found.pk]
        context["judged_today"] = judging.judged_today(project_id=found.pk, user_id=request.user.pk)
    if roles & BUILDERS:
        versions, runs = latest_of(projects=[found])
        context |= {
            "builder": True,
            "progress": overview.progress_of([found])[found.pk],
            "state": pipeline_state(project=found),
            "running": running_in(projects=[found]),
            "latest_version": versions.get(found.pk, ""),
            "latest_run": runs.get(found.pk, ""),
        }
    return render(request, "project/overview.html", context)


def guidelines(request: Request, slug: str) -> HttpResponse:
    """The guidelines as annotators read them; a post makes a new revision."""
    if request.method == "POST":
        text = request.POST.get("text", "").replace("\r\n", "\n")
        revision = project_services.guidelines_revise(project=request.project, text=text)
        messages.success(
            request,
            f"Guidelines, version {revision.number}, are in force. Answers name the version they saw.",
        )
        return redirect("guidelines", slug)
    return render(
        request,
        "project/guidelines.html",
        {"guidelines": judging.guidelines_current(project=request.project)},
    )


def guidelines_edit(request: Request, slug: str) -> HttpResponse:
    current = judging.guidelines_current(project=request.project)
    return render(request, "project/guidelines_edit.html", {"guidelines": current})


def project_settings(request: Request, slug: str) -> HttpResponse:
    if request.method == "POST":
        project_services.project_change(
            project=request.project,
            title=request.POST.get("title", ""),
            wanted=whole_number(request.POST.get("wanted", ""), "Wanted annotations"),
            lease_minutes=whole_number(request.POST.get("lease_minutes", ""), "Minutes of a lease"),
            render_markdown="render_markdown" in request.POST,
            show_opinion=request.POST.get("show_opinion"),
            show_names="show_names" in request.POST,
            conditions=conditions_read(request.POST),
        )
        messages.success(request, "The settings are in force.")
        return redirect("project_settings", slug)
    context = {
        "questions": overview.questions_of([request.project]).get(request.project.pk, []),
        "tokens": service_token_list(project=request.project),
        "scopes": SCOPES,
        "attributes": attributes_text(request.project),
    }
    return render(request, "project/settings.html", context)


def conditions_read(posted: Mapping[str, str]) -> Conditions | None:
    """What a form says of the conditions under which people judge; None where it does not ask."""
    if not posted.keys() & CONDITIONS.keys():
        return None
    return Conditions(**{name: whole_number(posted.get(name, ""), words) for name, (words, *_) in CONDITIONS.items()})


def project_archive(request: Request, slug: str) -> HttpResponse:
    archived = request.POST.get("archived") == "1"
    project_services.project_archive(project=request.project, archived=archived)
    messages.success(request, "The project is archived." if archived else "The project is back.")
    return redirect("project_settings", slug)


def service_token_create(request: Request, slug: str) -> HttpResponse:
    """Make a token; it is shown in this reply and never again."""
    scopes = request.POST.getlist("scopes")
    if not scopes or set(scopes) - set(SCOPES):
        raise Refused(f"A token needs at least one scope of {', '.join(SCOPES)}.")
    name = request.POST.get("name", "").strip()
    if not name or len(name) > 80:
        raise Refused("A token needs a name of up to 80 characters, so that you know later what it is for.")
    token = people_services.service_token_create(
        user=request.user, project=request.project, name=name, scopes=scopes
    )
    response = render(request, "project/token_shown.html", {"token": token, "name": name})
    response.headers["Cache-Control"] = "no-store"
    return response


def service_token_revoke(request: Request, slug: str, token: int) -> HttpResponse:
    people_services.service_token_revoke(project=request.project, token_id=token)
    messages.success(request, "The token is revoked; the next call with it is refused.")
    return redirect("project_settings", slug)


def whole_number(text: str, name: str) -> int:
    text = text.strip().replace("−", "-")
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 15:
        raise Refused(f"{name}: a whole number was expected; got {text[:40]!r}.")
    return int(text)


def number(text: str, name: str) -> float:
    try:
        value = float(text.strip().replace("−", "-"))
    except ValueError:
        raise Refused(f"{name}: a number was expected; got {text[:40]!r}.") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise Refused(f"{name}: a finite number was expected; got {text[:40]!r}.")
    return value

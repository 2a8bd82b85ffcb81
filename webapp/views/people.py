"""Who belongs to a project: invite, give and take roles, make a new link."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.errors import NotAllowed
from annotation.models import Role
from annotation.selectors.people import people_list, person_get
from annotation.services.people import (
    CURATOR_GIVES,
    annotator_pause,
    link_allowed,
    sign_in_link_create,
    sign_in_link_url,
    user_invite,
)
from annotation.services.people import membership_remove as membership_remove_service
from webapp.requests import Request


def people(request: Request, slug: str) -> HttpResponse:
    """The list; a post invites and shows a one-time link once, in this reply only."""
    may_invite = [role for role in Role if "project_admin" in request.roles or role.value in CURATOR_GIVES]
    context = {"may_invite": may_invite, "is_admin": "project_admin" in request.roles}
    if request.method == "POST":
        role, email = request.POST.get("role", ""), request.POST.get("email", "")
        if role not in {allowed.value for allowed in may_invite}:
            raise NotAllowed(
                "Curators invite annotators and reviewers; ask the project's admin for other roles."
            )
        user, token = user_invite(email=email, role=role, project=request.project, by_roles=request.roles)
        context |= {"invited": user, "invited_role": role, "link": sign_in_link_url(token) if token else ""}
    context["people"] = people_list(project=request.project)
    response = render(request, "project/people.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response


def membership_remove(request: Request, slug: str, user_id: int, role: str) -> HttpResponse:
    membership_remove_service(project=request.project, user_id=user_id, role=role)
    messages.success(request, "The role was taken away; it counts from the next request on.")
    return redirect("people", slug)


def person_pause(request: Request, slug: str, user_id: int) -> HttpResponse:
    """Pause somebody who judges (`paused=1`), or let them go on."""
    is_paused = request.POST.get("paused") == "1"
    annotator_pause(project=request.project, user_id=user_id, is_paused=is_paused)
    messages.success(request, "They get no more comparisons until they may go on." if is_paused else "They may go on.")
    return redirect("people", slug)


def sign_in_link(request: Request, slug: str, user_id: int) -> HttpResponse:
    """A new one-time link for somebody who lost theirs or their password."""
    person = person_get(project=request.project, user_id=user_id)
    if not link_allowed(user=person, project=request.project, by_roles=request.roles):
        raise NotAllowed(
            "This account has roles elsewhere too; only a site administrator makes a link for it."
        )
    context = {
        "people": people_list(project=request.project),
        "may_invite": list(Role),
        "is_admin": True,
        "invited": person,
        "link": sign_in_link_url(sign_in_link_create(user=person)),
    }
    response = render(request, "project/people.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response

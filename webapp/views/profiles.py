"""What people say of themselves: asked for under Settings, given and withdrawn under one's own account."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _

from annotation.errors import FormRefused
from annotation.models import Project
from annotation.services.profiles import attributes_change, profile_give, profile_withdraw
from webapp.requests import Request

FIELD = "about "


def consent_words(project: Project) -> str:
    """What a person agrees to, in the language of the request; kept with what they say."""
    return _(
        "I agree that the project “{project}” keeps what I chose here, to count the people in groups of annotators. Its "
        "pages never show who said what: they show counts of 5 people or more, in steps (5 to 9, 10 to 19 and so on). "
        "Whoever runs the project may see a step change when somebody gives or deletes answers. I need not say anything "
        "to take part, and I can delete it here at any time. A backup made before still holds it, and restoring that "
        "backup brings it back."
    ).format(project=project.title)


def profile(request: Request, slug: str) -> HttpResponse:
    """Keep one's own words."""
    user = request.user
    with translation.override(user.interface_language):
        profile_give(
            project=request.project,
            user_id=user.pk,
            answers={key.removeprefix(FIELD): value for key, value in request.POST.items() if key.startswith(FIELD)},
            consent=consent_words(request.project),
            agrees="agrees" in request.POST,
        )
        messages.success(request, _("Kept. You can delete it here at any time."))
    return redirect("account")


def profile_delete(request: Request, profile: int) -> HttpResponse:
    """Delete one's own words. The address names no project, since who lost the role there may still do it."""
    profile_withdraw(profile_id=profile, user_id=request.user.pk)
    with translation.override(request.user.interface_language):
        messages.success(request, _("What you said of yourself is deleted."))
    return redirect("account")


def profile_attributes(request: Request, slug: str) -> HttpResponse:
    """Ask this from now on. Where something is no longer asked, and so deleted, the reply asks first."""
    text, agreed = request.POST.get("attributes"), request.POST.getlist("dropping")
    if text is None:
        raise FormRefused("The field attributes was expected; nothing was changed. Send it empty to ask nothing.")
    dropped = attributes_change(project=request.project, text=text, dropping=agreed)
    if set(dropped) - set(agreed):
        return render(request, "project/profile_dropped.html", {"attributes": text, "dropped": dropped})
    gone = " What is no longer asked was deleted." if dropped else ""
    messages.success(request, f"The project asks this from now on.{gone}")
    return redirect("project_settings", slug)

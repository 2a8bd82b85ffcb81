"""What people say of themselves: asked for under Settings, given and withdrawn under one's own account."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.errors import FormRefused, Refused
from annotation.models import Project
from annotation.services.profiles import attributes_change, profile_give, profile_withdraw
from webapp.requests import Request
from webapp.views.project import whole_number

FIELD = "about "


def consent_words(project: Project) -> str:
    """What a person agrees to, in the language of the request; kept with what they say."""
    words = _(
        "I agree that the project “{project}” keeps what I chose here, to count the people in groups of annotators. Its "
        "pages never show who said what: they show counts of 5 people or more, in steps (5 to 9, 10 to 19 and so on). "
        "Whoever runs the project may see a step change when somebody gives or deletes answers. I need not say anything "
        "to take part, and I can delete it here at any time. A backup made before still holds it, and restoring that "
        "backup brings it back."
    ).format(project=project.title)
    if not project.profile_days:
        return words
    days = _("Days after which it is deleted by itself: {days}.").format(days=project.profile_days)
    return f"{words} {days}"


def profile(request: Request, slug: str) -> HttpResponse:
    """Keep one's own words."""
    user = request.user
    with translation.override(user.interface_language):
        words, agreed = consent_words(request.project), request.POST.get("agrees", "")
        if agreed and agreed != words:
            raise Refused(
                gettext_noop("Nothing was kept: the words to agree to have changed. Reload the page and read them again.")
            )
        profile_give(
            project=request.project,
            user_id=user.pk,
            answers={key.removeprefix(FIELD): value for key, value in request.POST.items() if key.startswith(FIELD)},
            consent=words,
            agrees=bool(agreed),
            days=request.project.profile_days,
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
    days = whole_number(request.POST.get("days", ""), "Days until answers are deleted")
    dropped = attributes_change(project=request.project, text=text, days=days, dropping=agreed)
    if set(dropped) - set(agreed):
        context = {"attributes": text, "days": days, "dropped": dropped}
        return render(request, "project/profile_dropped.html", context)
    gone = " What is no longer asked was deleted." if dropped else ""
    messages.success(request, f"The project asks this from now on.{gone}")
    return redirect("project_settings", slug)

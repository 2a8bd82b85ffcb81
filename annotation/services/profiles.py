"""Profiles: what a project asks people of themselves, what they say with consent, and how they take it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation.errors import NotFound, Refused, _
from annotation.models import Profile, Project, Role, User
from annotation.selectors.access import roles_of
from annotation.services.assignment import participation_ensure

MOST_ATTRIBUTES, MOST_CHOICES, MOST_CHARACTERS, MOST_DAYS = 8, 20, 60, 3_650


def attributes_read(text: str) -> list[dict[str, Any]]:
    """Attributes from lines of `Name: one choice | another`; empty lines say nothing.

    Example:
        >>> attributes_read("Age: under 30 | 30 and over")
        [{'name': 'Age', 'choices': ['under 30', '30 and over']}]
    """
    found = [_attribute(line) for line in text.splitlines() if line.strip()]
    names = [attribute["name"] for attribute in found]
    if len(found) > MOST_ATTRIBUTES or len(set(names)) < len(names):
        raise Refused(f"A profile asks up to {MOST_ATTRIBUTES} things, each once; got {', '.join(names)}.")
    return found


def _attribute(line: str) -> dict[str, Any]:
    name, _, rest = line.partition(":")
    name, choices = name.strip(), [choice.strip() for choice in rest.split("|") if choice.strip()]
    if not 2 <= len(choices) <= MOST_CHOICES or len(set(choices)) < len(choices):
        raise Refused(
            f"“{line.strip()[:80]}” was not taken. A line is Name: one choice | another, 2 to {MOST_CHOICES} different ones."
        )
    if bad := [word for word in (name, *choices) if not 1 <= len(word) <= MOST_CHARACTERS or not word.isprintable()]:
        raise Refused(f"Names and choices have 1 to {MOST_CHARACTERS} printable characters; got {bad[0][:80]!r}.")
    return {"name": name, "choices": choices}


@transaction.atomic
def attributes_change(*, project: Project, text: str, days: int = 0, dropping: Collection[str] = ()) -> list[str]:
    """Ask this from now on, and delete answers that are given from now on after `days` (0: never).

    What people said and is no longer asked is deleted. Returns what is no longer asked; unless `dropping` names all of it,
    nothing is changed.
    """
    attributes = attributes_read(text)
    if not 0 <= days <= MOST_DAYS:
        raise Refused(f"Days until answers are deleted: 0 to {MOST_DAYS:,} was expected; got {days:,}.")
    # Whoever gives a profile meanwhile waits for this, and is then held against the new ones.
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    dropped = _dropped(locked.profile_attributes, attributes)
    if set(dropped) - set(dropping):
        return dropped
    locked.profile_attributes = project.profile_attributes = attributes
    locked.profile_days = project.profile_days = days
    locked.save(update_fields=["profile_attributes", "profile_days"])
    for profile in Profile.objects.select_for_update().filter(participation__project=project):
        left = _asked_for(profile.answers, attributes)
        if not left:
            profile.delete()
        elif left != profile.answers:
            Profile.objects.filter(pk=profile.pk).update(answers=left)
    return dropped


def _dropped(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    """What is no longer asked, said by anybody or not: who asks must not learn from a question that somebody had said it."""
    asked = {attribute["name"]: attribute["choices"] for attribute in after}
    gone = [one["name"] for one in before if one["name"] not in asked]
    narrowed = [(one["name"], choice) for one in before if one["name"] in asked for choice in one["choices"]]
    return gone + [f"{name}: {choice}" for name, choice in narrowed if choice not in asked[name]]


def _asked_for(answers: Mapping[str, str], attributes: list[dict[str, Any]]) -> dict[str, str]:
    return {
        attribute["name"]: answers[attribute["name"]]
        for attribute in attributes
        if answers.get(attribute["name"]) in attribute["choices"]
    }


@transaction.atomic
def profile_give(
    *, project: Project, user_id: int, answers: Mapping[str, str], consent: str, agrees: bool, days: int = 0
) -> Profile:
    """Keep what a person says of themselves, in place of what they said before.

    `consent`: the words they agreed to; `days`: after how many, by these words, it is deleted (0: never).
    """
    if not agrees:
        raise Refused(_("Nothing was kept. It is kept only if you tick that you agree."))
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    # Under the lock, which `membership_remove` takes too: what is kept never outlives the role.
    if Role.ANNOTATOR not in roles_of(User.objects.get(pk=user_id), locked):
        raise NotFound(_("You do not judge in this project any more, so nothing was kept."))
    known = _asked_for(answers, locked.profile_attributes)
    if {name for name, choice in answers.items() if choice} - known.keys():
        raise Refused(_("This project does not ask for that choice any more. Reload the page."))
    if not known:
        raise Refused(_("Nothing was chosen, so there is nothing to keep."))
    participation = participation_ensure(project_id=project.pk, user_id=user_id)
    profile, _is_new = Profile.objects.update_or_create(
        participation=participation, defaults={"answers": known, "consent": consent, "delete_at": _days_on(days)}
    )
    return profile


def _days_on(days: int) -> datetime | None:
    return timezone.now() + timedelta(days=days) if days else None


def profiles_expire() -> int:
    """Delete what was consented to be kept until now; returns how many. Any number of clocks may call it."""
    deleted, _ = Profile.objects.filter(delete_at__lt=timezone.now()).delete()
    return deleted


def profile_withdraw(*, profile_id: int, user_id: int) -> None:
    """Delete what this person said of themselves in one project, whatever their roles are by now."""
    deleted, _rows = Profile.objects.filter(pk=profile_id, participation__annotator_id=user_id).delete()
    if not deleted:
        raise NotFound(_("You have said nothing of yourself in this project."))

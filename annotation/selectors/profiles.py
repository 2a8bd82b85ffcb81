"""What a project asks people of themselves, for those who set it up and for those who are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from annotation.models import Profile, Project


@dataclass(frozen=True)
class Question:
    name: str
    choices: list[str]


@dataclass(frozen=True)
class Asked:
    """One project's questions to one person; none where it does not ask them. `kept`: their profile's id; None: none.

    What they chose is never read back: whoever makes a sign-in link for somebody sees that person's pages.
    """

    project: Project
    questions: list[Question]
    kept: int | None
    given_at: datetime | None
    delete_at: datetime | None


def attributes_text(project: Project) -> str:
    """As `annotation.services.profiles.attributes_read` takes them."""
    return "\n".join(f"{one['name']}: {' | '.join(one['choices'])}" for one in project.profile_attributes)


def profiles_asked(*, user_id: int, judged: Sequence[Project]) -> list[Asked]:
    """What the projects in which they judge ask, and whatever is kept of them, in others too. One query."""
    profiles = Profile.objects.filter(participation__annotator_id=user_id).select_related("participation__project")
    kept = {profile.participation.project: profile for profile in profiles.defer("answers", "consent").order_by("id")}
    asking = {project for project in judged if project.profile_attributes and project.archived_at is None}
    return [
        _asked(project, kept.get(project), asks=project in asking)
        for project in dict.fromkeys((*judged, *kept))
        if project in asking or project in kept
    ]


def _asked(project: Project, kept: Profile | None, *, asks: bool) -> Asked:
    questions = [Question(one["name"], one["choices"]) for one in project.profile_attributes if asks]
    if kept is None:
        return Asked(project, questions, None, None, None)
    return Asked(project, questions, kept.pk, kept.given_at, kept.delete_at)

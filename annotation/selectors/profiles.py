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
    chosen: str


@dataclass(frozen=True)
class Asked:
    """One project's questions to one person. `given_at`: None while they have said nothing."""

    project: Project
    questions: list[Question]
    given_at: datetime | None


def attributes_text(project: Project) -> str:
    """As `annotation.services.profiles.attributes_read` takes them."""
    return "\n".join(f"{one['name']}: {' | '.join(one['choices'])}" for one in project.profile_attributes)


def profiles_asked(*, user_id: int, projects: Sequence[Project]) -> list[Asked]:
    """Of these projects those that ask, or that keep something still. One query."""
    given = {
        profile.participation.project_id: profile
        for profile in Profile.objects.filter(
            participation__annotator_id=user_id, participation__project__in=projects
        ).select_related("participation")
    }
    found = []
    for project in projects:
        profile = given.get(project.pk)
        if profile is None and (not project.profile_attributes or project.archived_at is not None):
            continue
        said = profile.answers if profile else {}
        questions = [Question(one["name"], one["choices"], said.get(one["name"], "")) for one in project.profile_attributes]
        found.append(Asked(project, questions, profile.given_at if profile else None))
    return found

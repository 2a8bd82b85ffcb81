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
    """One project's questions to one person. `given_at`: None while they have said nothing.

    What they chose is never read back: whoever makes a sign-in link for somebody sees that person's pages.
    """

    project: Project
    questions: list[Question]
    given_at: datetime | None


def attributes_text(project: Project) -> str:
    """As `annotation.services.profiles.attributes_read` takes them."""
    return "\n".join(f"{one['name']}: {' | '.join(one['choices'])}" for one in project.profile_attributes)


def profiles_asked(*, user_id: int, projects: Sequence[Project]) -> list[Asked]:
    """Of these projects those that ask, or that keep something still. One query."""
    kept = Profile.objects.filter(participation__annotator_id=user_id, participation__project__in=projects)
    given = dict(kept.values_list("participation__project_id", "given_at"))
    found = []
    for project in projects:
        if project.pk not in given and (not project.profile_attributes or project.archived_at is not None):
            continue
        questions = [Question(one["name"], one["choices"]) for one in project.profile_attributes]
        found.append(Asked(project, questions, given.get(project.pk)))
    return found

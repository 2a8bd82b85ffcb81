"""Who belongs to a project, in which roles, and whether they can sign in yet."""

from __future__ import annotations

from dataclasses import dataclass

from annotation.errors import NotFound
from annotation.models import Membership, Participation, Project, User
from annotation.services.people import JUDGING


@dataclass(frozen=True)
class Person:
    user: User
    roles: list[str]
    can_sign_in: bool
    is_paused: bool

    @property
    def judges(self) -> bool:
        return not set(self.roles).isdisjoint(JUDGING)


def people_list(*, project: Project) -> list[Person]:
    """The people of a project by e-mail. Two queries."""
    away = Participation.objects.filter(project=project, state=Participation.State.PAUSED)
    paused = set(away.values_list("annotator_id", flat=True))
    held: dict[User, list[str]] = {}
    for membership in (
        Membership.objects.filter(project=project).select_related("user").order_by("user__email", "role")
    ):
        held.setdefault(membership.user, []).append(membership.role)
    return [Person(user, roles, user.has_usable_password(), user.pk in paused) for user, roles in held.items()]


def person_get(*, project: Project, user_id: int) -> User:
    membership = Membership.objects.filter(project=project, user_id=user_id).select_related("user").first()
    if membership is None:
        raise NotFound("This person has no role here.")
    return membership.user

"""Who may what. Every object that a person sees is fetched through here, so that none is had without the check."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import AnonymousUser

from annotation.errors import NotFound
from annotation.models import Membership, Project, Role, User

EVERY_ROLE = frozenset(str(role) for role in Role.values)

# What a role includes besides itself.
_INCLUDES: dict[str, frozenset[str]] = {
    Role.PROJECT_ADMIN: EVERY_ROLE,
    Role.REVIEWER: frozenset({Role.REVIEWER, Role.ANNOTATOR}),
}


def roles_of(user: User | AnonymousUser, project: Project) -> frozenset[str]:
    """The roles of a person in a project, added up; the empty set for anybody else."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    if user.is_site_admin:
        return EVERY_ROLE | {"site_admin"}
    own = Membership.objects.filter(project=project, user=user).values_list("role", flat=True)
    return frozenset().union(*(_INCLUDES.get(role, frozenset({role})) for role in own))


def project_get_for(*, user: User | AnonymousUser, slug: str, roles: Collection[str] = EVERY_ROLE) -> Project:
    """The project, if this person has one of the roles there; absent and forbidden look the same. Two queries."""
    project = Project.objects.filter(slug=slug).first()
    if project is None or not roles_of(user, project) & set(roles):
        raise NotFound(f"There is no project {slug!r} here for you.")
    return project


def project_list_for(*, user: User) -> list[Project]:
    """The projects in which a person has any role, newest first."""
    projects = Project.objects.all() if user.is_site_admin else Project.objects.filter(memberships__user=user).distinct()
    return list(projects.order_by("archived_at", "-id"))

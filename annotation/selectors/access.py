"""Who may what. Every object that a person sees is fetched through here, so that none is had without the check."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q, Value

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


def project_with_roles(*, user: User, slug: str) -> tuple[Project, frozenset[str]] | None:
    """The project and this person's roles in it, in one query; None if there is no such project."""
    own = ArrayAgg("memberships__role", filter=Q(memberships__user=user), default=Value([]))
    project = Project.objects.filter(slug=slug).annotate(own_roles=own).first()
    if project is None:
        return None
    if not user.is_active:
        return project, frozenset()
    if user.is_site_admin:
        return project, EVERY_ROLE | {"site_admin"}
    held = project.own_roles
    return project, frozenset().union(*(_INCLUDES.get(role, frozenset({role})) for role in held))


def project_get_for(*, user: User | AnonymousUser, slug: str, roles: Collection[str] = EVERY_ROLE) -> Project:
    """The project, if this person has one of the roles there; absent and forbidden look the same. Two queries."""
    project = Project.objects.filter(slug=slug).first()
    if project is None or not roles_of(user, project) & set(roles):
        raise NotFound(f"There is no project {slug!r} here for you.")
    return project


def project_list_for(*, user: User) -> list[Project]:
    """The projects in which a person has any role, newest first."""
    projects = Project.objects.all()
    if not user.is_site_admin:
        projects = projects.filter(memberships__user=user).distinct()
    return list(projects.order_by("archived_at", "-id"))


def projects_with_roles(*, user: User, roles: Collection[str]) -> list[Project]:
    """The projects in which a person has one of the roles; all of them for a site administrator. Two queries at most."""
    projects = project_list_for(user=user)
    held = roles_in(user=user, projects=projects)
    return [project for project in projects if held[project.pk] & set(roles)]


def roles_in(*, user: User, projects: Collection[Project]) -> dict[int, frozenset[str]]:
    """The roles of a person in each of these projects, by project id. One query at most."""
    if user.is_site_admin:
        return {project.pk: EVERY_ROLE | {"site_admin"} for project in projects}
    found: dict[int, frozenset[str]] = {project.pk: frozenset() for project in projects}
    held = Membership.objects.filter(user=user, project__in=projects)
    for project_id, role in held.values_list("project_id", "role"):
        found[project_id] |= _INCLUDES.get(role, frozenset({role}))
    return found

"""Who may what. Every object that a person sees is fetched through here, so that none is had without the check."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import Model

from annotation.errors import NotFound
from annotation.models import Membership, Project, Role, User

M = TypeVar("M", bound=Model)
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


# Every request asks for its person and its project. The statements are ready-made, since Django takes longer to build one
# anew, and to make an object of what comes, than Postgres takes to answer it.


@cache
def _columns(model: type[Model]) -> str:
    return ", ".join(f't."{field.column}"' for field in model._meta.concrete_fields)


@cache
def _readers(model: type[Model]) -> list[tuple[str, list[Callable[..., Any]]]]:
    return [(field.attname, field.get_db_converters(connection)) for field in model._meta.concrete_fields]


def _instance(model: type[M], row: Sequence[Any]) -> M:
    """One object from a row that begins with its columns in order, as Django's own queries make it."""
    values = []
    for (_, converters), value in zip(_readers(model), row, strict=False):
        for convert in converters:
            value = convert(value, None, connection)
        values.append(value)
    return model.from_db(connection.alias, [name for name, _ in _readers(model)], values)


def _row(statement: str, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: Sequence[Any] | None = cursor.fetchone()
    return found


PERSON = "SELECT {columns} FROM annotation_user t WHERE t.id = %(id)s"
HELD = "ARRAY(SELECT m.role::text FROM annotation_membership m WHERE m.project_id = t.id AND m.user_id = {user})"
PROJECT = "SELECT {columns}, {held} FROM annotation_project t WHERE t.slug = %(slug)s"
SESSION = """
SELECT s.session_data, {person}, {columns}, {held}
FROM annotation_session s LEFT JOIN annotation_user u ON u.id = s.user_id
LEFT JOIN annotation_project t ON t.slug = %(slug)s
WHERE s.session_key = %(key)s AND s.expire_date > now()
"""
Found = tuple[Project, frozenset[str]]


def user_get(*, user_id: int) -> User | None:
    row = _row(PERSON.format(columns=_columns(User)), {"id": user_id})
    return _instance(User, row) if row else None


def project_with_roles(*, user: User, slug: str) -> Found | None:
    """The project and this person's roles in it, in one query; None if there is no such project."""
    statement = PROJECT.format(columns=_columns(Project), held=HELD.format(user="%(user)s"))
    row = _row(statement, {"slug": slug, "user": user.pk})
    return None if row is None else (_instance(Project, row), _added_up(user, row[-1]))


@dataclass(frozen=True)
class SessionRead:
    """A live session's data as they are stored, whose it is, and the project asked for, with that person's roles in it."""

    data: str
    user: User | None
    project: Found | None


def session_read(*, key: str, slug: str) -> SessionRead | None:
    """What a request begins with, in one query; None where the session is over or unknown."""
    row = _row(_session(), {"key": key, "slug": slug})
    if row is None:
        return None
    person, project = row[1:], row[1 + len(_readers(User)) :]
    user = None if person[0] is None else _instance(User, person)
    if user is None or project[0] is None:
        return SessionRead(row[0], user, None)
    return SessionRead(row[0], user, (_instance(Project, project), _added_up(user, row[-1])))


@cache
def _session() -> str:
    person = _columns(User).replace("t.", "u.")
    return SESSION.format(person=person, columns=_columns(Project), held=HELD.format(user="u.id"))


def _added_up(user: User, held: Sequence[str]) -> frozenset[str]:
    if not user.is_active:
        return frozenset()
    if user.is_site_admin:
        return EVERY_ROLE | {"site_admin"}
    return frozenset().union(*(_INCLUDES.get(role, frozenset({role})) for role in held))


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

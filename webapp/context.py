"""What every page's frame needs; no queries within a project, two outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from annotation.models import Project, User
from annotation.selectors.access import projects_with_roles
from webapp.access import ACCESS, BUILDERS
from webapp.requests import Request

# The tabs of a project, each with the pages that belong under it.
TABS: list[tuple[str, str, set[str]]] = [
    ("Overview", "project", {"project", "guidelines", "guidelines_edit"}),
    ("Comparisons", "comparisons", {"comparisons", "comparison", "imports", "import", "ches_preview"}),
    ("Queue", "queue", {"queue", "leases"}),
    ("Raters", "raters", {"raters", "rater", "disagreement", "drivers", "circles", "agreement", "groups"}),
    ("Routing", "routing", {"routing", "jobs", "job"}),
    ("Versions", "versions", {"versions", "version", "version_freeze", "version_row"}),
    ("Runs", "runs", {"runs", "run", "run_start"}),
    ("Reports", "reports", {"reports", "report"}),
    ("My answers", "history", {"history", "history_answer"}),
    ("People", "people", {"people", "sign_in_link", "membership_remove"}),
    ("Settings", "project_settings", {"project_settings", "profile_attributes", "service_token_create", "form_edit"}),
]


@dataclass(frozen=True)
class Tab:
    label: str
    url: str
    is_current: bool


def tabs_for(slug: str, roles: frozenset[str], view_name: str) -> list[Tab]:
    """The tabs that these roles may open."""
    return [
        Tab(label, reverse(name, args=[slug]), view_name in under)
        for label, name, under in TABS
        if ACCESS[name].get & roles
    ]


def shell(request: HttpRequest) -> dict[str, Any]:
    project: Project | None = getattr(request, "project", None)
    roles: frozenset[str] = getattr(request, "roles", frozenset())
    user = getattr(request, "user", None)
    match = request.resolver_match
    name = match.view_name if match else ""
    signed_in = bool(user and user.is_authenticated)
    return {
        "project": project,
        "roles": roles,
        "tabs": tabs_for(project.slug, roles, name) if project else [],
        "may_judge": bool(project and ACCESS["annotate"].get & roles and project.archived_at is None),
        "may_see_models": signed_in and project is None and _builds_anywhere(user),
        "initials": _initials(str(user)) if signed_in else "",
    }


def may(request: Request, view_name: str, method: str = "GET") -> bool:
    """Whether this request opens another address of the same project: pages ask before they offer it."""
    rule, scopes = ACCESS[view_name], getattr(request, "scopes", None)
    return bool(rule.who(method) & request.roles) and (scopes is None or rule.scope in scopes)


def sees_models(request: Request) -> bool:
    """Whether predictions and names of models are shown: not to those who only judge, whose votes they would sway."""
    return bool(BUILDERS & request.roles)


def _builds_anywhere(user: User | None) -> bool:
    return user is not None and (user.is_site_admin or bool(projects_with_roles(user=user, roles=BUILDERS)))


def _initials(name: str) -> str:
    words = name.split("@")[0].replace(".", " ").replace("-", " ").split()
    return "".join(word[0] for word in words[:2]).upper() or "?"

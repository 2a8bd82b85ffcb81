"""The request as views get it, after the middleware: with its person, and its project where the address names one."""

from __future__ import annotations

from django.http import HttpRequest

from annotation.models import Project, User


class Request(HttpRequest):
    """Only a type: `AccessTable` sets these on Django's own request.

    `roles` are the person's in this project, added up; `scopes` is None unless a service token came.
    """

    user: User
    project: Project
    roles: frozenset[str]
    scopes: frozenset[str] | None
    token_project_id: int | None

"""Service tokens: a program's way in."""

from __future__ import annotations

from annotation.models import Project, ServiceToken
from annotation.services.people import token_hash


def service_token_get(*, token: str) -> ServiceToken | None:
    """The token if it is known, not revoked and of an active user; with its user, in one query."""
    found = (
        ServiceToken.objects.select_related("user")
        .filter(token_hash=token_hash(token), revoked_at=None)
        .first()
    )
    return found if found and found.user.is_active else None


def service_token_list(*, project: Project) -> list[ServiceToken]:
    return list(ServiceToken.objects.filter(project=project).select_related("user").order_by("-id"))

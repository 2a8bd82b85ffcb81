"""Sign-in: nobody registers on their own; a one-time link sets a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from django.http import HttpRequest

from annotation.models import User
from annotation.selectors.access import user_get


class ClosedAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


# The person of a session, where they were read along with something else (`reading`).
_read: ContextVar[User | None] = ContextVar("read", default=None)


@contextmanager
def reading(user: User | None) -> Iterator[None]:
    """Sign this person in, if it is whom the session names, without asking for them again."""
    token = _read.set(user)
    try:
        yield
    finally:
        _read.reset(token)


class Backend(AuthenticationBackend):
    def get_user(self, user_id: Any) -> User | None:
        """Whom a session names, by the one ready-made statement; nobody if the account is switched off or gone."""
        user = _read.get()
        if user is None or user.pk != int(user_id):
            user = user_get(user_id=int(user_id))
        return user if user is not None and self.user_can_authenticate(user) else None

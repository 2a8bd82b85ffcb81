"""Django's sessions in the database, read by one ready-made statement with the person and the project of a request."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db

from annotation.models import Session, User
from annotation.selectors.access import Found, session_read


class SessionStore(db.SessionStore):
    """`slug`: the project of the request, set before anything is read; then `person` and `project` are read along."""

    slug = ""
    person: User | None = None
    project: Found | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        session: Session = super().create_model_instance(data)
        session.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        return session

    def load(self) -> dict[str, Any]:
        found = session_read(key=self.session_key or "", slug=self.slug)
        if found is None:
            self._session_key = None
            return {}
        self.person, self.project = found.user, found.project
        return dict(self.decode(found.data))

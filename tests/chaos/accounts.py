"""Annotators of a project with sessions, for a load generator: `python -m tests.chaos.accounts PROJECT N` prints cookies."""

from __future__ import annotations

import json
import os
import sys


def main(slug: str, n: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.db import transaction

    from annotation.models import Membership, Project, User
    from annotation.services.assignment import participation_ensure
    from webapp.sessions import SessionStore

    project, cookies = Project.objects.get(slug=slug), []
    with transaction.atomic():
        for number in range(n):
            user = User.objects.create_user(f"{slug}{number}@example.org")
            Membership.objects.create(project=project, user=user, role="annotator")
            participation_ensure(project_id=project.pk, user_id=user.pk)
            session = SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.create()
            cookies.append(session.session_key)
    print(json.dumps(cookies))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

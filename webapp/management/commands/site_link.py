"""./manage.py site_link [--email EMAIL]"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from annotation.errors import NotFound
from annotation.models import User
from annotation.services.people import sign_in_link_create, sign_in_link_url, site_admin_link
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = "A one-time sign-in link: for the site administrator until they have a password, or for whoever lost theirs."
    needs_project = False

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--email", help="make a new link for this person")

    def run(self, **options: Any) -> Mapping[str, Any]:
        token = self._token_for(options["email"]) if options["email"] else site_admin_link()
        link = sign_in_link_url(token) if token else None
        self.say(
            link
            or "The site administrator has a password already; sign in with it, or name a person with --email."
        )
        return {"counts": {"links": int(link is not None)}, "link": link}

    def _token_for(self, email: str) -> str:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise NotFound(f"Nobody here has the address {email!r}.")
        return sign_in_link_create(user=user)

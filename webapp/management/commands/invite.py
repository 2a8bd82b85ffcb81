"""./manage.py invite EMAIL --role ROLE --project SLUG"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from annotation.models import Role
from annotation.services.people import sign_in_link_url, user_invite
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = "Give a person a role, and print a one-time link with which they set a password."
    needs_project = False

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--role", required=True, help=f"site_admin, {', '.join(Role.values)}")
        parser.add_argument("--project", metavar="SLUG", help="the project that the role belongs to")

    def run(self, **options: Any) -> Mapping[str, Any]:
        project = self.project(options) if options["project"] else None
        user, token = user_invite(email=options["email"], role=options["role"], project=project)
        link = sign_in_link_url(token) if token else None
        if link:
            self.say(f"One-time link for {user.email}: {link}")
        else:
            self.say(f"{user.email} can sign in already; the role was added.")
        return {"counts": {"people": 1}, "email": user.email, "link": link}

"""./manage.py create_project SLUG --template pairwise"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.feedback.templates import TEMPLATES
from annotation.services.projects import project_create
from webapp.management.base import WinnowCommand, form_read


class Command(WinnowCommand):
    help = "Create a project with its first form."
    needs_project = False

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="lower-case letters, digits and hyphens")
        parser.add_argument("--template", default="pairwise", help=f"the first form: {', '.join(TEMPLATES)}")
        parser.add_argument(
            "--form", type=Path, metavar="FILE.json", help="the first form itself, a list of questions"
        )
        parser.add_argument("--title", default="", help="as people read it; default: the slug")
        parser.add_argument("--wanted", type=int, default=1, help="annotations wanted for a comparison")
        parser.add_argument(
            "--salt", type=uuid.UUID, default=None, help="decides splits and sides; default: random"
        )

    def run(self, **options: Any) -> Mapping[str, Any]:
        project = project_create(
            slug=options["slug"],
            title=options["title"],
            template=options["template"],
            questions=None if options["form"] is None else form_read(options["form"]),
            wanted=options["wanted"],
            salt=options["salt"],
        )
        self.say(
            f"Project {project.slug} is ready. Next: ./manage.py import_comparisons FILE --project {project.slug}"
        )
        return {"counts": {"projects": 1}, "project": project.slug}

"""./manage.py archive_project --project SLUG [--back]"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from annotation.services.projects import project_archive
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = "Archive a project: it hands out no work and takes no imports; --back restores both."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--back", action="store_true", help="bring it back")

    def run(self, **options: Any) -> Mapping[str, Any]:
        project = project_archive(project=self.project(options), archived=not options["back"])
        return {
            "counts": {"projects": 1},
            "project": project.slug,
            "archived": project.archived_at is not None,
        }

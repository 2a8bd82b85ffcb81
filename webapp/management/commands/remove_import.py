"""Takes an import back on which nobody voted and no version rests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from annotation.errors import NotFound
from annotation.models import Import
from pipelines.services.import_removal import import_remove
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = __doc__

    def options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "import_id", type=int, metavar="IMPORT", help="the number that import_comparisons printed"
        )

    def run(self, **options: Any) -> Mapping[str, Any]:
        record = Import.objects.filter(project=self.project(options), pk=options["import_id"]).first()
        if record is None:
            raise NotFound(f"There is no import {options['import_id']} in {options['project']}.")
        removed = import_remove(record=record)
        return {"counts": {"comparisons": removed.counts.get("comparisons", 0)}, "import_id": removed.pk}

"""Write what people answered to a JSONL file, raters by pseudonym; importing it gives the same again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pipelines.services.annotation_export import annotations_export
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = "Export answers of every type, one JSON line a comparison, in the shape `annotated`."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--out", type=Path, required=True, metavar="FILE")

    def run(self, **options: Any) -> Mapping[str, Any]:
        out = options["out"].resolve()
        return {"file": str(out), "counts": annotations_export(project=self.project(options), out=out)}

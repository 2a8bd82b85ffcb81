"""Write the votes of a project to a JSONL file, raters by pseudonym."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pipelines.services.vote_export import votes_export
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = "Export votes, one JSON line a vote."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--out", type=Path, required=True, metavar="FILE")

    def run(self, **options: Any) -> Mapping[str, Any]:
        out = options["out"].resolve()
        written = votes_export(project=self.project(options), out=out)
        return {"file": str(out), "counts": {"votes": written}}

"""Imports a JSONL, JSONL.gz or Parquet file of model answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.models import Import
from pipelines.imports import SHAPES
from pipelines.imports.errors import FileRefused
from pipelines.services.importing import (
    ANNOTATIONS,
    PREDICTIONS,
    ImportOptions,
    TooManyFaults,
    import_file,
    import_has_choice,
)
from webapp.management.base import WinnowCommand

SHOWN_FAULTS = 20


def _folder(named: Path | None) -> str:
    if named is None:
        return ""
    if not named.is_dir():
        raise FileRefused(f"--media must name a folder; there is none at {str(named)!r}.")
    return str(named.resolve())


class Command(WinnowCommand):
    help = __doc__

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--shape", choices=list(SHAPES), help="the file's shape (default: seen from its first rows)"
        )
        parser.add_argument(
            "--choices", choices=[ANNOTATIONS, PREDICTIONS], help="what the file's choices are kept as"
        )
        parser.add_argument(
            "--source", metavar="NAME", help="whose choices they are (default: the file's name)"
        )
        parser.add_argument(
            "--pairs-per-prompt", type=int, metavar="K", help="of n completions, K pairs instead of all"
        )
        parser.add_argument(
            "--together",
            action="store_true",
            help="a row's completions, up to nine, are one comparison instead of all their pairs",
        )
        parser.add_argument(
            "--media", type=Path, metavar="DIR", help="folder of the images, sounds and films that rows name"
        )
        parser.add_argument("--strict", action="store_true", help="one refused row refuses the file")
        parser.add_argument(
            "--yes", action="store_true", help="import the other rows however many are refused"
        )

    def run(self, **options: Any) -> Mapping[str, Any]:
        project, path = self.project(options), options["file"]
        choices, source = options["choices"], options["source"]
        if choices is None or source is None:
            choices, source = self._ask_source(path, options["shape"], choices, source)
        with self.bar(None, "bytes", "Reading") as bar:

            def progress(position: int, size: int) -> None:
                bar.total = size
                bar.update(position - bar.n)

            try:
                record = import_file(
                    project=project,
                    path=path,
                    options=ImportOptions(
                        shape=options["shape"],
                        choices=choices,
                        source=source,
                        pairs_per_prompt=options["pairs_per_prompt"],
                        together=options["together"],
                        media=_folder(options["media"]),
                        strict=options["strict"],
                        accept_faults=options["yes"],
                    ),
                    confirm=self._confirm if sys.stdin.isatty() else None,
                    progress=progress,
                )
            except TooManyFaults as refused:
                raise TooManyFaults(
                    f"{refused} Add --yes to import the other rows.", refused.fields
                ) from None
        self._tell(record)
        return {
            "counts": record.counts,
            "import_id": record.pk,
            "shape": record.shape,
            "shape_detected": record.options["detected"],
            "choices": record.choices,
            "source": record.source_name,
            "notices": record.options["notices"],
            "faults": record.faults[:SHOWN_FAULTS],
        }

    def _ask_source(
        self, path: Path, shape: str | None, choices: str | None, source: str | None
    ) -> tuple[str, str]:
        """Ask what the file does not say; where nobody can be asked: annotations of a source named after the file."""
        if sys.stdin.isatty() and import_has_choice(path=path, shape=shape):
            if choices is None:
                answer = (
                    input("Whose are the file's choices: people's (p) or a model's (m)? [p] ").strip().lower()
                )
                choices = PREDICTIONS if answer.startswith("m") else ANNOTATIONS
            if source is None:
                source = input(f"Name of that source? [{path.name}] ").strip()
        return choices or ANNOTATIONS, source or path.name

    def _confirm(self, sentence: str, record: Import) -> bool:
        self.say(sentence)
        return input("Import the other rows? [y/N] ").strip().lower() in {"y", "yes"}

    def _tell(self, record: Import) -> None:
        how = "seen from the first rows" if record.options["detected"] else "as asked"
        self.say(f"Shape: {record.shape} ({how}).")
        for notice in record.options["notices"]:
            self.say(notice)
        for fault in record.faults[:SHOWN_FAULTS]:
            self.say(f"Refused: {fault['message']}")
        if len(record.faults) > SHOWN_FAULTS:
            self.say(
                f"... and {record.counts['refused'] - SHOWN_FAULTS:,} more; the import's page lists them."
            )

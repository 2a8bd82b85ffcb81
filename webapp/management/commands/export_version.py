"""Writes a frozen version to a folder, in a format that other programs read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pipelines.exports import EXPORTERS
from pipelines.services.exporting import export_counts, version_export, version_frozen_get
from pipelines.versions.forms import FORMS
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = __doc__

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the version's name")
        parser.add_argument("--format", required=True, choices=list(EXPORTERS))
        parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new or empty folder")
        parser.add_argument("--form", choices=FORMS, help="of the texts (default: the version's)")

    def run(self, **options: Any) -> Mapping[str, Any]:
        version = version_frozen_get(project=self.project(options), name=options["name"])
        with self.bar(version.rows_out, "rows", "Writing") as bar:
            export = version_export(
                version=version,
                format=options["format"],
                out=options["out"],
                form=options["form"],
                progress=lambda done, _: bar.update(done - bar.n) and None,
            )
        return {
            "counts": export_counts(export),
            "export_id": export.pk,
            "version": version.name,
            "root_hash": version.root_hash,
            "form": export.form,
            "folder": export.folder,
            "files": export.files,
        }

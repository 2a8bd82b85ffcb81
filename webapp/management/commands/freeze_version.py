"""Freezes the preferences that pass the filters as a version that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.models import DatasetVersion
from pipelines.services.versions import filter_preview, version_check, version_counts, version_freeze_start
from pipelines.versions.filters import FILTERS
from pipelines.versions.forms import FORMS
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait, no_wait_option


class Command(WinnowCommand):
    help = __doc__

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--filter",
            action="append",
            default=[],
            dest="filters",
            metavar="'KEY OP VALUE'",
            help=f"keeps what fits; may repeat. Keys: {', '.join(FILTERS)}",
        )
        parser.add_argument("--form", choices=FORMS, help="of the texts (default: as imported)")
        parser.add_argument(
            "--preview", action="store_true", help="say what each filter would drop, and stop"
        )
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        project, name, filters = self.project(options), options["name"], options["filters"]
        if options["preview"]:
            return self._preview(project, name, filters, options["form"])
        job = version_freeze_start(project=project, name=name, filters=filters, form=options["form"])
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk, "version": name}
        job_wait(job, self, title="Freezing", unit="rows")
        version = DatasetVersion.objects.get(project=project, name=name)
        drops = version.manifest["counts"]["drops"]
        for drop in drops:
            self.say(f"{drop['cause']}: {drop['dropped']:,} dropped, {drop['left']:,} left")
        return {
            "counts": version_counts(version), "version": name, "root_hash": version.root_hash, "drops": drops,
            "form": version.recipe["form"],
        }  # fmt: skip

    def _preview(self, project: Any, name: str, filters: list[str], form: str | None) -> Mapping[str, Any]:
        version_check(project=project, name=name, filters=filters, form=form)
        steps = filter_preview(project=project, filters=filters)
        for step in steps:
            self.say(f"{step.cause}: {step.dropped:,} would be dropped, {step.left:,} left")
        return {
            "counts": {"rows_in": steps[0].dropped + steps[0].left, "rows_out": steps[-1].left},
            "drops": [{"cause": step.cause, "dropped": step.dropped, "left": step.left} for step in steps],
        }

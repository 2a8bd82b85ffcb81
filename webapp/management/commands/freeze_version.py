"""Freezes the preferences that pass the filters as a version that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.models import DatasetVersion, Job
from pipelines.selectors.pairs import PAIRS, UNITS
from pipelines.services.versions import filter_preview, version_check, version_counts, version_freeze_start
from pipelines.versions.filters import FILTERS, PAIR_CHOICES
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
        parser.add_argument(
            "--pairs", choices=PAIR_CHOICES, default="all", help="of a ranking: all, neighbours, or best and worst"
        )
        parser.add_argument(
            "--unit", choices=UNITS, default=PAIRS, help="what a row is; completions are those with a yes or no"
        )
        parser.add_argument("--form", choices=FORMS, help="of the texts (default: as imported)")
        parser.add_argument(
            "--supersedes", default="", metavar="VERSION", help="the version that this one is used instead of"
        )
        parser.add_argument(
            "--group", default="", metavar="N-LETTER", help="take the labels of this group of raters alone, like 2-B"
        )
        parser.add_argument(
            "--preview", action="store_true", help="say what each filter would drop, and stop"
        )
        parser.add_argument(
            "--train", default="", metavar="MODEL", help="then train this model on the version"
        )
        parser.add_argument("--run", default="", metavar="NAME", help="of the training run")
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        project, name, unit = self.project(options), options["name"], options["unit"]
        filters = [*options["filters"], *filter(None, [PAIR_CHOICES[options["pairs"]]])]
        if options["preview"]:
            return self._preview(project, name, filters, options["form"], unit, options["group"])
        job = version_freeze_start(
            project=project,
            name=name,
            filters=filters,
            form=options["form"],
            supersedes=options["supersedes"],
            unit=unit,
            group=options["group"],
            train=options["train"],
            run=options["run"],
        )
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk, "version": name}
        job = job_wait(job, self, title="Freezing", unit="rows")
        version = DatasetVersion.objects.get(project=project, name=name)
        drops = version.manifest["counts"]["drops"]
        for drop in drops:
            self.say(f"{drop['cause']}: {drop['dropped']:,} dropped, {drop['left']:,} left")
        return {
            "counts": version_counts(version), "version": name, "root_hash": version.root_hash, "drops": drops,
            "form": version.recipe["form"], **self._trained(job),
        }  # fmt: skip

    def _trained(self, job: Job) -> Mapping[str, Any]:
        """The run that the freeze started, waited for as `train` does."""
        if "train_job" not in job.result:
            return {}
        trained = job_wait(Job.objects.get(pk=job.result["train_job"]), self, title="Training", unit="steps")
        return {"run": job.result["run"], "model": trained.result["model"]}

    def _preview(
        self, project: Any, name: str, filters: list[str], form: str | None, unit: str, group: str
    ) -> Mapping[str, Any]:
        version_check(project=project, name=name, filters=filters, form=form, unit=unit, group=group)
        steps = filter_preview(project=project, filters=filters, unit=unit, group=group)
        for step in steps:
            self.say(f"{step.cause}: {step.dropped:,} would be dropped, {step.left:,} left")
        return {
            "counts": {"rows_in": steps[0].dropped + steps[0].left, "rows_out": steps[-1].left},
            "drops": [{"cause": step.cause, "dropped": step.dropped, "left": step.left} for step in steps],
        }

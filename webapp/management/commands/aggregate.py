"""Turn votes and predictions into preferences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.labels import AGGREGATORS
from pipelines.services.aggregation import DEFAULT_METHOD, aggregate_start
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait, no_wait_option


class Command(WinnowCommand):
    help = "Refit all preferences of a project from its votes and predictions."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--method", default=DEFAULT_METHOD, metavar="METHOD", help=", ".join(AGGREGATORS))
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        job = aggregate_start(project=self.project(options), method=options["method"])
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk}
        job = job_wait(job, self, title="Aggregating")
        return {"job": job.pk, "run": job.result["run"], "counts": job.result["counts"]}

"""Turn votes and predictions into preferences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.labels import PROJECT_METHODS
from pipelines.pairs.answers import rule_parse
from pipelines.services.aggregation import DEFAULT_METHOD, aggregate_start
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait, no_wait_option


class Command(WinnowCommand):
    help = "Refit all preferences of a project from its votes and predictions."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--method", default=DEFAULT_METHOD, metavar="METHOD", help=", ".join(PROJECT_METHODS))
        parser.add_argument(
            "--aspect", action="append", default=[], dest="aspects", metavar="ASPECT=WEIGHT",
            help="weight of an aspect where ratings become pairs; may repeat (default: all weigh the same)",
        )
        parser.add_argument(
            "--gap", type=float, metavar="SHARE",
            help="least difference of two ratings, as a share of their scale, that makes one better (default: 0)",
        )  # fmt: skip
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        asked = options["aspects"] or options["gap"] is not None
        rule = rule_parse(options["aspects"], options["gap"] or 0.0) if asked else None
        job = aggregate_start(project=self.project(options), method=options["method"], rule=rule)
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk}
        job = job_wait(job, self, title="Aggregating")
        return {"job": job.pk, "run": job.result["run"], "counts": job.result["counts"]}

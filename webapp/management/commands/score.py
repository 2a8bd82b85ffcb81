"""Score comparisons with a registered model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.scoring import SCORERS
from pipelines.services.scoring import MAX_LENGTH, score_start
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait, no_wait_option


class Command(WinnowCommand):
    help = "Score every comparison of a project that has no score of this method and model yet."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--method", required=True, metavar="METHOD", help=", ".join(SCORERS))
        parser.add_argument("--model", required=True, metavar="NAME", help="the model that is to be trained")
        parser.add_argument(
            "--max-length", type=int, default=MAX_LENGTH, metavar="TOKENS", help="as in the training to come"
        )
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        job = score_start(
            project=self.project(options),
            method=options["method"],
            model=options["model"],
            max_length=options["max_length"],
        )
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk}
        job = job_wait(job, self, title="Scoring")
        return {"job": job.pk, "counts": job.result["counts"]}

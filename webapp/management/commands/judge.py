"""Let a registered model judge what it has not judged yet, in both orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.services.judging import judge_start
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait, no_wait_option


class Command(WinnowCommand):
    help = "Predict on every comparison of a project with a registered model."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--model", required=True, metavar="NAME")
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        job = judge_start(project=self.project(options), model=options["model"])
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk}
        job = job_wait(job, self, title="Judging")
        return {"job": job.pk, "counts": job.result["counts"]}

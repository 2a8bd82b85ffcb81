"""Train a registered model on a frozen version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.models import Evaluation
from pipelines.services.training import training_start
from pipelines.training.job import OBJECTIVES
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait, no_wait_option

ARGUMENTS = ("objective", "beta", "learning_rate", "epochs", "batch_size", "max_length", "seed", "flip_rate")


class Command(WinnowCommand):
    help = (
        "Train by preferences. The same command again goes on with a run that died, failed or was cancelled."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's own --version gives way."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("--version", required=True, metavar="NAME", dest="version_name")
        parser.add_argument("--model", required=True, metavar="NAME")
        parser.add_argument("--name", default="", metavar="NAME", help="of the run, unique in the project")
        parser.add_argument("--objective", metavar="KEY", help=", ".join(OBJECTIVES))
        parser.add_argument("--beta", type=float)
        parser.add_argument("--learning-rate", type=float)
        parser.add_argument("--epochs", type=float)
        parser.add_argument("--batch-size", type=int)
        parser.add_argument("--max-length", type=int, metavar="TOKENS")
        parser.add_argument("--seed", type=int)
        parser.add_argument(
            "--flip-rate", type=float, metavar="SHARE", help="for rdpo: of labels taken to be flipped"
        )
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        run, job = training_start(
            project=self.project(options),
            version=options["version_name"],
            model=options["model"],
            name=options["name"],
            arguments={name: options[name] for name in ARGUMENTS if options[name] is not None},
        )
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk, "run": run.name}
        job = job_wait(job, self, title="Training", unit="steps")
        evaluations = Evaluation.objects.filter(run=run)
        return {
            "job": job.pk,
            "run": run.name,
            "model": job.result["model"],
            "evaluations": {evaluation.name: evaluation.metrics for evaluation in evaluations},
            "counts": job.result["counts"],
        }

"""What people are asked for: how far the queue is, wanted annotations, and the order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from annotation.errors import NotFound, Refused
from annotation.models import Project
from annotation.selectors.queue import batch_list
from annotation.services.demand import comparison_wanted_set
from pipelines.models import Job
from pipelines.services.ordering import ORDERS, order_start, wanted_start
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait, no_wait_option


class Command(WinnowCommand):
    help = "Show the queue by batch; or raise, lower or order what people are asked for, while they work."

    def options(self, parser: CommandParser) -> None:
        step = parser.add_mutually_exclusive_group()
        step.add_argument("--wanted", type=int, metavar="N", help="annotations wanted of each comparison")
        step.add_argument("--order", metavar="ORDER", help=", ".join(ORDERS))
        of = parser.add_mutually_exclusive_group()
        of.add_argument("--import", type=int, dest="import_id", metavar="ID", help="of this batch alone")
        of.add_argument("--comparison", type=int, action="append", metavar="ID", help="of this one; may repeat")
        parser.add_argument("--now", action="store_true", help="take leases above it back at once")
        no_wait_option(parser)

    def run(self, **options: Any) -> Mapping[str, Any]:
        project, wanted, order = self.project(options), options["wanted"], options["order"]
        if wanted is None and (options["now"] or options["import_id"] or options["comparison"]):
            raise Refused("--import, --comparison and --now belong to --wanted N.")
        if options["comparison"]:
            return self._comparisons(project, options)
        if wanted is not None:
            job = wanted_start(
                project=project, wanted=wanted, import_id=options["import_id"], now=options["now"]
            )
            return self._waited(job, options, "Setting what is wanted")
        if order is not None:
            return self._waited(order_start(project=project, order=order), options, "Ordering the queue")
        batches = batch_list(project=project)
        names = ("comparisons", "complete", "places", "done", "leased", "offered", "left", "held_back")
        return {
            "batches": [asdict(batch) for batch in batches],
            "counts": {name: int(sum(getattr(batch, name) for batch in batches)) for name in names},
        }

    def _comparisons(self, project: Project, options: Mapping[str, Any]) -> Mapping[str, Any]:
        ids = options["comparison"]
        changed = comparison_wanted_set(
            project=project, comparison_ids=ids, wanted=options["wanted"], now=options["now"]
        )
        if not changed:
            raise NotFound("None of these comparisons is open to people in this project.")
        return {"counts": {"named": len(set(ids)), "changed": changed}}

    def _waited(self, job: Job, options: Mapping[str, Any], title: str) -> Mapping[str, Any]:
        if options["no_wait"]:
            job_leave(job)
            return {"job": job.pk}
        job = job_wait(job, self, title=title)
        return {"job": job.pk, "counts": job.result["counts"]}

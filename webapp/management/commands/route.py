"""Decide which comparisons people judge and which keep a model's label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from pipelines.routing import POLICIES
from pipelines.services.routing import DEFAULT_POLICY, route_budget, route_pilot
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = "Send a random pilot to people, then route the rest under a budget of people's annotations."

    def options(self, parser: CommandParser) -> None:
        step = parser.add_mutually_exclusive_group(required=True)
        step.add_argument(
            "--pilot", type=float, metavar="SHARE", help="share of the comparisons, above 0, at most 1"
        )
        step.add_argument(
            "--budget", type=int, metavar="N", help="people's counted annotations, the pilot's included"
        )
        parser.add_argument("--policy", default=DEFAULT_POLICY, metavar="POLICY", help=", ".join(POLICIES))
        parser.add_argument(
            "--model", metavar="NAME", help="the judge to route by, where several have predictions"
        )
        parser.add_argument("--seed", type=int, default=0, help="of the pilot's draw")

    def run(self, **options: Any) -> Mapping[str, Any]:
        project = self.project(options)
        if options["pilot"] is not None:
            plan = route_pilot(project=project, share=options["pilot"], seed=options["seed"])
            return {"plan": plan.pk, "counts": plan.counts}
        plan = route_budget(
            project=project, budget=options["budget"], policy=options["policy"], judge=options["model"]
        )
        calibration = plan.calibration
        return {
            "plan": plan.pk,
            "budget": plan.budget,
            "calibration": None if calibration is None else {**calibration.params, **calibration.metrics},
            "counts": plan.counts,
        }

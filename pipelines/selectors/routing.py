"""The routing plan in force: what it decided, why, and how far its judge can be believed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, F, Q

from annotation.models import LanguageModel, Project, Rater
from pipelines.models import Calibration, RoutingDecision, RoutingPlan

PAGE = 50


@dataclass(frozen=True)
class Reason:
    destination: str
    reason: str
    comparisons: int
    answered: int


@dataclass(frozen=True)
class JudgeShown:
    rater: Rater
    predictions: int
    inconsistent: int


@dataclass(frozen=True)
class PlanShown:
    plan: RoutingPlan | None
    reasons: list[Reason]
    spent: int
    calibrations: list[Calibration]


REASONS = """
SELECT x.destination, x.reason, count(*), count(*) FILTER (WHERE d.done >= d.wanted AND d.wanted > 0)
FROM pipelines_routingdecision x LEFT JOIN annotation_demand d ON d.comparison_id = x.comparison_id
WHERE x.plan_id = %s GROUP BY 1, 2 ORDER BY 1 DESC, 3 DESC
"""


def plan_shown(*, project: Project) -> PlanShown:
    """Four queries."""
    plan = (
        RoutingPlan.objects.filter(project=project)
        .exclude(state=RoutingPlan.State.REPLACED)
        .select_related("rater", "calibration", "created_by")
        .first()
    )
    calibrations = Calibration.objects.filter(project=project).select_related("rater").order_by("-id")[:5]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(done), 0) FROM annotation_demand WHERE project_id = %s", [project.pk]
        )
        spent = int(cursor.fetchone()[0])
        reasons = []
        if plan is not None:
            cursor.execute(REASONS, [plan.pk])
            reasons = [Reason(*row) for row in cursor.fetchall()]
    return PlanShown(plan, reasons, spent, list(calibrations))


def decision_page(
    *, plan: RoutingPlan, reason: str = "", after: int = 0
) -> tuple[list[RoutingDecision], int | None]:
    """50 decisions in the order of their rank, and the id to go on from."""
    decisions = RoutingDecision.objects.filter(plan=plan, pk__gt=after).select_related(
        "comparison__prompt__text"
    )
    if reason:
        decisions = decisions.filter(reason=reason)
    page = list(decisions.order_by("pk")[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1].pk if len(page) > PAGE else None


def judges_of(*, project: Project) -> list[JudgeShown]:
    """Models that judged comparisons of this project."""
    raters = (
        Rater.objects.filter(project=project, kind=Rater.Kind.MODEL)
        .annotate(
            said=Count("predictions"),
            torn=Count("predictions", filter=Q(predictions__outcome="inconsistent")),
        )
        .filter(said__gt=0)
        .order_by(F("said").desc(), "name")
    )
    return [JudgeShown(rater, rater.said, rater.torn) for rater in raters]


def usable_models(*, projects: Collection[Project]) -> list[LanguageModel]:
    """Registered models that can judge, score or be trained, checkpoints only of these projects; by name."""
    usable = LanguageModel.objects.exclude(kind=LanguageModel.Kind.NAMED).filter(
        ~Q(kind=LanguageModel.Kind.CHECKPOINT) | Q(made_by_run__project__in=projects)
    )
    return list(usable.select_related("parent").order_by("name"))

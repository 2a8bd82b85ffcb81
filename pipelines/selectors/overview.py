"""What a project has in models' answers, labels, versions and runs; what runs now; what wants a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum
from django.utils import timezone

from annotation.models import Project
from annotation.selectors.keeping import kept
from pipelines.models import (
    AggregationRun,
    DatasetVersion,
    Derivation,
    Job,
    Prediction,
    Preference,
    RoutingPlan,
    Score,
    TrainingRun,
    WorkerHeartbeat,
)


@dataclass(frozen=True)
class Running:
    """One line of "running now"; `done` and `total` in the unit of the work."""

    project: Project
    kind: str
    name: str
    done: int
    total: int | None
    job_id: int | None


def latest_of(*, projects: Sequence[Project]) -> tuple[dict[int, str], dict[int, str]]:
    """The names of each project's newest version and newest training run, by project id."""
    versions = (
        DatasetVersion.objects.filter(project__in=projects)
        .order_by("project_id", "-id")
        .distinct("project_id")
    )
    runs = (
        TrainingRun.objects.filter(project__in=projects).order_by("project_id", "-id").distinct("project_id")
    )
    return dict(versions.values_list("project_id", "name")), dict(runs.values_list("project_id", "name"))


def running_in(*, projects: Sequence[Project]) -> list[Running]:
    """Jobs and training runs that are not over."""
    jobs = (
        Job.objects.filter(project__in=projects, state=Job.State.RUNNING)
        .annotate(progress=Sum("items__progress"))
        .select_related("project")
        .order_by("id")
    )
    runs = TrainingRun.objects.filter(
        project__in=projects, state__in=[TrainingRun.State.STARTING, TrainingRun.State.RUNNING]
    ).select_related("project")
    return [Running(j.project, j.kind, j.kind, j.progress or 0, j.total or None, j.pk) for j in jobs] + [
        Running(r.project, "training", r.name, r.step, r.total_steps, None) for r in runs
    ]


def runs_to_look_at(*, projects: Sequence[Project]) -> list[TrainingRun]:
    """Runs of the last week that failed or died and were not started again since."""
    week = timezone.now() - timedelta(days=7)
    bad = [TrainingRun.State.FAILED, TrainingRun.State.DIED]
    return list(
        TrainingRun.objects.filter(project__in=projects, state__in=bad, created_at__gt=week)
        .select_related("project")
        .order_by("-id")[:5]
    )


@dataclass(frozen=True)
class PipelineState:
    """How far each stage after the votes is. `derived`: comparisons made of others' parts."""

    derived: int
    predictions: int
    scores: int
    plan: RoutingPlan | None
    refit: AggregationRun | None
    preferences: int
    ties: int
    versions: int
    runs: int


def pipeline_state(*, project: Project) -> PipelineState:
    """How far it is; in a large project the counts are up to a minute old."""
    counts = kept(
        f"pipeline_counts/{project.pk}", lambda: _counts(project), size=lambda found: max(found.values())
    )
    return PipelineState(
        **counts,
        plan=RoutingPlan.objects.filter(project=project).exclude(state=RoutingPlan.State.REPLACED).first(),
        refit=AggregationRun.objects.filter(project=project).order_by("-number").first(),
        versions=DatasetVersion.objects.filter(project=project).count(),
        runs=TrainingRun.objects.filter(project=project).count(),
    )


def _counts(project: Project) -> dict[str, int]:
    """Five queries, each over the whole project."""
    preferences = Preference.objects.filter(project=project, current__isnull=False)
    ties = preferences.filter(current__outcome="tie").count()
    return {
        "derived": Derivation.objects.filter(comparison__project=project).values("comparison").distinct().count(),
        "predictions": Prediction.objects.filter(project=project).values("comparison").distinct().count(),
        "scores": Score.objects.filter(project=project).values("comparison").distinct().count(),
        "preferences": preferences.count() - ties,
        "ties": ties,
    }


def queues_served(*, since: datetime) -> set[str]:
    """The queues that some worker served since then."""
    return set(WorkerHeartbeat.objects.filter(seen_at__gt=since).values_list("queue", flat=True))

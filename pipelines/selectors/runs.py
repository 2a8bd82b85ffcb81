"""Training runs: their curves, what they were measured at, and whether their process still answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from annotation.errors import NotFound
from annotation.models import Project
from pipelines.models import DatasetVersion, Evaluation, Job, TrainingMetric, TrainingRun
from pipelines.selectors.pairs import COMPLETIONS


@dataclass(frozen=True)
class RunShown:
    """`series`: (step, value) of each logged number of the newest attempt that logged, under the trainer's name."""

    run: TrainingRun
    series: dict[str, list[tuple[float, float]]]
    evaluations: list[Evaluation]
    job: Job | None


def run_list(*, project: Project) -> list[TrainingRun]:
    runs = TrainingRun.objects.filter(project=project).select_related("version", "model", "created_by")
    return list(runs.order_by("-id")[:200])


def run_named(*, project: Project, name: str) -> TrainingRun:
    runs = TrainingRun.objects.filter(project=project, name=name)
    found = runs.select_related("version", "model", "checkpoint", "created_by", "project").first()
    if found is None:
        raise NotFound("There is no training run of that name in this project.")
    return found


def run_get(*, project: Project, name: str) -> RunShown:
    """Four queries."""
    run = run_named(project=project, name=name)
    metrics = TrainingMetric.objects.filter(run=run).order_by("step", "attempt")
    series: dict[str, dict[float, float]] = {}
    for step, values in metrics.values_list("step", "values"):
        for key, value in values.items():
            if isinstance(value, int | float):
                # A later attempt that logged the same step again replaces it: it went on from an earlier save.
                series.setdefault(key, {})[float(step)] = float(value)
    jobs = Job.objects.filter(project=project, kind="train", params__run_id=run.pk)
    return RunShown(
        run=run,
        series={key: sorted(points.items()) for key, points in series.items()},
        evaluations=list(Evaluation.objects.filter(run=run).select_related("model").order_by("name")),
        job=jobs.order_by("-id").first(),
    )


def versions_to_train(*, project: Project) -> list[DatasetVersion]:
    """Frozen versions with pairs, newest first."""
    frozen = DatasetVersion.objects.filter(project=project, state=DatasetVersion.State.FROZEN, rows_out__gt=0)
    frozen = frozen.exclude(recipe__contains={"unit": COMPLETIONS})
    return list(frozen.defer("manifest").order_by("-id"))


def measurement(evaluation: Evaluation, key: str) -> dict[str, Any] | None:
    found = evaluation.metrics.get(key)
    return found if isinstance(found, dict) else None

"""Training runs: start one on a version, watch it, stop it, start it again, read what came out."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render

from pipelines.models import Evaluation, TrainingRun
from pipelines.selectors.disagreement import flip_rate_proposed
from pipelines.selectors.raters import newest_run
from pipelines.selectors.routing import usable_models
from pipelines.selectors.runs import RunShown, run_get, run_list, run_named, versions_to_train
from pipelines.services.training import training_cancel, training_restart, training_start
from pipelines.training.job import OBJECTIVES, TrainingJob
from webapp import charts
from webapp.context import may
from webapp.requests import Request
from webapp.views.project import number, whole_number

LIVE = {TrainingRun.State.PLANNED, TrainingRun.State.STARTING, TrainingRun.State.RUNNING}
AGAIN = {TrainingRun.State.FAILED, TrainingRun.State.DIED, TrainingRun.State.CANCELLED}
FALLING_NATS = -2.0

# How the measurements of `pipelines.training.evaluation` are said; the third says how many digits.
MEASURES = {
    "ranking_accuracy": ("Chosen likelier than rejected", 3),
    "reward_accuracy": ("Accuracy of the implicit reward", 3),
    "chosen_change": ("Chosen log-probability, change in nats", 2),
    "rejected_change": ("Rejected log-probability, change in nats", 2),
    "displaced": ("Chosen fell although its margin rose", 3),
}


def runs(request: Request, slug: str) -> HttpResponse:
    context = {"runs": run_list(project=request.project), "may_start": may(request, "run_start", "POST")}
    return render(request, "runs/list.html", context)


def run(request: Request, slug: str, name: str) -> HttpResponse:
    """The run; while it lives, the page asks again every three seconds for the same part."""
    shown = run_get(project=request.project, name=name)
    context = {
        "shown": shown,
        "run": shown.run,
        "is_live": shown.run.state in LIVE,
        "can_start_again": shown.run.state in AGAIN and may(request, "run_again", "POST"),
        "may_cancel": shown.run.state in LIVE and may(request, "run_cancel", "POST"),
        "alarm": _alarm(shown),
        "likelihood": _likelihood(shown),
        "loss": _loss(shown),
        "accuracy": _accuracy(shown),
        "evaluations": [_evaluation(evaluation) for evaluation in shown.evaluations],
        "table": _table(shown),
        "arguments": sorted(shown.run.arguments.items()),
    }
    return render(
        request, "runs/state.html" if request.headers.get("HX-Request") else "runs/run.html", context
    )


def _since_start(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The change since the first logged step, smoothed."""
    smooth = charts.smooth(points)
    return [(step, value - smooth[0][1]) for step, value in smooth]


def _likelihood(shown: RunShown) -> charts.Lines | None:
    found = []
    for key, words, css, label in (
        ("logps/chosen", "chosen", "l1", "lab-1"),
        ("logps/rejected", "rejected", "l2", "lab-2"),
    ):
        if points := shown.series.get(key):
            change = charts.thinned(_since_start(points))
            found.append(
                charts.Series(f"{words} {charts.short(round(change[-1][1], 1))}", change, css, label)
            )
    return charts.lines(found, x_end=_end(shown), x_label="optimiser step", zero=0.0)


def _loss(shown: RunShown) -> charts.Lines | None:
    points = shown.series.get("loss")
    if not points:
        return None
    smooth = charts.thinned(charts.smooth(points))
    found = [
        charts.Series("every step", charts.thinned(points), "raw", "", has_label=False),
        charts.Series(f"train {smooth[-1][1]:.3f}", smooth, "l3", "lab-k"),
    ]
    if held_out := shown.series.get("eval_loss"):
        found.append(charts.Series(f"held out {held_out[-1][1]:.3f}", held_out, "l1", "lab-1"))
    return charts.lines(found, x_end=_end(shown), x_label="optimiser step", from_zero=True)


def _accuracy(shown: RunShown) -> charts.Lines | None:
    points = shown.series.get("eval_rewards/accuracies")
    if not points:
        return None
    series = [charts.Series(f"held out {points[-1][1]:.3f}", points, "l1", "lab-1")]
    return charts.lines(series, x_end=_end(shown), x_label="optimiser step", zero=0.5, width=368)


def _end(shown: RunShown) -> float:
    last = max((points[-1][0] for points in shown.series.values()), default=1.0)
    return float(shown.run.total_steps or last)


def _alarm(shown: RunShown) -> dict[str, Any] | None:
    """Chosen answers that become less likely: how far below the start, and since which step."""
    points = shown.series.get("logps/chosen", [])
    if len(points) < 8:
        return None
    change = _since_start(points)
    if change[-1][1] > FALLING_NATS:
        return None
    since = next((step for step, value in reversed(change) if value > FALLING_NATS), change[0][0])
    rejected = shown.series.get("logps/rejected")
    faster = bool(rejected) and _since_start(rejected or [])[-1][1] < change[-1][1]
    return {"nats": -change[-1][1], "since": int(since), "rejected_falls_faster": faster}


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """Measurements as rows, "before" and "after" of the same in one."""
    rows = []
    for key, (words, digits) in MEASURES.items():
        before, after = evaluation.metrics.get(f"{key}_before"), evaluation.metrics.get(f"{key}_after")
        only = evaluation.metrics.get(key)
        if after or only:
            rows.append({"words": words, "digits": digits, "before": before, "after": after or only})
    known = {f"{key}{end}" for key in MEASURES for end in ("", "_before", "_after")}
    for key, value in evaluation.metrics.items():
        if key not in known and isinstance(value, dict):
            rows.append(
                {"words": key.replace("_", " ").capitalize(), "digits": 3, "before": None, "after": value}
            )
    pairs = next((row["after"]["n"] for row in rows if "n" in row["after"]), None)
    return {"evaluation": evaluation, "rows": rows, "n": pairs}


TABLE = ["loss", "logps/chosen", "logps/rejected", "rewards/margins", "rewards/accuracies", "eval_loss"]


def _table(shown: RunShown) -> dict[str, Any]:
    """The logged numbers behind the curves, at most 60 rows."""
    keys = [key for key in TABLE if key in shown.series]
    by_step: dict[float, dict[str, float]] = {}
    for key in keys:
        for step, value in shown.series[key]:
            by_step.setdefault(step, {})[key] = value
    steps = [step for step, _ in charts.thinned([(step, 0.0) for step in sorted(by_step)], 60)]
    return {"keys": keys, "rows": [(int(step), [by_step[step].get(key) for key in keys]) for step in steps]}


# Start, stop, start again


def run_start(request: Request, slug: str) -> HttpResponse:
    """Plan a run on a frozen version; the queue's task only starts and watches its process."""
    if request.method == "POST":
        started, _ = training_start(
            project=request.project,
            version=request.POST.get("version", ""),
            model=request.POST.get("model", ""),
            name=request.POST.get("name", "").strip(),
            arguments=_arguments(request.POST),
            created_by=request.user,
        )
        return redirect("run", slug, started.name)
    context = {
        "versions": versions_to_train(project=request.project),
        "models": usable_models(projects=[request.project]),
        "objectives": OBJECTIVES,
        "chosen": request.GET.get("version", ""),
        "proposed": flip_rate_proposed(newest_run(project=request.project)),
        "defaults": {field.name: field.default for field in fields(TrainingJob)},
    }
    return render(request, "runs/start.html", context)


WHOLE = {"batch_size": "Pairs a step", "max_length": "Longest sequence", "seed": "Seed"}
DECIMAL = {"beta": "Beta", "learning_rate": "Learning rate", "epochs": "Epochs", "flip_rate": "Flip rate"}


def _arguments(posted: QueryDict) -> dict[str, Any]:
    """What was typed; what was left empty keeps the trainer's default."""
    arguments: dict[str, Any] = {}
    if objective := posted.get("objective", ""):
        arguments["objective"] = objective
    for key, words in WHOLE.items():
        if text := posted.get(key, "").strip():
            arguments[key] = whole_number(text, words)
    for key, words in DECIMAL.items():
        if text := posted.get(key, "").strip():
            arguments[key] = number(text, words)
    return arguments


def run_cancel(request: Request, slug: str, name: str) -> HttpResponse:
    training_cancel(run=run_named(project=request.project, name=name))
    messages.success(request, "The run stops at its next step. What it logged and saved stays.")
    return redirect("run", slug, name)


def run_again(request: Request, slug: str, name: str) -> HttpResponse:
    training_restart(run=run_named(project=request.project, name=name))
    messages.success(request, "The run goes on from its newest complete save.")
    return redirect("run", slug, name)

"""Training runs. The work items here only start and watch a process of its own, which outlives any worker.

`train` writes the run's folder and starts the process; `train.tick`, each few seconds, reads what it wrote, touches its
heartbeat, moves the lease and plans the next tick. The process is found again by pid and start time. Where nobody ticks
for a lease, the process stops itself, so that a second one can be started in its place.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from annotation.models import LanguageModel, Project, User
from pipelines.errors import Cancelled, InputRefused, JobFailed, PipelineError
from pipelines.extra import ml_reachable, ml_require
from pipelines.models import DatasetVersion, Evaluation, Job, TrainingRun, WorkItem
from pipelines.names import name_check
from pipelines.queue import OPEN, TRAIN, Leased, job_start, work_add, work_finishing
from pipelines.selectors.pairs import PAIRS
from pipelines.services.exporting import version_export, version_frozen_get
from pipelines.services.models import checkpoint_register, model_folder, model_get_for
from pipelines.training.folder import MetricLine, RunFolder, RunProcess, RunStatus
from pipelines.training.job import TrainingJob, job_from_dict

JOB, TICK = "train", "train.tick"
FORMAT = "trl-preference"
TICK_SECONDS = 2.0
LEASE_SECONDS = 180.0
START_SECONDS = 60.0
# A tick that fails is nothing to give up on: the process goes on meanwhile.
TICK_ATTEMPTS = 30
ENDED = (
    TrainingRun.State.DONE,
    TrainingRun.State.FAILED,
    TrainingRun.State.DIED,
    TrainingRun.State.CANCELLED,
)


# Start, restart, cancel


def training_start(
    *,
    project: Project,
    version: str,
    model: str,
    name: str = "",
    arguments: Mapping[str, Any] | None = None,
    created_by: User | None = None,
) -> tuple[TrainingRun, Job]:
    """Plan a run on a frozen version; returns it with the job that watches it.

    `arguments`: fields of `TrainingJob` besides model and dataset, `objective` and `seed` among them. A name that is
    taken starts that run again if it died, failed or was cancelled and asks for the same; otherwise it is refused.
    """
    if name:
        name_check(name, of="run")
    frozen = version_frozen_get(project=project, name=version)
    if frozen.recipe.get("unit", PAIRS) != PAIRS:
        raise InputRefused(f"Training here takes pairs; {version} holds single completions. Export it as trl-unpaired.")
    found = model_get_for(project=project, name=model)
    job = job_from_dict({"model": found.name, "dataset": version, **(arguments or {})})
    ml_reachable(TRAIN)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        run_name = name or _free_name(project, frozen)
        known = TrainingRun.objects.filter(project=project, name=run_name).first()
        if known is None:
            _checkpoint_name_check(project, run_name)
            known = _run_create(project, run_name, frozen, found, job, created_by)
        elif _asked(known) != (frozen, found, job.objective, job.seed, _arguments(job)):
            raise InputRefused(f"A run {run_name!r} with other settings exists already. Choose another name.")
        return known, _watch(known)


def training_restart(*, run: TrainingRun) -> Job:
    """Start a run again that died, failed or was cancelled; it goes on from its newest complete save."""
    ml_reachable(TRAIN)
    with transaction.atomic():
        return _watch(TrainingRun.objects.select_for_update().get(pk=run.pk))


def training_cancel(*, run: TrainingRun) -> None:
    """Ask a run to stop at its next step; the next tick records how it ended."""
    TrainingRun.objects.filter(pk=run.pk).exclude(state__in=ENDED).update(cancel_requested=True)
    folder = run_folder(run)
    if folder.path.is_dir():
        folder.cancel()


def training_cancel_of_job(job: Job) -> None:
    """What `job_cancel` does for these jobs: the process is asked, and its last tick closes the job."""
    run = TrainingRun.objects.filter(pk=job.params["run_id"]).first()
    if run is not None:
        training_cancel(run=run)


def run_folder(run: TrainingRun) -> RunFolder:
    return RunFolder(settings.RUNS_DIR / str(run.pk))


def _asked(run: TrainingRun) -> tuple[DatasetVersion, LanguageModel, str, int, dict[str, Any]]:
    return run.version, run.model, run.objective, run.seed, run.arguments


def _checkpoint_name(project: Project, run_name: str) -> str:
    return f"{project.slug}/{run_name}"


def _checkpoint_name_check(project: Project, run_name: str) -> None:
    """Refuse at the start what would be refused when all the training is done."""
    name = _checkpoint_name(project, run_name)
    if LanguageModel.objects.filter(name=name).exclude(kind=LanguageModel.Kind.NAMED).exists():
        raise InputRefused(
            f"A model {name!r} exists already, which is what this run's checkpoint would be called. "
            "Choose another name."
        )


def _free_name(project: Project, version: DatasetVersion) -> str:
    taken = set(TrainingRun.objects.filter(project=project).values_list("name", flat=True))
    return next(
        name for n in range(1, len(taken) + 2) if (name := f"{version.name[:50]}-run-{n}") not in taken
    )


def _arguments(job: TrainingJob) -> dict[str, Any]:
    """What was asked for; places, and what belongs to the watching, are filled in at the start."""
    own = {"model", "dataset", "objective", "seed", "lease_seconds", "code_version"}
    return {name: value for name, value in job.as_dict().items() if name not in own}


def _run_create(
    project: Project,
    name: str,
    version: DatasetVersion,
    model: LanguageModel,
    job: TrainingJob,
    created_by: User | None,
) -> TrainingRun:
    return TrainingRun.objects.create(
        project=project,
        name=name,
        version=version,
        model=model,
        objective=job.objective,
        arguments=_arguments(job),
        seed=job.seed,
        code_version=code_version(),
        created_by=created_by,
    )


def _watch(run: TrainingRun) -> Job:
    """The job that watches a run: the one that does already, or a new one that starts the process."""
    if run.state == TrainingRun.State.DONE:
        raise InputRefused(f"The run {run.name!r} is done. Choose another name to train again.")
    jobs = Job.objects.filter(project=run.project, kind=JOB, params={"run_id": run.pk}).order_by("-id")
    open_items = WorkItem.objects.filter(job__in=jobs, state__in=OPEN)
    if open_items.exists() and (job := jobs.first()) is not None:
        return job
    run.state, run.error, run.cancel_requested, run.finished_at = TrainingRun.State.STARTING, "", False, None
    run.token += 1
    run.lease_until = None
    run.save(update_fields=["state", "error", "cancel_requested", "finished_at", "token", "lease_until"])
    return job_start(project=run.project, kind=JOB, params={"run_id": run.pk}, queue=TRAIN, created_by=run.created_by)


@lru_cache(maxsize=1)
def code_version() -> str:
    """The commit of the checkout, or the version of the package where there is none."""
    root = settings.BASE_DIR
    if (root / ".git").exists() and shutil.which("git"):
        git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        found = subprocess.run(git, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return f"git {found.stdout.strip()}"
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


# The work item that starts the process


def training_launch(item: Leased) -> None:
    """Handler of `train`: prepare the folder, start the process, or find one that runs already."""
    run = TrainingRun.objects.select_related("version", "model", "project").get(pk=item.params["run_id"])
    if run.cancel_requested and run.state not in ENDED and not run_folder(run).is_alive():
        _end(run, TrainingRun.State.CANCELLED, "")
        run.refresh_from_db()
    if run.state in ENDED:
        _conclude(run, item)
        return
    try:
        process = _launch(run, item)
    except PipelineError as error:
        if not error.retryable:
            _end(run, TrainingRun.State.FAILED, str(error))
        raise
    with work_finishing(item):
        _running(run, process, None)
        TrainingRun.objects.filter(pk=run.pk).update(started_at=Now())
        _tick_plan(run, item.job_id, lines=0)


def _launch(run: TrainingRun, item: Leased) -> RunProcess:
    folder = run_folder(run)
    if folder.is_alive() and (process := folder.process()) is not None:
        return process
    ml_require()
    _prepare(run, folder)
    item.check()
    before = folder.process()
    folder.start()
    return _claimed(folder, before.attempt if before else 0, item)


def _prepare(run: TrainingRun, folder: RunFolder) -> None:
    """The version's rows as an export of its own, and the job; what is there from before stays."""
    dataset = folder.path / "dataset"
    if not dataset.is_dir():
        folder.path.mkdir(parents=True, exist_ok=True)
        version_export(version=run.version, format=FORMAT, out=dataset)
    folder.write_job(
        TrainingJob(
            model=str(model_folder(run.model)),
            dataset=str(dataset),
            objective=run.objective,
            seed=run.seed,
            lease_seconds=LEASE_SECONDS,
            code_version=run.code_version,
            **run.arguments,
        )
    )


def _claimed(folder: RunFolder, before: int, item: Leased) -> RunProcess:
    """The process, once it has written its name into the folder."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        process = folder.process()
        if process is not None and process.attempt > before:
            return process
        time.sleep(0.1)
        item.check()
    raise JobFailed(
        f"The training process did not start in {START_SECONDS:.0f} s; its log ends with: {_log_tail(folder)}"
    )


def _log_tail(folder: RunFolder) -> str:
    log = folder.path / "log.txt"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else "nothing"


# The work items that watch it


def training_tick(item: Leased) -> None:
    """Handler of `train.tick`: keep the process alive, store what it said, and close the run when it has ended."""
    run = TrainingRun.objects.select_related("version", "model", "project").get(pk=item.params["run_id"])
    if run.state in ENDED:
        _conclude(run, item)
        return
    folder, lines = run_folder(run), int(item.params["lines"])
    if run.host != socket.gethostname():
        _elsewhere(run, item, lines)
        return
    folder.beat()
    if run.cancel_requested:
        folder.cancel()
    # First whether it lives, then what it said: a process that ends in between has said how.
    alive, process, status = folder.is_alive(), folder.process(), folder.status()
    metrics = folder.metrics(skip=lines)
    said_last = status is not None and process is not None and status.attempt == process.attempt
    if alive and not (said_last and status is not None and status.state != "running"):
        with work_finishing(item):
            _metrics_store(run, metrics)
            _running(run, process, status)
            _tick_plan(run, item.job_id, lines=lines + len(metrics))
        return
    state, error = _ending(run, folder, status if said_last else None)
    checkpoint = None
    if state == TrainingRun.State.DONE:
        try:
            checkpoint = _checkpoint(run, folder)
        except PipelineError as refused:
            state, error = TrainingRun.State.FAILED, str(refused)
    if checkpoint is None:
        with transaction.atomic():
            _metrics_store(run, metrics)
            _end(run, state, error)
        _conclude(run, item)
        return
    with work_finishing(item):
        _metrics_store(run, metrics)
        _running(run, process, status)
        _result_store(run, folder.result() or {}, checkpoint)
        _end(run, state, error)
        item.result.update(run=run.name, model=checkpoint.name)
        item.counts["steps"] = run.step


def training_sweep() -> int:
    """Runs that nobody watches any more, since their work item failed for good: died, or cancelled. Returns how many.

    A living process among them stops itself when its lease is over, or is found again by the next start.
    """
    # Runs first: a tick's successor is planned in the transaction that closes it, so a later look finds one of both.
    live = list(TrainingRun.objects.exclude(state__in=ENDED).only("id", "token", "project_id", "cancel_requested"))
    items = WorkItem.objects.filter(kind__in=(JOB, TICK), state__in=OPEN)
    watched = set(items.values_list("params__run_id", flat=True)) if live else set()
    lost = [run for run in live if run.pk not in watched]
    for run in lost:
        job = Job.objects.filter(project_id=run.project_id, kind=JOB, params={"run_id": run.pk}).last()
        reason = job.error if job is not None and job.error else "Its work was taken off the queue."
        state = TrainingRun.State.CANCELLED if run.cancel_requested else TrainingRun.State.DIED
        _end(run, state, "" if run.cancel_requested else f"Nobody watches this run any more: {reason}")
    return len(lost)


def _ending(run: TrainingRun, folder: RunFolder, status: RunStatus | None) -> tuple[str, str]:
    """State and sentence of a run whose process is gone or has said its last."""
    if status is None or status.state == "running":
        stage = f" while {status.stage}" if status is not None else ""
        return TrainingRun.State.DIED, f"The process vanished{stage}; its log ends with: {_log_tail(folder)}"
    if status.state == "done" and folder.result() is not None:
        return TrainingRun.State.DONE, ""
    if status.state == "cancelled":
        return TrainingRun.State.CANCELLED, status.error or ""
    return (
        TrainingRun.State.FAILED,
        status.error or f"The process failed; its log ends with: {_log_tail(folder)}",
    )


def _conclude(run: TrainingRun, item: Leased) -> None:
    """Let the job end as its run did."""
    run.refresh_from_db()
    if run.state == TrainingRun.State.CANCELLED:
        Job.objects.filter(pk=item.job_id or 0).update(cancel_requested=True)
        raise Cancelled(f"The run {run.name} was cancelled at step {run.step}.")
    if run.state != TrainingRun.State.DONE:
        raise JobFailed(f"The run {run.name}: {run.error} Start it again with the same command.")


def _elsewhere(run: TrainingRun, item: Leased, lines: int) -> None:
    """Only a worker of its own machine sees a process. When the lease is over it has stopped itself."""
    if TrainingRun.objects.filter(pk=run.pk, lease_until__lt=Now()).exists():
        _end(run, TrainingRun.State.DIED, f"Nobody on {run.host} watched this run for {LEASE_SECONDS:.0f} s.")
        _conclude(run, item)
    with work_finishing(item):
        _tick_plan(run, item.job_id, lines=lines)


def _tick_plan(run: TrainingRun, job_id: int | None, *, lines: int) -> None:
    """Plan the next tick; those that are done go, since a long run has thousands."""
    WorkItem.objects.filter(job_id=job_id or 0, kind=TICK, state=WorkItem.State.DONE).delete()
    work_add(
        queue=TRAIN,
        project_id=run.project_id,
        kind=TICK,
        key=f"run-{run.pk}",
        params={"run_id": run.pk, "lines": lines},
        size=0,
        job_id=job_id,
        due_in=TICK_SECONDS,
        priority=10,
        max_attempts=TICK_ATTEMPTS,
    )


def _running(run: TrainingRun, process: RunProcess | None, status: RunStatus | None) -> None:
    """Write what is known of the living process, and move the lease on. A run restarted meanwhile is left alone."""
    if process is None:
        return
    run.attempt, run.pid, run.host = process.attempt, process.pid, process.host
    if status is not None and status.attempt == process.attempt:
        run.step, run.total_steps = status.step, status.total_steps
    TrainingRun.objects.filter(pk=run.pk, token=run.token).update(
        state=TrainingRun.State.RUNNING,
        attempt=run.attempt,
        pid=run.pid,
        host=run.host,
        step=run.step,
        total_steps=run.total_steps,
        lease_until=Now() + timedelta(seconds=LEASE_SECONDS),
    )


def _end(run: TrainingRun, state: str, error: str) -> None:
    """Close a run, once: not one that was started again, nor one that has ended meanwhile."""
    TrainingRun.objects.filter(pk=run.pk, token=run.token).exclude(state__in=ENDED).update(
        state=state, error=error, lease_until=None, finished_at=Now()
    )


METRICS = """
INSERT INTO pipelines_trainingmetric AS m (run_id, attempt, step, "values")
SELECT %(run)s, attempt, step, "values"
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(attempt int, step int, "values" jsonb)
ON CONFLICT (run_id, attempt, step) DO UPDATE SET "values" = m."values" || excluded."values"
"""


def _metrics_store(run: TrainingRun, lines: Sequence[MetricLine]) -> None:
    """Add log lines to the curves; training and evaluation log the same step on lines of their own."""
    merged: dict[tuple[int, int], dict[str, float | None]] = {}
    for line in lines:
        merged.setdefault((line.attempt, line.step), {}).update(line.values)
    rows = [
        {"attempt": attempt, "step": step, "values": values} for (attempt, step), values in merged.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(METRICS, {"run": run.pk, "rows": json.dumps(rows)})


def _checkpoint(run: TrainingRun, folder: RunFolder) -> LanguageModel:
    """The tuned model in the registry; again it is the same one."""
    return checkpoint_register(
        name=_checkpoint_name(run.project, run.name), path=folder.checkpoint, parent=run.model
    )


def _result_store(run: TrainingRun, result: Mapping[str, Any], checkpoint: LanguageModel) -> None:
    evaluations = result.get("evaluations", {})
    TrainingRun.objects.filter(pk=run.pk).update(
        result={name: value for name, value in result.items() if name != "evaluations"}, checkpoint=checkpoint
    )
    Evaluation.objects.bulk_create(
        [
            Evaluation(
                project=run.project,
                run=run,
                model=checkpoint,
                version=run.version,
                name=split,
                method="pair_logprobs",
                method_version=result["evaluation_version"],
                metrics=metrics,
            )
            for split, metrics in evaluations.items()
        ],
        ignore_conflicts=True,
    )

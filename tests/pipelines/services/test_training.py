"""A run is a process of its own: it outlives workers, is found again, can be cancelled, dies visibly, starts again."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import pytest
from django.core.management import call_command

from annotation.models import LanguageModel
from pipelines import queue
from pipelines.errors import InputRefused, MissingExtra
from pipelines.models import DatasetVersion, Evaluation, Job, TrainingMetric, TrainingRun, WorkItem
from pipelines.services import training
from pipelines.services.models import model_register
from pipelines.services.training import (
    run_folder,
    training_cancel,
    training_restart,
    training_start,
    training_sweep,
)
from pipelines.training.folder import RunProcess
from tests import cast
from workers.loop import drain

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.usefixtures("home")]

ROWS = [
    {
        "prompt": f"which is better : the {a} or the {b} ?",
        "chosen": f"the {a} .",
        "rejected": f"sorry , the {b} .",
    }
    for a in ("sun", "rock", "sand", "wind")
    for b in ("bird", "ring", "lamp", "bag")
]


@pytest.fixture
def project():
    return cast.project(slug="ada")


@pytest.fixture
def version(project, monkeypatch):
    """A frozen version whose rows are written straight into the run's folder."""

    def write(*, version, format, out):
        for split, rows in (("train", ROWS), ("validation", ROWS[:4]), ("test", ROWS[:4])):
            path = out / "data" / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    monkeypatch.setattr(training, "version_export", write)
    return DatasetVersion.objects.create(project=project, name="v1", state="frozen", recipe={})


@pytest.fixture
def start(project, version, tiny_folder):
    """Plan a run with few steps, or one long enough to be interrupted."""
    model_register(name="tiny", path=tiny_folder)
    started: list[TrainingRun] = []

    def start(long: bool = False, name: str = "", **asked):
        arguments = {
            "learning_rate": 1e-3,
            "batch_size": 4,
            "epochs": 400.0 if long else 2.0,
            "max_length": 64,
            **asked,
        }
        run, job = training_start(project=project, version="v1", model="tiny", name=name, arguments=arguments)
        started.append(run)
        return run, job

    yield start
    for run in started:
        if run_folder(run).is_alive():
            os.kill(run_folder(run).process().pid, signal.SIGKILL)


def work(job: Job, until, seconds: float = 300) -> None:
    """Be the worker until something holds."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, (
            f"still not true; {WorkItem.objects.filter(job=job).values('kind', 'state', 'error')}"
        )
        if not drain(queue="train", worker="w", job_id=job.pk):
            time.sleep(0.1)


def ended(job: Job):
    def check() -> bool:
        job.refresh_from_db()
        return job.state != Job.State.RUNNING

    return check


def stepping(run: TrainingRun):
    def check() -> bool:
        run.refresh_from_db()
        return run.state == "running" and run.step > 3

    return check


def test_a_run_leaves_curves_evaluations_and_a_checkpoint(start):
    run, job = start(name="first")
    work(job, ended(job))
    run.refresh_from_db()
    assert (run.state, run.step, run.total_steps, job.state) == ("done", 8, 8, "done"), run.error
    assert run.checkpoint.parent == LanguageModel.objects.get(name="tiny")
    assert (run.checkpoint.name, run.checkpoint.kind) == ("ada/first", "checkpoint")
    assert run.code_version and run.result["train_loss"] > 0 and run.lease_until is None
    curve = list(TrainingMetric.objects.filter(run=run))
    assert [point.step for point in curve] == list(range(1, 9))
    assert "logps/chosen" in curve[0].values and any("eval_loss" in point.values for point in curve)
    splits = set(Evaluation.objects.filter(run=run).values_list("name", flat=True))
    assert splits == {"train", "validation", "test"}
    with pytest.raises(InputRefused, match="is done"):
        start(name="first")


def test_a_cancelled_run_stops_and_says_so(start):
    run, job = start(long=True)
    work(job, stepping(run))
    queue.job_cancel(job_id=job.pk)
    work(job, ended(job))
    run.refresh_from_db()
    assert (run.state, job.state) == ("cancelled", "cancelled")
    work(job, lambda: not run_folder(run).is_alive())


def test_a_run_cancelled_before_it_started_is_cancelled_and_starts_no_process(start):
    run, job = start()
    training_cancel(run=run)
    work(job, ended(job))
    run.refresh_from_db()
    assert (run.state, run.error, job.state) == ("cancelled", "", "cancelled")
    assert run_folder(run).process() is None


def test_a_run_whose_work_failed_for_good_has_died_and_can_be_started_again(start, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    run, job = start()
    assert training_sweep() == 0
    WorkItem.objects.filter(job=job).update(max_attempts=1)
    with monkeypatch.context() as patched:
        patched.setattr(training, "_prepare", full)
        work(job, ended(job))
    run.refresh_from_db()
    assert (run.state, job.state) == ("starting", "failed")
    assert training_sweep() == 1 and training_sweep() == 0
    run.refresh_from_db()
    assert run.state == "died" and "no space left" in run.error
    assert training_restart(run=run) != job and training_sweep() == 0


def test_the_name_of_a_registered_model_is_not_taken_by_a_run(start, tiny_folder):
    model_register(name="ada/first", path=tiny_folder)
    with pytest.raises(InputRefused, match="'ada/first' exists already"):
        start(name="first")
    assert not TrainingRun.objects.exists()


def test_a_run_whose_checkpoint_is_refused_fails_and_says_why(start, monkeypatch):
    def refused(**_):
        raise InputRefused("The name stands for another model already.")

    def launched(run, item):
        run_folder(run).path.mkdir(parents=True)
        return RunProcess(1, 1, "", socket.gethostname(), 0.0, 1)

    monkeypatch.setattr(training, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(training, "_launch", launched)
    monkeypatch.setattr(training, "_ending", lambda *_: ("done", ""))
    monkeypatch.setattr(training, "checkpoint_register", refused)
    run, job = start()
    work(job, ended(job))
    run.refresh_from_db()
    assert (run.state, job.state) == ("failed", "failed") and "another model" in run.error


def test_a_killed_run_is_marked_and_can_be_started_again(start):
    run, job = start(long=True)
    work(job, stepping(run))
    os.kill(run.pid, signal.SIGKILL)
    work(job, ended(job))
    run.refresh_from_db()
    assert run.state == "died" and "vanished" in run.error and job.state == "failed"
    again = training_restart(run=run)
    assert again != job
    work(again, stepping(run))
    assert run.attempt == 2
    training_cancel(run=run)
    work(again, ended(again))


def test_starting_a_living_run_again_joins_it(start):
    run, job = start(long=True, name="one")
    assert start(long=True, name="one") == (run, job)
    for other in ({"seed": 7}, {"objective": "rdpo", "flip_rate": 0.2}):
        with pytest.raises(InputRefused, match="other settings"):
            start(long=True, name="one", **other)
    with pytest.raises(InputRefused, match="other settings"):
        start(long=False, name="one")


def test_a_run_that_cannot_be_trained_says_why(start, monkeypatch):
    monkeypatch.setattr("tests.pipelines.services.test_training.ROWS", [])
    run, job = start()
    work(job, ended(job))
    run.refresh_from_db()
    assert (run.state, job.state) == ("failed", "failed") and run.error


def test_unusual_arguments_and_names_are_refused(project, version, tiny_folder):
    model_register(name="tiny", path=tiny_folder)
    with pytest.raises(InputRefused, match="no frozen version 'v2'"):
        training_start(project=project, version="v2", model="tiny")
    with pytest.raises(Exception, match="beta must be above 0"):
        training_start(project=project, version="v1", model="tiny", arguments={"beta": -1.0})
    assert not TrainingRun.objects.exists()


@pytest.mark.parametrize("name", ["a/b", "start", "x" * 61, "a\x00", "a b", ".a", "-"])
def test_a_run_whose_name_cannot_stand_in_an_address_is_refused(project, name):
    with pytest.raises(InputRefused, match="name|called"):
        training_start(project=project, version="v1", model="tiny", name=name)


def test_without_the_extra_nothing_is_started(project, version, tiny_folder, monkeypatch):
    model_register(name="tiny", path=tiny_folder)
    monkeypatch.setattr("pipelines.extra.ml_installed", lambda: False)
    with pytest.raises(MissingExtra):
        training_start(project=project, version="v1", model="tiny")


def test_the_command_trains_and_answers_in_json(project, version, tiny_folder, capsys):
    model_register(name="tiny", path=tiny_folder)
    call_command(
        "train",
        project="ada",
        version_name="v1",
        model="tiny",
        learning_rate=1e-3,
        batch_size=8,
        epochs=1.0,
        as_json=True,
    )
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["counts"]["steps"] == 2 and answer["model"] == "ada/v1-run-1"
    assert answer["evaluations"]["validation"]["reward_accuracy"]["n"] == 4

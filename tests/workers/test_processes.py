"""Real worker processes, killed as an operating system would kill them."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

from annotation.models import OutboxEvent, Project
from pipelines import queue
from pipelines.models import WorkItem
from pipelines.services.models import model_register
from pipelines.services.training import training_start
from pipelines.services.versions import version_freeze
from tests import cast
from tests.pipelines.scene import annotate, rater
from tests.tiny_model import WORDS, save_tiny
from tests.workers.conftest import CELERY, CLOCK, POLLER, until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project() -> Project:
    return Project.objects.create(slug="ada", title="Ada")


def plan(project: Project, numbers: range, ticks: int = 0) -> None:
    slices = [queue.Slice(f"p{n}", {"n": n, "ticks": ticks}) for n in numbers]
    queue.work_plan(slices, queue="default", project_id=project.pk, kind="probe")


def results() -> list[int]:
    found = OutboxEvent.objects.filter(kind="probe.done")
    return sorted(found.values_list("subject_id", flat=True))


def leased() -> bool:
    return WorkItem.objects.filter(state="leased").exists()


def test_without_a_broker_a_poller_does_the_work(project, start):
    start(POLLER)
    until(lambda: queue.queue_served("default"))
    plan(project, range(20))
    until(lambda: results() == list(range(20)))


def test_a_killed_poller_loses_and_doubles_nothing(project, start):
    plan(project, range(8), ticks=20)
    first = start(POLLER)
    until(leased)
    os.kill(first.pid, signal.SIGKILL)
    start(POLLER)
    start(CLOCK)
    until(lambda: results() == list(range(8)))
    assert WorkItem.objects.filter(attempts=2, state="done").count() == 1


def test_a_terminated_poller_finishes_the_item_in_hand(project, start):
    plan(project, range(5), ticks=20)
    worker = start(POLLER)
    until(leased)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    assert not leased() and len(results()) == 1


def test_a_terminated_celery_worker_finishes_the_item_in_hand(project, start, broker_url):
    plan(project, range(50), ticks=10)
    worker = start(CELERY, BROKER_URL=broker_url)
    until(leased)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    assert not leased() and 1 <= len(results()) < 50


def test_a_killed_celery_child_loses_and_doubles_nothing(project, start, broker_url):
    plan(project, range(8), ticks=20)
    worker = start(CELERY, BROKER_URL=broker_url)
    start(CLOCK, BROKER_URL=broker_url)
    until(leased)
    os.kill(child_of(worker.pid), signal.SIGKILL)
    until(lambda: results() == list(range(8)), seconds=90)


def child_of(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return int(file.read().split()[0])


def test_work_goes_on_when_a_killed_broker_is_back(project, start, tmp_path):
    from launcher.broker import Redis
    from launcher.home import Home
    from launcher.services import held

    home = Home(tmp_path / "home")
    home.prepare()
    redis = Redis(home)
    with held(redis):
        url = redis.url()
        worker = start(CELERY, BROKER_URL=url)
        start(CLOCK, BROKER_URL=url)
        plan(project, range(10), ticks=5)
        until(lambda: len(results()) > 2)
        os.kill(redis.pid(), signal.SIGKILL)
        plan(project, range(10, 20), ticks=5)
        time.sleep(1)
        assert worker.poll() is None
        redis.start()
        until(lambda: results() == list(range(20)), seconds=90)


def test_a_training_run_outlives_its_worker_and_is_found_again(start, tmp_path):
    project = cast.project()
    ben = rater(project, "ben")
    for a, b in itertools.combinations(WORDS[:10], 2):
        pair = cast.comparison(
            project, f"which is better : {a} or {b} ?", f"the {a} .", f"the {b} .", wanted=None
        )
        annotate(pair, ben, "first")
    version_freeze(project=project, name="v1")
    model_register(name=f"tiny-{tmp_path.name}", path=save_tiny(tmp_path / "tiny"))
    run, job = training_start(
        project=project,
        version="v1",
        model=f"tiny-{tmp_path.name}",
        arguments={"epochs": 400.0, "batch_size": 4, "learning_rate": 1e-3},
    )

    def steps() -> int:
        run.refresh_from_db()
        return run.step if run.state == "running" else 0

    poller = [*POLLER[:-1], "train"]
    worker = start(poller)
    until(lambda: steps() > 3, seconds=300)
    pid, before = run.pid, steps()
    os.kill(worker.pid, signal.SIGKILL)
    start(poller)
    start(CLOCK)
    until(lambda: steps() > before, seconds=120)
    assert run.pid == pid
    queue.job_cancel(job_id=job.pk)
    until(lambda: queue.Job.objects.get(pk=job.pk).state == "cancelled", seconds=120)
    run.refresh_from_db()
    assert run.state == "cancelled"

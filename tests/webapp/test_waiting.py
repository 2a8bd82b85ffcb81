"""Commands that wait for a job do its work where no worker serves the queue."""

from __future__ import annotations

import pytest

from annotation.models import Project
from pipelines import queue
from pipelines.errors import Busy, Cancelled, InputRefused, JobFailed
from webapp.management.base import WinnowCommand
from webapp.management.waiting import job_leave, job_wait
from workers.handlers import HANDLERS, Kind

pytestmark = pytest.mark.django_db


@pytest.fixture
def wait(monkeypatch):
    """Start a job that a function of the test does, and wait for it."""
    project = Project.objects.create(slug="ada", title="Ada")

    def wait(function):
        monkeypatch.setattr(Kind, "load", lambda self: function)
        monkeypatch.setitem(HANDLERS, "test", Kind("default", ""))
        job = queue.job_start(project=project, kind="test", params={})
        return job_wait(job, WinnowCommand(), title="Testing")

    return wait


def test_the_command_does_the_work_itself(wait):
    assert wait(lambda item: item.counts.update(done=3)).result["counts"] == {"done": 3}


def test_refused_input_stays_refused(wait):
    def refuse(item):
        raise InputRefused("Nothing passes these filters.")

    with pytest.raises(InputRefused, match="Nothing passes"):
        wait(refuse)


def test_a_fault_fails_the_command(wait, monkeypatch):
    monkeypatch.setattr(queue, "LONGEST_WAIT_SECONDS", 0)

    def fail(item):
        raise Busy("still busy")

    with pytest.raises(JobFailed, match="still busy"):
        wait(fail)


def test_an_interrupt_cancels_the_job(wait):
    def interrupt(item):
        raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        wait(interrupt)
    assert queue.Job.objects.get().state == "cancelled"


ASKED: list[int] = []


def ask(job):
    ASKED.append(job.pk)


def test_an_interrupt_sees_a_job_out_whose_work_goes_on_elsewhere(wait, monkeypatch):
    """A training process is asked to stop; the command stays until it has."""
    monkeypatch.setitem(queue.CANCELLERS, "test", f"{__name__}:ask")
    ASKED.clear()

    def work(item):
        if not ASKED:
            raise KeyboardInterrupt
        queue.Job.objects.filter(pk=item.job_id).update(cancel_requested=True)
        raise Cancelled("The process has stopped.")

    with pytest.raises(Cancelled, match="What was done is kept"):
        wait(work)
    job = queue.Job.objects.get()
    assert (job.state, ASKED) == ("cancelled", [job.pk])


def test_a_job_is_not_left_where_no_worker_serves(monkeypatch):
    monkeypatch.setattr("webapp.management.waiting.WORKER_SECONDS", 0.0)
    project = Project.objects.create(slug="ada", title="Ada")
    job = queue.job_start(project=project, kind="test", params={})
    with pytest.raises(InputRefused, match="No worker serves"):
        job_leave(job)
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_a_job_is_left_to_workers():
    project = Project.objects.create(slug="ada", title="Ada")
    queue.worker_seen(name="w", queue="default")
    job_leave(queue.job_start(project=project, kind="test", params={}))
    queue.worker_gone(name="w")
    assert not queue.queue_served("default")

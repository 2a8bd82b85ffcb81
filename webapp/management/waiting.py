"""How a command waits for a job: with progress, doing the work itself where no worker serves; Ctrl-C cancels."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from django.core.management.base import CommandParser

from pipelines.errors import Cancelled, InputRefused, JobFailed
from pipelines.models import Job
from pipelines.queue import REFUSED, JobProgress, job_cancel, job_progress, queue_served, work_sweep
from webapp.management.base import WinnowCommand

# A command that serves a queue for want of workers is a worker for that time: the one place where edges meet.
from workers.loop import drain

LOOK_SECONDS = 0.2
SERVE_SECONDS = 1.0
CANCEL_SECONDS = 30.0
# Services that were started a moment ago may not have said so yet.
WORKER_SECONDS = 10.0


def no_wait_option(parser: CommandParser) -> None:
    parser.add_argument("--no-wait", action="store_true", help="return at once; only where workers are up")


def job_wait(job: Job, command: WinnowCommand, *, title: str, unit: str = "comparisons") -> Job:
    """Wait until the job has ended well and return it; raises `Cancelled`, `InputRefused` or `JobFailed` otherwise."""
    try:
        with command.bar(None, unit, title) as bar:
            while job.state == Job.State.RUNNING:
                progress = job_progress(job.pk)
                bar.total, bar.n = progress.total or None, progress.done
                bar.refresh()
                if not _serve(job, progress):
                    time.sleep(LOOK_SECONDS)
                job.refresh_from_db()
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):
            _cancel(job)
        still = " It is still stopping." if job.state == Job.State.RUNNING else ""
        raise Cancelled(
            f"Cancelled.{still} What was done is kept; the same command goes on from there. (job {job.pk})"
        ) from None
    if job.state == Job.State.CANCELLED:
        raise Cancelled(f"Job {job.pk} was cancelled.")
    if job.state == Job.State.FAILED:
        raise (InputRefused if job.result.get(REFUSED) else JobFailed)(job.error)
    return job


def _cancel(job: Job) -> None:
    """Cancel, and see it through: a process takes a moment to stop. A second Ctrl-C leaves it."""
    job_cancel(job_id=job.pk)
    job.refresh_from_db()
    end = time.monotonic() + CANCEL_SECONDS
    while job.state == Job.State.RUNNING and time.monotonic() < end:
        if not _serve(job, job_progress(job.pk)):
            time.sleep(LOOK_SECONDS)
        job.refresh_from_db()


def job_leave(job: Job) -> None:
    """For `--no-wait`: refuse to leave a job that no worker would do."""
    end = time.monotonic() + WORKER_SECONDS
    for queue in job_progress(job.pk).waiting_queues:
        while not (served := queue_served(queue)) and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        if not served:
            job_cancel(job_id=job.pk)
            raise InputRefused(
                f"No worker serves the queue {queue!r}. Start the services (make up), or leave out --no-wait."
            )


def _serve(job: Job, progress: JobProgress) -> int:
    """Do items of the job that no worker would take. Returns how many."""
    done = 0
    for queue in progress.waiting_queues:
        if not queue_served(queue):
            work_sweep()
            worker = f"command:{os.getpid()}"
            done += drain(queue=queue, worker=worker, seconds=SERVE_SECONDS, job_id=job.pk)
    return done

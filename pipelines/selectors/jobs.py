"""Jobs with their progress, and whether anybody serves their queues."""

from __future__ import annotations

from dataclasses import dataclass

from annotation.errors import NotFound
from annotation.models import Project
from pipelines.models import Job, WorkItem
from pipelines.queue import JobProgress, job_progress, queue_served


@dataclass(frozen=True)
class JobShown:
    """`unserved`: queues that hold work of this job and that no worker serves now."""

    job: Job
    progress: JobProgress
    unserved: list[str]
    failed: list[WorkItem]


def job_list(*, project: Project) -> list[Job]:
    return list(Job.objects.filter(project=project).select_related("created_by").order_by("-id")[:100])


def job_get(*, project: Project, job_id: int) -> JobShown:
    job = Job.objects.filter(project=project, pk=job_id).select_related("created_by").first()
    if job is None:
        raise NotFound("There is no such job in this project.")
    progress = job_progress(job.pk)
    failed = WorkItem.objects.filter(job=job, state=WorkItem.State.NEEDS_PERSON).order_by("id")[:20]
    return JobShown(job, progress, [q for q in progress.waiting_queues if not queue_served(q)], list(failed))


def import_job(*, project: Project, import_id: int) -> Job | None:
    """The newest job that read this import."""
    jobs = Job.objects.filter(project=project, kind="import.commit", params__import_id=import_id)
    return jobs.order_by("-id").first()

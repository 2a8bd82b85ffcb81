"""A model judges comparisons: the job that a person starts. The passes are in `judging_work.py`."""

from __future__ import annotations

from annotation.models import Project, User
from pipelines.extra import ml_reachable
from pipelines.models import Job
from pipelines.queue import ML, PLAN_ATTEMPTS, job_start
from pipelines.services.models import model_get_for


def judge_start(*, project: Project, model: str, created_by: User | None = None) -> Job:
    """A job that judges what this model has not judged yet."""
    found = model_get_for(project=project, name=model)
    ml_reachable()
    params = {"model": found.name, "fingerprint": found.fingerprint}
    return job_start(
        project=project,
        kind="judge",
        params=params,
        queue=ML,
        created_by=created_by,
        max_attempts=PLAN_ATTEMPTS,
    )

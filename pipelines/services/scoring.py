"""Scores of comparisons by a model: the job that a person starts. The passes are in `scoring_work.py`."""

from __future__ import annotations

from annotation.models import Project, User
from pipelines.errors import InputRefused
from pipelines.extra import ml_reachable
from pipelines.models import Job
from pipelines.queue import ML, PLAN_ATTEMPTS, job_start
from pipelines.scoring import SCORERS
from pipelines.services.models import model_get_for

MAX_LENGTH = 1024


def score_start(
    *,
    project: Project,
    method: str,
    model: str,
    max_length: int = MAX_LENGTH,
    created_by: User | None = None,
) -> Job:
    """A job that scores what has no score of this method, model and length yet."""
    if method not in SCORERS:
        raise InputRefused(f"There is no method {method!r}; known are {', '.join(SCORERS)}.")
    if max_length < 2:
        raise InputRefused(f"The longest sequence must have at least 2 tokens; got {max_length}.")
    found = model_get_for(project=project, name=model)
    ml_reachable()
    params = {
        "method": method,
        "model": found.name,
        "fingerprint": found.fingerprint,
        "max_length": max_length,
    }
    return job_start(
        project=project,
        kind="score",
        params=params,
        queue=ML,
        created_by=created_by,
        max_attempts=PLAN_ATTEMPTS,
    )

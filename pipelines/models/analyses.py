"""What was computed about a project's votes and labels as a whole, kept for its pages."""

from __future__ import annotations

from django.db import models

from annotation.models import Project
from pipelines.models.labels import AggregationRun
from pipelines.models.work import Job


class Analysis(models.Model):
    """One result of one kind (`pipelines.services.analyses.ANALYSES`); pages show the newest, older ones stay as they are.

    `run`: the refit whose labels it saw. `votes`: the votes under it. `result`: as its kind defines it; one that could
    not be computed says so in `reason`.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="analyses")
    kind = models.CharField(max_length=24)
    number = models.PositiveIntegerField()
    version = models.CharField(max_length=20)
    run = models.ForeignKey(AggregationRun, models.SET_NULL, null=True, related_name="analyses")
    votes = models.BigIntegerField(default=0)
    result = models.JSONField(default=dict)
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+", db_index=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "number"], name="analysis_once")]

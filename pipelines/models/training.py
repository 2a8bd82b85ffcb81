"""Training runs, their curves, and what came out."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from annotation.models import LanguageModel, Project
from pipelines.models.versions import DatasetVersion


class TrainingRun(models.Model):
    """One DPO run: a process of its own, watched by short ticks that hold the lease."""

    class State(models.TextChoices):
        PLANNED = "planned"
        STARTING = "starting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        DIED = "died"
        CANCELLED = "cancelled"

    project = models.ForeignKey(Project, models.CASCADE, related_name="training_runs")
    name = models.CharField(max_length=60)
    version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="training_runs")
    model = models.ForeignKey(LanguageModel, models.PROTECT, related_name="training_runs")
    objective = models.CharField(max_length=24, default="dpo")
    arguments = models.JSONField(default=dict)
    seed = models.BigIntegerField(default=0)
    code_version = models.CharField(max_length=80, blank=True, default="")
    state = models.CharField(max_length=9, choices=State.choices, default=State.PLANNED)
    attempt = models.PositiveSmallIntegerField(default=0)
    token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    host = models.CharField(max_length=120, blank=True, default="")
    pid = models.IntegerField(null=True)
    step = models.IntegerField(default=0)
    total_steps = models.IntegerField(null=True)
    cancel_requested = models.BooleanField(default=False)
    error = models.TextField(blank=True, default="")
    result = models.JSONField(default=dict)
    checkpoint = models.OneToOneField(LanguageModel, models.PROTECT, null=True, related_name="made_by_run")
    created_by = models.ForeignKey("annotation.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="training_run_name_once"),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="training_run_lease_has_end"
            ),
        ]


class TrainingMetric(models.Model):
    run = models.ForeignKey(TrainingRun, models.CASCADE, related_name="metrics", db_index=False)
    attempt = models.PositiveSmallIntegerField()
    step = models.IntegerField()
    values = models.JSONField(help_text="loss, logps/chosen, logps/rejected, rewards/..., as the trainer named them")

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["run", "attempt", "step"], name="training_metric_once")]


class Evaluation(models.Model):
    """A measurement of one model on one version's split, or of a checkpoint on prompts kept apart."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="evaluations")
    run = models.ForeignKey(TrainingRun, models.CASCADE, null=True, related_name="evaluations")
    model = models.ForeignKey(LanguageModel, models.PROTECT, related_name="evaluations")
    version = models.ForeignKey(DatasetVersion, models.PROTECT, null=True, related_name="evaluations")
    name = models.CharField(max_length=80)
    method = models.CharField(max_length=40)
    method_version = models.CharField(max_length=20)
    metrics = models.JSONField(help_text="{name: {value, low, high, n}}")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "model", "name"], name="evaluation_once", nulls_distinct=False)
        ]

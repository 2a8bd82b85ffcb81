"""Jobs that people start, and the slices of work that machines lease. Told in `pipelines/queue.py`."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from annotation.models import Project


class Job(models.Model):
    """What a person or a rule asked for; its progress is the sum over its work items."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    project = models.ForeignKey(Project, models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=40)
    params = models.JSONField(default=dict)
    state = models.CharField(max_length=9, choices=State.choices, default=State.RUNNING)
    total = models.BigIntegerField(default=0)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")
    cancel_requested = models.BooleanField(default=False)
    created_by = models.ForeignKey("annotation.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="job_of_project")]


class WorkItem(models.Model):
    """One slice of work: intent, lease, attempts and outcome. The broker never holds more than a bell for it."""

    class State(models.TextChoices):
        READY = "ready"
        LEASED = "leased"
        DONE = "done"
        NEEDS_PERSON = "needs_person"
        CANCELLED = "cancelled"

    queue = models.CharField(max_length=20)
    project = models.ForeignKey(Project, models.CASCADE, related_name="work_items", db_index=False)
    job = models.ForeignKey(Job, models.CASCADE, null=True, related_name="items")
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=160, help_text="planning the same key twice plans once")
    params = models.JSONField(default=dict)
    size = models.BigIntegerField(default=1, help_text="subjects in it, for progress")
    progress = models.BigIntegerField(default=0)
    priority = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=12, choices=State.choices, default=State.READY)
    attempts = models.SmallIntegerField(default=0)
    max_attempts = models.SmallIntegerField(default=3)
    token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    leased_by = models.CharField(max_length=80, blank=True, default="")
    cancel_requested = models.BooleanField(default=False)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"], condition=Q(state__in=["ready", "leased"]), name="work_planned_once"
            ),
            models.CheckConstraint(
                condition=(Q(state="leased") & Q(lease_until__isnull=False))
                | (~Q(state="leased") & Q(lease_until__isnull=True)),
                name="work_lease_has_end",
            ),
        ]
        indexes = [
            models.Index(fields=["queue", "-priority", "due_at", "id"], condition=Q(state="ready"), name="work_ready"),
            models.Index(fields=["queue"], condition=Q(state="leased"), name="work_leased"),
        ]


class WorkerHeartbeat(models.Model):
    """Who serves which queue, seen when: pages say so when nobody does."""

    name = models.CharField(max_length=120, primary_key=True)
    queue = models.CharField(max_length=20)
    seen_at = models.DateTimeField(db_default=Now())

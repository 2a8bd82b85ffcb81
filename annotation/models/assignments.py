"""The assignment queue. How it stays exact is told in `annotation/services/assignment.py`."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.db.models.lookups import LessThanOrEqual

from annotation.models.comparisons import Comparison
from annotation.models.people import User
from annotation.models.projects import Project


class Participation(models.Model):
    """One annotator in one project: the lock of that person, and the random pseudonym of their votes in exports."""

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        LEFT = "left"

    project = models.ForeignKey(Project, models.CASCADE, related_name="participations")
    annotator = models.ForeignKey(User, models.CASCADE, related_name="participations")
    state = models.CharField(max_length=12, choices=State.choices, default=State.ACTIVE)
    pseudonym = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    served = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "annotator"], name="participation_once")]


class Demand(models.Model):
    """How many people one comparison still wants; exists only for comparisons that people may get.

    Narrow and hot. `done + leased` never exceeds `wanted`, except by what was promised before `wanted` was lowered:
    the database refuses the rest.
    """

    comparison = models.OneToOneField(Comparison, models.CASCADE, primary_key=True, related_name="demand")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    pool = models.IntegerField(default=0, help_text="the pools of a project are served in this order")
    ord = models.BigIntegerField(help_text="place inside the pool, lowest first")
    wanted = models.SmallIntegerField()
    done = models.SmallIntegerField(default=0)
    leased = models.SmallIntegerField(default=0)
    promised = models.SmallIntegerField(default=0)
    held_back = models.BooleanField(default=False)
    is_open = models.GeneratedField(
        expression=Q(done__lt=F("wanted") - F("leased")) & Q(held_back=False),  # type: ignore[arg-type]  # the stubs forget Q
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(done__gte=0) & Q(leased__gte=0) & Q(wanted__gte=0), name="demand_counts_not_negative"
            ),
            models.CheckConstraint(
                condition=LessThanOrEqual(F("done") + F("leased"), Greatest(F("wanted"), F("promised"))),
                name="demand_never_over",
            ),
        ]
        indexes = [models.Index(fields=["project", "pool", "ord"], condition=Q(is_open=True), name="demand_next")]


class Assignment(models.Model):
    """One comparison lent to one annotator until it is answered, skipped, expired or released."""

    class State(models.TextChoices):
        OFFERED = "offered"
        LEASED = "leased"
        SUBMITTED = "submitted"
        SKIPPED = "skipped"
        EXPIRED = "expired"
        RELEASED = "released"

    class Source(models.TextChoices):
        POOL = "pool"
        NAMED = "named"
        GOLD = "gold"
        REPEAT = "repeat"
        PRACTICE = "practice"
        REVIEW = "review"

    participation = models.ForeignKey(Participation, models.CASCADE, related_name="assignments", db_index=False)
    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="assignments", db_index=False)
    repeat_no = models.SmallIntegerField(default=0)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.POOL)
    counted = models.BooleanField(default=True, help_text="holds one of the wanted places")
    state = models.CharField(max_length=9, choices=State.choices)
    token = models.BigIntegerField(default=1, help_text="+1 whenever the lease changes hands or is taken away")
    option_order = ArrayField(models.SmallIntegerField(), help_text="positions as shown: [1, 0] shows second as A")
    lease_until = models.DateTimeField(null=True)
    leased_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    times_expired = models.SmallIntegerField(default=0)
    closing_reason = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["participation", "comparison", "repeat_no"], name="assignment_once"),
            models.CheckConstraint(
                condition=(Q(state="leased") & Q(lease_until__isnull=False))
                | (~Q(state="leased") & Q(lease_until__isnull=True)),
                name="assignment_lease_has_end",
            ),
        ]
        indexes = [
            models.Index(fields=["participation"], condition=Q(state="leased"), name="assignment_live"),
            models.Index(fields=["participation"], condition=Q(state__in=["expired", "offered"]), name="assignment_resume"),
            models.Index(fields=["comparison"], name="assignment_of_comparison"),
        ]

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
    # Nothing before this place of the queue is for this person, as long as the project's `queue_version` is this one.
    cursor_pool = models.SmallIntegerField(default=0, db_default=0)
    cursor_ord = models.BigIntegerField(default=0, db_default=0)
    cursor_version = models.IntegerField(default=-1, db_default=-1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "annotator"], name="participation_once")]


class Group(models.Model):
    """Annotators of a project to whom comparisons can be offered together."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="groups")
    name = models.CharField(max_length=80)
    members = models.ManyToManyField(Participation, related_name="groups")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="group_once")]


class Offer(models.Model):
    """Comparisons set aside for one person (offered assignments) or one group (`demand.reserved_for`) until it is due."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="offers")
    participation = models.ForeignKey(Participation, models.CASCADE, null=True, related_name="offers")
    group = models.ForeignKey(Group, models.CASCADE, null=True, related_name="offers")
    due_at = models.DateTimeField(null=True)
    offered = models.IntegerField(default=0, help_text="comparisons that it set aside")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(participation__isnull=True) ^ Q(group__isnull=True), name="offer_to_a_person_or_a_group"
            )
        ]
        indexes = [models.Index(fields=["project"], condition=Q(released_at__isnull=True), name="offer_live")]


class Demand(models.Model):
    """How many people one comparison still wants; exists only for comparisons that people may get.

    Narrow and hot. `done + leased` never exceeds `wanted`, except by what was promised before `wanted` was lowered:
    the database refuses the rest.
    """

    comparison = models.OneToOneField(Comparison, models.CASCADE, primary_key=True, related_name="demand")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    reserved_for = models.BigIntegerField(
        default=0, db_default=0, help_text="the offer to a group that it is set aside for; 0: none"
    )
    pool = models.IntegerField(default=0, help_text="served in this order; -1: opened again, see the trigger")
    ord = models.BigIntegerField(help_text="place inside the pool, lowest first")
    wanted = models.SmallIntegerField()
    done = models.SmallIntegerField(default=0)
    leased = models.SmallIntegerField(default=0)
    promised = models.SmallIntegerField(default=0)
    held_back = models.BooleanField(default=False)
    kept_back = models.BooleanField(
        default=False, db_default=False, help_text="held back by a curator, until a curator settles it"
    )
    closed = models.BooleanField(
        default=False, db_default=False, help_text="a routing plan sends it to a model; only a plan opens it again"
    )
    settled_at = models.DateTimeField(null=True, help_text="flags, skips and cannot judge before it count no more")
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
        indexes = [
            models.Index(
                fields=["project", "reserved_for", "pool", "ord"], condition=Q(is_open=True), name="demand_next"
            )
        ]


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
    offer = models.ForeignKey(Offer, models.SET_NULL, null=True, related_name="assignments", db_index=False)
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

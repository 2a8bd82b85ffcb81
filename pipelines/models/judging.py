"""What models said, how far their confidence can be believed, and who was to judge what."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from annotation.models import Comparison, Import, Project, Rater


class Prediction(models.Model):
    """A model's answer to a comparison, judged here in both orders, or imported.

    `p_first`: P(first better), from the mean of both orders' logits. `p_first_ab`, `p_first_ba`: the same, read in one
    order (first shown as A; first shown as B). `inconsistent`: the two orders name different winners. Numbers are null
    for imported ones that have none.
    """

    OUTCOMES = ["first", "second", "tie", "inconsistent", "unreadable"]

    project = models.ForeignKey(Project, models.CASCADE, related_name="predictions", db_index=False)
    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="predictions")
    rater = models.ForeignKey(Rater, models.PROTECT, related_name="predictions")
    outcome = models.CharField(max_length=12)
    p_first = models.FloatField(null=True)
    p_tie = models.FloatField(null=True, help_text="half of it is in p_first; 0 for a judge of two labels")
    p_first_ab = models.FloatField(null=True)
    p_first_ba = models.FloatField(null=True)
    label_mass = models.FloatField(null=True, help_text="least of both orders")
    method = models.CharField(max_length=40)
    method_version = models.CharField(max_length=20)
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    params_hash = models.CharField(max_length=64, blank=True, default="")
    dtype = models.CharField(max_length=16, blank=True, default="")
    seed = models.BigIntegerField(null=True)
    source_import = models.ForeignKey(Import, models.PROTECT, null=True, related_name="predictions")
    source_line = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "rater", "method", "method_version", "fingerprint", "params_hash"],
                condition=Q(source_import__isnull=True),
                name="prediction_once",
            ),
            models.UniqueConstraint(
                fields=["source_import", "source_line", "comparison"],
                condition=Q(source_import__isnull=False),
                name="prediction_import_line_once",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["first", "second", "tie", "inconsistent", "unreadable"]),
                name="prediction_outcome_known",
            ),
        ]
        indexes = [models.Index(fields=["project", "rater", "comparison"], name="prediction_of_rater")]


class Calibration(models.Model):
    """A fit of a judge's confidence to people's answers on a random pilot."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="calibrations")
    rater = models.ForeignKey(Rater, models.PROTECT, related_name="calibrations")
    method = models.CharField(max_length=40)
    method_version = models.CharField(max_length=20)
    params = models.JSONField(help_text="the fitted numbers")
    pairs = models.IntegerField(help_text="comparisons it was fitted on")
    metrics = models.JSONField(help_text="log_loss, brier, ece, accuracy with interval; before and after")
    created_at = models.DateTimeField(auto_now_add=True)


class RoutingPlan(models.Model):
    """Who judges what, under a budget of counted annotations of people (the pilot's too)."""

    class State(models.TextChoices):
        PILOT = "pilot"
        ROUTED = "routed"
        REPLACED = "replaced"

    project = models.ForeignKey(Project, models.CASCADE, related_name="routing_plans")
    state = models.CharField(max_length=8, choices=State.choices)
    policy = models.CharField(max_length=40)
    policy_version = models.CharField(max_length=20)
    rater = models.ForeignKey(Rater, models.PROTECT, null=True, related_name="+")
    calibration = models.ForeignKey(Calibration, models.PROTECT, null=True, related_name="+")
    budget = models.IntegerField(null=True, help_text="counted annotations of people; null while only the pilot runs")
    pilot_share = models.FloatField(default=0.0)
    seed = models.BigIntegerField(default=0)
    counts = models.JSONField(default=dict)
    created_by = models.ForeignKey("annotation.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project"], condition=~Q(state="replaced"), name="routing_plan_one_current")
        ]


class RoutingDecision(models.Model):
    plan = models.ForeignKey(RoutingPlan, models.CASCADE, related_name="decisions", db_index=False)
    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="routing_decisions")
    destination = models.CharField(max_length=8, help_text="person or model")
    reason = models.CharField(max_length=40)
    rank = models.IntegerField(null=True)
    confidence = models.FloatField(null=True, help_text="calibrated P(the judge's direction is right)")
    propensity = models.FloatField(help_text="P(sent to people) under the policy")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "comparison"], name="routing_decision_once"),
            models.CheckConstraint(condition=Q(destination__in=["person", "model"]), name="routing_destination_known"),
        ]

"""Preferences, and the refits (aggregation runs) that every one of their revisions names."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from annotation.models import Comparison, Completion, Project, Rater


class AggregationRun(models.Model):
    """One full refit. `annotations_until`: the last annotation row that it saw."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="aggregation_runs")
    number = models.PositiveIntegerField()
    method = models.CharField(max_length=40)
    method_version = models.CharField(max_length=20)
    params = models.JSONField(default=dict)
    annotations_until = models.BigIntegerField(default=0)
    predictions_until = models.BigIntegerField(default=0)
    counts = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, help_text="agreement, log-likelihood, fallback reason")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="aggregation_run_once")]


class RaterEstimate(models.Model):
    run = models.ForeignKey(AggregationRun, models.CASCADE, related_name="rater_estimates", db_index=False)
    rater = models.ForeignKey(Rater, models.CASCADE, related_name="estimates")
    votes = models.IntegerField()
    reliability = models.FloatField(null=True, help_text="P(vote agrees with the consensus), 0 to 1")
    low = models.FloatField(null=True, help_text="95 % interval")
    high = models.FloatField(null=True)
    details = models.JSONField(default=dict, help_text="confusion matrix; share of votes for the side shown as A")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "rater"], name="rater_estimate_once")]


class RaterStep(models.Model):
    """What the votes since a refit say of a rater; the refit's own estimate stays as it was.

    `state`: theta and precision of the graded model, skill and its precision of GLAD, confusion and the votes that its rows
    rest on, or of majority votes and how many of them are right.
    """

    run = models.ForeignKey(AggregationRun, models.CASCADE, related_name="rater_steps", db_index=False)
    rater = models.ForeignKey(Rater, models.CASCADE, related_name="+", db_index=False)
    annotations = ArrayField(models.BigIntegerField(), help_text="learnt from, all later than the refit")
    state = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "rater"], name="rater_step_once")]


class Preference(models.Model):
    """What a comparison's annotations and predictions amount to; `current` is its newest revision."""

    comparison = models.OneToOneField(Comparison, models.CASCADE, related_name="preference")
    # Without constraints in the database, see docs/decisions: the comparison's project, and a pointer to its own revision.
    project = models.ForeignKey(Project, models.CASCADE, related_name="preferences", db_constraint=False)
    # Without an index, so that it turns within its page: to find the preference of a revision, ask the revision.
    current = models.ForeignKey(
        "PreferenceRevision", models.SET_NULL, null=True, related_name="+", db_index=False, db_constraint=False
    )


class Derivation(models.Model):
    """A pair, or a single completion, whose label rests on answers about a larger comparison, its source.

    Several sources may hold the same pair, and the pair may have votes of its own, which then decide.
    """

    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="derivations", db_index=False)
    source = models.ForeignKey(Comparison, models.CASCADE, related_name="derived")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["comparison", "source"], name="derivation_once")]


class PreferenceRevision(models.Model):
    """`outcome` first, second or tie; of a single completion yes (it is chosen), no (it is rejected) or tie.

    Flip probability, soft label and weight live here, never on a raw vote.

    p_first + p_second + p_tie = 1. flip_probability: P(rejected better) given that one is, in [0, 0.5); null for a tie.
    soft_label: P(first better) + P(tie) / 2. strength: mean signed vote over its scale, -1 to 1, null without strengths.
    weight: 1, or 1 / n where n pairs rest on the same rankings or ratings and are no independent judgements.
    By the graded model: p_first, p_second and p_tie are the consensus, flip_probability is that of the direction alone,
    soft_label is that of one more reliable vote, strength the expected one with its standard error.
    """

    class Origin(models.TextChoices):
        PERSON = "person"
        MODEL = "model"
        SOURCE = "source"

    # Without constraints in the database, see docs/decisions: one statement writes these four, from rows that others hold;
    # a trigger takes the revisions along with their preference.
    preference = models.ForeignKey(Preference, models.CASCADE, related_name="revisions", db_constraint=False)
    run = models.ForeignKey(
        AggregationRun, models.CASCADE, null=True, related_name="preference_revisions", db_constraint=False
    )
    outcome = models.CharField(max_length=8)
    chosen = models.ForeignKey(
        Completion, models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    rejected = models.ForeignKey(
        Completion, models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    origin = models.CharField(max_length=6, choices=Origin.choices)
    p_first = models.FloatField()
    p_second = models.FloatField()
    p_tie = models.FloatField()
    flip_probability = models.FloatField(null=True)
    soft_label = models.FloatField()
    strength = models.FloatField(null=True)
    strength_se = models.FloatField(null=True, help_text="standard error of strength")
    ambiguity = models.FloatField(null=True, help_text="nats that reliable raters would leave open after endless votes")
    ignorance = models.FloatField(null=True, help_text="nats that more votes can remove")
    confidence = models.FloatField(help_text="probability of the outcome; for a model's, calibrated where a calibration is")
    agreement = models.FloatField(null=True, help_text="share of votes for the outcome; null without votes")
    votes = models.IntegerField(help_text="annotations under it")
    predictions = models.IntegerField(default=0, db_default=0, help_text="judges whose predictions are under it")
    method = models.CharField(max_length=40)
    method_version = models.CharField(max_length=20)
    weight = models.FloatField(default=1.0)
    group = models.ForeignKey(
        "pipelines.RaterGroup",
        models.CASCADE,
        null=True,
        related_name="preference_revisions",
        db_index=False,
        help_text="whose votes alone it rests on; null: everybody's",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(Q(outcome="tie") & Q(chosen__isnull=True) & Q(rejected__isnull=True))
                | (Q(outcome__in=["first", "second"]) & Q(chosen__isnull=False) & Q(rejected__isnull=False))
                | (Q(outcome="yes") & Q(chosen__isnull=False) & Q(rejected__isnull=True))
                | (Q(outcome="no") & Q(chosen__isnull=True) & Q(rejected__isnull=False)),
                name="preference_outcome_has_its_own",
            ),
            models.UniqueConstraint(
                fields=["group", "run", "preference"],
                condition=Q(group__isnull=False),
                name="preference_of_group_once",
            ),
            models.CheckConstraint(
                condition=Q(flip_probability__isnull=True) | (Q(flip_probability__gte=0) & Q(flip_probability__lt=0.5)),
                name="preference_flip_below_half",
            ),
        ]

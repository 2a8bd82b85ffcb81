"""Who judges (raters) and what they said (annotations). Append-only: a correction or a retraction is a new row."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from annotation.models.assignments import Assignment, Participation
from annotation.models.comparisons import Comparison, Import
from annotation.models.projects import FormRevision, GuidelineRevision, Project
from annotation.models.texts import LanguageModel


class Rater(models.Model):
    """Whoever judges: a person, a model judge, or a named source of an import."""

    class Kind(models.TextChoices):
        PERSON = "person"
        MODEL = "model"
        SOURCE = "source"

    project = models.ForeignKey(Project, models.CASCADE, related_name="raters")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    name = models.CharField(max_length=200, help_text="a source's or model's name; a person's pseudonym")
    participation = models.OneToOneField(Participation, models.SET_NULL, null=True, related_name="rater")
    model = models.ForeignKey(LanguageModel, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "name"], name="rater_once")]


class Annotation(models.Model):
    """One answer to a form. `outcome` and `vote` repeat the first pairwise question for aggregation.

    `vote` is the signed strength in stored order, -m..m, negative: the first is better; null for outcomes without one
    (a file's choice, cannot judge). `state`: current, superseded (corrected), withdrawn (undone), surplus (not counted),
    retraction (a row without answers that withdraws the one it `retracts`).
    """

    class State(models.TextChoices):
        CURRENT = "current"
        SUPERSEDED = "superseded"
        WITHDRAWN = "withdrawn"
        SURPLUS = "surplus"
        RETRACTION = "retraction"

    project = models.ForeignKey(Project, models.CASCADE, related_name="annotations", db_index=False)
    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="annotations")
    rater = models.ForeignKey(Rater, models.PROTECT, related_name="annotations", db_index=False)
    assignment = models.ForeignKey(Assignment, models.CASCADE, null=True, related_name="annotations", db_index=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CURRENT)
    outcome = models.CharField(max_length=12, blank=True, default="")
    vote = models.SmallIntegerField(null=True)
    vote_scale = models.SmallIntegerField(null=True, help_text="m: the largest strength of the scale")
    answers = models.JSONField(help_text="one entry a question, by its key")
    form_revision = models.ForeignKey(FormRevision, models.PROTECT, null=True, related_name="+", db_index=False)
    guideline_revision = models.ForeignKey(GuidelineRevision, models.PROTECT, null=True, related_name="+", db_index=False)
    interface_language = models.CharField(max_length=12, blank=True, default="")
    shown_order = models.JSONField(null=True, help_text="positions as shown; null when the side is unknown")
    submit_key = models.UUIDField(null=True)
    body_hash = models.BinaryField(max_length=32, null=True)
    gave_back = models.BooleanField(
        default=False, db_default=False, help_text="all required answers are cannot judge: fills no wanted place"
    )
    late = models.BooleanField(default=False)
    ordinal = models.SmallIntegerField(default=0, help_text="how many counted annotations the comparison had with it")
    active_seconds = models.FloatField(null=True)
    idle_seconds = models.FloatField(null=True)
    exposure = models.JSONField(null=True)
    supersedes = models.OneToOneField("self", models.PROTECT, null=True, related_name="superseded_by")
    retracts = models.OneToOneField("self", models.PROTECT, null=True, related_name="retracted_by")
    source_import = models.ForeignKey(Import, models.PROTECT, null=True, related_name="annotations")
    source_line = models.BigIntegerField(null=True)
    source_place = models.IntegerField(default=0, db_default=0, help_text="which of its line's annotations, from 0")
    derived_from = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="derived",
        db_index=False,
        help_text="the edit whose preference this row says",
    )
    created_at = models.DateTimeField(db_default=Now())  # the database's clock, also where the web's is wrong

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rater", "submit_key"], condition=Q(submit_key__isnull=False), name="annotation_key_once"
            ),
            models.UniqueConstraint(
                fields=["assignment"],
                condition=Q(state="current") & Q(assignment__isnull=False),
                name="annotation_one_current",
            ),
            models.UniqueConstraint(
                fields=["derived_from", "comparison"],
                condition=Q(derived_from__isnull=False),
                name="annotation_derived_once",
            ),
            models.UniqueConstraint(
                fields=["source_import", "source_line", "source_place", "comparison", "rater"],
                condition=Q(source_import__isnull=False),
                name="annotation_import_line_once",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["", "first", "second", "tie", "both_bad", "cannot_judge"]),
                name="annotation_outcome_known",
            ),
            models.CheckConstraint(
                condition=Q(vote__isnull=True)
                | (
                    Q(vote_scale__gte=1)
                    & Q(vote__gte=-1 * models.F("vote_scale"))
                    & Q(vote__lte=models.F("vote_scale"))
                ),
                name="annotation_vote_in_scale",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="annotation_of_project"),
            models.Index(fields=["rater", "-id"], name="annotation_history"),
        ]


class Flag(models.Model):
    """A reason filed for the curator; the vote stays open."""

    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="flags")
    participation = models.ForeignKey(Participation, models.CASCADE, related_name="flags")
    reason = models.CharField(max_length=400)
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comparison", "participation"], name="flag_once"),
        ]

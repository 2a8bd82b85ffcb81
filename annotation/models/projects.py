"""A project, its guidelines and its forms. Revisions are immutable: a database trigger refuses to change one."""

from __future__ import annotations

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q


class Project(models.Model):
    class Opinion(models.TextChoices):
        """Whether an annotator sees what a model judge said, never before the own answer is stored."""

        OFF = "off"
        AFTER = "after"
        ARM = "arm"

    slug = models.CharField(
        max_length=60,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9]+(-[a-z0-9]+)*$", "Use lower-case letters, digits and single hyphens.")],
    )
    title = models.CharField(max_length=120)
    wanted = models.PositiveSmallIntegerField(default=1, help_text="counted annotations wanted for a comparison")
    lease_seconds = models.PositiveIntegerField(default=900)
    queue_order = models.CharField(
        max_length=16, default="routing", db_default="routing", help_text="a key of pipelines.services.ordering.ORDERS"
    )
    queue_version = models.IntegerField(
        default=0, db_default=0, help_text="+1 when many places of the queue change; voids cursors"
    )
    render_markdown = models.BooleanField(default=True)
    show_opinion = models.CharField(
        max_length=5, choices=Opinion.choices, default=Opinion.OFF, help_text="a judge's opinion after one's own answer"
    )
    show_names = models.BooleanField(
        default=False,
        db_default=False,
        help_text="annotators see under My answers which models wrote what they judged, once its batch is over",
    )
    media_seconds = models.PositiveSmallIntegerField(
        default=5, db_default=5, help_text="seconds of each sound and film to be played before an answer; 0: none"
    )
    media_percent = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="per cent of each sound and film to be played before an answer; 0: none"
    )
    has_media = models.BooleanField(default=False, db_default=False, help_text="an import brought sounds, films or images")
    session_comparisons = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="comparisons of a session before a break; 0: no cap"
    )
    session_minutes = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="minutes of a session before a break; 0: no cap"
    )
    break_minutes = models.PositiveSmallIntegerField(
        default=15, db_default=15, help_text="minutes of the break; a pause as long begins a new session"
    )
    day_comparisons = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="comparisons that one person is given a day (UTC); 0: no cap"
    )
    profile_attributes = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        help_text="[{name, choices}]: what annotators may say of themselves, with consent",
    )
    profile_days = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="days after which what somebody said of themselves is deleted; 0: never"
    )
    split_salt = models.UUIDField(default=uuid.uuid4, editable=False)
    split_train_percent = models.PositiveSmallIntegerField(default=90)
    split_validation_percent = models.PositiveSmallIntegerField(default=5)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(wanted__gte=1), name="project_wants_one"),
            models.CheckConstraint(condition=Q(media_percent__lte=100), name="project_media_within_100"),
            models.CheckConstraint(
                condition=Q(split_train_percent__lte=100 - models.F("split_validation_percent")),
                name="project_split_within_100",
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class GuidelineRevision(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="guideline_revisions")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="guideline_revision_once")]


class FormRevision(models.Model):
    """`questions`: an ordered list of `{key, type, subject, required, ...}`, see `annotation.feedback`.

    `subject` is `comparison`, `completion` or `span`; the other keys belong to the feedback type.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="form_revisions")
    number = models.PositiveIntegerField()
    questions = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="form_revision_once")]

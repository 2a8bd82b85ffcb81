"""Comparisons: the unit of work, and the import that brought them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from annotation.models.projects import Project
from annotation.models.texts import Completion, Prompt


class Import(models.Model):
    """One file that was read. `counts`: rows_in, taken, merged, refused and refusals by cause."""

    class State(models.TextChoices):
        READING = "reading"
        STAGED = "staged"
        DONE = "done"
        REFUSED = "refused"
        REMOVED = "removed"

    project = models.ForeignKey(Project, models.CASCADE, related_name="imports")
    state = models.CharField(max_length=8, choices=State.choices, default=State.READING)
    file_name = models.CharField(max_length=255)
    file_sha256 = models.BinaryField(max_length=32, null=True)
    shape = models.CharField(max_length=24, blank=True, default="")
    source_name = models.CharField(max_length=200)
    choices = models.CharField(max_length=12, blank=True, default="", help_text="annotations, predictions, or none")
    options = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    faults = models.JSONField(default=list, help_text="[{row, cause, message}], the first 1,000")
    error = models.TextField(blank=True, default="")
    wanted = models.PositiveSmallIntegerField(null=True, help_text="for its comparisons; null: as the project says")
    place = models.IntegerField(default=0, db_default=0, help_text="where batches are served one by one, lowest first")
    created_by = models.ForeignKey("annotation.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)


class Comparison(models.Model):
    """The completions to be judged together; their prompts may differ, `prompt` is then that of the first.

    `key` is the SHA-256 over prompt, completions in stored order and context: the same set is never stored twice in a
    project. Positions follow the completions' content hashes, so that they tell nothing about a file's choice.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="comparisons")
    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="comparisons")
    key = models.BinaryField(max_length=32)
    context = models.TextField(blank=True, default="")
    size = models.PositiveSmallIntegerField(default=2)
    one_prompt = models.BooleanField(
        default=True,
        db_default=True,
        help_text="all its completions answer one prompt whose text is here; models judge and versions hold only those",
    )
    warnings = ArrayField(models.CharField(max_length=24), default=list, help_text="identity_leak, control_characters")
    source_import = models.ForeignKey(Import, models.PROTECT, null=True, related_name="comparisons")
    source_line = models.BigIntegerField(null=True)
    wanted = models.PositiveSmallIntegerField(null=True, help_text="of this one alone; null: as its import says")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="comparison_once"),
            models.CheckConstraint(condition=Q(size__gte=1) & Q(size__lte=9), name="comparison_size"),
        ]


class ComparisonCompletion(models.Model):
    """Position 0 is `first`, 1 is `second`."""

    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="places", db_index=False)
    position = models.PositiveSmallIntegerField()
    completion = models.ForeignKey(Completion, models.PROTECT, related_name="places")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comparison", "position"], name="comparison_place_once"),
            models.UniqueConstraint(fields=["comparison", "completion"], name="comparison_completion_once"),
        ]

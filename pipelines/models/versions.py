"""Frozen dataset versions and their exports. A database trigger refuses to change a frozen version or its rows."""

from __future__ import annotations

from typing import Any

from django.db import models

from annotation.models import Project
from pipelines.models.labels import AggregationRun, PreferenceRevision


class Multirange(models.Field):  # type: ignore[type-arg]  # generic for mypy alone
    """Postgres's `int8multirange`; written and read in SQL alone."""

    def db_type(self, connection: Any) -> str:
        return "int8multirange"


class DatasetVersion(models.Model):
    """`recipe`: everything that decided the content. `manifest`: counts, hashes, lineage; no time, host, path or id.

    `unseen`: ids of annotations up to the refit's last one that the frozen snapshot could not see. Ids are taken before
    transactions end, so a smaller one may come to light later; no row rests on it.
    `root_hash`: SHA-256, hex, over the canonical row hashes in row order.
    """

    class State(models.TextChoices):
        BUILDING = "building"
        FROZEN = "frozen"
        FAILED = "failed"

    class Split(models.TextChoices):
        TRAIN = "train"
        VALIDATION = "validation"
        TEST = "test"

    project = models.ForeignKey(Project, models.CASCADE, related_name="versions")
    name = models.CharField(max_length=60)
    state = models.CharField(max_length=8, choices=State.choices, default=State.BUILDING)
    recipe = models.JSONField()
    manifest = models.JSONField(default=dict)
    root_hash = models.CharField(max_length=64, blank=True, default="")
    run = models.ForeignKey(AggregationRun, models.PROTECT, null=True, related_name="versions")
    unseen = Multirange(null=True, editable=False)
    rows_in = models.BigIntegerField(default=0)
    rows_out = models.BigIntegerField(default=0)
    supersedes = models.ForeignKey("self", models.PROTECT, null=True, related_name="superseded_by")
    created_by = models.ForeignKey("annotation.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    frozen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="version_name_once")]

    @property
    def dropped(self) -> int:
        return self.rows_in - self.rows_out


class VersionRow(models.Model):
    """One row of a version: which revision of which preference, in which split, with the hash of its canonical JSON."""

    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="rows", db_index=False)
    position = models.BigIntegerField()
    split = models.CharField(max_length=10, choices=DatasetVersion.Split.choices)
    revision = models.ForeignKey(PreferenceRevision, models.PROTECT, related_name="version_rows")
    row_hash = models.BinaryField(max_length=32)
    payload = models.BinaryField(help_text="the canonical JSON of the row, UTF-8")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "position"], name="version_position_once")]
        indexes = [models.Index(fields=["version", "split", "position"], name="version_row_split")]

    @property
    def hash_short(self) -> str:
        return bytes(self.row_hash).hex()[:16]


class VersionDrop(models.Model):
    """What one step of the recipe left out, counted; rows in = rows out + the sum of these."""

    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="drops")
    step = models.PositiveSmallIntegerField()
    cause = models.CharField(max_length=200)
    dropped = models.BigIntegerField()
    left = models.BigIntegerField()

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["version", "step"], name="version_drop_step_once")]


class Export(models.Model):
    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="exports")
    format = models.CharField(max_length=24)
    form = models.CharField(max_length=8)
    state = models.CharField(max_length=9, default="running")
    folder = models.TextField(help_text="below the home's exports folder, or a folder that a person at the machine named")
    files = models.JSONField(default=list, help_text="[{path, bytes, rows, sha256}]")
    error = models.TextField(blank=True, default="")
    created_by = models.ForeignKey("annotation.User", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

"""What was computed about a project's votes and labels as a whole, kept for its pages."""

from __future__ import annotations

from django.db import models

from annotation.models import Project, Rater
from pipelines.models.labels import AggregationRun
from pipelines.models.work import Job


class Analysis(models.Model):
    """One result of one kind (`pipelines.services.analyses.ANALYSES`); pages show the newest, older ones stay as they are.

    `run`: the refit whose labels it saw. `votes`: the votes under it. `result`: as its kind defines it; one that could
    not be computed says so in `reason`.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="analyses")
    kind = models.CharField(max_length=24)
    number = models.PositiveIntegerField()
    version = models.CharField(max_length=20)
    run = models.ForeignKey(AggregationRun, models.SET_NULL, null=True, related_name="analyses")
    votes = models.BigIntegerField(default=0)
    result = models.JSONField(default=dict)
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+", db_index=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "number"], name="analysis_once")]


class RaterGroup(models.Model):
    """One group of the analysis `groups`: raters who reward the same things, made from votes alone."""

    analysis = models.ForeignKey(Analysis, models.CASCADE, related_name="groups")
    name = models.CharField(max_length=1, help_text="A is the largest")
    share = models.FloatField(help_text="of people, by the mixture")
    people = models.IntegerField(help_text="raters whose likeliest group this is")
    votes = models.IntegerField(help_text="of these, among the votes that the groups were made from")
    is_shown = models.BooleanField(help_text="5 people and 30 votes or more; its labels can be frozen")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["analysis", "name"], name="rater_group_once")]

    @property
    def key(self) -> str:
        """How recipes name it: the number of its analysis, and its letter."""
        return f"{self.analysis.number}-{self.name}"


class GroupMember(models.Model):
    group = models.ForeignKey(RaterGroup, models.CASCADE, related_name="members", db_index=False)
    rater = models.ForeignKey(Rater, models.CASCADE, related_name="+")
    chance = models.FloatField(help_text="that the rater is of this group")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "rater"], name="group_member_once")]

"""What people say of themselves, if a project asks and they consent."""

from __future__ import annotations

from django.db import models

from annotation.models.assignments import Participation


class Profile(models.Model):
    """One person's own words in one project, there only while they consent: withdrawing deletes the row.

    Read as counts of groups alone, never beside a person, for routing, or in exports.
    """

    participation = models.OneToOneField(Participation, models.CASCADE, related_name="profile")
    answers = models.JSONField(help_text="{name of an attribute: choice}, of those that the person answered")
    consent = models.TextField(help_text="the words that the person agreed to")
    given_at = models.DateTimeField(auto_now=True)
    delete_at = models.DateTimeField(null=True, help_text="when it is deleted by itself, as consented; null: never")

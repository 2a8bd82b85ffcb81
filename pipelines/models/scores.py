from __future__ import annotations

from django.db import models

from annotation.models import Comparison, Completion, Project


class Score(models.Model):
    """Numbers about a completion, an ordered pair of completions, or a comparison; never about a preference.

    CHES has a comparison's first and second completion as its pair and keeps in `values` what both directions and both
    normalisations need: `s11, s22, s12` (inner products of summed states), `n1, n2` (states), `edit_distance`,
    `last_hidden`, `flags`.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="scores", db_index=False)
    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="scores")
    completion = models.ForeignKey(Completion, models.CASCADE, null=True, related_name="scores", db_index=False)
    method = models.CharField(max_length=40)
    method_version = models.CharField(max_length=20)
    fingerprint = models.CharField(max_length=64)
    params_hash = models.CharField(max_length=64)
    values = models.JSONField()
    dtype = models.CharField(max_length=16)
    seed = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "completion", "method", "method_version", "fingerprint", "params_hash"],
                name="score_once",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["project", "method", "fingerprint", "comparison"], name="score_of_method")]

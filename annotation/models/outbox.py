from django.db import models


class OutboxEvent(models.Model):
    """Something happened and somebody must act on it; written in the transaction of the change itself."""

    project = models.ForeignKey("annotation.Project", models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=40)
    subject_id = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

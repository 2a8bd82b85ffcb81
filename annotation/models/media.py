"""Images, sounds and films, stored once by hash below the home's `media` folder; and which imports brought them."""

from __future__ import annotations

from django.db import models

from annotation.models.comparisons import Import


class Media(models.Model):
    """One file. `sha256` is over its bytes, hex; `media_type` was told by its first bytes, from a fixed list; `seconds`
    is how long it lasts, None for an image and where its bytes do not tell."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    media_type = models.CharField(max_length=20)
    size = models.BigIntegerField()
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)


class MediaUse(models.Model):
    """An import whose texts show a medium: its project's members may load it."""

    media = models.ForeignKey(Media, models.CASCADE, related_name="uses", db_column="media_sha256")
    source_import = models.ForeignKey(Import, models.CASCADE, related_name="media_uses")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_import", "media"], name="media_use_once")]

"""Texts, stored once by hash; prompts and completions that point at them; and the models that wrote or judge them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Text(models.Model):
    """One text, plain or a list of messages; or only the name of a prompt whose text no file held.

    `sha256` is over `form`, a NUL byte and `body`; `body` is the text itself, or canonical JSON of the messages.
    """

    class Form(models.TextChoices):
        PLAIN = "plain"
        MESSAGES = "messages"
        NAME = "name"

    sha256 = models.BinaryField(max_length=32, primary_key=True)
    form = models.CharField(max_length=8, choices=Form.choices, default=Form.PLAIN)
    body = models.TextField()


class LanguageModel(models.Model):
    """A model that writes, judges or is trained. `named` ones are only a name that a file mentioned."""

    class Kind(models.TextChoices):
        NAMED = "named"
        LOCAL = "local"
        HUB = "hub"
        CHECKPOINT = "checkpoint"

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    location = models.TextField(blank=True, default="", help_text="folder below the home's models folder, or a hub id")
    revision = models.CharField(max_length=80, blank=True, default="")
    fingerprint = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256, hex")
    tokenizer_hash = models.CharField(max_length=64, blank=True, default="")
    template_hash = models.CharField(max_length=64, blank=True, default="")
    parameters = models.BigIntegerField(null=True)
    licence = models.CharField(max_length=80, blank=True, default="")
    judge_settings = models.JSONField(default=dict, help_text="prompt template and labels when it judges; {} for none")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="named") | (~Q(location="") & ~Q(fingerprint="")), name="model_has_place_and_print"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Prompt(models.Model):
    project = models.ForeignKey("annotation.Project", models.CASCADE, related_name="prompts")
    text = models.ForeignKey(Text, models.PROTECT, related_name="+", db_column="text_sha256")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "text"], name="prompt_once")]


class Completion(models.Model):
    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="completions")
    text = models.ForeignKey(Text, models.PROTECT, related_name="+", db_column="text_sha256")
    model = models.ForeignKey(LanguageModel, models.PROTECT, null=True, related_name="completions")
    sampling = models.JSONField(null=True, help_text="sampling parameters as the file gave them")
    author = models.ForeignKey(
        "annotation.Rater",
        models.PROTECT,
        null=True,
        related_name="completions",
        db_index=False,
        help_text="who wrote it as an edit",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prompt", "text"], name="completion_once")]
        indexes = [models.Index(fields=["author"], condition=Q(author__isnull=False), name="completion_of_author")]

"""Comparisons of any size, lent to a person in a given order of sides, and projects with any form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from annotation.feedback.templates import TEMPLATES
from annotation.models import (
    Assignment,
    Comparison,
    ComparisonCompletion,
    Completion,
    Demand,
    Project,
    Prompt,
    Text,
    User,
)
from annotation.services.assignment import participation_ensure
from annotation.services.projects import form_revise
from tests import cast


def project_with(questions: str | Sequence[dict[str, Any]], slug: str = "ours", **fields: object) -> Project:
    """A project whose form is a template's or these questions."""
    place = cast.project(slug, **fields)
    form_revise(project=place, questions=TEMPLATES[questions].questions if isinstance(questions, str) else questions)
    return place


def chat(*turns: tuple[str, str]) -> Text:
    """A text of messages."""
    body = json.dumps([{"role": role, "content": content} for role, content in turns], ensure_ascii=False)
    sha256 = hashlib.sha256(b"messages\x00" + body.encode()).digest()
    return Text.objects.get_or_create(sha256=sha256, defaults={"form": "messages", "body": body})[0]


def comparison_of(
    place: Project, prompts: Sequence[str | Text], completions: Sequence[str | Text], context: str = ""
) -> Comparison:
    """A comparison in the order given, not that of the hashes: tests say what stands where. Prompts beyond the first
    belong to the completions in their order (joint)."""
    texts = [one if isinstance(one, Text) else cast.text(one) for one in completions]
    asked = [one if isinstance(one, Text) else cast.text(one) for one in prompts]
    rows = [Prompt.objects.get_or_create(project=place, text=one)[0] for one in asked]
    key = hashlib.sha256(b"".join(bytes(t.sha256) for t in [*asked, *texts]) + context.encode()).digest()
    made = Comparison.objects.create(project=place, prompt=rows[0], key=key, size=len(texts), context=context)
    for position, text in enumerate(texts):
        prompt = rows[position] if len(rows) > 1 else rows[0]
        completion, _ = Completion.objects.get_or_create(prompt=prompt, text=text)
        ComparisonCompletion.objects.create(comparison=made, position=position, completion=completion)
    return made


def lend(person: User, comparison: Comparison, order: Sequence[int] | None = None) -> Assignment:
    """Lend a comparison with its sides in this order; the stored one without."""
    me = participation_ensure(project_id=comparison.project_id, user_id=person.pk)
    Demand.objects.create(
        comparison=comparison, project=comparison.project, ord=comparison.pk, wanted=1, leased=1
    )
    return Assignment.objects.create(
        participation=me,
        comparison=comparison,
        state=Assignment.State.LEASED,
        option_order=list(order or range(comparison.size)),
        leased_at=timezone.now(),
        lease_until=timezone.now() + timedelta(minutes=15),
    )

"""Answers that order, rate or label completions, and the comparisons they are about, for derivation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from annotation.models import FormRevision, Project
from pipelines.models import Derivation
from pipelines.pairs.answers import Speaking, speaking


@dataclass(frozen=True)
class Answered:
    """A rater's first current answer to a comparison, given on form revision `form`."""

    comparison: int
    rater: int
    by_person: bool
    form: int
    answers: dict[str, Any]


@dataclass(frozen=True)
class Places:
    """A comparison with its completions in stored order; `group` tells prompt and context apart from others."""

    prompt: int
    prompt_hash: bytes
    context: str
    completions: tuple[int, ...]
    hashes: tuple[bytes, ...]
    warnings: tuple[str, ...]
    source_import: int | None
    source_line: int | None

    @property
    def group(self) -> tuple[int, str]:
        return self.prompt, self.context


# A second answer of one rater is a repeat, as in votes. What an edit says of its text is a vote, and read there.
ANSWERED = """
SELECT DISTINCT ON (a.comparison_id, a.rater_id) a.comparison_id, a.rater_id, r.kind = 'person', a.form_revision_id,
  a.answers
FROM annotation_annotation a
JOIN annotation_rater r ON r.id = a.rater_id
JOIN annotation_comparison c ON c.id = a.comparison_id
WHERE a.project_id = %(project)s AND a.state = 'current' AND a.derived_from_id IS NULL AND c.one_prompt
  AND a.form_revision_id = ANY(%(forms)s::bigint[])
  AND (%(ids)s::bigint[] IS NULL OR a.comparison_id = ANY(%(ids)s::bigint[]))
ORDER BY a.comparison_id, a.rater_id, a.id
"""
PLACES = """
SELECT c.id, c.prompt_id, p.text_sha256, c.context, array_agg(x.completion_id ORDER BY x.position),
       array_agg(o.text_sha256 ORDER BY x.position), c.warnings, c.source_import_id, c.source_line
FROM annotation_comparison c
JOIN annotation_prompt p ON p.id = c.prompt_id
JOIN annotation_comparisoncompletion x ON x.comparison_id = c.id
JOIN annotation_completion o ON o.id = x.completion_id
WHERE c.id = ANY(%s) GROUP BY c.id, p.text_sha256
"""
# What shares prompt and context with these is told together with them, in either direction of derivation.
TOGETHER = """
SELECT DISTINCT other.source_id
FROM annotation_comparison c
JOIN annotation_comparison s ON s.project_id = c.project_id AND s.prompt_id = c.prompt_id AND s.context = c.context
JOIN pipelines_derivation other ON other.source_id = s.id
WHERE c.id = ANY(%s)
"""


def forms_speaking(project_id: int) -> dict[int, Speaking]:
    """The form revisions with a question that orders, rates or labels completions. One query."""
    forms = FormRevision.objects.filter(project_id=project_id).values_list("pk", "questions")
    return {pk: found for pk, questions in forms if (found := speaking(questions))}


def answer_kinds(*, project: Project) -> dict[str, bool]:
    """Whether some form of the project orders or rates completions, or says yes or no to them."""
    forms = forms_speaking(project.pk).values()
    return {"has_sets": any(f.order or f.rating for f in forms), "has_labels": any(f.label for f in forms)}


def rating_aspects(*, project: Project) -> list[dict[str, Any]]:
    """The aspects of the newest form's ratings that become pairs; empty where it has none."""
    form = FormRevision.objects.filter(project=project).first()
    rating = speaking(form.questions).rating if form is not None else None
    return list(rating["aspects"]) if rating is not None else []


def answered_of(project_id: int, forms: Iterable[int], comparison_ids: Sequence[int] | None = None) -> list[Answered]:
    """The answers on these forms that stand, ordered by comparison and rater, about completions of one known prompt."""
    ids = None if comparison_ids is None else list(comparison_ids)
    values: dict[str, Any] = {"project": project_id, "forms": list(forms), "ids": ids}
    with connection.cursor() as cursor:
        cursor.execute(ANSWERED, values)
        rows = cursor.fetchall()
    return [
        Answered(comparison, rater, person, form, _object(said)) for comparison, rater, person, form, said in rows
    ]


def _object(answers: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answers) if isinstance(answers, str) else answers
    return found


def places_of(comparison_ids: Sequence[int]) -> dict[int, Places]:
    with connection.cursor() as cursor:
        cursor.execute(PLACES, [list(comparison_ids)])
        return {
            pk: Places(prompt, bytes(text), context, tuple(ids), tuple(map(bytes, hashes)), tuple(warnings), *source)
            for pk, prompt, text, context, ids, hashes, warnings, *source in cursor.fetchall()
        }


def sources_together(comparison_ids: Sequence[int]) -> set[int]:
    """The sources whose prompt and context these comparisons share."""
    with connection.cursor() as cursor:
        cursor.execute(TOGETHER, [list(comparison_ids)])
        return {row[0] for row in cursor.fetchall()}


def derived_from(sources: Iterable[int]) -> set[int]:
    """The comparisons derived from these."""
    return set(Derivation.objects.filter(source__in=list(sources)).values_list("comparison_id", flat=True))

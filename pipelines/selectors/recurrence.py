"""Completions, and the models that wrote them, that stand in several comparisons: the votes between each two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotation.models import LanguageModel, Project
from pipelines.labels.votes import N_OUTCOMES
from pipelines.selectors.votes import votes_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
SHOWN = 50


@dataclass(frozen=True)
class Recurrence:
    """Voted comparisons of two. Arrays (m,), sorted by comparison.

    `first`, `second`: ids of the completions. `first_model`, `second_model`: of who wrote them, 0 where no file says.
    `prompt`: id of the first completion's prompt, -1 where the two answer different ones. `counts`: (m, 3) votes for the
    first, for the second, ties.
    """

    comparison: IntArray
    prompt: IntArray
    first: IntArray
    second: IntArray
    first_model: IntArray
    second_model: IntArray
    counts: FloatArray


PAIRS = """
SELECT x.id, y.id, coalesce(x.model_id, 0), coalesce(y.model_id, 0),
  CASE WHEN x.prompt_id = y.prompt_id THEN x.prompt_id ELSE -1 END
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS wanted(id, place)
JOIN annotation_comparisoncompletion a ON a.comparison_id = wanted.id AND a.position = 0
JOIN annotation_completion x ON x.id = a.completion_id
JOIN annotation_comparisoncompletion b ON b.comparison_id = wanted.id AND b.position = 1
JOIN annotation_completion y ON y.id = b.completion_id
ORDER BY wanted.place
"""


def recurrence_of(project_id: int) -> Recurrence:
    """All voted pairs of a project. Two queries."""
    table = votes_of(project_id)
    comparison, item = np.unique(table.comparison, return_inverse=True)
    counts = np.bincount(item * N_OUTCOMES + table.label, minlength=comparison.size * N_OUTCOMES)
    with connection.cursor() as cursor:
        cursor.execute(PAIRS, {"ids": comparison.tolist()})
        columns = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 5).T
    first, second, first_model, second_model, prompt = columns
    return Recurrence(
        comparison, prompt, first, second, first_model, second_model,
        counts.reshape(-1, N_OUTCOMES).astype(np.float64),
    )  # fmt: skip


@dataclass(frozen=True)
class Written:
    """Labelled comparisons of two completions of one prompt by two named models. Arrays (m,), sorted by comparison.

    `first`, `second`: ids of the models. `first_length`, `second_length`: characters; of a chat those of its messages.
    """

    comparison: IntArray
    prompt: IntArray
    first: IntArray
    second: IntArray
    first_length: IntArray
    second_length: IntArray


CHARACTERS = """
CASE WHEN {text}.form = 'messages' THEN (SELECT coalesce(sum(char_length(m->>'content')), 0)
  FROM jsonb_array_elements({text}.body::jsonb) m) ELSE char_length({text}.body) END
"""
# A fixed part of them, by a hash of their keys.
WRITTEN = f"""
SELECT w.id, w.prompt_id, w.first, w.second, {CHARACTERS.format(text="a")}, {CHARACTERS.format(text="b")}
FROM (
  SELECT c.id, c.prompt_id, xc.model_id AS first, yc.model_id AS second, xc.text_sha256 AS one, yc.text_sha256 AS other
  FROM pipelines_preference p
  JOIN annotation_comparison c ON c.id = p.comparison_id AND c.size = 2 AND c.one_prompt
  JOIN annotation_comparisoncompletion x ON x.comparison_id = c.id AND x.position = 0
  JOIN annotation_completion xc ON xc.id = x.completion_id
  JOIN annotation_comparisoncompletion y ON y.comparison_id = c.id AND y.position = 1
  JOIN annotation_completion yc ON yc.id = y.completion_id
  WHERE p.project_id = %(project)s AND p.current_id IS NOT NULL AND xc.model_id <> yc.model_id
  ORDER BY sha256(c.key) LIMIT %(most)s
) w
JOIN annotation_text a ON a.sha256 = w.one JOIN annotation_text b ON b.sha256 = w.other ORDER BY w.id
"""


def written_of(project_id: int, *, most: int) -> Written:
    """Up to `most` of a project's comparisons between named models. One query."""
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN, {"project": project_id, "most": most})
        columns = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 6).T
    return Written(*columns)


def model_names(ids: Sequence[int]) -> dict[int, str]:
    return dict(LanguageModel.objects.filter(pk__in=ids).values_list("pk", "name"))


PROMPTS = """
SELECT p.id, t.form, left(t.body, 4000) FROM annotation_prompt p JOIN annotation_text t ON t.sha256 = p.text_sha256
WHERE p.id = ANY(%(ids)s::bigint[])
"""


def prompts_shown(ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Form and beginning of each prompt."""
    with connection.cursor() as cursor:
        cursor.execute(PROMPTS, {"ids": list(ids)})
        return {row[0]: (row[1], row[2]) for row in cursor.fetchall()}


@dataclass(frozen=True)
class Between:
    """One comparison of two items: votes for the one, for the other, and ties."""

    comparison_id: int
    prompt_form: str
    prompt: str
    one: int
    other: int
    ties: int


BETWEEN = """
SELECT c.id, t.form, left(t.body, 4000), x.{item} = %(one)s,
  count(DISTINCT n.rater_id) FILTER (WHERE n.outcome = 'first'),
  count(DISTINCT n.rater_id) FILTER (WHERE n.outcome = 'second'),
  count(DISTINCT n.rater_id) FILTER (WHERE n.outcome IN ('tie', 'both_bad'))
FROM annotation_completion x
JOIN annotation_comparisoncompletion a ON a.completion_id = x.id AND a.position = 0
JOIN annotation_comparison c ON c.id = a.comparison_id AND c.size = 2 AND c.project_id = %(project)s
JOIN annotation_comparisoncompletion b ON b.comparison_id = c.id AND b.position = 1
JOIN annotation_completion y ON y.id = b.completion_id
JOIN annotation_prompt p ON p.id = c.prompt_id JOIN annotation_text t ON t.sha256 = p.text_sha256
JOIN annotation_annotation n ON n.comparison_id = c.id AND n.state = 'current'
  AND n.outcome IN ('first', 'second', 'tie', 'both_bad')
WHERE (x.{item} = %(one)s AND y.{item} = %(other)s) OR (x.{item} = %(other)s AND y.{item} = %(one)s)
GROUP BY c.id, t.form, t.body, x.{item} ORDER BY c.id LIMIT %(most)s
"""


def comparisons_between(*, project: Project, one: int, other: int, of_models: bool) -> list[Between]:
    """The first 50 voted comparisons of two models, or of two completions. One query."""
    query = BETWEEN.format(item="model_id" if of_models else "id")
    with connection.cursor() as cursor:
        cursor.execute(query, {"project": project.pk, "one": one, "other": other, "most": SHOWN})
        return [
            Between(id_, form, prompt, first if one_is_first else second, second if one_is_first else first, ties)
            for id_, form, prompt, one_is_first, first, second, ties in cursor.fetchall()
        ]

"""Texts of comparisons, for model passes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from pipelines.selectors.pairs import IS_PAIR

Text = str | list[dict[str, Any]]


@dataclass(frozen=True)
class PairRow:
    """A comparison's prompt and completions in stored order; a list is messages."""

    comparison_id: int
    prompt: Text
    first: Text
    second: Text


PAIRS = f"""
SELECT c.id, tp.form, tp.body, ta.form, ta.body, tb.form, tb.body
FROM annotation_comparison c
JOIN annotation_prompt p ON p.id = c.prompt_id JOIN annotation_text tp ON tp.sha256 = p.text_sha256
JOIN annotation_comparisoncompletion pa ON pa.comparison_id = c.id AND pa.position = 0
JOIN annotation_completion a ON a.id = pa.completion_id JOIN annotation_text ta ON ta.sha256 = a.text_sha256
JOIN annotation_comparisoncompletion pb ON pb.comparison_id = c.id AND pb.position = 1
JOIN annotation_completion b ON b.id = pb.completion_id JOIN annotation_text tb ON tb.sha256 = b.text_sha256
WHERE c.project_id = %(project)s AND {IS_PAIR} AND c.id = ANY(%(ids)s::bigint[]) ORDER BY c.id
"""


def pairs_of(project_id: int, comparison_ids: Sequence[int]) -> list[PairRow]:
    """The texts of these pairs, by id. A completion of another form than its prompt becomes messages."""
    with connection.cursor() as cursor:
        cursor.execute(PAIRS, {"project": project_id, "ids": list(comparison_ids)})
        rows = cursor.fetchall()
    return [_pair(row[0], [_text(row[i], row[i + 1]) for i in (1, 3, 5)]) for row in rows]


def _text(form: str, body: str) -> Text:
    if form == "plain":
        return body
    found: list[dict[str, Any]] = json.loads(body)
    return found


def _pair(comparison_id: int, texts: list[Text]) -> PairRow:
    """All texts or all messages: a pass cannot take them mixed."""
    if len({isinstance(text, str) for text in texts}) > 1:
        roles = ("user", "assistant", "assistant")
        texts = [
            [{"role": role, "content": text}] if isinstance(text, str) else text
            for role, text in zip(roles, texts, strict=True)
        ]
    return PairRow(comparison_id, *texts)


LENGTHS = """
SELECT c.id, length(tp.body) + length(ta.body) + length(tb.body)
FROM annotation_comparison c
JOIN annotation_prompt p ON p.id = c.prompt_id JOIN annotation_text tp ON tp.sha256 = p.text_sha256
JOIN annotation_comparisoncompletion pa ON pa.comparison_id = c.id AND pa.position = 0
JOIN annotation_completion a ON a.id = pa.completion_id JOIN annotation_text ta ON ta.sha256 = a.text_sha256
JOIN annotation_comparisoncompletion pb ON pb.comparison_id = c.id AND pb.position = 1
JOIN annotation_completion b ON b.id = pb.completion_id JOIN annotation_text tb ON tb.sha256 = b.text_sha256
WHERE c.project_id = %(project)s AND {pair} AND NOT EXISTS ({known}) ORDER BY c.id
"""
PREDICTED = """
SELECT FROM pipelines_prediction x WHERE x.comparison_id = c.id AND x.rater_id = %(rater)s AND x.method = %(method)s
  AND x.method_version = %(version)s AND x.fingerprint = %(fingerprint)s AND x.params_hash = %(params_hash)s
  AND x.source_import_id IS NULL
"""
SCORED = """
SELECT FROM pipelines_score x WHERE x.comparison_id = c.id AND x.completion_id IS NULL AND x.method = %(method)s
  AND x.method_version = %(version)s AND x.fingerprint = %(fingerprint)s AND x.params_hash = %(params_hash)s
"""


@dataclass(frozen=True)
class WorkKey:
    """What makes a model's number the same number: method, its version, the model's files, every argument."""

    method: str
    version: str
    fingerprint: str
    params_hash: str


def lengths_without_prediction(project_id: int, rater_id: int, key: WorkKey) -> list[tuple[int, int]]:
    """(comparison, characters) of what this judge has not judged yet with this key."""
    return _lengths(PREDICTED, {"project": project_id, "rater": rater_id, **vars(key)})


def lengths_without_score(project_id: int, key: WorkKey) -> list[tuple[int, int]]:
    """(comparison, characters) of what has no score with this key."""
    return _lengths(SCORED, {"project": project_id, **vars(key)})


def _lengths(known: str, parameters: dict[str, Any]) -> list[tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(LENGTHS.format(known=known, pair=IS_PAIR), parameters)
        return list(cursor.fetchall())

"""Answers as a file: one JSON line a comparison in the shape `annotated`, all types, raters by pseudonym."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from django.db import connection, transaction

from annotation.models import Project
from pipelines.errors import NothingToDo
from pipelines.services.new_file import new_file

FETCH = 500

# What stands, on a form; a preference derived from an edit follows from it and is not written. Choices of files without
# strength were given on no form, so no form would take them back: `export_votes` has those.
STANDS = "a.state = 'current' AND a.derived_from_id IS NULL AND a.form_revision_id IS NOT NULL"
COMPARISONS = f"""
SELECT encode(c.key, 'hex'), c.context, array_agg(ARRAY[pt.form, pt.body, t.form, t.body, coalesce(m.name, '')]
    ORDER BY x.position), said.rows
FROM annotation_comparison c
CROSS JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_array(coalesce(replace(p.pseudonym::text, '-', ''), r.name), a.created_at, a.shown_order,
      a.answers, f.number, a.active_seconds, a.idle_seconds, a.exposure) ORDER BY a.id) AS rows
  FROM annotation_annotation a JOIN annotation_rater r ON r.id = a.rater_id
  JOIN annotation_formrevision f ON f.id = a.form_revision_id
  LEFT JOIN annotation_participation p ON p.id = r.participation_id
  WHERE a.comparison_id = c.id AND {STANDS}) said
JOIN annotation_comparisoncompletion x ON x.comparison_id = c.id
JOIN annotation_completion o ON o.id = x.completion_id
JOIN annotation_text t ON t.sha256 = o.text_sha256
JOIN annotation_prompt q ON q.id = o.prompt_id
JOIN annotation_text pt ON pt.sha256 = q.text_sha256
LEFT JOIN annotation_languagemodel m ON m.id = o.model_id
WHERE c.project_id = %s AND said.rows IS NOT NULL
GROUP BY c.id, said.rows ORDER BY c.id
"""
LEFT_OUT = """
SELECT count(*) FROM annotation_annotation a
WHERE a.project_id = %s AND a.state = 'current' AND a.derived_from_id IS NULL AND a.form_revision_id IS NULL
"""


def annotations_export(*, project: Project, out: Path) -> dict[str, int]:
    """Write the answers of a project to a new file, whole or not at all; counts of comparisons and answers.

    A completion's id is its place in stored order, "1" and on. `form` of an answer is the number of its form revision.
    What the page measured goes along, where it did: `active_seconds`, `idle_seconds`, and `exposure`, by side as shown,
    with `opinion`, whether a judge's opinion followed (`after`, or the arm: `arm_shown`, `arm_hidden`). An import holds
    answers against the newest form of its project and reads none of these.
    """
    counts = {"comparisons": 0, "annotations": 0}
    with new_file(out) as file:
        for line in _lines(project.pk):
            file.write(orjson.dumps(line) + b"\n")
            counts["comparisons"] += 1
            counts["annotations"] += len(line["annotations"])
        if not counts["comparisons"]:
            raise NothingToDo(f"The project {project.slug} has no answers to a form to export.")
    with connection.cursor() as cursor:
        cursor.execute(LEFT_OUT, [project.pk])
        if left_out := cursor.fetchone()[0]:
            counts["left_out_choices_without_form"] = left_out
    return counts


def _lines(project_id: int) -> Iterator[dict[str, Any]]:
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(COMPARISONS, [project_id])
        while rows := cursor.fetchmany(FETCH):
            for row in rows:
                yield _line(*row)


def _line(key: str, context: str, places: list[list[str]], said: str | list[Any]) -> dict[str, Any]:
    rows = orjson.loads(said) if isinstance(said, str) else said
    prompts = [_prompt(form, body) for form, body, *_ in places]
    shared = all(prompt == prompts[0] for prompt in prompts)
    completions = []
    for number, (place, prompt) in enumerate(zip(places, prompts, strict=True), start=1):
        _, _, form, body, model = place
        one: dict[str, Any] = {"id": str(number)}
        one |= {"messages": orjson.loads(body)} if form == "messages" else {"text": body}
        completions.append(one | ({"model": model} if model else {}) | ({} if shared else {"prompt": prompt}))
    return {
        "comparison": key,
        **({"prompt": prompts[0]} if shared else {}),
        **({"context": context} if context else {}),
        "completions": completions,
        "annotations": [_annotation(*row) for row in rows],
    }


def _prompt(form: str, body: str) -> Any:
    if form == "name":
        return {"name": body}
    return orjson.loads(body) if form == "messages" else body


def _annotation(
    rater: str, at: str, shown: list[int] | None, answers: dict[str, Any], form: int, *measured: Any
) -> dict[str, Any]:
    order = None if shown is None else [str(position + 1) for position in shown]
    named = zip(("active_seconds", "idle_seconds", "exposure"), measured, strict=True)
    return {
        "rater": rater, "at": at, "shown_order": order, "answers": answers, "form": form,
        **{name: value for name, value in named if value is not None},
    }  # fmt: skip

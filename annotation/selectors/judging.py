"""What the annotation page shows of comparisons lent to a person: their texts, in the order of that person's sides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from annotation.errors import NotFound, _
from annotation.models import Annotation, GuidelineRevision, Project


@dataclass(frozen=True)
class TextShown:
    """`form` is plain or messages; `body` the text, or canonical JSON of the messages."""

    form: str
    body: str


@dataclass(frozen=True)
class Judgeable:
    """One assignment as its annotator sees it: no model, no vote or flag of anybody else, no routing, no stored position.

    `prompts`: the prompt of each completion, only where they differ (joint). `flagged`: the reason of the annotator's own
    flag that no curator has settled, or "".
    """

    assignment_id: int
    token: int
    comparison_id: int
    lease_until: datetime | None
    context: str
    prompt: TextShown
    completions: list[TextShown]
    form_id: int
    guidelines_id: int | None
    questions: list[dict[str, Any]]
    prompts: list[TextShown] | None = None
    flagged: str = ""


SHOWN = """
SELECT a.id, a.token, a.comparison_id, a.lease_until, a.option_order, c.context, pt.form, pt.body,
  array_agg(t.form::text ORDER BY pl.position), array_agg(t.body ORDER BY pl.position),
  array_agg(qt.form::text ORDER BY pl.position), array_agg(qt.body ORDER BY pl.position), f.id,
  (SELECT g.id FROM annotation_guidelinerevision g WHERE g.project_id = c.project_id ORDER BY g.number DESC LIMIT 1),
  f.questions::text,
  (SELECT k.reason FROM annotation_flag k
   WHERE k.comparison_id = a.comparison_id AND k.participation_id = a.participation_id AND k.resolved_at IS NULL)
FROM annotation_assignment a
JOIN annotation_participation p ON p.id = a.participation_id AND p.annotator_id = %(user)s
JOIN annotation_comparison c ON c.id = a.comparison_id AND c.project_id = %(project)s
JOIN annotation_prompt pr ON pr.id = c.prompt_id
JOIN annotation_text pt ON pt.sha256 = pr.text_sha256
JOIN annotation_comparisoncompletion pl ON pl.comparison_id = c.id
JOIN annotation_completion o ON o.id = pl.completion_id
JOIN annotation_text t ON t.sha256 = o.text_sha256
LEFT JOIN annotation_prompt q ON q.id = o.prompt_id AND o.prompt_id <> c.prompt_id
LEFT JOIN annotation_text qt ON qt.sha256 = q.text_sha256
CROSS JOIN LATERAL (SELECT id, questions FROM annotation_formrevision
                    WHERE project_id = c.project_id ORDER BY number DESC LIMIT 1) f
WHERE a.id = ANY(%(ids)s)
GROUP BY a.id, c.id, pt.sha256, f.id, f.questions
ORDER BY a.id
"""


def judgeable_list(*, project_id: int, user_id: int, assignment_ids: Sequence[int]) -> list[Judgeable]:
    """These assignments of this person in this project, in the order asked for, with the newest form. One query."""
    if not assignment_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(SHOWN, {"project": project_id, "user": user_id, "ids": list(assignment_ids)})
        rows = {row[0]: _judgeable(row) for row in cursor.fetchall()}
    return [rows[key] for key in assignment_ids if key in rows]


def _judgeable(row: tuple[Any, ...]) -> Judgeable:
    (
        id_,
        token,
        comparison_id,
        lease_until,
        order,
        context,
        prompt_form,
        prompt_body,
        forms,
        bodies,
        other_forms,
        other_bodies,
        form_id,
        guidelines_id,
        questions,
        flagged,
    ) = row
    stored = [TextShown(form, body) for form, body in zip(forms, bodies, strict=True)]
    shared = TextShown(prompt_form, prompt_body)
    others = [TextShown(form, body) if form else shared for form, body in zip(other_forms, other_bodies, strict=True)]
    return Judgeable(
        id_,
        token,
        comparison_id,
        lease_until,
        context,
        shared,
        [stored[position] for position in order],
        form_id,
        guidelines_id,
        json.loads(questions),
        [others[position] for position in order] if any(other_forms) else None,
        flagged or "",
    )


def judged_today(*, project_id: int, user_id: int) -> int:
    """How many of this person's answers of today stand."""
    statement = """
    SELECT count(*) FROM annotation_annotation n
    JOIN annotation_rater r ON r.id = n.rater_id JOIN annotation_participation p ON p.id = r.participation_id
    WHERE p.project_id = %s AND p.annotator_id = %s AND n.state = 'current' AND n.derived_from_id IS NULL
      AND n.created_at >= date_trunc('day', now())
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, [project_id, user_id])
        return int(cursor.fetchone()[0])


def guidelines_current(*, project: Project) -> GuidelineRevision | None:
    return GuidelineRevision.objects.filter(project=project).first()


PAGE = 50


def own_answers(
    *, project: Project, user_id: int, before: int | None = None
) -> tuple[list[Annotation], int | None]:
    """One's own answers, newest first, without the retractions; and the id to go on from, if there are more."""
    answers = (
        Annotation.objects.filter(
            project=project, rater__participation__annotator_id=user_id, derived_from=None
        )
        .exclude(state=Annotation.State.RETRACTION)
        .select_related("comparison__prompt__text", "form_revision", "superseded_by")
        .order_by("-id")
    )
    if before is not None:
        answers = answers.filter(id__lt=before)
    page = list(answers[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1].pk if len(page) > PAGE else None


def own_answer_get(*, project: Project, user_id: int, annotation_id: int) -> Annotation:
    """One of one's own answers given here, with its form."""
    found = (
        Annotation.objects.filter(
            project=project, pk=annotation_id, rater__participation__annotator_id=user_id
        )
        .exclude(state=Annotation.State.RETRACTION)
        .exclude(assignment=None)
        .select_related("form_revision", "assignment", "supersedes__form_revision", "superseded_by__form_revision")
        .first()
    )
    if found is None:
        raise NotFound(_("There is no such answer of yours."))
    return found


def given_here(annotation: Annotation) -> tuple[list[dict[str, Any]], int, list[int]]:
    """The questions, assignment and sides of an answer; answers given here have all three, imported ones none."""
    form, assignment_id, order = annotation.form_revision, annotation.assignment_id, annotation.shown_order
    if form is None or assignment_id is None or order is None:
        raise NotFound(_("There is no such answer of yours."))
    return form.questions, assignment_id, list(order)

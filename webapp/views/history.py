"""One's own answers: what they were, what became of them, and correcting one."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.feedback import answers_from_form
from annotation.selectors.judging import Judgeable, given_here, judgeable_list, own_answer_get, own_answers
from annotation.services.corrections import annotation_correct
from webapp.rendering import one_line
from webapp.requests import Request
from webapp.views.annotate import _fields, _item, _key


def history(request: Request, slug: str) -> HttpResponse:
    before = request.GET.get("before", "")
    answers, more = own_answers(
        project=request.project,
        user_id=request.user.pk,
        before=int(before) if before.isdecimal() and len(before) < 19 else None,
    )
    rows = [
        {
            "answer": answer,
            "prompt": one_line(answer.comparison.prompt.text.form, answer.comparison.prompt.text.body, 160),
            "words": answer_words(answer.outcome, answer.vote, answer.vote_scale, answer.shown_order),
        }
        for answer in answers
    ]
    return render(request, "project/history.html", {"rows": rows, "more": more, "is_first": before == ""})


def history_answer(request: Request, slug: str, annotation: int) -> HttpResponse:
    """One own answer with the texts it was about; a post corrects it by a new row."""
    answer = own_answer_get(project=request.project, user_id=request.user.pk, annotation_id=annotation)
    questions, assignment_id, shown_order = given_here(answer)
    if request.method == "POST":
        fields = _fields(request)
        stored = annotation_correct(
            annotation_id=annotation,
            user_id=request.user.pk,
            submit_key=_key(fields.get("submit_key", "")),
            answers=answers_from_form(questions, fields, shown_order),
        )
        messages.success(request, "The correction counts instead of the earlier answer, which is kept.")
        return redirect("history_answer", slug, stored.annotation_id)
    shown = judgeable_list(
        project_id=request.project.pk, user_id=request.user.pk, assignment_ids=[assignment_id]
    )[0]
    context = {
        "answer": answer,
        "words": answer_words(answer.outcome, answer.vote, answer.vote_scale, answer.shown_order),
        "item": _item(_with_form(shown, questions)) | {"submit_key": uuid.uuid4()},
        "can_correct": answer.state == answer.State.CURRENT,
    }
    return render(request, "project/history_answer.html", context)


def _with_form(shown: Judgeable, questions: list[dict[str, Any]]) -> Judgeable:
    """The answer is corrected on the form it was given on, not on the newest."""
    return Judgeable(**{**shown.__dict__, "questions": questions})


STRENGTHS = {1: ["better"], 2: ["slightly", "better"], 3: ["slightly", "better", "much better"]}


def answer_words(outcome: str, vote: int | None, scale: int | None, shown_order: list[int] | None) -> str:
    """An answer as its annotator saw it: "B much better"."""
    fixed = {"tie": "Equally good", "both_bad": "Both bad", "cannot_judge": "Cannot judge", "": "–"}
    if outcome in fixed:
        return fixed[outcome]
    position = 0 if outcome == "first" else 1
    letter = "AB"[list(shown_order).index(position)] if shown_order else ("First", "Second")[position]
    if vote is None or not scale:
        return f"{letter} better"
    return f"{letter} {STRENGTHS[scale][abs(vote) - 1]}"

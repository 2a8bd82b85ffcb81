"""One's own answers: what they were, what became of them, and correcting one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotation.errors import FormRefused
from annotation.feedback import SIDES, answers_from_form, answers_to_form
from annotation.feedback.drawing import answer_parts
from annotation.models import Annotation
from annotation.selectors.judging import Judgeable, given_here, judgeable_list, own_answer_get, own_answers
from annotation.selectors.names import names_shown
from annotation.services.corrections import annotation_correct
from annotation.services.people import keys_of
from webapp.language import script_words
from webapp.middleware import wants_json
from webapp.rendering import one_line
from webapp.rendering.turns import Parted, parted, shortened
from webapp.requests import Request
from webapp.views.annotate import KEYS, _fields, _item, _key


def history(request: Request, slug: str) -> HttpResponse:
    before = request.GET.get("before", "")
    answers, more = own_answers(
        project=request.project,
        user_id=request.user.pk,
        before=int(before) if before.isdecimal() and len(before) < 19 else None,
    )
    trees = [answer.assignment_id for answer in answers if answer.assignment_id and _is_of_siblings(answer)]
    shown = judgeable_list(project_id=request.project.pk, user_id=request.user.pk, assignment_ids=trees)
    texts = {tree.assignment_id: parted(tree.prompt, tree.completions) for tree in shown}
    rows = [
        {
            "answer": answer,
            "prompts": _prompts(answer, texts.get(answer.assignment_id)),
            "siblings": _siblings(texts.get(answer.assignment_id)),
            "said": _said(answer),
            "why": _why(answer),
        }
        for answer in answers
    ]
    context = {"rows": rows, "more": more, "is_first": before == "", "script_words": script_words(get_language() or "en")}
    return render(request, "project/history.html", context)


def history_answer(request: Request, slug: str, annotation: int) -> HttpResponse:
    """One own answer with the texts it was about; a post corrects it by a new row, or comes back as it was typed."""
    answer = own_answer_get(project=request.project, user_id=request.user.pk, annotation_id=annotation)
    questions, assignment_id, shown_order = given_here(answer)
    fields, status = answers_to_form(questions, answer.answers, shown_order), 200
    if request.method == "POST":
        posted = _fields(request)
        key = _key(posted.get("submit_key", ""))
        try:
            stored = annotation_correct(
                annotation_id=annotation,
                user_id=request.user.pk,
                submit_key=key,
                answers=answers_from_form(questions, posted, shown_order),
            )
        except FormRefused as refused:
            if wants_json(request):
                raise
            messages.error(request, refused.phrase.said(_))
            fields, status = posted, 400
        else:
            if stored.annotation_id == annotation:
                messages.info(request, _("Nothing was changed, so your answer stands as it was."))
            else:
                messages.success(request, _("The correction counts instead of the earlier answer, which is kept."))
            return redirect("history_answer", slug, stored.annotation_id)
    shown = judgeable_list(
        project_id=request.project.pk, user_id=request.user.pk, assignment_ids=[assignment_id]
    )[0]
    said, newer = _said(answer), getattr(answer, "superseded_by", None)
    context = {
        "answer": answer,
        "said": said,
        "earlier": answer.supersedes and _differing(_said(answer.supersedes), said),
        "names": names_shown(answer),
        "newer": newer and _differing(_said(newer), said),
        "item": _item(_with_form(shown, questions), slug, fields),
        "correcting": answer.state == answer.State.CURRENT,
        "keys": KEYS.items(),
        "key_settings": keys_of(request.user),
        "script_words": script_words(get_language() or "en"),
    }
    return render(request, "project/history_answer.html", context, status=status)


def _is_of_siblings(answer: Annotation) -> bool:
    form = answer.form_revision
    return form is not None and any(question.get("mode") == "siblings" for question in form.questions)


def _prompts(answer: Annotation, tree: Parted | None) -> list[str]:
    """What a comparison is known by in the list: its prompt, of siblings where the path to them begins and ends."""
    if tree is None:
        return [one_line(answer.comparison.prompt.text.form, answer.comparison.prompt.text.body, 160)]
    path = [shortened(turn.content, 160) for turn in tree.shared if turn.role != "system" and turn.content.strip()]
    return [*path[:1], *path[1:][-1:]]


def _siblings(tree: Parted | None) -> list[tuple[str, str]]:
    """The first words of each sibling under its letter, in the order in which they were shown."""
    return [(side, shortened(own[0].content, 160)) for side, own in zip(SIDES, tree.rest, strict=False)] if tree else []


def _said(answer: Annotation) -> list[list[str]]:
    """The answer in parts as its annotator saw it; imported ones, which saw no side, by the stored order."""
    if answer.form_revision is None:
        return [[answer_words(answer.outcome, answer.vote, answer.vote_scale, answer.shown_order)]]
    order = answer.shown_order or range(answer.comparison.size)
    return answer_parts(answer.form_revision.questions, answer.answers, list(order))


def _differing(said: list[list[str]], other: list[list[str]]) -> list[list[str]]:
    """What an answer says that another does not; all, where the two differ in reasons or sentences alone."""
    return [parts for parts in said if parts not in other] or said


def _why(answer: Annotation) -> str:
    """The reasons and sentences of an answer in the order of its questions, completion by completion."""
    parts = [part for given in answer.answers.values() if given for part in given.get("completions") or [given] if part]
    said = [text for part in parts for text in (*(part.get("reasons") or []), part.get("sentence") or "") if text]
    return " · ".join(said)


def _with_form(shown: Judgeable, questions: list[dict[str, Any]]) -> Judgeable:
    """The answer is corrected on the form it was given on, not on the newest."""
    return Judgeable(**{**shown.__dict__, "questions": questions})


STRENGTHS = {1: ["better"], 2: ["slightly", "better"], 3: ["slightly", "better", "much better"]}


def answer_words(outcome: str, vote: int | None, scale: int | None, shown_order: list[int] | None) -> str:
    """What was said of first and second, for curators: "B much better"."""
    fixed = {"tie": "Equally good", "both_bad": "Both bad", "cannot_judge": "Cannot judge", "": "–"}
    if outcome in fixed:
        return fixed[outcome]
    position = 0 if outcome == "first" else 1
    letter = "AB"[list(shown_order).index(position)] if shown_order else ("First", "Second")[position]
    if vote is None or not scale:
        return f"{letter} better"
    return f"{letter} {STRENGTHS[scale][abs(vote) - 1]}"

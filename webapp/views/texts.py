"""Sections of very long texts, loaded when somebody opens them."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop

from annotation.errors import NotFound
from annotation.feedback import SIDES
from annotation.feedback.stepwise.answer import CUTS, steps_of
from annotation.selectors.judging import judgeable_list
from annotation.selectors.texts import comparison_texts
from webapp.rendering.turns import Parted, Turn, parted
from webapp.requests import Request
from webapp.templatetags.texts import text_sections
from webapp.views.annotate import step_turn

NO_TEXT = gettext_noop("There is no such text.")


def annotate_section(request: Request, slug: str, assignment: int) -> HttpResponse:
    """A section of a text of one's own assignment: of what is shared or a completion, of a side's own prompt
    (`of=prompt`), or of a step of a completion cut in steps (`cut`)."""
    shown = judgeable_list(
        project_id=request.project.pk, user_id=request.user.pk, assignment_ids=[assignment]
    )
    if not shown:
        raise NotFound(gettext_noop("There is no such comparison of yours."))
    item, side, cut = shown[0], request.GET.get("side", ""), request.GET.get("cut", "")
    if request.GET.get("of") == "prompt":
        prompts = item.prompts or []
        return _section(request, parted(prompts[_position(side, prompts)], []).shared)
    if cut in CUTS:
        text = item.completions[_position(side, item.completions)]
        return _section(request, [step_turn(cut, at, step) for at, step in enumerate(steps_of(cut, text.form, text.body))])
    return _section(request, _turns(parted(item.prompt, item.completions), side))


def comparison_section(request: Request, slug: str, comparison_id: int) -> HttpResponse:
    """A section of a text of a comparison, its completions in stored order."""
    prompt, completions = comparison_texts(project=request.project, comparison_id=comparison_id)
    return _section(request, _turns(parted(prompt, completions), request.GET.get("side", "")))


def _section(request: Request, among: Sequence[Turn]) -> HttpResponse:
    """The section that the query names: `side` (empty for what is shared), `at`, `part`, `section`."""
    at = _place(request, "at")
    turn = next((turn for turn in among if turn.at == at), None)
    part = dict(enumerate(turn.shown)).get(_place(request, "part")) if turn else None
    if part is None or part.kind != "text":
        raise NotFound(NO_TEXT)
    number = _place(request, "section")
    cut = text_sections(part.text)
    if number >= len(cut):
        raise NotFound(gettext_noop("There is no such section."))
    template = "annotate/section.html" if "fragment" in request.GET else "annotate/section_page.html"
    return render(request, template, {"text": cut[number], "number": number + 1, "of": len(cut), "turn": turn})


def _turns(found: Parted, side: str) -> Sequence[Turn]:
    return found.rest[_position(side, found.rest)] if side else found.shared


def _position(side: str, sides: Sequence[object]) -> int:
    """The place of a side's letter."""
    letters = list(SIDES[: len(sides)])
    if side not in letters:
        raise NotFound(NO_TEXT)
    return letters.index(side)


def _place(request: Request, name: str) -> int:
    text = request.GET.get(name, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise NotFound(NO_TEXT)
    return int(text)

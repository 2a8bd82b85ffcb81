"""Sections of very long texts, loaded when somebody opens them."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop

from annotation.errors import NotFound
from annotation.feedback import SIDES
from annotation.selectors.judging import judgeable_list
from annotation.selectors.texts import comparison_texts
from webapp.rendering.turns import Parted, Turn, parted
from webapp.requests import Request
from webapp.templatetags.texts import text_sections


def annotate_section(request: Request, slug: str, assignment: int) -> HttpResponse:
    """A section of a text of one's own assignment."""
    shown = judgeable_list(
        project_id=request.project.pk, user_id=request.user.pk, assignment_ids=[assignment]
    )
    if not shown:
        raise NotFound(gettext_noop("There is no such comparison of yours."))
    return _section(request, parted(shown[0].prompt, shown[0].completions))


def comparison_section(request: Request, slug: str, comparison_id: int) -> HttpResponse:
    """A section of a text of a comparison, its completions in stored order."""
    prompt, completions = comparison_texts(project=request.project, comparison_id=comparison_id)
    return _section(request, parted(prompt, completions))


def _section(request: Request, found: Parted) -> HttpResponse:
    """The section that the query names: `side` (empty for what is shared), `at`, `part`, `section`."""
    turn = _turn(found, request.GET.get("side", ""), _place(request, "at"))
    part = dict(enumerate(turn.shown)).get(_place(request, "part"))
    if part is None or part.kind != "text":
        raise NotFound(gettext_noop("There is no such text."))
    number = _place(request, "section")
    cut = text_sections(part.text)
    if number >= len(cut):
        raise NotFound(gettext_noop("There is no such section."))
    template = "annotate/section.html" if "fragment" in request.GET else "annotate/section_page.html"
    return render(request, template, {"text": cut[number], "number": number + 1, "of": len(cut), "turn": turn})


def _turn(found: Parted, side: str, at: int) -> Turn:
    among = found.shared if not side else dict(zip(SIDES, found.rest, strict=False)).get(side, ())
    turn = next((turn for turn in among if turn.at == at), None)
    if turn is None:
        raise NotFound(gettext_noop("There is no such text."))
    return turn


def _place(request: Request, name: str) -> int:
    text = request.GET.get(name, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise NotFound(gettext_noop("There is no such text."))
    return int(text)

"""The loop of an annotator: next, submit, skip, flag, undo. A page, its fragments and JSON over the same services.

Works without script: every step is a form that posts and comes back to the page. With script the page's module posts
the same fields and swaps in the next fragment. JSON is described in docs/api.md.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import asdict
from importlib import import_module
from typing import Any
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from annotation.errors import FormRefused
from annotation.feedback import SIDES, answers_from_form
from annotation.selectors.judging import (
    Judgeable,
    guidelines_current,
    judgeable_list,
    judged_today,
)
from annotation.services.assignment import (
    SKIP_REASONS,
    Shown,
    assignment_heartbeat,
    assignment_next,
    assignment_skip,
    assignment_submit,
    comparison_flag,
)
from annotation.services.corrections import annotation_undo
from webapp.middleware import wants_json
from webapp.rendering import turns

MOST_AHEAD = 3
KEYS = {
    "x": "Both bad",
    "u": "Cannot judge",
    "s": "Skip",
    "f": "Flag",
    "z": "Undo, for 10 seconds",
    "d": "Show differences",
    "n": "Next difference",
    "l": "Lock or free scrolling",
    "v": "Show the source",
    "g": "Guidelines",
    "h": "My answers",
    "?": "Keys",
}
from webapp.requests import Request


def annotate(request: Request, slug: str) -> HttpResponse:
    """The page with the comparison that is this person's turn; `?saved=ID` offers the undo of an answer just given."""
    project, user = request.project, request.user
    rows = assignment_next(project_id=project.pk, user_id=user.pk, prefetch=1)
    shown = judgeable_list(project_id=project.pk, user_id=user.pk, assignment_ids=[row.id for row in rows])
    context = {
        "item": _item(shown[0]) if shown else None,
        "saved": _saved(request),
        "judged_today": judged_today(project_id=project.pk, user_id=user.pk),
        "skip_reasons": SKIP_REASONS,
        "keys": KEYS.items(),
        "guidelines": guidelines_current(project=project),
    }
    return render(request, "annotate/page.html", context)


def annotate_next(request: Request, slug: str) -> HttpResponse:
    """The next assignment that the page does not hold yet (`?have=ID,ID`), or one held again (`?assignment=ID`)."""
    project, user = request.project, request.user
    if again := request.GET.get("assignment", ""):
        wanted = [_integer("assignment", again)]
    else:
        have = _integers("have", request.GET.get("have", ""))[: MOST_AHEAD - 1]
        rows = assignment_next(project_id=project.pk, user_id=user.pk, prefetch=len(have) + 1)
        wanted = [row.id for row in rows if row.id not in have][:1]
    found = judgeable_list(project_id=project.pk, user_id=user.pk, assignment_ids=wanted)
    shown = [item for item in found if item.lease_until is not None]
    if wants_json(request):
        return JsonResponse({"assignments": [_as_json(item) for item in shown]})
    if not shown:
        return HttpResponse(status=204)
    return render(request, "annotate/item.html", {"item": _item(shown[0]), "skip_reasons": SKIP_REASONS})


def annotate_submit(request: Request, slug: str, assignment: int) -> HttpResponse:
    """Store one answer; 2xx only after the commit. The same key and answer give the same reply again."""
    fields = _fields(request)
    form_id = _integer("form", fields.get("form", ""))
    stored = assignment_submit(
        assignment_id=assignment,
        user_id=request.user.pk,
        project_id=request.project.pk,
        submit_key=_key(fields.get("submit_key", "")),
        answers=lambda questions, option_order: answers_from_form(questions, fields, option_order),
        shown=_measured(fields, form_id),
    )
    if wants_json(request):
        return JsonResponse(asdict(stored), status=200 if stored.replay else 201)
    return redirect(f"{_page(slug)}?saved={stored.annotation_id}")


def annotate_skip(request: Request, slug: str, assignment: int) -> HttpResponse:
    assignment_skip(
        assignment_id=assignment,
        user_id=request.user.pk,
        project_id=request.project.pk,
        reason=_fields(request).get("reason", ""),
    )
    return JsonResponse({"skipped": assignment}) if wants_json(request) else redirect(_page(slug))


def annotate_flag(request: Request, slug: str, assignment: int) -> HttpResponse:
    comparison_flag(
        assignment_id=assignment,
        user_id=request.user.pk,
        project_id=request.project.pk,
        reason=_fields(request).get("reason", ""),
    )
    return (
        JsonResponse({"flagged": assignment}) if wants_json(request) else redirect(f"{_page(slug)}?flagged=1")
    )


def annotate_heartbeat(request: Request, slug: str) -> HttpResponse:
    """Renew leases given as `ID:TOKEN,ID:TOKEN`; the reply names those that still hold."""
    leases = []
    for pair in filter(None, _fields(request).get("leases", "").split(",")):
        id_, _, token = pair.partition(":")
        leases.append((_integer("lease", id_), _integer("token", token)))
    held = assignment_heartbeat(
        project_id=request.project.pk, user_id=request.user.pk, leases=leases[:MOST_AHEAD]
    )
    return JsonResponse({"held": held})


def annotate_undo(request: Request, slug: str, annotation: int) -> HttpResponse:
    """Withdraw one's latest answer; the reply names the assignment that is open again, if its place was still free."""
    row = annotation_undo(
        annotation_id=annotation, user_id=request.user.pk, project_id=request.project.pk
    )
    return (
        JsonResponse({"assignment": row.id if row else None})
        if wants_json(request)
        else redirect(_page(slug))
    )


# What comes in


def _fields(request: Request) -> dict[str, str]:
    """The posted fields; a field that came several times is joined by newlines. JSON bodies carry the same fields."""
    if request.content_type != "application/json":
        return {name: "\n".join(values) for name, values in request.POST.lists()}
    try:
        body = json.loads(request.body)
    except ValueError:
        raise FormRefused("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise FormRefused(f"The body must be one object of fields; got {type(body).__name__}.")
    return {
        str(k): "\n".join(map(str, v)) if isinstance(v, list) else str(v)
        for k, v in body.items()
        if v is not None
    }


def _integer(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise FormRefused(f"The field {name} must be a whole number; got {text[:40]!r}.")
    return int(text)


def _integers(name: str, text: str) -> list[int]:
    return [_integer(name, part) for part in text.split(",") if part]


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise FormRefused(f"The submit key must be a UUID; got {text[:40]!r}.") from None


def _measured(fields: dict[str, str], form_id: int) -> Shown:
    """What the page measured. Measurements are not answers, so an odd one is left out rather than refused."""
    language, guidelines = fields.get("interface_language", "")[:12], fields.get("guidelines", "")
    return Shown(
        form_revision_id=form_id,
        guideline_revision_id=_integer("guidelines", guidelines) if guidelines else None,
        interface_language=language or "en",
        active_seconds=_seconds(fields.get("active_seconds", "")),
        idle_seconds=_seconds(fields.get("idle_seconds", "")),
        exposure=_exposure(fields.get("exposure", "")),
    )


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 86_400 else None


def _exposure(text: str) -> dict[str, Any] | None:
    """`differences`, `source` (used or not) and the share of each side that was scrolled into view."""
    try:
        read = json.loads(text) if len(text) <= 400 else None
    except ValueError:
        return None
    if not isinstance(read, dict):
        return None
    known = {
        key: read[key] for key in ("differences", "source", "free_scroll", "seen_a", "seen_b") if key in read
    }
    return {
        key: value
        for key, value in known.items()
        if isinstance(value, bool | int | float) and -1 <= value <= 1
    }


# What goes out


def _page(slug: str) -> str:
    return f"/p/{slug}/annotate/"


def _saved(request: Request) -> int | None:
    text = request.GET.get("saved", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _item(item: Judgeable) -> dict[str, Any]:
    """What `annotate/item.html` draws. The key is made for this rendering: a reload makes another, a retry does not."""
    question = item.questions[0]
    return {
        "id": item.assignment_id,
        "token": item.token,
        "comparison_id": item.comparison_id,
        "lease_until": item.lease_until,
        "submit_key": uuid.uuid4(),
        "form_id": item.form_id,
        "guidelines_id": item.guidelines_id,
        "context": item.context,
        "prompt": turns(item.prompt.form, item.prompt.body),
        "options": [
            {"side": side, "turns": turns(text.form, text.body)}
            for side, text in zip(SIDES, item.completions, strict=False)
        ],
        "question": question,
        "drawn": import_module(f"annotation.feedback.{question['type']}.form").question_drawn(question),
        "template": f"{question['type']}/question.html",
    }


def _as_json(item: Judgeable) -> dict[str, Any]:
    """The same as the page shows, for programs that judge."""
    return {
        "id": item.assignment_id,
        "token": item.token,
        "comparison": item.comparison_id,
        "lease_until": item.lease_until.isoformat() if item.lease_until else None,
        "submit_key": str(uuid.uuid4()),
        "form": item.form_id,
        "guidelines": item.guidelines_id,
        "questions": item.questions,
        "context": item.context,
        "prompt": [asdict(turn) for turn in turns(item.prompt.form, item.prompt.body)],
        "completions": {
            side: [asdict(turn) for turn in turns(text.form, text.body)]
            for side, text in zip(SIDES, item.completions, strict=False)
        },
    }

"""The loop of an annotator: next, submit, skip, flag, undo. A page, its fragments and JSON over the same services.

Works without script: every step is a form that posts and comes back to the page. With script the page's module posts
the same fields and swaps in the next fragment. JSON is described in docs/api.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from textwrap import dedent
from typing import Any
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy, gettext_noop
from django.utils.translation import gettext as _

from annotation.errors import FormRefused, SomebodyElse
from annotation.feedback import SIDES, answers_from_form, is_storable
from annotation.feedback.drawing import Block, Form, Row, form_drawn
from annotation.feedback.drawing import Shown as ShownForm
from annotation.feedback.shared import CANNOT_JUDGE
from annotation.feedback.stepwise.answer import Step
from annotation.played import Gate, played_media
from annotation.selectors.judging import (
    Judgeable,
    TextShown,
    guidelines_current,
    judgeable_list,
    judged_today,
)
from annotation.selectors.sessions import leases_of, rest_of
from annotation.services.assignment import (
    FEW_HELD,
    MOST_HELD,
    SKIP_REASONS,
    Shown,
    assignment_heartbeat,
    assignment_next,
    assignment_skip,
    assignment_submit,
    comparison_flag,
    most_held,
)
from annotation.services.corrections import annotation_undo
from annotation.services.people import keys_of
from annotation.services.played import gate_of, played_check
from annotation.sessions import Rest
from pipelines.selectors.opinion import opinion_after
from webapp.language import script_words
from webapp.middleware import wants_json
from webapp.rendering import Turn, turns
from webapp.rendering.turns import parted
from webapp.requests import Request

# What single keys do besides answering; a person may change each (`annotation.services.people.keys_change`).
KEYS = {
    "x": gettext_lazy("Both bad"),
    "u": gettext_lazy("Cannot judge"),
    "j": gettext_lazy("Next row"),
    "k": gettext_lazy("Previous row"),
    "p": gettext_lazy("Take the row’s answer out"),
    "s": gettext_lazy("Skip"),
    "f": gettext_lazy("Flag"),
    "z": gettext_lazy("Undo, for 10 seconds"),
    "d": gettext_lazy("Show differences"),
    "n": gettext_lazy("Next difference"),
    "o": gettext_lazy("Open or fold the earlier turns"),
    "l": gettext_lazy("Lock or free scrolling"),
    "v": gettext_lazy("Show the source"),
    "g": gettext_lazy("Guidelines"),
    "h": gettext_lazy("My answers"),
    "?": gettext_lazy("Keys"),
}


def annotate(request: Request, slug: str) -> HttpResponse:
    """The page with the comparison that is this person's turn; `?saved=ID` offers the undo of an answer just given."""
    project, user = request.project, request.user
    rest = rest_of(project=project, user_id=user.pk)
    shown = judgeable_list(project_id=project.pk, user_id=user.pk, assignment_ids=_to_judge(request, rest, 1))
    saved = _saved(request)
    context = {
        "item": _item(shown[0], slug, gate=gate_of(project)) if shown else None,
        "saved": saved,
        "opinion": _opinion_words(_opinion(request, saved)) if saved else "",
        "rest": rest,
        "judged_today": judged_today(project_id=project.pk, user_id=user.pk),
        "skip_reasons": SKIP_REASONS,
        "keys": KEYS.items(),
        "key_settings": keys_of(user),
        "words": script_words(get_language() or "en"),
        "guidelines": guidelines_current(project=project),
    }
    return render(request, "annotate/page.html", context)


def annotate_next(request: Request, slug: str) -> HttpResponse:
    """The next assignment that the page does not hold yet (`?have=ID,ID`), or one held again (`?assignment=ID`).

    With `?person=ID` for that account only: a page left open hands out nothing to whoever signed in since.
    """
    project, user = request.project, request.user
    _persons_page(request, request.GET.get("person", ""))
    if again := request.GET.get("assignment", ""):
        wanted = [_integer("assignment", again)]
    else:
        have = _integers("have", request.GET.get("have", ""))[: MOST_HELD - 1]
        rest = rest_of(project=project, user_id=user.pk)
        wanted = [id_ for id_ in _to_judge(request, rest, len(have) + 1) if id_ not in have][:1]
    found = judgeable_list(project_id=project.pk, user_id=user.pk, assignment_ids=wanted)
    shown = [item for item in found if item.lease_until is not None]
    if wants_json(request):
        reply = {"assignments": [_as_json(item) for item in shown]}
        return JsonResponse(reply if again else reply | _rest_as_json(rest))
    if not shown:
        return HttpResponse(status=204)
    context = {"item": _item(shown[0], slug, gate=gate_of(project)), "skip_reasons": SKIP_REASONS}
    return render(request, "annotate/item.html", context)


def _to_judge(request: Request, rest: Rest, most: int) -> list[int]:
    """The assignments that this person goes on with; where the project's caps are reached, only those held already."""
    project_id, user_id = request.project.pk, request.user.pk
    if rest.left == 0:
        return leases_of(project_id=project_id, user_id=user_id)[:most]
    if most > FEW_HELD:
        most = min(most, most_held(project_id=project_id))
    k = most if rest.left is None else min(most, rest.left)
    return [row.id for row in assignment_next(project_id=project_id, user_id=user_id, prefetch=k)]


def annotate_submit(request: Request, slug: str, assignment: int) -> HttpResponse:
    """Store one answer; 2xx only after the commit. The same key and answer give the same reply again."""
    fields = _fields(request)
    _same_person(request, fields)
    form_id = _integer("form", fields.get("form", ""))
    arm = _opinion_arm(request, assignment)
    shown = _measured(fields, form_id, arm)

    def answers(questions: Sequence[dict[str, Any]], option_order: Sequence[int]) -> dict[str, Any]:
        read = answers_from_form(questions, fields, option_order)
        if not _is_unable(questions, read):
            played_check(request.project, assignment, option_order, shown.exposure)
        return read

    stored = assignment_submit(
        assignment_id=assignment,
        user_id=request.user.pk,
        project_id=request.project.pk,
        submit_key=_key(fields.get("submit_key", "")),
        answers=answers,
        shown=shown,
    )
    if wants_json(request):
        opinion = _opinion(request, stored.annotation_id)
        reply = asdict(stored) | ({"opinion": opinion} if opinion else {})
        return JsonResponse(reply, status=200 if stored.replay else 201)
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
    """Renew leases given as `ID:TOKEN,ID:TOKEN`; the reply names those that still hold, and until when."""
    fields, leases = _fields(request), []
    _persons_page(request, fields.get("person", ""))
    for pair in filter(None, fields.get("leases", "").split(",")):
        id_, _, token = pair.partition(":")
        leases.append((_integer("lease", id_), _integer("token", token)))
    held = assignment_heartbeat(
        project_id=request.project.pk, user_id=request.user.pk, leases=leases[:MOST_HELD]
    )
    return JsonResponse({"held": list(held), "until": max(held.values(), default=None)})


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
        given = body.items() if isinstance(body, dict) else ()
        fields = {k: "\n".join(map(str, v)) if isinstance(v, list) else str(v) for k, v in given if v is not None}
    except (ValueError, RecursionError):
        raise FormRefused(gettext_noop("The body is not JSON.")) from None
    if not isinstance(body, dict):
        raise FormRefused(gettext_noop("The body must be one object of fields; got {got}."), got=type(body).__name__)
    if odd := next((name for name, text in fields.items() if not is_storable(name + text)), None):
        raise FormRefused(
            gettext_noop("The field {name!r} holds a NUL or half a character, which cannot be stored. Take it out."),
            name=odd[:40],
        )
    return fields


def _integer(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise FormRefused(gettext_noop("The field {name} must be a whole number; got {text!r}."), name=name, text=text[:40])
    return int(text)


def _integers(name: str, text: str) -> list[int]:
    return [_integer(name, part) for part in text.split(",") if part]


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise FormRefused(gettext_noop("The submit key must be a UUID; got {text!r}."), text=text[:40]) from None


def _is_unable(questions: Sequence[dict[str, Any]], read: dict[str, Any]) -> bool:
    """Whether all that must be answered is "cannot judge"; asked before the answers are checked."""
    required = [read.get(question["key"]) for question in questions if question.get("required")]
    parts = [part for answer in required if answer for part in answer.get("completions", [answer])]
    return bool(parts) and all(part and part.get("outcome") == CANNOT_JUDGE for part in parts)


def _same_person(request: Request, fields: dict[str, str]) -> None:
    """Answers kept in a browser belong to whoever gave them, not to whoever signed in since."""
    if fields.get("person", "") not in {"", str(request.user.pk)}:
        raise SomebodyElse(
            gettext_noop("This answer is another account’s. It stays in this browser until that account signs in again.")
        )


def _persons_page(request: Request, person: str) -> None:
    if person not in {"", str(request.user.pk)}:
        raise SomebodyElse(
            gettext_noop("This page is another account’s. Sign in again as that account, or load the page anew.")
        )


def _measured(fields: dict[str, str], form_id: int, arm: str) -> Shown:
    """What the page measured. Measurements are not answers, so an odd one is left out rather than refused."""
    guidelines = fields.get("guidelines", "")
    exposure = _exposure(fields.get("exposure", ""))
    return Shown(
        form_revision_id=form_id,
        guideline_revision_id=_integer("guidelines", guidelines) if guidelines else None,
        interface_language=fields.get("interface_language", "")[:12] or get_language() or "en",
        active_seconds=_seconds(fields.get("active_seconds", "")),
        idle_seconds=_seconds(fields.get("idle_seconds", "")),
        exposure={**(exposure or {}), "opinion": arm} if arm else exposure,
    )


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 86_400 else None


EXPOSED = re.compile(r"differences|source|free_scroll|opinion_seen|(seen|dwell|played|share)_[a-i]")


def _exposure(text: str) -> dict[str, Any] | None:
    """Tools used or not, and of each side the share that was in view (`seen`), the seconds that it was (`dwell`),
    and the seconds (`played`) and the `share` of its media that were played."""
    try:
        read = json.loads(text) if len(text) <= 2_000 else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict):
        return None
    return {
        key: value
        for key, value in read.items()
        if EXPOSED.fullmatch(key) and isinstance(value, bool | int | float) and -1 <= value <= 86_400
    }


# What goes out


def _page(slug: str) -> str:
    return f"/p/{slug}/annotate/"


def _saved(request: Request) -> int | None:
    text = request.GET.get("saved", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _opinion_arm(request: Request, assignment_id: int) -> str:
    """Whether this answer is followed by the judge's opinion: decided by the project, or by a keyed hash; stored."""
    option = request.project.show_opinion
    if option != "arm":
        return "after" if option == "after" else ""
    salted = request.project.split_salt.bytes + b"opinion" + str(assignment_id).encode()
    return "arm_shown" if hashlib.sha256(salted).digest()[0] % 2 else "arm_hidden"


def _opinion(request: Request, annotation_id: int) -> dict[str, Any] | None:
    """The judge's opinion on a comparison just answered, by side as shown; only where the project shows it."""
    if request.project.show_opinion == "off":
        return None
    found = opinion_after(project=request.project, user_id=request.user.pk, annotation_id=annotation_id)
    return asdict(found) if found else None


def _opinion_words(opinion: dict[str, Any] | None) -> str:
    if opinion is None:
        return ""
    if opinion["side"] == "":
        return _("A model judge saw both as equally good.")
    percent = round(100 * opinion["probability"]) if opinion["probability"] is not None else None
    words = _("A model judge preferred {side}.").format(side=opinion["side"])
    return words if percent is None else f"{words} ({percent}%)"


def _item(
    item: Judgeable, slug: str, fields: dict[str, str] | None = None, gate: Gate | None = None
) -> dict[str, Any]:
    """What `annotate/item.html` draws. The key is made for this rendering: a reload makes another, a retry does not.

    `fields` are those that a correction begins with; a correction passes no `gate`.
    """
    bodies = [(text.form, text.body) for text in item.completions]
    shown = ShownForm(bodies)
    form = form_drawn(item.questions, shown, fields or {})
    looks = {row.look for block in form.blocks for row in block.rows}
    inline = [] if "spans" in looks else [block for block in form.blocks if _is_inline(block)]
    texts = parted(item.prompt, item.completions)
    sections = reverse("annotate_section", args=[slug, item.assignment_id]) + "?"
    form = replace(form, blocks=[replace(block, inline=block in inline) for block in form.blocks])
    return {
        "id": item.assignment_id,
        "token": item.token,
        "comparison_id": item.comparison_id,
        "lease_until": item.lease_until,
        "submit_key": uuid.uuid4(),
        "submit_url": reverse("annotate_submit", args=[slug, item.assignment_id]),
        "skip_url": reverse("annotate_skip", args=[slug, item.assignment_id]),
        "flag_url": reverse("annotate_flag", args=[slug, item.assignment_id]),
        "form_id": item.form_id,
        "guidelines_id": item.guidelines_id,
        "context": item.context,
        "flagged": item.flagged,
        "is_joint": item.prompts is not None,
        "parted": texts,
        "sections_url": sections,
        "options": [
            _option(item, form, place, texts.rest[place], "spans" in looks, sections)
            for place in range(len(item.completions))
        ],
        "has_steps": any(question.get("mode") == "each" for question in item.questions),
        "question": item.questions[0],
        "more": len(item.questions) - 1,
        "form": form,
        "has_players": any(played_media(*body) for body in bodies),
        "gate": gate if gate and gate.holds(bodies) else None,
        "letters": shown.sides.lower(),
        "special_rows": sorted(looks & {"slider", "edit", "spans", "segments"}),
    }


def _is_inline(block: Block) -> bool:
    return any(row.text is not None for row in block.rows)


def _option(
    item: Judgeable, form: Form, place: int, own_turns: Sequence[Turn], is_exact: bool, sections: str
) -> dict[str, Any]:
    """One completion as shown: its turns, or its steps with a row each, or its source to the letter."""
    side, text = SIDES[place], item.completions[place]
    prompt = item.prompts[place] if item.prompts else None
    inline = next((at for at, block in enumerate(form.blocks) if block.inline and block.side == side), None)
    return {
        "side": side,
        "next": SIDES[place + 1] if place + 1 < len(item.completions) else "",
        "prompt": parted(prompt, []) if prompt else None,
        "prompt_sections": f"{sections}of=prompt&",
        "turns": own_turns,
        "anchor": f"text-{side}",
        "exact": _exact(text) if is_exact else [],
        "steps": [] if inline is None else _steps(form.blocks[inline], inline),
        "steps_sections": "" if inline is None else f"{sections}cut={form.blocks[inline].question['cut']}&",
        "block": None if inline is None else form.blocks[inline],
        "at": inline,
    }


def _exact(text: TextShown) -> list[dict[str, Any]]:
    """The texts of a completion as they are stored; of a chat, each message's under its place in it."""
    if text.form != "messages":
        return [{"message": "", "turn": Turn("", ""), "text": text.body}]
    return [
        {"message": at, "turn": Turn(str(message.get("role", "")), ""), "text": message["content"]}
        for at, message in enumerate(json.loads(text.body))
        if isinstance(message.get("content"), str)
    ]


def _steps(block: Block, at: int) -> list[dict[str, Any]]:
    cut, rows = str(block.question.get("cut")), [row for row in block.rows if row.text is not None]
    return [{"row": row, "block": block, "at": at, "turn": step_turn(cut, n, row)} for n, row in enumerate(rows)]


def step_turn(cut: str, at: int, step: Row | Step) -> Turn:
    """A step as the page draws it, with its number from 0."""
    text = step.text or ""
    if step.is_message:
        return replace(turns("messages", f"[{text}]")[0], at=at)
    # The indent of a line alone would read as a block of code.
    return Turn("", dedent(text).strip() if cut in {"lines", "auto"} else text, at=at)


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
        **_prompts_as_json(item),
        "completions": {
            side: [asdict(turn) for turn in turns(text.form, text.body)]
            for side, text in zip(SIDES, item.completions, strict=False)
        },
    }


def _rest_as_json(rest: Rest) -> dict[str, Any]:
    """Why nothing more is handed out, where a cap of the project is the reason."""
    return {"rest": {"reason": rest.reason, "until": rest.until.isoformat()}} if rest.until else {}


def _prompts_as_json(item: Judgeable) -> dict[str, Any]:
    """The prompt of each side, where a comparison has several."""
    if item.prompts is None:
        return {}
    sides = zip(SIDES, item.prompts, strict=False)
    return {"prompts": {side: [asdict(turn) for turn in turns(text.form, text.body)] for side, text in sides}}

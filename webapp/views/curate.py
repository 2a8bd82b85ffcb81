"""The curator's desk: comparisons and all that is known of them, raters, leases, and what a CHES filter would drop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from annotation.errors import NotFound, Refused
from annotation.feedback import SIDES
from annotation.feedback.drawing import answer_words as form_words
from annotation.models import Annotation, LanguageModel
from annotation.selectors.leases import lease_list
from annotation.selectors.queue import group_list, judging_people
from annotation.services.assignment import assignment_release
from annotation.services.demand import comparison_delete as comparison_delete_service
from annotation.services.demand import comparison_hold as comparison_hold_service
from annotation.services.demand import comparison_settle as comparison_settle_service
from annotation.services.demand import comparison_wanted_set
from pipelines.errors import NothingToDo
from pipelines.labels import PROJECT_METHODS
from pipelines.selectors.answered import rating_aspects
from pipelines.selectors.ches import ches_drawn
from pipelines.selectors.comparisons import Row, comparison_counts, comparison_get, comparison_page
from pipelines.selectors.raters import newest_run, rater_list, wilson
from pipelines.selectors.scores import models_scored
from pipelines.services.aggregation import DEFAULT_METHOD
from pipelines.services.derivation import rule_of
from webapp import charts
from webapp.context import may, sees_models
from webapp.rendering import one_line, turns
from webapp.rendering.turns import parted
from webapp.views.history import answer_words
from webapp.views.project import number, whole_number

OUTCOMES = {"first": "first better", "second": "second better", "tie": "tie", "yes": "desirable", "no": "not desirable"}
ORIGINS = {"person": "people", "model": "a model", "source": "an imported source"}
WARNINGS = {"identity_leak": "names its maker", "control_characters": "invisible characters"}
DERIVED = {"yes": "yes", "no": "no"}
ROUTED = {"person": "people", "model": "the judge"}
from webapp.requests import Request

SORT_WORDS = {"new": "newest first", "flip": "most likely to be flipped first", "ches": "highest CHES first"}
SELECTS = [
    ("outcome", "Preference", OUTCOMES),
    ("origin", "Label from", ORIGINS),
    ("warning", "Warning", WARNINGS),
    ("routed", "Routed to", ROUTED),
    ("derived", "Derived from a set", DERIVED),
]


def _agree(agree: int, n: int) -> dict[str, float] | None:
    """The share of comparisons where the judge sides with the people, with its interval."""
    if not n:
        return None
    low, high = wilson(agree / n, n)
    return {"share": agree / n, "low": low, "high": high}


def _choice(known: dict[str, str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise Refused(f"The filter knows {', '.join(known)}; got {text[:40]!r}.")
        return text

    return read


# Each filter of the address: how its value is read, and how its chip says it.
READERS: dict[str, tuple[Callable[[str], Any], Callable[[Any], tuple[str, str]]]] = {
    "q": (lambda text: text[:200], lambda value: ("Text contains", str(value))),
    "outcome": (_choice(OUTCOMES), lambda value: ("Preference is", OUTCOMES[value])),
    "origin": (_choice(ORIGINS), lambda value: ("Label from", ORIGINS[value])),
    "flip": (lambda text: number(text, "Flip probability"), lambda value: ("Flip", f"≥ {value:g}")),
    "votes": (lambda text: whole_number(text, "Votes"), lambda value: ("Votes", f"≥ {value}")),
    "held": (lambda text: text == "1", lambda value: ("Held back is", "yes" if value else "no")),
    "flagged": (lambda text: text == "1", lambda value: ("Flagged is", "yes" if value else "no")),
    "differs": (lambda text: text == "1", lambda value: ("Judge differs is", "yes" if value else "no")),
    "warning": (_choice(WARNINGS), lambda value: ("Warning is", WARNINGS[value])),
    "routed": (_choice(ROUTED), lambda value: ("Routed to", ROUTED[value])),
    "derived": (_choice(DERIVED), lambda value: ("Derived is", DERIVED[value])),
    "import": (lambda text: whole_number(text, "Import"), lambda value: ("Import is", str(value))),
}


def _filters(request: Request) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The filters of the address, read and as chips."""
    values, chips = {}, []
    for name, (read, words) in READERS.items():
        text = request.GET.get(name, "").strip()
        if text == "" or "\x00" in text:
            continue
        values[name] = read(text)
        left = request.GET.copy()
        left.pop(name)
        left.pop("after", None)
        label, value = words(values[name])
        chips.append({"name": name, "label": label, "value": value, "without": "?" + left.urlencode()})
    return values, chips


def comparisons(request: Request, slug: str) -> HttpResponse:
    filters, chips = _filters(request)
    sort = request.GET.get("sort", "new")
    page = comparison_page(
        project=request.project,
        sees_models=sees_models(request),
        filters=filters,
        sort=sort,
        after=request.GET.get("after", ""),
    )
    counts = comparison_counts(project=request.project)
    context = {
        "page": page,
        "rows": [_row(row) for row in page.rows],
        "chips": chips,
        "sort": sort,
        "sort_words": SORT_WORDS[sort],
        "counts": counts,
        "agree": _agree(counts.agree, counts.both_spoke),
        # Pairs know no "desirable", single completions no "first better": what never came up is not listed.
        "outcomes": [(key, words) for key, words in OUTCOMES.items() if counts.outcomes.get(key)],
        "origins": ORIGINS.items(),
        "warnings": WARNINGS.items(),
        "selects": [(name, label, known.items()) for name, label, known in SELECTS],
        "refit": newest_run(project=request.project),
        "may_import": may(request, "imports"),
        "may_freeze": may(request, "version_freeze"),
        "may_filter": may(request, "ches_preview"),
        "sees_models": sees_models(request),
        "next_address": _next_address(request, page.after),
    }
    return render(request, "curate/comparisons.html", context)


def _next_address(request: Request, after: str) -> str:
    query = request.GET.copy()
    query["after"] = after
    return "?" + query.urlencode() if after else ""


def _row(row: Row) -> dict[str, Any]:
    """One line of the table: the votes as small bars from first to second, and how the judge stands to them."""
    bars = [min(3, row.votes.count(step)) for step in range(-row.scale, row.scale + 1)]
    said = [
        f"{row.votes.count(step)} at {step}" for step in range(-row.scale, row.scale + 1) if step in row.votes
    ]
    others = {outcome: row.others.count(outcome) for outcome in sorted(set(row.others))}
    facts = [WARNINGS[w] for w in row.warnings if w in WARNINGS] + (["held back"] if row.held_back else [])
    return {
        "row": row,
        "prompt": one_line(row.prompt_form, row.prompt_body, 140),
        "bars": bars if row.votes else [],
        "said": ", ".join(said) or "no graded votes",
        "others": ", ".join(f"{n} {_other_words(outcome)}" for outcome, n in others.items()),
        "facts": ", ".join(facts),
        "judge": _judge_words(row),
        "preference": OUTCOMES.get(row.outcome or "", ""),
    }


def _other_words(outcome: str) -> str:
    return {
        "": "without a side",
        "first": "chose the first",
        "second": "chose the second",
        "both_bad": "both bad",
        "cannot_judge": "cannot judge",
    }.get(outcome, outcome)


def _judge_words(row: Row) -> tuple[str, str]:
    """Class and words: only what differs is coloured."""
    if row.judge is None:
        return "mute", "–"
    if row.judge in {"inconsistent", "unreadable"}:
        return "state ring warn", "split by order" if row.judge == "inconsistent" else "unreadable"
    if row.outcome in {"first", "second"} and row.origin != "model" and row.judge != row.outcome:
        return "state sq warn", "differs"
    return "mute", "agrees" if row.outcome == row.judge else f"says {row.judge}"


def comparison(request: Request, slug: str, comparison_id: int) -> HttpResponse:
    known = comparison_get(
        project=request.project, comparison_id=comparison_id, sees_models=sees_models(request)
    )
    names = may(request, "people")
    found = parted(known.comparison.prompt.text, [place.completion.text for place in known.places])
    context = {
        "known": known,
        "parted": found,
        "sections": reverse("comparison_section", args=[slug, comparison_id]) + "?",
        "sides": [
            {
                "name": side_name(place.position, known.comparison.size),
                "prompt": []
                if place.completion.prompt_id == known.comparison.prompt_id
                else turns(place.completion.prompt.text.form, place.completion.prompt.text.body),
                "place": place,
                "author": _rater_name(place.completion.author, names) if place.completion.author else "",
                "letter": letter,
                "turns": rest,
            }
            for letter, place, rest in zip(SIDES, known.places, found.rest, strict=False)
        ],  # fmt: skip
        "votes": [
            {
                "annotation": a,
                "words": _stored_words(a.outcome, a.vote, a.vote_scale) if a.outcome else "",
                "details": _details(a, known.comparison.size),
                "shown": answer_words(a.outcome, a.vote, a.vote_scale, a.shown_order)
                if a.shown_order
                else "",
                "rater": _rater_name(a.rater, names),
            }
            for a in known.annotations
        ],  # fmt: skip
        "demand": getattr(known.comparison, "demand", None),
        "sees_models": sees_models(request),
        "may_want": may(request, "comparison_wanted", "POST"),
    }
    if context["may_want"]:
        context |= {
            "people": judging_people(project=request.project),
            "groups": group_list(project=request.project),
        }
    return render(request, "curate/comparison.html", context)


def side_name(position: int, size: int) -> str:
    return ("First", "Second")[position] if size == 2 else SIDES[position]


def _details(annotation: Annotation, size: int) -> str:
    """All that was answered, by letters in stored order, where the overall choice does not say it all."""
    form = annotation.form_revision
    if form is None or (annotation.outcome and len(form.questions) == 1 and not form.questions[0].get("aspects")):
        return ""
    return form_words(form.questions, annotation.answers, range(size))


def _stored_words(outcome: str, vote: int | None, scale: int | None) -> str:
    return (
        answer_words(outcome, vote, scale, None).replace("First", "first is").replace("Second", "second is")
    )


def _rater_name(rater: Any, with_names: bool) -> str:
    """Curators see names; others see the pseudonym that exports carry."""
    if rater.participation is None:
        return str(rater.name)
    return str(rater.participation.annotator) if with_names else f"annotator {rater.name[:8]}"


def comparison_wanted(request: Request, slug: str, comparison_id: int) -> HttpResponse:
    wanted = whole_number(request.POST.get("wanted", ""), "Wanted annotations")
    now = "now" in request.POST
    if not comparison_wanted_set(
        project=request.project, comparison_ids=[comparison_id], wanted=wanted, now=now
    ):
        raise NotFound("This comparison is not open to people. Route it to people first.")
    messages.success(
        request, f"This comparison wants {wanted} answer{'' if wanted == 1 else 's'} of people now."
    )
    return redirect("comparison", slug, comparison_id)


def comparison_hold(request: Request, slug: str, comparison_id: int) -> HttpResponse:
    comparison_hold_service(project_id=request.project.pk, comparison_id=comparison_id)
    messages.success(request, "Held back. Nobody new gets it until a curator settles it.")
    return redirect("comparison", slug, comparison_id)


def comparison_delete(request: Request, slug: str, comparison_id: int) -> HttpResponse:
    """Only one that nobody holds and nobody has judged."""
    comparison_delete_service(project_id=request.project.pk, comparison_id=comparison_id)
    messages.success(request, "The comparison is deleted.")
    return redirect("comparisons", slug)


def comparison_settle(request: Request, slug: str, comparison_id: int) -> HttpResponse:
    """A curator has looked at the flags; the comparison is handed out again."""
    comparison_settle_service(project_id=request.project.pk, comparison_id=comparison_id)
    messages.success(request, "Settled. This comparison is handed out again.")
    return redirect("comparison", slug, comparison_id)


def _other(share: float | None) -> float | None:
    """The share of the other side."""
    return None if share is None else 1 - share


def _dot(value: float | None, low: float | None, high: float | None, *, width: int) -> charts.Dot | None:
    return None if value is None else charts.dot(value, low, high, span=(0.0, 1.0), width=width, zero=0.5)


def raters(request: Request, slug: str) -> HttpResponse:
    run = newest_run(project=request.project)
    names = may(request, "people")
    rows: list[dict[str, Any]] = []
    for shown in rater_list(project=request.project, run=run, sees_models=sees_models(request)):
        is_person = shown.rater.kind == shown.rater.Kind.PERSON
        rows.append(
            {
                "shown": shown,
                "name": shown.name if names or not is_person else f"annotator {shown.rater.name[:8]}",
                "is_low": shown.high is not None and shown.high < 0.6,
                "dot": _dot(shown.reliability, shown.low, shown.high, width=220),
                "side": _dot(*map(_other, (shown.share_a, shown.share_high, shown.share_low)), width=96),
            }
        )
    context = {
        "run": run,
        "rows": rows,
        "since": sum(row["shown"].since for row in rows),
        "may_start": may(request, "aggregate_start", "POST"),
        "may_invite": names,
        "may_see_drivers": may(request, "drivers"),
        "methods": PROJECT_METHODS.values(),
        "rule": rule_of(run),
        "aspects": rating_aspects(project=request.project),
        "chosen_method": run.method if run else DEFAULT_METHOD,
    }
    context["odd"] = [row for row in rows if row["shown"].favours_a_side or row["is_low"]]
    return render(request, "curate/raters.html", context)


def leases(request: Request, slug: str) -> HttpResponse:
    """`person` shows one annotator's alone; `after` goes on from a lease."""
    person, after = request.GET.get("person", ""), request.GET.get("after", "")
    page = lease_list(
        project=request.project,
        person_id=whole_number(person, "Annotator") if person else None,
        after=whole_number(after, "The place in the list") if after else None,
    )
    rows = [
        {
            "lease": lease,
            "prompt": one_line(lease.comparison.prompt.text.form, lease.comparison.prompt.text.body, 120),
        }
        for lease in page.rows
    ]
    return render(request, "curate/leases.html", {"rows": rows, "page": page})


def lease_release(request: Request, slug: str, assignment: int) -> HttpResponse:
    assignment_release(
        assignment_id=assignment, project_id=request.project.pk, reason="released by a curator"
    )
    messages.success(
        request,
        "The comparison is free again. If its annotator answers all the same, the answer counts while a place is free.",
    )
    person = request.POST.get("person", "")
    back = f"?person={whole_number(person, 'Annotator')}" if person else ""
    return redirect(f"{reverse('leases', args=[slug])}{back}")


def ches_preview(request: Request, slug: str) -> HttpResponse:
    """The distribution with the cut drawn in it; nothing changes before "add to recipe"."""
    scored = models_scored(project_id=request.project.pk)
    context: dict[str, Any] = {"models": scored, "may_freeze": may(request, "version_freeze")}
    if scored:
        context |= _preview(request, scored)
    template = "curate/ches_result.html" if request.headers.get("HX-Request") else "curate/ches.html"
    return render(request, template, context)


def _model_of(scored: list[LanguageModel], name: str) -> LanguageModel:
    """The named model, or the first where the address names none."""
    found = next((model for model in scored if name in {"", model.name}), None)
    if found is None:
        raise NotFound("This project has no CHES scores of that model.")
    return found


def _preview(request: Request, scored: list[LanguageModel]) -> dict[str, Any]:
    chosen = _model_of(scored, request.GET.get("model", ""))
    by_length = request.GET.get("form", "by_length") != "raw"
    text = request.GET.get("threshold", "").strip()
    threshold = number(text, "Score") if text and request.GET.get("by") == "threshold" else None
    percent = number(request.GET.get("share") or "10", "Share")
    context = {
        "chosen": chosen,
        "by_length": by_length,
        "share_percent": f"{percent:g}",
        "threshold": text,
        "by": "threshold" if threshold is not None else "share",
    }
    try:
        drawn = ches_drawn(
            project=request.project,
            model=chosen,
            by_length=by_length,
            share=percent / 100 if threshold is None else None,
            threshold=threshold,
        )
    except NothingToDo as nothing:
        return context | {"nothing": str(nothing)}
    return context | {
        "preview": drawn,
        "chart": charts.histogram(drawn.edges, drawn.kept_counts, drawn.dropped_counts, drawn.cut),
        "kept": drawn.total - drawn.dropped,
        "share": drawn.dropped / drawn.total,
        "recipe_filter": drawn.rule,
        "vanishing": [group for group in drawn.groups if group.before >= 5 and group.share >= 0.8],
        "bins": list(zip(drawn.edges, drawn.kept_counts, drawn.dropped_counts, strict=False)),
    }

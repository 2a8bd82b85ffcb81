"""Pages of what workers computed about a project as a whole; each draws the newest result and offers it as a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from annotation.errors import NotFound
from pipelines.models import Analysis
from pipelines.scoring.text_properties import PROPERTIES
from pipelines.selectors.agreement import Differing, differing, raters_named
from pipelines.selectors.group_profiles import group_profiles
from pipelines.selectors.recurrence import Between, comparisons_between, model_names, prompts_shown
from pipelines.services.analyses import analysis_newest, analysis_outdated, analysis_start
from webapp import charts
from webapp.context import may
from webapp.rendering import one_line
from webapp.requests import Request
from webapp.views.project import whole_number

CLEAR_GAP, LEAST_DIRECTION = 0.05, 0.25
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def asked(request: Request, slug: str, key: str, found: Analysis | None) -> HttpResponse | None:
    """What every page here answers by itself: a post starts the work, `data=json` is the result as a file."""
    if request.method == "POST":
        started = analysis_start(project=request.project, key=key, created_by=request.user)
        return redirect("job", slug, started.pk)
    if request.GET.get("data") != "json":
        return None
    if found is None:
        raise NotFound("Nothing has been computed yet, so there is no data to download.")
    data = {
        "analysis": key, "number": found.number, "version": found.version, "at": found.created_at,
        "run": found.run.number if found.run else None, "votes": found.votes, **found.result,
    }  # fmt: skip
    response = JsonResponse(data, json_dumps_params={"indent": 1})
    response.headers["Content-Disposition"] = f'attachment; filename="{slug}-{key}-{found.number}.json"'
    return response


def told(request: Request, key: str, found: Analysis | None) -> dict[str, Any]:
    """What every page here says of its result: the result, or what of an earlier version is not shown, and who may start."""
    return {
        "found": found,
        "outdated": None if found else analysis_outdated(project=request.project, key=key),
        "may_start": may(request, key, "POST"),
    }


def _two_asked(request: Request, what: str) -> tuple[int, int]:
    """The ids of two items or raters whose comparisons the page lists."""
    one, other = (
        whole_number(request.GET.get(key, ""), f"The {word} {what}") for key, word in (("one", "first"), ("other", "second"))
    )
    return one, other


def _listed(one: str, other: str, rows: Sequence[Between | Differing]) -> dict[str, Any]:
    """Two by name, and each comparison of theirs with its prompt on one line."""
    return {
        "one": one,
        "other": other,
        "rows": [(row, one_line(row.prompt_form, row.prompt, 140)) for row in rows],
    }


# Circles


def circles(request: Request, slug: str) -> HttpResponse:
    """Models and completions that recur: who beats whom, in which circles, and who wins all the same."""
    found = analysis_newest(project=request.project, key="circles")
    if (answer := asked(request, slug, "circles", found)) is not None:
        return answer
    if "one" in request.GET:
        return _between(request)
    models = found.result["models"] if found else {}
    completions = found.result["completions"] if found else {}
    context: dict[str, Any] = {
        **told(request, "circles", found),
        "models": models,
        "rows": _winner_rows(models) if "ids" in models else [],
        "heat": _heat(models) if "ids" in models else None,
        "cycles": _cycles(models, models["names"]) if "ids" in models else [],
        "completions": completions,
        "prompts": _prompts(completions.get("listed", [])),
    }
    return render(request, "analyses/circles.html", context)


def _winner_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Items by their score: score and share of the minimax winner, each with its interval, drawn."""
    names = found.get("names") or [f"Completion {LETTERS[at % 26]}" for at in range(len(found["ids"]))]
    span = (min(found["scores_low"]), max(found["scores_high"]))
    rows = [
        {
            "name": name,
            "score": found["scores"][at], "low": found["scores_low"][at], "high": found["scores_high"][at],
            "dot": charts.dot(found["scores"][at], found["scores_low"][at], found["scores_high"][at],
                              span=span, width=220, zero=0.0),
            "share": found["mixture"][at], "share_low": found["mixture_low"][at],
            "share_high": found["mixture_high"][at],
            "share_dot": charts.dot(found["mixture"][at], found["mixture_low"][at], found["mixture_high"][at],
                                    span=(0.0, 1.0), width=220),
            "beats": found["copeland"][at],
        }
        for at, name in enumerate(names)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -row["score"])


def _heat(found: dict[str, Any]) -> charts.Heat:
    """Who beats whom: the share of votes of each row against each column."""
    order = sorted(range(len(found["ids"])), key=lambda at: -found["scores"][at])

    def cell(one: int, other: int) -> charts.HeatCell | None:
        if one == other:
            return None
        share, votes = found["wins"][one][other], int(found["votes"][one][other])
        link = f"?of=models&one={found['ids'][one]}&other={found['ids'][other]}" if votes else ""
        return charts.heat_cell(
            share,
            f"{share:.0%}",
            f"{votes:,} votes" if votes else "no votes: as scored",
            link,
            middle=0.5,
        )

    names = [found["names"][at] for at in order]
    return charts.Heat(names, [(found["names"][one], [cell(one, other) for other in order]) for one in order])


def _cycles(found: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """Each circle as steps: who beats whom, and where the votes are."""
    of = dict(zip(found["ids"], names, strict=True))
    return [
        {
            "steps": [
                (of[one], of[other], one, other)
                for one, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
            ],
            "weakest": weakest,
        }
        for cycle, weakest in zip(
            found["circles"]["cycles"] if "circles" in found else found["cycles"],
            found["circles"]["weakest"] if "circles" in found else found["weakest"],
            strict=True,
        )
    ]


def _prompts(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = prompts_shown([one["prompt"] for one in listed]) if listed else {}
    shown = []
    for one in listed:
        letters = [LETTERS[at % 26] for at in range(len(one["ids"]))]
        form, body = known.get(one["prompt"], ("plain", ""))
        rows = _winner_rows(one)
        shown.append(
            {
                "prompt": one_line(form, body, 140),
                "votes": one["votes"],
                "cycles": _cycles(one, letters)[:5],
                "rows": rows,
                "best": rows[0],
                "unique": one["unique"],
            }
        )
    return shown


def _between(request: Request) -> HttpResponse:
    """The comparisons of two items, down to the votes under a figure."""
    one, other = _two_asked(request, "item")
    of_models = request.GET.get("of") == "models"
    names = model_names([one, other]) if of_models else {one: "one completion", other: "the other"}
    rows = comparisons_between(project=request.project, one=one, other=other, of_models=of_models)
    if not rows:
        raise NotFound("No voted comparison of this project is of these two.")
    return render(request, "analyses/between.html", _listed(names[one], names[other], rows))


# Agreement


def agreement(request: Request, slug: str) -> HttpResponse:
    """People with people, the ceiling; each judge with people, beside it; by batch, time, group and aspect."""
    found = analysis_newest(project=request.project, key="agreement")
    if (answer := asked(request, slug, "agreement", found)) is not None:
        return answer
    if "one" in request.GET:
        return _differing(request)
    result = found.result if found else {"scopes": [], "aspects": [], "raters": {"ids": [], "judges": [], "cells": []}}
    named = raters_named(
        request.project,
        [*result["raters"]["ids"], *{judge["rater"] for scope in result["scopes"] for judge in scope["judges"]}],
        with_names=may(request, "people"),
    )
    scopes = [_scope(scope, named) for scope in result["scopes"]]
    parts = {by: [scope for scope in scopes if scope["by"] == by] for by in ("all", *(by for by, _, _ in PARTS))}
    context: dict[str, Any] = {
        **told(request, "agreement", found),
        "whole": parts["all"][0] if parts["all"] else None,
        "parts": [(title, heading, parts[by]) for by, title, heading in PARTS if parts[by]],
        "over_time": _over_time(parts["time"]),
        "measures": _measures(parts["all"][0], result) if parts["all"] else [],
        "aspects": [(one, _span_dot(one["alpha"], one["low"], one["high"])) for one in result["aspects"]],
        "heat": _raters_heat(result["raters"], named),
    }
    return render(request, "analyses/agreement.html", context)


PARTS = (
    ("batch", "By batch", "Batch"),
    ("context", "By context", "Context"),
    ("time", "By time", "Up to vote"),
    ("group", "By group of annotators", "Group"),
)
UNDEFINED = {"no_unit_rated_twice": "nothing has two answers", "no_variation": "no variation: all said the same"}


def _measures(whole: dict[str, Any], result: dict[str, Any]) -> list[dict[str, Any]]:
    """Every measure that applies to some kind of answer: its value with interval, and what it rests on."""
    found = []

    def add(
        name: str, of: str, value: float | None, low: float | None, high: float | None, rests: str, reason: str = ""
    ) -> None:
        found.append({
            "name": name, "of": of, "value": value, "low": low, "high": high, "rests": rests,
            "reason": UNDEFINED.get(reason, reason), "dot": _span_dot(value, low, high),
        })  # fmt: skip

    def add_alpha(of: str, one: dict[str, Any], unit: str = "comparisons") -> None:
        rests = f"{one['n_ratings']:,} answers on {one['n_units']:,} {unit}"
        add(f"Krippendorff’s alpha, {one['level']}", of, one["alpha"], one["low"], one["high"], rests, one["reason"] or "")

    outcomes = "first, second, tie"
    if people := whole["people"]:
        rests = f"{people['pairs']:,} pairs of votes"
        add("Two people say the same", outcomes, people["share"], people["low"], people["high"], rests)
    if whole["votes"]:
        add_alpha(outcomes, whole["alpha"])
    if fleiss := whole["fleiss"]:
        rests = f"{fleiss['n_units']:,} comparisons with {fleiss['n_raters']} votes each"
        add("Fleiss’ kappa", outcomes, fleiss["kappa"], fleiss["low"], fleiss["high"], rests, "no_variation")
    if cohen := result["raters"]["cohen"]:
        rests = f"mean of {cohen['pairs']:,} pairs of people, {cohen['n']:,} pairs of votes"
        add("Cohen’s kappa", outcomes, cohen["kappa"], None, None, rests)
    if strength := whole["strength"]:
        for level in ("ordinal", "interval"):
            add_alpha(f"strengths of {2 * strength['scale'] + 1} steps", strength[level])
    for one in result["answers"]:
        if one["kind"] == "orders":
            rests = f"{one['n_rankings']:,} rankings of {one['n_sets']:,} comparisons"
            add("Kendall’s W", "rankings", one["w"], one["w_low"], one["w_high"], rests)
            add("Mean rank correlation", "rankings", one["rank_correlation"], one["low"], one["high"], rests)
        else:
            add_alpha({"ratings": "ratings", "labels": "yes or no"}[one["kind"]], one, "completions")
    return found


def _span_dot(value: float | None, low: float | None, high: float | None) -> charts.Dot | None:
    return None if value is None else charts.dot(value, low, high, span=(0.0, 1.0), width=220)


def _scope(scope: dict[str, Any], named: dict[int, str]) -> dict[str, Any]:
    """One part of the votes, drawn: people's own agreement, then each judge's with the ceiling on its comparisons."""
    title, _, batch = scope["title"].partition(":") if scope["by"] == "batch" else (scope["title"], "", "")
    people = scope["people"]
    judges = [
        judge
        | {
            "name": named.get(judge["rater"], "a judge"),
            "dot": _span_dot(judge.get("share"), judge.get("low"), judge.get("high")),
            "ceiling_dot": _span_dot(judge.get("ceiling"), judge.get("ceiling_low"), judge.get("ceiling_high")),
        }
        for judge in scope["judges"]
    ]
    return scope | {
        "title": title,
        "batch": batch,
        "judges": judges,
        "dot": _span_dot(people["share"], people["low"], people["high"]) if people else None,
    }


def _over_time(scopes: list[dict[str, Any]]) -> charts.Lines | None:
    """People's agreement along the votes, with its interval, and each judge's with them."""
    known = [(float(scope["title"]), scope) for scope in scopes if scope["people"]]
    if len(known) < 2:
        return None
    series = [
        charts.Series("people", [(at, s["people"]["share"]) for at, s in known], "l1", "lab-1"),
        charts.Series("low", [(at, s["people"]["low"]) for at, s in known], "raw", "lab", has_label=False),
        charts.Series("high", [(at, s["people"]["high"]) for at, s in known], "raw", "lab", has_label=False),
    ]
    for place, judge in enumerate(known[0][1]["judges"][:2]):
        points = [(at, s["judges"][place]["share"]) for at, s in known if "share" in s["judges"][place]]
        css, label_css = (("l2", "lab-2"), ("l3", "lab-k"))[place]
        series.append(charts.Series(judge["name"][:18], points, css, label_css))
    return charts.lines(series, x_end=known[-1][0], x_label="votes")


def _raters_heat(raters: dict[str, Any], named: dict[int, str]) -> charts.Heat | None:
    """Each two raters: the share of equal answers, its interval and the comparisons; opens where they differ."""
    if len(raters["ids"]) < 2:
        return None
    names = [named.get(id_, "unknown") for id_ in raters["ids"]]

    def cell(row: int, column: int) -> charts.HeatCell | None:
        found = raters["cells"][row][column]
        if found is None:
            return None
        kappa = f"; κ {found['kappa']:.2f}" if found["kappa"] is not None else ""
        note = f"{found['low']:.0%} to {found['high']:.0%}, {found['n']:,}{kappa}"
        link = f"?one={raters['ids'][row]}&other={raters['ids'][column]}"
        return charts.heat_cell(found["share"], f"{found['share']:.0%}", note, link)

    places = range(len(names))
    return charts.Heat(names, [(names[row], [cell(row, column) for column in places]) for row in places])


def _differing(request: Request) -> HttpResponse:
    """Where two raters differ, down to the votes."""
    one, other = _two_asked(request, "rater")
    rows = differing(project=request.project, one=one, other=other)
    named = raters_named(request.project, [one, other], with_names=may(request, "people"))
    return render(request, "analyses/differing.html", _listed(named[one], named[other], rows))


# Groups


def groups(request: Request, slug: str) -> HttpResponse:
    """Groups of people who reward different things: what each prefers, whom the labels serve least, and the map."""
    found = analysis_newest(project=request.project, key="groups")
    if (answer := asked(request, slug, "groups", found)) is not None:
        return answer
    result = found.result if found else {}
    heads = [_group_head(group) for group in result.get("groups", [])]
    shown = [head for head in heads if head["shown"] and head["served"]]
    worst = min(shown, key=lambda head: head["served"]["share"]) if len(shown) > 1 else None
    context: dict[str, Any] = {
        **told(request, "groups", found),
        "result": result,
        "heads": heads,
        "worst": worst,
        # Of two groups one is the mirror of the other.
        "apart": [head for head in heads[: 1 if len(heads) == 2 else None] if head["shown"] and head["clear_gaps"]],
        "clear": worst is not None
        and all(worst["served"]["high"] < head["served"]["low"] for head in shown if head is not worst),
        "rows": _preference_rows(result["names"], result["groups"]) if heads else [],
        "drawn": _drawn(result["map"], result["names"]) if heads and result["map"].get("prototypes", 1) > 1 else None,
        "named": raters_named(
            request.project, [one["rater"] for one in result["map"].get("people", [])], with_names=False
        )
        if heads
        else {},
        **_profile(request, found, [head["name"] for head in heads if head["shown"]]),
        "may_freeze": may(request, "version_freeze"),
    }
    return render(request, "analyses/groups.html", context)


def _profile(request: Request, found: Analysis | None, names: list[str]) -> dict[str, Any]:
    """Who the groups are, by what their members say of themselves; `told` is None where the project does not ask."""
    if found is None or not names or not request.project.profile_attributes:
        return {"told": None}
    counted = group_profiles(project=request.project, analysis=found, names=names)
    return {"told": [one for one in counted if one.is_told], "profile_groups": names}


def _group_head(group: dict[str, Any]) -> dict[str, Any]:
    served = group["served"]
    return group | {
        "dot": _span_dot(served["share"], served["low"], served["high"]) if served else None,
        "clear_gaps": [gap for gap in group["gaps"] if gap["q"] < CLEAR_GAP],
    }


def _preference_rows(names: list[str], groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each property as the chance, in each group, that the completion with more of it is preferred; widest apart first."""
    rows = []
    for at, key in enumerate(names):
        cells = []
        for group in groups:
            chance, low, high = (1 / (1 + math.exp(-group[end][at])) for end in ("weight", "low", "high"))
            cells.append({
                "chance": chance, "low": low, "high": high, "shown": group["shown"], "clear": not low <= 0.5 <= high,
                "dot": charts.dot(chance, low, high, span=(0.0, 1.0), width=140, zero=0.5),
            })  # fmt: skip
        chances = [cell["chance"] for cell in cells if cell["shown"]] or [0.5]
        apart = max(chances) - min(chances) if len(chances) > 1 else abs(chances[0] - 0.5)
        rows.append({"label": PROPERTIES[key].label, "cells": cells, "apart": apart})
    return sorted(rows, key=lambda row: -row["apart"])


def _drawn(found: dict[str, Any], names: list[str]) -> charts.IdealMap:
    """People as points by group, prototypes, and the four properties that tell directions best."""
    size = [math.hypot(*direction) for direction in found["directions"]]
    longest = sorted(range(len(names)), key=lambda at: -size[at])[:4]
    told = [at for at in longest if size[at] > LEAST_DIRECTION * max(size)]
    return charts.ideal_map(
        [(one["x"], one["y"], one["spread"] or 0.0, one["group"]) for one in found["people"]],
        [tuple(corner) for corner in found["corners"]],
        [(PROPERTIES[names[at]].label, *found["directions"][at]) for at in told],
    )

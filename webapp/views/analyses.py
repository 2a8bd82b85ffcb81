"""Pages of what workers computed about a project as a whole; each draws the newest result and offers it as a file."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from annotation.errors import NotFound
from pipelines.models import Analysis
from pipelines.selectors.recurrence import comparisons_between, model_names, prompts_shown
from pipelines.services.analyses import analysis_newest, analysis_start
from webapp import charts
from webapp.context import may
from webapp.rendering import one_line
from webapp.requests import Request
from webapp.views.project import whole_number

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _asked(request: Request, slug: str, key: str, found: Analysis | None) -> HttpResponse | None:
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


# Circles


def circles(request: Request, slug: str) -> HttpResponse:
    """Models and completions that recur: who beats whom, in which circles, and who wins all the same."""
    found = analysis_newest(project=request.project, key="circles")
    if (answer := _asked(request, slug, "circles", found)) is not None:
        return answer
    if "one" in request.GET:
        return _between(request)
    models = found.result["models"] if found else {}
    completions = found.result["completions"] if found else {}
    context: dict[str, Any] = {
        "found": found,
        "models": models,
        "rows": _winner_rows(models) if "ids" in models else [],
        "heat": _heat(models) if "ids" in models else None,
        "cycles": _cycles(models, models["names"]) if "ids" in models else [],
        "completions": completions,
        "prompts": _prompts(completions.get("listed", [])),
        "may_start": may(request, "circles", "POST"),
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
    one = whole_number(request.GET.get("one", ""), "The first item")
    other = whole_number(request.GET.get("other", ""), "The second item")
    of_models = request.GET.get("of") == "models"
    names = model_names([one, other]) if of_models else {one: "one completion", other: "the other"}
    rows = comparisons_between(project=request.project, one=one, other=other, of_models=of_models)
    if not rows:
        raise NotFound("No voted comparison of this project is of these two.")
    context = {
        "one": names[one],
        "other": names[other],
        "rows": [(row, one_line(row.prompt_form, row.prompt, 140)) for row in rows],
    }
    return render(request, "analyses/between.html", context)

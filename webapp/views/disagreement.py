"""Disagreement, shown as what it is: a rater beside the others, comparisons that stay open, votes that are odd."""

from __future__ import annotations

import math
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from annotation.errors import Refused
from pipelines.labels import AGGREGATORS
from pipelines.scoring.text_properties import PROPERTIES
from pipelines.selectors.disagreement import (
    SIDES,
    OpenComparison,
    Share,
    disagreement,
    flip_rate_proposed,
    flip_rates_apart,
    rater_shown,
)
from pipelines.selectors.raters import newest_run, wilson
from pipelines.services.analyses import analysis_newest
from pipelines.services.drivers import drivers_newest, drivers_too_strong
from webapp import charts
from webapp.context import may
from webapp.rendering import one_line
from webapp.requests import Request
from webapp.views.analyses import asked, told

METHOD = "graded"
FLIP_SOURCES = {
    "repeats": ("Votes, by pairs of raters", "an upper bound: people differ for taste too"),
    "em": ("Votes, by raters’ reliability", "from EM: the method’s own view of each rater"),
    "model": ("Labels", "what several votes and their raters’ reliability leave; training uses these"),
}
ANSWERS = ("First", "Second", "Tie or both bad")
OTHERS = ("first", "second", "no majority")


def rater(request: Request, slug: str, rater_id: int) -> HttpResponse:
    """One person or source beside the others; a person's name only for those who may see people."""
    run = newest_run(project=request.project)
    asked = _cell_asked(request)
    shown = rater_shown(project=request.project, rater_id=rater_id, run=run, cell=asked)
    person = shown.rater.participation
    named = may(request, "people") and person is not None
    context: dict[str, Any] = {
        "shown": shown,
        "run": run,
        "name": str(person.annotator)
        if named and person
        else shown.rater.name
        if person is None and shown.rater.kind == shown.rater.Kind.SOURCE
        else f"annotator {shown.rater.name[:8]}",
        "details": shown.estimate.details if shown.estimate else {},
        "heat": _confusion(shown.answers) if any(map(any, shown.answers)) else None,
        "cell": f"{asked[0]}, others {OTHERS[SIDES.index(asked[1])]}" if asked else "",
        "speed": [(share, _dot(share)) for share in shown.speed],
        "drift": _drift(shown.drift),
    }
    return render(request, "curate/rater.html", context)


def _cell_asked(request: Request) -> tuple[str, str] | None:
    """Own and others' answer of the cell whose votes the page lists; None for those against the majority."""
    own, others = request.GET.get("own"), request.GET.get("others")
    if own is None and others is None:
        return None
    if own not in SIDES or others not in SIDES:
        raise Refused(f"A cell is named by own and others, each {', '.join(SIDES)}.")
    return own, others


def _confusion(answers: list[list[int]]) -> charts.Heat:
    """Own answers by the others' majority, each as a share of what the others said, with its interval and votes."""
    said = [sum(column) for column in zip(*answers, strict=True)]

    def cell(own: int, others: int) -> charts.HeatCell | None:
        n = said[others]
        if not n:
            return None
        share = answers[own][others] / n
        low, high = wilson(share, n)
        link = f"?own={SIDES[own]}&others={SIDES[others]}#votes"
        return charts.heat_cell(share, f"{share:.0%}", f"{answers[own][others]:,}; {low:.0%} to {high:.0%}", link)

    heads = [f"Others: {name}" for name in OTHERS]
    return charts.Heat(heads, [(name, [cell(own, others) for others in range(3)]) for own, name in enumerate(ANSWERS)])


def _dot(share: Share) -> charts.Dot:
    return _rate_dot(share.share, share.low, share.high)


def _drift(shares: list[Share]) -> charts.Lines | None:
    if not shares:
        return None
    series = [
        charts.Series("agrees", [(s.at, s.share) for s in shares], "l1", "lab-1"),
        charts.Series("low", [(s.at, s.low) for s in shares], "raw", "lab", has_label=False),
        charts.Series("high", [(s.at, s.high) for s in shares], "raw", "lab", has_label=False),
    ]
    return charts.lines(series, x_end=shares[-1].at, x_label="votes", zero=0.5)


def disagreement_page(request: Request, slug: str) -> HttpResponse:
    """Comparisons by what their disagreement is: nothing that more votes could settle, or votes that others outweigh."""
    run = newest_run(project=request.project)
    found = disagreement(project=request.project, run=run)
    agreed = analysis_newest(project=request.project, key="agreement")
    rates = run.metrics.get("flip_rates", {}) if run else {}
    context: dict[str, Any] = {
        "flip_rates": [(*words, rates[key]) for key, words in FLIP_SOURCES.items() if key in rates],
        "proposed": flip_rate_proposed(run),
        "apart": flip_rates_apart(run),
        "found": found,
        "split": found.several - found.unanimous,
        "run": run,
        "ambiguous": list(map(_row, found.ambiguous)),
        "noisy": list(map(_row, found.noisy)),
        "scatter": charts.scatter(found.points) if found.points else None,
        "aspects": [(one, _alpha_dot(one)) for one in agreed.result["aspects"]] if agreed else [],
        "method": AGGREGATORS[METHOD],
        "may_see_more": may(request, "circles"),
        "may_start": may(request, "aggregate_start", "POST"),
    }
    return render(request, "curate/disagreement.html", context)


def drivers(request: Request, slug: str) -> HttpResponse:
    """What sways labels beside the content: people and each judge, one beside the other."""
    found = drivers_newest(project=request.project)
    if (answer := asked(request, slug, "drivers", found)) is not None:
        return answer
    sides = found.result["sides"] if found else []
    fitted = [side for side in sides if "names" in side]
    context: dict[str, Any] = {
        **told(request, "drivers", found),
        "sides": sides,
        "fitted": fitted,
        "rows": [_driver_row(key, entry.label, fitted) for key, entry in PROPERTIES.items()] if fitted else [],
        "strong": drivers_too_strong(found),
        "lengths": [(side["name"], _length_row(side["length"])) for side in sides],
        "win_rates": _win_rates(found.result["models"]) if found else None,
    }
    return render(request, "curate/drivers.html", context)


def _length_row(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"dot": _rate_dot(found["longer_wins"], found["low"], found["high"])} if found.get("compared") else found


def _win_rates(found: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Of people and each judge: each two models by name, both win rates as shares, drawn."""
    sides = []
    for side in found["sides"]:
        rows = []
        for one in side["pairs"]:
            row = one | {key: found["names"].get(str(one[key]), "a model") for key in ("baseline", "model")}
            for rate, low, high in (("raw", "raw_low", "raw_high"), ("win_rate", "low", "high")):
                if rate in one:
                    row |= {key: one[key] / 100 for key in (rate, low, high)}
                    row[f"{rate}_dot"] = _rate_dot(row[rate], row[low], row[high])
            rows.append(row)
        if rows:
            sides.append((side["name"], rows))
    return sides


def _rate_dot(share: float, low: float, high: float) -> charts.Dot:
    return charts.dot(share, low, high, span=(0.0, 1.0), width=220, zero=0.5)


def _driver_row(key: str, label: str, sides: list[dict[str, Any]]) -> dict[str, Any]:
    """One property for every side: its effect as the chance of the side that has more of it."""
    cells = []
    for side in sides:
        if key not in side["names"]:
            cells.append(None)
            continue
        at = side["names"].index(key)
        low, high = (1 / (1 + math.exp(-side[end][at])) for end in ("low", "high"))
        chance = side["preference"][at]
        cells.append(
            {
                "chance": chance,
                "low": low,
                "high": high,
                "enough": side["enough"][at],
                "values": side["values"][at],
                "dot": charts.dot(chance, low, high, span=(0.0, 1.0), width=220, zero=0.5),
                "clear": side["enough"][at] and not low <= 0.5 <= high,
            }
        )
    return {"label": label, "cells": cells}


def _alpha_dot(found: dict[str, Any]) -> charts.Dot | None:
    if found["alpha"] is None:
        return None
    return charts.dot(found["alpha"], found["low"], found["high"], span=(0.0, 1.0), width=220)


def _row(shown: OpenComparison) -> dict[str, Any]:
    return {"shown": shown, "prompt": one_line(shown.prompt_form, shown.prompt, 140)}

"""Versions: freeze, look, trace a row, export, download."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from annotation.errors import NotFound, Refused
from annotation.feedback.drawing import answer_words as form_words
from annotation.models import Annotation
from pipelines.errors import InputRefused, NothingToDo
from pipelines.exports import EXPORTERS
from pipelines.models import VersionDrop
from pipelines.selectors.answered import answer_kinds
from pipelines.selectors.pairs import PAIRS
from pipelines.selectors.routing import usable_models
from pipelines.selectors.scores import models_scored
from pipelines.selectors.versions import (
    VersionShown,
    export_get,
    version_get,
    version_list,
    version_row_get,
    version_rows,
)
from pipelines.services.analyses import analysis_outdated
from pipelines.services.drivers import drivers_newest, drivers_too_strong
from pipelines.services.exporting import export_start, version_frozen_get
from pipelines.services.group_labels import groups_offered
from pipelines.services.versions import Step, filter_preview, version_freeze_start
from pipelines.versions.filters import FILTERS, PAIR_CHOICES, number_text, rule_parse
from pipelines.versions.forms import FORMS
from webapp import charts
from webapp.context import may
from webapp.requests import Request
from webapp.views.project import number


def versions(request: Request, slug: str) -> HttpResponse:
    context = {
        "versions": version_list(project=request.project),
        "may_freeze": may(request, "version_freeze"),
    }
    return render(request, "versions/list.html", context)


def version(request: Request, slug: str, name: str) -> HttpResponse:
    shown = version_get(project=request.project, name=name)
    after, split = request.GET.get("after", ""), request.GET.get("split", "")[:10]
    start = int(after) if after.isdecimal() and len(after) < 19 else -1
    rows, more = version_rows(version=shown.version, split=split, after=start)
    context = {
        "shown": shown,
        "version": shown.version,
        "successors": shown.successors,
        "steps": _step_rows(shown.version.rows_in, shown.drops),
        "dropped": shown.version.rows_in - shown.version.rows_out,
        "lineage": _lineage(request, shown),
        "recipe": json.dumps(shown.version.recipe, indent=2, ensure_ascii=False, sort_keys=True),
        "rows": rows,
        "more": more,
        "split": split,
        "unit": shown.version.recipe.get("unit", PAIRS),
        "exporters": [e for e in EXPORTERS.values() if shown.version.recipe.get("unit", PAIRS) in e.units],
        "may_export": may(request, "version_export", "POST"),
        "may_train": may(request, "run_start", "POST"),
        "may_download": may(request, "export_file"),
    }
    return render(request, "versions/version.html", context)


def _cause(cause: str) -> dict[str, str]:
    """A filter as its label and, below it, as the recipe writes it; what is no filter as it is."""
    try:
        return {"words": rule_parse(cause).key.label, "rule": cause}
    except InputRefused:
        return {"words": cause, "rule": ""}


def _step_rows(rows_in: int, steps: Iterable[Step | VersionDrop]) -> list[dict[str, Any]]:
    """Each step of a recipe with rows in, dropped and out, and a bar on the scale of the whole."""
    rows, before = [], rows_in
    for step in steps:
        kept, gone = (140 * count / (rows_in or 1) for count in (step.left, step.dropped))
        rows.append(
            {
                **_cause(step.cause),
                "step": step,
                "before": before,
                "kept": round(kept, 1),
                "gone": round(gone, 1),
            }
        )
        before = step.left
    return rows


def _lineage(request: Request, shown: VersionShown) -> charts.Lineage:
    slug, version = request.project.slug, shown.version
    curates = may(request, "import")
    all_imports = reverse("imports", args=[slug]) if curates else ""
    sources = []
    for found in shown.imports[: 4 if len(shown.imports) == 4 else 3]:
        address = reverse("import", args=[slug, found.pk]) if curates else ""
        sources.append((found.file_name, f"{found.counts.get('rows_in', 0):,} rows", address))
    if len(shown.imports) > 4:
        all_imports = reverse("imports", args=[slug]) if curates else ""
        sources.append((f"{len(shown.imports) - 3} more imports", "", all_imports))
    if version.run is not None:
        reads = may(request, "raters")
        counts = version.run.counts
        answers = sum(counts.get(kind, 0) for kind in ("votes", "rankings", "ratings", "yes_no_answers"))
        note = f"{answers:,} answers, {version.run.created_at:%-d %b %Y}"
        sources.append(
            (f"Labels, refit {version.run.number}", note, reverse("raters", args=[slug]) if reads else "")
        )
    results = [
        (f"Run {run.name}", f"{run.objective.upper()}, {run.state}", reverse("run", args=[slug, run.name]))
        for run in shown.runs[:3]
    ]
    results += [
        (f"Export {export.pk}", f"{export.format}, {export.form}", "#exports") for export in shown.exports[:2]
    ]
    sentence = (
        f"Lineage: {len(shown.imports)} imports and the labels lead to version {version.name}, "
        f"which feeds {len(shown.runs)} runs and {len(shown.exports)} exports."
    )
    return charts.lineage(sources, (version.name, f"{version.rows_out:,} preferences", ""), results, sentence)


def version_row(request: Request, slug: str, name: str, position: int) -> HttpResponse:
    shown = version_row_get(project=request.project, name=name, position=position)
    context = {
        "shown": shown,
        "answers": [(a, "" if a.outcome else _words(a)) for a in shown.annotations],
        "name": name,
        "payload": json.dumps(shown.payload, indent=2, ensure_ascii=False, sort_keys=True),
        "row_hash": bytes(shown.row.row_hash).hex(),
        "may_see_comparison": may(request, "comparison"),
    }
    return render(request, "versions/row.html", context)


def _words(annotation: Annotation) -> str:
    """All that was answered, by letters in stored order."""
    form = annotation.form_revision
    return form_words(form.questions, annotation.answers, range(annotation.comparison.size)) if form else ""


def export_file(request: Request, slug: str, name: str, export_id: int, index: int) -> HttpResponseBase:
    """One file of an export, by its place in the list: no name of a file is ever taken from the address."""
    export = export_get(project=request.project, version=name, export_id=export_id)
    if not 0 <= index < len(export.files):
        raise NotFound("There is no such file in this export.")
    folder = (settings.EXPORTS_DIR / export.folder).resolve()
    path: Path = (folder / export.files[index]["path"]).resolve()
    if not path.is_relative_to(settings.EXPORTS_DIR.resolve()) or not path.is_file():
        raise NotFound("This file is not among the home’s exports any more; export the version again.")
    download = f"{slug}-{name}-{path.name}"
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=download, content_type="application/octet-stream"
    )


# Freeze and export


def version_freeze(request: Request, slug: str) -> HttpResponse:
    """The recipe as a form; its preview says what each step would drop before anything is frozen."""
    fields = request.POST if request.method == "POST" else request.GET
    filters, unit = recipe_filters(fields), fields.get("unit") or PAIRS
    if request.method == "POST" and "preview" not in fields:
        train = fields.get("train", "")
        if train and not may(request, "run_start", "POST"):
            raise Refused("Training on the version takes a researcher; freeze without a model to train.")
        job = version_freeze_start(
            project=request.project,
            name=fields.get("name", "").strip(),
            filters=filters,
            form=fields.get("form") or None,
            supersedes=fields.get("supersedes", ""),
            unit=unit,
            group=fields.get("group", ""),
            train=train,
            run=fields.get("run", "").strip(),
            created_by=request.user,
        )
        return redirect("job", slug, job.pk)
    context = {
        "to_train": usable_models(projects=[request.project]) if may(request, "run_start", "POST") else [],
        "fields": fields,
        "filters": filters,
        "others": "\n".join(fields.getlist("filter")) or fields.get("others", ""),
        "keys": FILTERS.values(),
        "models": models_scored(project_id=request.project.pk),
        "forms": FORMS,
        "pair_choices": PAIR_CHOICES,
        **answer_kinds(project=request.project),
        "groups": groups_offered(project=request.project),
        "strong": drivers_too_strong(drivers_newest(project=request.project)),
        "drivers_outdated": analysis_outdated(project=request.project, key="drivers"),
        "frozen": [v for v in version_list(project=request.project) if v.state == v.State.FROZEN],
        **_preview(request, filters, unit, fields.get("group", "")),
    }
    template = "versions/preview.html" if request.headers.get("HX-Request") else "versions/freeze.html"
    return render(request, template, context)


def recipe_filters(fields: QueryDict) -> list[str]:
    """The filters of the form: its own fields first, then those written one a line."""
    filters = []
    if flip := fields.get("flip", "").strip():
        filters.append(f"flip < {number_text(number(flip, 'Flip probability'))}")
    if confidence := fields.get("judge_confidence", "").strip():
        filters.append(f"judge_confidence >= {number_text(number(confidence, 'Confidence'))}")
    if percent := fields.get("ches_percent", "").strip():
        model = fields.get("ches_model", "").strip()
        kept = (100 - number(percent, "Percent to drop")) / 100
        filters.append(f"ches_ln_share{':' + model if model else ''} <= {number_text(kept)}")
    if pairs := PAIR_CHOICES.get(fields.get("pairs", ""), ""):
        filters.append(pairs)
    lines = fields.getlist("filter") or fields.get("others", "").splitlines()
    return filters + [line.strip() for line in lines if line.strip()]


def _preview(request: Request, filters: list[str], unit: str, group: str) -> dict[str, Any]:
    """The steps as they would be now, or the sentence that says why there are none."""
    try:
        steps = filter_preview(project=request.project, filters=filters, unit=unit, group=group)
    except (InputRefused, NothingToDo) as error:
        return {"nothing": str(error)}
    rows_in = steps[0].dropped + steps[0].left
    return {"steps": _step_rows(rows_in, steps), "rows_in": rows_in, "rows_out": steps[-1].left}


def version_export(request: Request, slug: str, name: str) -> HttpResponse:
    export, job = export_start(
        version=version_frozen_get(project=request.project, name=name),
        format=request.POST.get("format", ""),
        form=request.POST.get("form") or None,
        created_by=request.user,
    )
    messages.success(request, f"Export {export.pk} is being written; its files appear on the page of {name}.")
    return redirect("job", slug, job.pk)

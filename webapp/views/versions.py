"""Versions: freeze, look, trace a row, export, download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from annotation.errors import NotFound
from pipelines.selectors.versions import (
    VersionShown,
    export_get,
    version_get,
    version_list,
    version_row_get,
    version_rows,
)
from webapp import charts
from webapp.context import may
from webapp.requests import Request


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
        "steps": _steps(shown),
        "dropped": shown.version.rows_in - shown.version.rows_out,
        "lineage": _lineage(request, shown),
        "recipe": json.dumps(shown.version.recipe, indent=2, ensure_ascii=False, sort_keys=True),
        "rows": rows,
        "more": more,
        "split": split,
        "may_export": may(request, "version_export", "POST"),
        "may_train": may(request, "run_start", "POST"),
        "may_download": may(request, "export_file"),
    }
    return render(request, "versions/version.html", context)


def _steps(shown: VersionShown) -> list[dict[str, Any]]:
    """Each step of the recipe with rows in, dropped and out, and a bar on the scale of the whole."""
    whole = shown.version.rows_in or 1
    rows, before = [], shown.version.rows_in
    for drop in shown.drops:
        kept, gone = 140 * drop.left / whole, 140 * drop.dropped / whole
        rows.append({"drop": drop, "before": before, "kept": round(kept, 1), "gone": round(gone, 1)})
        before = drop.left
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
        note = f"{counts.get('votes', 0):,} votes, {version.run.created_at:%-d %b %Y}"
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
        "name": name,
        "payload": json.dumps(shown.payload, indent=2, ensure_ascii=False, sort_keys=True),
        "row_hash": bytes(shown.row.row_hash).hex(),
        "may_see_comparison": may(request, "comparison"),
    }
    return render(request, "versions/row.html", context)


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


def after_start(slug: str, job_id: int) -> HttpResponse:
    return redirect("job", slug, job_id)

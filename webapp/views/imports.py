"""Imports by upload: send a file, see what it is and what cannot be used, then decide."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.errors import Refused
from annotation.models import Import
from annotation.selectors.imports import import_get, import_list
from pipelines.imports import SHAPES
from pipelines.imports.errors import CAUSES
from pipelines.selectors.jobs import import_job, job_get
from pipelines.services.import_removal import import_remove as import_remove_service
from pipelines.services.importing import ANNOTATIONS, ImportOptions, import_accept, import_stage
from pipelines.services.importing import import_discard as import_discard_service
from webapp.requests import Request
from webapp.views.project import whole_number


def imports(request: Request, slug: str) -> HttpResponse:
    """The list and the upload form; a post keeps the file and starts the job that reads it."""
    if request.method == "GET":
        context = {"imports": import_list(project=request.project), "shapes": SHAPES.values()}
        return render(request, "curate/imports.html", context)
    upload = request.FILES.get("file")
    if upload is None:
        raise Refused("Choose a file: JSONL, JSONL.gz or Parquet.")
    pairs = request.POST.get("pairs_per_prompt", "").strip()
    options = ImportOptions(
        shape=request.POST.get("shape") or None,
        choices=request.POST.get("choices") or ANNOTATIONS,
        source=request.POST.get("source", "").strip(),
        pairs_per_prompt=whole_number(pairs, "Pairs per prompt") if pairs else None,
        together="together" in request.POST,
        strict="strict" in request.POST,
    )
    if options.shape is not None and options.shape not in SHAPES:
        raise Refused(f"There is no shape {options.shape[:40]!r}; known are {', '.join(SHAPES)}.")
    record, _ = import_stage(
        project=request.project,
        chunks=upload.chunks(),
        file_name=upload.name or "file",
        options=options,
        created_by=request.user,
    )
    return redirect("import", slug, record.pk)


def import_page(request: Request, slug: str, import_id: int) -> HttpResponse:
    """One import; while it is read, the page asks again every two seconds for the same part."""
    record = import_get(project=request.project, import_id=import_id)
    job = import_job(project=request.project, import_id=record.pk)
    refused = {
        key.removeprefix("refused_"): n for key, n in record.counts.items() if key.startswith("refused_")
    }
    context = {
        "record": record,
        "shown": job_get(project=request.project, job_id=job.pk) if job else None,
        "is_reading": record.state == Import.State.READING
        and (job is None or job.state == job.State.RUNNING),
        "causes": [{"words": CAUSES.get(cause, cause), "n": n} for cause, n in refused.items()],
        "good_rows": record.counts.get("rows_in", 0) - record.counts.get("refused", 0),
        "shape": SHAPES.get(record.shape),
    }
    template = "curate/import_state.html" if request.headers.get("HX-Request") else "curate/import.html"
    return render(request, template, context)


def import_commit(request: Request, slug: str, import_id: int) -> HttpResponse:
    import_accept(record=import_get(project=request.project, import_id=import_id))
    return redirect("import", slug, import_id)


def import_discard(request: Request, slug: str, import_id: int) -> HttpResponse:
    import_discard_service(record=import_get(project=request.project, import_id=import_id))
    messages.success(request, "The file is discarded; nothing was imported.")
    return redirect("imports", slug)


def import_remove(request: Request, slug: str, import_id: int) -> HttpResponse:
    import_remove_service(record=import_get(project=request.project, import_id=import_id))
    messages.success(request, "The import is taken back, with everything that only it had brought.")
    return redirect("imports", slug)

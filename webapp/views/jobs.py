"""Jobs that people started, with live progress; and starting the ones that need no form of their own."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.errors import NotAllowed
from pipelines.models import Job
from pipelines.pairs.answers import PairRule
from pipelines.queue import job_cancel as job_cancel_service
from pipelines.selectors.jobs import job_get, job_list
from pipelines.services.aggregation import aggregate_start as aggregate_start_service
from pipelines.services.analyses import ANALYSES
from pipelines.services.judging import judge_start as judge_start_service
from pipelines.services.scoring import score_start as score_start_service

# What each kind of job is called where people read it.
KINDS = {
    "import.commit": "Read a file",
    "judge": "Let a model judge",
    "score": "Score by CHES",
    "aggregate": "Aggregate",
    "analyse": "Analyse",
    "drivers": "Measure what drives preferences",
    "export.write": "Export a version",
    "version.freeze": "Freeze a version",
    "queue.order": "Order the queue",
    "queue.wanted": "Change wanted annotations",
    "train": "Train",
}
from webapp.requests import Request
from webapp.views.project import number


def _title(job: Job) -> str:
    """What a job is called; an analysis by what it is about."""
    if job.kind == "analyse" and job.params["analysis"] in ANALYSES:
        return f"Analyse {ANALYSES[job.params['analysis']].label}"
    return KINDS.get(job.kind, job.kind)


def jobs(request: Request, slug: str) -> HttpResponse:
    rows = [{"job": job, "title": _title(job)} for job in job_list(project=request.project)]
    return render(request, "curate/jobs.html", {"rows": rows})


def job(request: Request, slug: str, job_id: int) -> HttpResponse:
    """One job; while it runs, the page asks again every two seconds for the same part."""
    shown = job_get(project=request.project, job_id=job_id)
    context = {"shown": shown, "title": _title(shown.job)}
    template = "curate/job_state.html" if request.headers.get("HX-Request") else "curate/job.html"
    return render(request, template, context)


def job_cancel(request: Request, slug: str, job_id: int) -> HttpResponse:
    """Curators cancel any job; researchers those that they started."""
    shown = job_get(project=request.project, job_id=job_id)
    if "curator" not in request.roles and shown.job.created_by_id != request.user.pk:
        raise NotAllowed("Only a curator may cancel what somebody else started.")
    job_cancel_service(job_id=shown.job.pk)
    messages.success(request, "Cancelled. What was stored before stays; the slice in hand stores nothing.")
    return redirect("job", slug, job_id)


def judge_start(request: Request, slug: str) -> HttpResponse:
    started = judge_start_service(
        project=request.project, model=request.POST.get("model", ""), created_by=request.user
    )
    return redirect("job", slug, started.pk)


def score_start(request: Request, slug: str) -> HttpResponse:
    started = score_start_service(
        project=request.project, method="ches", model=request.POST.get("model", ""), created_by=request.user
    )
    return redirect("job", slug, started.pk)


def aggregate_start(request: Request, slug: str) -> HttpResponse:
    rule = None
    if "gap" in request.POST:
        weights = [(key.removeprefix("weight-"), text) for key, text in request.POST.items() if key.startswith("weight-")]
        aspects = {key: number(text, f"The weight of {key}") for key, text in weights if text.strip()}
        rule = PairRule(aspects, number(request.POST["gap"] or "0", "The least gap"))
    started = aggregate_start_service(
        project=request.project, method=request.POST.get("method", ""), rule=rule, created_by=request.user
    )
    return redirect("job", slug, started.pk)

"""The operations of the API, one function each."""

from __future__ import annotations

import json
from typing import Any

from ninja import Status

from annotation.errors import Refused
from annotation.selectors.access import project_list_for, roles_in
from annotation.selectors.overview import Progress, progress_of
from annotation.selectors.queue import Batch, batch_list
from pipelines.models import DatasetVersion, Job
from pipelines.pairs.answers import rule_parse
from pipelines.queue import job_cancel
from pipelines.selectors.comparisons import Row, comparison_page
from pipelines.selectors.jobs import job_get
from pipelines.selectors.runs import run_get
from pipelines.selectors.versions import version_list, version_named, version_rows
from pipelines.services.aggregation import aggregate_start
from pipelines.services.exporting import export_start, version_frozen_get
from pipelines.services.judging import judge_start
from pipelines.services.ordering import wanted_start
from pipelines.services.scoring import score_start
from pipelines.services.training import training_start
from pipelines.services.versions import version_freeze_start
from webapp.api import api
from webapp.api import schemas as s
from webapp.context import may, sees_models
from webapp.rendering import turns
from webapp.requests import Request

P = "/projects/{slug}"


@api.get("/projects", response=list[s.ProjectOut], url_name="projects")
def projects(request: Request) -> list[dict[str, Any]]:
    """The projects in which one has a role."""
    found = project_list_for(user=request.user)
    roles = roles_in(user=request.user, projects=found)
    limit = getattr(request, "token_project_id", None)
    return [
        {
            "slug": project.slug,
            "title": project.title,
            "wanted": project.wanted,
            "roles": sorted(roles[project.pk]),
            "archived": project.archived_at is not None,
        }
        for project in found
        if limit in {None, project.pk}
    ]


@api.get(P + "/progress", response=s.ProgressOut, url_name="progress")
def progress(request: Request, slug: str) -> Progress:
    """How far people's judging is."""
    return progress_of([request.project])[request.project.pk]


@api.get(P + "/queue", response=list[s.BatchOut], url_name="queue")
def queue(request: Request, slug: str) -> list[Batch]:
    """The queue by batch: wanted places, done, leased, offered, left."""
    return batch_list(project=request.project)


@api.post(P + "/wanted", response={202: s.JobOut}, url_name="wanted")
def wanted(request: Request, slug: str, body: s.WantedIn) -> Status[dict[str, Any]]:
    """Start raising or lowering wanted annotations of the project or a batch."""
    job = wanted_start(project=request.project, created_by=request.user, **body.dict())
    return Status(202, _job(request, job))


@api.get(P + "/comparisons", response=s.ComparisonPage, url_name="comparisons")
def comparisons(request: Request, slug: str, after: str = "", sort: str = "new") -> dict[str, Any]:
    """50 comparisons a page, with their labels."""
    page = comparison_page(
        project=request.project, sees_models=sees_models(request), filters={}, sort=sort, after=after
    )
    return {"comparisons": [_comparison(row) for row in page.rows], "after": page.after, "total": page.total}


def _comparison(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "prompt": [
            {"role": turn.role, "content": turn.content} for turn in turns(row.prompt_form, row.prompt_body)
        ],
        "wanted": row.wanted,
        "done": row.done,
        "outcome": row.outcome,
        "origin": row.origin,
        "flip_probability": row.flip,
        "votes": row.votes,
        "judge": row.judge,
        "ches": row.ches,
        "warnings": row.warnings,
    }


@api.get(P + "/versions", response=list[s.VersionOut], url_name="versions")
def versions(request: Request, slug: str) -> list[DatasetVersion]:
    """Versions, newest first."""
    return version_list(project=request.project)


@api.post(P + "/versions", response={202: s.JobOut}, url_name="versions")
def version_freeze(request: Request, slug: str, body: s.VersionIn) -> Status[dict[str, Any]]:
    """Start freezing by a recipe of filters, and training on it; the job's result names the version and the run."""
    if body.train and not may(request, "api:runs", "POST"):
        raise Refused("Training on the version takes a researcher, and a token with the scope runs.")
    job = version_freeze_start(project=request.project, created_by=request.user, **body.dict())
    return Status(202, _job(request, job))


@api.get(P + "/versions/{name}", response=s.VersionDetail, url_name="version")
def version(request: Request, slug: str, name: str) -> DatasetVersion:
    """A version with its recipe and manifest."""
    return version_named(project=request.project, name=name)


@api.get(P + "/versions/{name}/rows", response=s.RowPage, url_name="version_rows")
def rows(request: Request, slug: str, name: str, split: str = "", after: int = -1) -> dict[str, Any]:
    """50 rows a page, in their order, as they were hashed."""
    page, more = version_rows(
        version=version_named(project=request.project, name=name), split=split, after=after
    )
    shown = [
        {
            "position": row.position,
            "split": row.split,
            "row_hash": bytes(row.row_hash).hex(),
            "row": json.loads(bytes(row.payload)),
        }
        for row in page
    ]
    return {"rows": shown, "after": more}


@api.post(P + "/versions/{name}/exports", response={202: s.JobOut}, url_name="version_exports")
def version_export(request: Request, slug: str, name: str, body: s.ExportIn) -> Status[dict[str, Any]]:
    """Start writing an export into the home; its files are downloaded from the version's page."""
    frozen = version_frozen_get(project=request.project, name=name)
    _, job = export_start(version=frozen, format=body.format, form=body.form, created_by=request.user)
    return Status(202, _job(request, job))


@api.post(P + "/runs", response={202: s.JobOut}, url_name="runs")
def run_start(request: Request, slug: str, body: s.RunIn) -> Status[dict[str, Any]]:
    """Train a model on a frozen version; the job watches the run."""
    _, job = training_start(
        project=request.project,
        version=body.version,
        model=body.model,
        name=body.name,
        arguments=body.arguments,
        created_by=request.user,
    )
    return Status(202, _job(request, job))


@api.get(P + "/runs/{name}", response=s.RunOut, url_name="run")
def run(request: Request, slug: str, name: str) -> dict[str, Any]:
    """A training run and what it was measured at."""
    shown = run_get(project=request.project, name=name)
    return {
        "name": shown.run.name,
        "version": shown.run.version.name,
        "model": shown.run.model.name,
        "state": shown.run.state,
        "step": shown.run.step,
        "total_steps": shown.run.total_steps,
        "error": shown.run.error,
        "evaluations": {evaluation.name: evaluation.metrics for evaluation in shown.evaluations},
    }


@api.post(P + "/jobs/judge", response={202: s.JobOut}, url_name="judge")
def judge(request: Request, slug: str, body: s.JudgeIn) -> Status[dict[str, Any]]:
    """Let a registered model judge what it has not judged yet."""
    return Status(
        202, _job(request, judge_start(project=request.project, model=body.model, created_by=request.user))
    )


@api.post(P + "/jobs/score", response={202: s.JobOut}, url_name="score")
def score(request: Request, slug: str, body: s.ScoreIn) -> Status[dict[str, Any]]:
    """Score what has no score yet."""
    job = score_start(project=request.project, method=body.method, model=body.model, created_by=request.user)
    return Status(202, _job(request, job))


@api.post(P + "/jobs/aggregate", response={202: s.JobOut}, url_name="aggregate")
def aggregate(request: Request, slug: str, body: s.AggregateIn) -> Status[dict[str, Any]]:
    """Refit the preferences of the project."""
    rule = rule_parse(body.aspects, body.gap or 0.0) if body.aspects or body.gap is not None else None
    job = aggregate_start(project=request.project, method=body.method, rule=rule, created_by=request.user)
    return Status(202, _job(request, job))


@api.get(P + "/jobs/{job_id}", response=s.JobOut, url_name="job")
def job(request: Request, slug: str, job_id: int) -> dict[str, Any]:
    """A job with its progress."""
    return _job_shown(request, job_id)


@api.post(P + "/jobs/{job_id}/cancel", response=s.JobOut, url_name="job_cancel")
def cancel(request: Request, slug: str, job_id: int) -> dict[str, Any]:
    """Cancel a job; what was stored before stays."""
    job_cancel(job_id=job_get(project=request.project, job_id=job_id).job.pk)
    return _job_shown(request, job_id)


def _job(request: Request, started: Job) -> dict[str, Any]:
    return _job_shown(request, started.pk)


def _job_shown(request: Request, job_id: int) -> dict[str, Any]:
    shown = job_get(project=request.project, job_id=job_id)
    found = shown.job
    return {
        "id": found.pk,
        "kind": found.kind,
        "state": found.state,
        "done": shown.progress.done,
        "total": shown.progress.total,
        "error": found.error,
        "result": found.result,
    }

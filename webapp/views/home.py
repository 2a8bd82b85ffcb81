"""Home: what waits for me, my projects, what runs."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from annotation.feedback import FEEDBACK_TYPES
from annotation.models import Import, Project
from annotation.selectors.access import project_list_for, roles_in
from annotation.selectors.overview import Progress, imports_to_look_at, progress_of, questions_of, waiting_for
from pipelines.models import TrainingRun
from pipelines.selectors.overview import Running, latest_of, running_in, runs_to_look_at
from webapp.access import BUILDERS, CURATORS, JUDGES
from webapp.requests import Request

# Labels of the feedback types, as the table has them.
TYPES = [
    gettext_noop("Pairwise"), gettext_noop("Listwise"), gettext_noop("Binary"), gettext_noop("Rating"),
    gettext_noop("Joint"), gettext_noop("Stepwise"), gettext_noop("Edit"), gettext_noop("Spans"), gettext_noop("Segments"),
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the projects table; `progress` is None for those who only judge."""

    project: Project
    roles: frozenset[str]
    progress: Progress | None
    waiting: int
    form: str
    latest_version: str
    latest_run: str


@dataclass(frozen=True)
class Need:
    """Something that wants a decision: a shape and a word say how urgent, then title, sentence and where to go."""

    shape: str
    urgency: str
    title: str
    sentence: str
    url: str
    action: str


def health(request: Request) -> HttpResponse:
    """That this process answers; the database is not asked."""
    return JsonResponse({"ok": True})


def home(request: Request) -> HttpResponse:
    projects = project_list_for(user=request.user)
    roles = roles_in(user=request.user, projects=projects)
    rows = _rows(request, projects, roles)
    building = [row.project for row in rows if row.roles & BUILDERS]
    mine = [row for row in rows if row.roles & JUDGES and row.waiting and row.project.archived_at is None]
    running: list[Running] = running_in(projects=building)
    context = {"today": timezone.now(), "rows": rows, "mine": mine, "running": running, "needs": _needs(rows)}
    return render(request, "home.html", context)


def _rows(request: Request, projects: list[Project], roles: dict[int, frozenset[str]]) -> list[Row]:
    progress, questions = progress_of(projects), questions_of(projects)
    waiting = waiting_for(user_id=request.user.pk, projects=projects)
    versions, runs = latest_of(projects=projects)
    return [
        Row(
            project=project,
            roles=roles[project.pk],
            progress=progress.get(project.pk) if roles[project.pk] & BUILDERS else None,
            waiting=waiting.get(project.pk, 0) if roles[project.pk] & JUDGES else 0,
            form=_form_words(questions.get(project.pk, [])),
            latest_version=versions.get(project.pk, "") if roles[project.pk] & BUILDERS else "",
            latest_run=runs.get(project.pk, "") if roles[project.pk] & BUILDERS else "",
        )
        for project in projects
    ]


def _form_words(questions: list[dict[str, object]]) -> str:
    words = []
    for question in questions:
        words.append(_(FEEDBACK_TYPES[str(question["type"])].label))
        if "steps" in question:
            words.append(_("{n} steps").format(n=question["steps"]))
    return ", ".join(words)


def _needs(rows: list[Row]) -> list[Need]:
    curated = [row for row in rows if row.roles & CURATORS and row.project.archived_at is None]
    building = [row.project for row in rows if row.roles & BUILDERS]
    needs = [_run_need(run) for run in runs_to_look_at(projects=building)]
    needs += [_import_need(found) for found in imports_to_look_at([row.project for row in curated])]
    for row in curated:
        if row.progress and row.progress.held_back:
            count = row.progress.held_back
            title = ngettext("{n} comparison is held back", "{n} comparisons are held back", count).format(n=f"{count:,}")
            url = reverse("comparisons", args=[row.project.slug]) + "?held=1"
            sentence = _("{title}. Flagged or skipped as broken three times, or nobody could judge.")
            sentence = sentence.format(title=row.project.title)
            needs.append(Need("ring", "warn", title, sentence, url, _("Look at them")))
    return needs


def _run_need(run: TrainingRun) -> Need:
    url = reverse("run", args=[run.project.slug, run.name])
    died = run.state == TrainingRun.State.DIED
    title = _("Training run {name} ended without a word") if died else _("Training run {name} failed")
    return Need(
        "tri", "bad", title.format(name=run.name), f"{run.project.title}. {run.error[:200]}", url, _("Open run")
    )


def _import_need(found: Import) -> Need:
    refused, rows = found.counts.get("refused", 0), found.counts.get("rows_in", 0)
    title = _("{file}: {refused} of {rows} rows can’t be used")
    title = title.format(file=found.file_name, refused=f"{refused:,}", rows=f"{rows:,}")
    url = reverse("import", args=[found.project.slug, found.pk])
    sentence = _("{title}. Nothing is imported before you decide.").format(title=found.project.title)
    return Need("sq", "warn", title, sentence, url, _("Decide"))

"""Projects, their guidelines and forms."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotation.errors import AnnotationError, Conflict, Refused
from annotation.feedback import questions_check
from annotation.feedback.setup import draft_from
from annotation.feedback.templates import TEMPLATES
from annotation.models import FormRevision, GuidelineRevision, Membership, Project, Role, User

MOST_GUIDELINES = 50_000

# Of each condition its words and what it may be, least and most.
CONDITIONS: dict[str, tuple[str, int, int]] = {
    "media_seconds": ("Seconds of each sound and film to be played", 0, 600),
    "media_percent": ("Per cent of each sound and film to be played", 0, 100),
    "session_comparisons": ("Comparisons before a break", 0, 10_000),
    "session_minutes": ("Minutes before a break", 0, 1_440),
    "break_minutes": ("Minutes of a break", 1, 1_440),
    "day_comparisons": ("Comparisons a day", 0, 10_000),
}


@dataclass(frozen=True)
class Conditions:
    """Under which people judge: how much of each sound and film is played before an answer counts, in seconds (or to its
    end) and per cent; after how many comparisons or minutes comes a break; how many comparisons a day. 0 asks for nothing.
    The fields are those of `Project`."""

    media_seconds: int = 5
    media_percent: int = 0
    session_comparisons: int = 0
    session_minutes: int = 0
    break_minutes: int = 15
    day_comparisons: int = 0

    def check(self) -> None:
        for name in CONDITIONS:
            condition_check(name, getattr(self, name))


def condition_check(name: str, value: int) -> None:
    words, least, most = CONDITIONS[name]
    if not least <= value <= most:
        raise Refused(f"{words}: {least:,} to {most:,} was expected; got {value:,}.")


@transaction.atomic
def project_create(
    *,
    slug: str,
    title: str = "",
    template: str = "pairwise",
    questions: Sequence[Mapping[str, Any]] | None = None,
    guidelines: str = "",
    wanted: int = 1,
    lease_minutes: int = 15,
    salt: uuid.UUID | None = None,
    conditions: Conditions | None = None,
    created_by: User | None = None,
) -> Project:
    """A project with its first form and guidelines; whoever creates it becomes its admin.

    `questions`: the form itself, instead of a template's. `salt` decides splits and the order of sides; without one it
    is random.
    """
    if template not in TEMPLATES:
        raise Refused(f"There is no template {template!r}; known are {', '.join(TEMPLATES)}.")
    conditions = conditions or Conditions()
    numbers = {"wanted": wanted, "lease_minutes": lease_minutes, **asdict(conditions)}
    for fault in project_faults(slug=slug, title=title, guidelines=guidelines, numbers=numbers).values():
        raise fault
    project = Project(
        slug=slug, title=title or slug, wanted=wanted, lease_seconds=60 * lease_minutes, **asdict(conditions)
    )
    if salt is not None:
        project.split_salt = salt
    project.save()
    form_revise(project=project, questions=TEMPLATES[template].questions if questions is None else questions)
    guidelines_revise(project=project, text=guidelines)
    if created_by is not None:
        Membership.objects.create(project=project, user=created_by, role=Role.PROJECT_ADMIN)
    return project


def project_faults(
    *, slug: str, title: str, guidelines: str, numbers: Mapping[str, int]
) -> dict[str, AnnotationError]:
    """What of a new project does not fit, by the name of each: all of it, so that a page can say it at once.

    `numbers`: wanted, lease_minutes and conditions by name; those that are missing are not looked at.
    """
    checks: dict[str, Callable[[], None]] = {
        "slug": lambda: _slug_check(slug),
        "title": lambda: _title_check(title or slug),
        "guidelines": lambda: _guidelines_check(guidelines),
        **{name: partial(_number_check, name, value) for name, value in numbers.items()},
    }
    faults: dict[str, AnnotationError] = {}
    for name, check in checks.items():
        try:
            check()
        except AnnotationError as fault:
            faults[name] = fault
    return faults


def _slug_check(slug: str) -> None:
    try:
        Project._meta.get_field("slug").clean(slug, None)
    except ValidationError as error:
        raise Refused(f"The project's name {slug!r} was not taken: {' '.join(error.messages)}") from None
    if Project.objects.filter(slug=slug).exists():
        raise Conflict(f"A project {slug!r} exists already. Choose another name.")


def _title_check(title: str) -> None:
    if not title.strip() or len(title) > 120 or not title.isprintable():
        raise Refused("A project needs a title of up to 120 printable characters.")


def _number_check(name: str, value: int) -> None:
    if name == "wanted" and not 1 <= value <= 100:
        raise Refused(f"Wanted annotations must be 1 to 100; got {value}.")
    if name == "lease_minutes" and not 1 <= value <= 1440:
        raise Refused(f"A lease lasts 1 to 1,440 minutes; got {value}.")
    if name in CONDITIONS:
        condition_check(name, value)


def _guidelines_check(text: str) -> None:
    if len(text) > MOST_GUIDELINES or "\x00" in text:
        raise Refused(f"Guidelines have up to {MOST_GUIDELINES:,} characters and no NUL; got {len(text):,}.")


@transaction.atomic
def form_revise(*, project: Project, questions: Sequence[Mapping[str, Any]]) -> FormRevision:
    """A new form revision; answers given so far keep the old one."""
    questions_check(questions)
    number = (FormRevision.objects.filter(project=project).aggregate(n=Max("number"))["n"] or 0) + 1
    return FormRevision.objects.create(project=project, number=number, questions=[dict(q) for q in questions])


@transaction.atomic
def form_change(*, project: Project, questions: Sequence[Mapping[str, Any]]) -> FormRevision | None:
    """A new revision if these questions mean something else than the newest one's; None if they mean the same."""
    questions_check(questions)
    newest = FormRevision.objects.filter(project=project).first()
    if newest is not None and draft_from(newest.questions) == draft_from(questions):
        return None
    return form_revise(project=project, questions=questions)


@transaction.atomic
def guidelines_revise(*, project: Project, text: str) -> GuidelineRevision:
    _guidelines_check(text)
    number = (GuidelineRevision.objects.filter(project=project).aggregate(n=Max("number"))["n"] or 0) + 1
    return GuidelineRevision.objects.create(project=project, number=number, text=text)


def project_change(
    *,
    project: Project,
    title: str,
    wanted: int,
    lease_minutes: int,
    render_markdown: bool,
    show_opinion: str | None = None,
    show_names: bool = False,
    conditions: Conditions | None = None,
) -> Project:
    """Change what may change; `wanted` holds for comparisons that are opened from now on."""
    _title_check(title)
    _number_check("wanted", wanted)
    _number_check("lease_minutes", lease_minutes)
    if show_opinion is not None and show_opinion not in Project.Opinion.values:
        raise Refused(f"A judge's opinion is shown {', '.join(Project.Opinion.values)}; got {show_opinion!r}.")
    changed = asdict(conditions) if conditions else {}
    if conditions:
        conditions.check()
    for name, value in changed.items():
        setattr(project, name, value)
    project.show_opinion = show_opinion or project.show_opinion
    project.show_names = show_names
    project.title, project.wanted = title.strip(), wanted
    project.lease_seconds, project.render_markdown = 60 * lease_minutes, render_markdown
    fixed = ["title", "wanted", "lease_seconds", "render_markdown", "show_opinion", "show_names"]
    project.save(update_fields=[*fixed, *changed])
    return project


def project_archive(*, project: Project, archived: bool = True) -> Project:
    """Archived projects hand out no work and take no imports; bringing one back restores both."""
    project.archived_at = timezone.now() if archived else None
    project.save(update_fields=["archived_at"])
    return project

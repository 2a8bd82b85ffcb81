"""Analyses of a project as a whole: too slow for a page, so a worker computes them and pages show the newest.

Some follow every refit by themselves; the others start when somebody asks. Each kind is one row of `ANALYSES`. A result
speaks for its own version alone: what an earlier one found is not shown any more, and is computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from annotation.models import Project, User
from pipelines.errors import InputRefused
from pipelines.models import AggregationRun, Analysis, Job
from pipelines.queue import DEFAULT, Leased, job_start, work_add, work_finishing

KIND = "analyse"


@dataclass(frozen=True)
class Found:
    """What an analysis found. `store`: writes rows beside it, in the transaction that stores it."""

    result: dict[str, Any]
    votes: int
    run: AggregationRun | None
    store: Callable[[Analysis], None] | None = None


@dataclass(frozen=True)
class AnalysisKind:
    """`path`: module of this package and function, from the leased item to `Found`.

    `version`: goes up when its result changes its shape or its meaning. `follows_refit`: planned with each, as it is quick.
    """

    key: str
    label: str
    path: str
    version: str
    follows_refit: bool

    def load(self) -> Callable[[Leased], Found]:
        module, name = self.path.split(":")
        function: Callable[[Leased], Found] = getattr(import_module(f"pipelines.services.{module}"), name)
        return function


ANALYSES = {
    entry.key: entry
    for entry in (
        AnalysisKind("agreement", "how far people and judges agree", "agreement:agreement_found", "2", True),
        AnalysisKind("circles", "whether preferences go in circles", "circles:circles_found", "1", True),
        AnalysisKind("drivers", "what drives preferences", "drivers:drivers_found", "3", False),
        AnalysisKind("groups", "whether people want different things", "groups:groups_found", "2", False),
    )
}


def analysis_start(*, project: Project, key: str, created_by: User | None = None) -> Job:
    """A job that computes one analysis anew."""
    if key not in ANALYSES:
        raise InputRefused(f"There is no analysis {key!r}; known are {', '.join(ANALYSES)}.")
    return job_start(project=project, kind=KIND, params={"analysis": key}, created_by=created_by)


def analyses_follow(run: AggregationRun) -> None:
    """Plan the analyses that follow a refit, in the transaction that stores it."""
    for kind in ANALYSES.values():
        if kind.follows_refit:
            work_add(
                queue=DEFAULT,
                project_id=run.project_id,
                kind=KIND,
                key=f"{kind.key}-of-run-{run.pk}",
                params={"analysis": kind.key},
                priority=-1,
            )


def analysis_work(item: Leased) -> None:
    """Handler of `analyse`."""
    kind = ANALYSES[item.params["analysis"]]
    found = kind.load()(item)
    with work_finishing(item):
        # One writer a project at a time, or two would take one number.
        Project.objects.select_for_update(no_key=True).get(pk=item.project_id)
        last = Analysis.objects.filter(project_id=item.project_id, kind=kind.key).order_by("-number").first()
        made = Analysis.objects.create(
            project_id=item.project_id,
            kind=kind.key,
            number=1 + (last.number if last else 0),
            version=kind.version,
            run=found.run,
            votes=found.votes,
            result=found.result,
            job_id=item.job_id,
        )
        if found.store is not None:
            found.store(made)
        item.result.update(analysis=kind.key, number=made.number)


def analysis_newest(*, project: Project, key: str) -> Analysis | None:
    """The newest result of one kind in its present version; None before the first."""
    found = Analysis.objects.filter(project=project, kind=key, version=ANALYSES[key].version)
    return found.select_related("run").order_by("-number").first()


def analysis_outdated(*, project: Project, key: str) -> Analysis | None:
    """The newest result of one kind where it is of an earlier version: kept, and not shown any more."""
    newest = Analysis.objects.filter(project=project, kind=key).order_by("-number").first()
    return newest if newest is not None and newest.version != ANALYSES[key].version else None

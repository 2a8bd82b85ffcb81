"""From votes and predictions to preferences.

`aggregate_full` refits everything and is what a version rests on. Between refits `preference_refresh` recomputes only
the comparisons with new votes (`label_steps.py`). Where a vote exists, the votes decide; else the
newest judge's probability, calibrated where a calibration is. The method `joint` lets both decide together: the graded
model takes judges as raters of their own kind. Rankings, ratings and yes or no become labels in `derivation.py`, of pairs
and single completions that have no votes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from django.db import connection, transaction

from annotation.agreement import agreement
from annotation.models import Annotation, Project, User
from pipelines.errors import InputRefused, NothingToDo
from pipelines.labels import JOINT, PROJECT_METHODS
from pipelines.labels.errors import NoVotes
from pipelines.labels.glad import skill_precision
from pipelines.labels.robust import (
    FlipRate,
    NoSignal,
    flip_rate_from_model,
    flip_rate_from_raters,
    flip_rate_from_repeats,
)
from pipelines.labels.votefile.answers import GRADED
from pipelines.labels.votes import FIRST, SECOND, TIE, Aggregate
from pipelines.models import AggregationRun, Job, RaterEstimate
from pipelines.pairs.answers import PairRule
from pipelines.queue import Leased, job_start, outbox_take, work_finishing
from pipelines.selectors.pairs import other_sizes_of
from pipelines.selectors.votes import (
    MODEL,
    PredictionTable,
    VoteTable,
    Watermark,
    predictions_of,
    watermark_of,
)
from pipelines.services.analyses import analyses_follow
from pipelines.services.derivation import Derived, derive_all, rule_of
from pipelines.services.graded import GradedRefit, graded_refit
from pipelines.services.label_steps import MAJORITY, PRIOR_VOTES, labels_refresh
from pipelines.services.labelling import (
    answers_of,
    labels_graded,
    labels_judged,
    labels_voted,
)
from pipelines.services.preference_rows import Labels, labels_joined, labels_store

DEFAULT_METHOD = "dawid_skene"
EVENTS = "annotation."
NO_RATERS = "Majority counts raters alike and does not know how reliable they are."
# A share is the rule; below so many votes a refit would follow every few of them, and steps have moved all they touch.
REFIT_VOTES, REFIT_SHARE = 50, 0.05
# One writer of preferences a project at a time: a refit and an online step must not overwrite each other.
LOCK_SPACE = 7_301


# Full refits


def aggregate_start(
    *,
    project: Project,
    method: str = DEFAULT_METHOD,
    rule: PairRule | None = None,
    created_by: User | None = None,
) -> Job:
    """A job that refits all preferences of a project. `rule`: how ratings become pairs; None: as the last refit did."""
    _method_check(method)
    params = {"method": method, "rule": None if rule is None else rule.fields}
    return job_start(project=project, kind="aggregate", params=params, created_by=created_by)


def aggregate_work(item: Leased) -> None:
    """Handler of `aggregate`."""
    project = Project.objects.get(pk=item.project_id)
    stored = item.params.get("rule")
    fit = _fit(project.pk, item.params["method"], PairRule(**stored) if stored else None)
    item.check()
    with work_finishing(item):
        run = _store(project, fit)
        analyses_follow(run)
        item.result["run"] = run.number
        item.counts.update(run.counts)


def aggregate_full(
    *, project: Project, method: str = DEFAULT_METHOD, rule: PairRule | None = None
) -> AggregationRun:
    """Refit now, in this process; what a freeze calls. Raises `NothingToDo` when there is nothing to aggregate."""
    _method_check(method)
    fit = _fit(project.pk, method, rule)
    with transaction.atomic():
        return _store(project, fit)


def aggregate_current(*, project: Project, method: str | None = None) -> AggregationRun:
    """The newest run if nothing came since, else a new one by the same method (or `method`, where one is asked for)."""
    run = AggregationRun.objects.filter(project=project).order_by("-number").first()
    wanted = method or (run.method if run else DEFAULT_METHOD)
    if run is not None and run.method == wanted and aggregate_is_current(run):
        return run
    return aggregate_full(project=project, method=wanted)


def aggregate_is_current(run: AggregationRun) -> bool:
    """Whether nothing came since this run that another refit would see."""
    return _mark_of(run) == watermark_of(run.project_id)


def _method_check(method: str) -> None:
    if method not in PROJECT_METHODS:
        raise InputRefused(f"There is no method {method!r}; known are {', '.join(PROJECT_METHODS)}.")


class _Fit:
    """What a refit computed, before anything is stored. `table`: all that the method takes for votes."""

    def __init__(self, method: str, mark: Watermark, table: VoteTable, judged: PredictionTable) -> None:
        self.method, self.mark, self.table, self.judged = method, mark, table, judged
        self.comparisons = table.comparisons
        self.raters = np.unique(table.rater)
        # What people and files said: agreement, and what is counted as votes, is of these alone.
        self.given = table.kept(table.kind != MODEL)
        self.aggregate: Aggregate | None = None
        self.graded: GradedRefit | None = None
        self.derived = Derived()


def _fit(project_id: int, method: str, rule: PairRule | None = None) -> _Fit:
    # The mark is read first: what comes between it and the votes is seen again by the next step, never missed.
    mark = watermark_of(project_id)
    table = answers_of(project_id, method)
    newest = AggregationRun.objects.filter(project_id=project_id).order_by("-number").first()
    voted = table.kept(table.kind != MODEL).comparisons
    derived = derive_all(project_id=project_id, method=method, rule=rule or rule_of(newest), voted=voted)
    # What was ranked or rated decides before a judge, also where the method takes judges for raters.
    table = table.kept(~np.isin(table.comparison, derived.comparisons))
    fit = _Fit(method, mark, table, predictions_of(project_id))
    fit.derived = derived
    if not len(fit.table) and not fit.judged.comparison.size and fit.derived.labels is None:
        others = sum(other_sizes_of(project_id).values())
        raise NothingToDo(
            "There are no votes and no predictions to aggregate. Import choices, judge, or annotate first."
            + (f" {others:,} answered comparisons of one or of several completions are left out." if others else "")
        )
    if not len(fit.table):
        return fit
    if method in (GRADED, JOINT):
        last = AggregationRun.objects.filter(project_id=project_id, method=method).order_by("-number").first()
        known = last.params.get("graded") if last else None
        fit.graded = graded_refit(project_id, fit.table, fit.comparisons, fit.raters, known)
        fit.aggregate = fit.graded.aggregate
    else:
        fit.aggregate = PROJECT_METHODS[method].load()(fit.table.votes(fit.comparisons, fit.raters))
    return fit


def _store(project: Project, fit: _Fit) -> AggregationRun:
    """Write run, estimates and changed preferences; then the votes that came while the refit ran."""
    _preferences_lock(project.pk)
    last = AggregationRun.objects.filter(project=project).order_by("-number").first()
    told = np.union1d(fit.comparisons, fit.derived.comparisons)
    judged = labels_judged(project.pk, fit.judged, without=told)
    labels = labels_joined(_fitted(fit), fit.derived.labels, judged)
    run = AggregationRun.objects.create(
        project=project,
        number=1 + (last.number if last else 0),
        method=fit.method,
        method_version=PROJECT_METHODS[fit.method].version,
        params=fit.mark.fields
        | {"class_prior": None if fit.aggregate is None else fit.aggregate.class_prior.tolist()}
        | ({"graded": fit.graded.params} if fit.graded else {})
        | _skill_params(fit.aggregate)
        | ({"derived": fit.derived.params} if fit.derived.params else {}),
        annotations_until=fit.mark.annotations_until,
        predictions_until=fit.mark.predictions_until,
        metrics=_metrics(fit, labels),
    )
    _estimates_store(run, fit)
    changed = labels_store(labels, project_id=project.pk, run_id=run.pk, is_all=True)
    run.counts = _counts(fit, labels, changed) | other_sizes_of(project.pk, used=fit.derived.sources)
    run.save(update_fields=["counts"])
    since = Annotation.objects.filter(project=project, pk__gt=fit.mark.annotations_until)
    came = list(since.values_list("pk", "comparison_id"))
    labels_refresh(project.pk, sorted({comparison for _, comparison in came}), run, [pk for pk, _ in came])
    return run


def _skill_params(aggregate: Aggregate | None) -> dict[str, Any]:
    """What steps between refits need of GLAD beside its raters."""
    wrong = None if aggregate is None else aggregate.wrong_shares
    return {} if wrong is None else {"wrong_shares": wrong.tolist()}


def _preferences_lock(project_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s::int, %s::int)", [LOCK_SPACE, project_id])


@contextmanager
def preferences_alone(project_id: int) -> Iterator[None]:
    """No other session writes preferences of the project meanwhile. For use outside of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s::int, %s::int)", [LOCK_SPACE, project_id])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s::int, %s::int)", [LOCK_SPACE, project_id])


def _mark_of(run: AggregationRun) -> Watermark:
    return Watermark(
        run.params["annotations"],
        run.params.get("rows"),
        run.params["predictions"],
        run.annotations_until,
        run.predictions_until,
        run.params["calibration"],
    )


def _metrics(fit: _Fit, labels: Labels) -> dict[str, Any]:
    if fit.aggregate is None:
        return {}
    likelihood = fit.aggregate.log_likelihood
    unit = np.searchsorted(fit.comparisons, fit.given.comparison).astype(np.int64)
    found = agreement(unit, fit.given.label.astype(np.float64), "nominal", seed=0)
    return {
        "agreement": asdict(found),
        "answered_by": fit.method if fit.graded else fit.aggregate.method,
        "fallback_reason": fit.aggregate.fallback_reason,
        "log_likelihood": float(likelihood[-1]) if likelihood.size else None,
        "iterations": int(likelihood.size),
        "converged": fit.aggregate.converged,
        "flip_rates": _flip_rates(fit, fit.aggregate, labels),
        **({"choice": fit.graded.metrics} if fit.graded else {}),
    }


def _flip_rates(fit: _Fit, aggregate: Aggregate, labels: Labels) -> dict[str, Any]:
    """Share of votes that are flipped, from pairs of raters and from EM; of labels, as the method made them. Or why none."""
    table = fit.given
    item = np.searchsorted(table.comparisons, table.comparison)
    first, second = (np.bincount(item, weights=table.label == side) for side in (FIRST, SECOND))
    votes, voted = first + second, labels.votes > 0
    pairs, disagreeing = int((votes * (votes - 1) / 2).sum()), int((first * second).sum())
    found = {"repeats": _rate_or_reason(lambda: flip_rate_from_repeats(disagreeing, pairs))}
    if aggregate.method == MAJORITY:
        return found | {"em": {"reason": NO_RATERS}, "model": {"reason": NO_RATERS}}
    return found | {
        "em": _rate_or_reason(lambda: _rate_from_raters(fit, aggregate)),
        "model": _rate_or_reason(lambda: flip_rate_from_model(labels.flip_probability[voted])),
    }


def _rate_from_raters(fit: _Fit, aggregate: Aggregate) -> FlipRate:
    """Of the votes for a side that people and files gave."""
    table = fit.given.kept(fit.given.label != TIE)
    item = np.searchsorted(fit.comparisons, table.comparison)
    if fit.graded is not None:
        # A side is a little better even inside the tie band, and votes there are what pairs of raters split on.
        first, decided = fit.graded.told.p_direction_first, np.ones(fit.comparisons.size)
    else:
        decided = aggregate.posterior[:, [FIRST, SECOND]].sum(axis=1)
        first = np.divide(
            aggregate.posterior[:, FIRST], decided, out=np.full(decided.shape, 0.5), where=decided > 0
        )
    right = np.where(table.label == FIRST, first[item], 1 - first[item])
    rater = np.searchsorted(fit.raters, table.rater).astype(np.int64)
    return flip_rate_from_raters(rater, np.clip(right, 0, 1), np.clip(decided[item], 0, 1))


def _rate_or_reason(rate: Callable[[], FlipRate]) -> dict[str, Any]:
    try:
        return asdict(rate())
    except (NoVotes, NoSignal) as error:
        return {"reason": str(error)}


def _estimates_store(run: AggregationRun, fit: _Fit) -> None:
    """One row a rater: of votes, and of rankings, ratings and yes or no."""
    said = dict(fit.derived.raters)
    rows = [] if fit.aggregate is None else _estimates(run, fit, fit.aggregate)
    for row in rows:
        if (one := said.pop(row.rater_id, None)) is not None:
            row.details |= one.details
    rows += [
        RaterEstimate(
            run=run, rater_id=rater_id, votes=one.answers, reliability=one.reliability, low=one.low, high=one.high,
            details=one.details,
        )
        for rater_id, one in said.items()
    ]  # fmt: skip
    RaterEstimate.objects.bulk_create(rows, batch_size=1000)


def _estimates(run: AggregationRun, fit: _Fit, aggregate: Aggregate) -> list[RaterEstimate]:
    """What the votes say. Details hold the confusion and the votes that its rows rest on, the share of votes for the side
    shown as A (far from a half, a rater looks at sides), and how many votes were ties."""
    table, size = fit.table, fit.raters.size
    rater = np.searchsorted(fit.raters, table.rater)
    sided = ~np.isnan(table.shown_as_a)
    n_sided = np.bincount(rater[sided], minlength=size)
    for_a = np.bincount(rater[sided], weights=table.shown_as_a[sided], minlength=size)
    ties, both_bad = (
        np.bincount(rater[rows], minlength=size).tolist() for rows in (table.label == TIE, table.both_bad)
    )
    share_for_a = (for_a / np.maximum(n_sided, 1)).tolist()
    votes_with_side, votes = n_sided.tolist(), aggregate.rater_votes.tolist()
    reliability, interval = aggregate.rater_accuracy.tolist(), aggregate.rater_interval.tolist()
    confusion = None if aggregate.confusion is None else aggregate.confusion.tolist()
    item = np.searchsorted(fit.comparisons, table.comparison)
    truth = [np.bincount(rater, weights=chance[item], minlength=size) for chance in aggregate.posterior.T]
    rests_on = (np.stack(truth, axis=1) + PRIOR_VOTES).tolist()
    skills = _skill_details(fit, aggregate)
    return [
        RaterEstimate(
            run=run,
            rater_id=rater_id,
            votes=votes[n],
            reliability=reliability[n],
            low=interval[n][0],
            high=interval[n][1],
            details={
                "confusion": confusion and confusion[n],
                "confusion_votes": confusion and rests_on[n],
                "share_for_a": share_for_a[n] if votes_with_side[n] else None,
                "votes_with_side": votes_with_side[n],
                "ties": ties[n],
                "both_bad": both_bad[n],
                **(skills[n] if skills else {}),
                **(fit.graded.details[n] if fit.graded else {}),
            },
        )
        for n, rater_id in enumerate(fit.raters.tolist())
    ]


def _skill_details(fit: _Fit, aggregate: Aggregate) -> list[dict[str, float]]:
    """GLAD's skill of each rater and how firmly it is known; empty of other methods."""
    skill, ease = aggregate.rater_skill, aggregate.item_ease
    if skill is None or ease is None:
        return []
    precision = skill_precision(fit.table.votes(fit.comparisons, fit.raters), skill, ease)
    return [{"skill": one, "skill_precision": sure} for one, sure in zip(skill.tolist(), precision.tolist(), strict=True)]


def _counts(fit: _Fit, labels: Labels, changed: int) -> dict[str, int]:
    directed = labels.direction != TIE
    counts = {
        "votes": len(fit.given),
        "predictions": int(labels.predictions.sum()),
        "raters": int(fit.raters.size),
        "comparisons": int(labels.comparison.size),
        "preferences": int(np.count_nonzero(directed)),
        "ties": int(np.count_nonzero(~directed)),
        "changed": changed,
    }
    return counts | fit.derived.counts | {
        f"from_{origin}": labels.count_of(origin) for origin in ("person", "source", "model")
    }


# Labels


def _fitted(fit: _Fit) -> Labels | None:
    """Labels of a full refit, of the comparisons with votes."""
    if fit.aggregate is None:
        return None
    if fit.graded is not None:
        return labels_graded(fit.table, fit.comparisons, fit.graded.told, fit.method)
    return labels_voted(fit.table, fit.comparisons, fit.aggregate.posterior, fit.aggregate.method)


def labels_of_votes(project_id: int, method: str, table: VoteTable) -> Labels:
    """What some of a project's votes would amount to if nobody else had voted; stores nothing."""
    comparisons, raters = table.comparisons, np.unique(table.rater)
    if method not in (GRADED, JOINT):
        found = PROJECT_METHODS[method].load()(table.votes(comparisons, raters))
        return labels_voted(table, comparisons, found.posterior, found.method)
    last = AggregationRun.objects.filter(project_id=project_id, method=method).order_by("-number").first()
    refit = graded_refit(project_id, table, comparisons, raters, last.params.get("graded") if last else None)
    return labels_graded(table, comparisons, refit.told, method)


# Online steps


def preference_refresh_work(item: Leased) -> None:
    """Handler of `preference.refresh`: apply the events of one project, and refit when enough has come."""
    with work_finishing(item):
        preference_refresh(project_id=item.project_id)


@transaction.atomic
def preference_refresh(*, project_id: int) -> int:
    """Recompute the comparisons whose annotations changed, up to 5,000 events. Returns how many comparisons."""
    subjects = outbox_take(project_id=project_id, prefix=EVENTS)
    changed = Annotation.objects.filter(pk__in=subjects).values_list("comparison_id", flat=True)
    comparison_ids = sorted(set(changed))
    run = AggregationRun.objects.filter(project_id=project_id).order_by("-number").first()
    settled = True
    if comparison_ids:
        _preferences_lock(project_id)
        settled = labels_refresh(project_id, comparison_ids, run, subjects)
    if run is not None and (not settled or _is_due(project_id, run)):
        aggregate_start(project=run.project, method=run.method)
    return len(comparison_ids)


def _is_due(project_id: int, run: AggregationRun) -> bool:
    """Whether so many votes came since the last refit that its view of the raters is old."""
    since = Annotation.objects.filter(
        project_id=project_id, pk__gt=run.annotations_until, state=Annotation.State.CURRENT
    ).count()
    return since >= max(REFIT_VOTES, REFIT_SHARE * int(run.params["annotations"]))

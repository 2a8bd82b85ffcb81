"""From votes and predictions to preferences.

`aggregate_full` refits everything and is what a version rests on. Between refits `preference_refresh` recomputes only
the comparisons with new votes, raters held as the last refit saw them. Where a vote exists, the votes decide; else the
newest judge's probability, calibrated where a calibration is. Rankings, ratings and yes or no become labels in
`derivation.py`, of pairs and single completions that have no votes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from annotation.agreement import agreement
from annotation.models import Annotation, Project, User
from pipelines.errors import InputRefused, NothingToDo
from pipelines.labels import AGGREGATORS
from pipelines.labels.errors import NoVotes, ScaleUnknown
from pipelines.labels.online import posterior_given_raters, stranger_confusion
from pipelines.labels.preference import Preferences, judge_posterior, preferences
from pipelines.labels.robust import FlipRate, NoSignal, flip_rate_from_model, flip_rate_from_repeats
from pipelines.labels.votefile.answers import GRADED
from pipelines.labels.votes import FIRST, N_OUTCOMES, SECOND, TIE, Aggregate
from pipelines.models import AggregationRun, Job, RaterEstimate
from pipelines.pairs.answers import PairRule
from pipelines.queue import Leased, job_start, outbox_take, work_finishing
from pipelines.routing.calibration import VERSION as CALIBRATION_VERSION
from pipelines.selectors.pairs import other_sizes_of
from pipelines.selectors.votes import (
    PredictionTable,
    VoteTable,
    Watermark,
    calibrations_of,
    predictions_of,
    votes_of,
    watermark_of,
)
from pipelines.services.analyses import analyses_follow
from pipelines.services.derivation import Derived, derive_all, derive_between, derive_touched, rule_of
from pipelines.services.graded import GradedRefit, Told, graded_between, graded_refit
from pipelines.services.preference_rows import Labels, labels_clear, labels_store

DEFAULT_METHOD = "dawid_skene"
JUDGE, UNCALIBRATED = "judge", "judge_uncalibrated"
EVENTS = "annotation."
REFIT_VOTES, REFIT_SHARE = 50, 0.1
SMOOTHING = 0.5
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
    if method not in AGGREGATORS:
        raise InputRefused(f"There is no method {method!r}; known are {', '.join(AGGREGATORS)}.")


class _Fit:
    """What a refit computed, before anything is stored."""

    def __init__(self, method: str, mark: Watermark, table: VoteTable, judged: PredictionTable) -> None:
        self.method, self.mark, self.table, self.judged = method, mark, table, judged
        self.comparisons = np.unique(table.comparison)
        self.raters = np.unique(table.rater)
        self.aggregate: Aggregate | None = None
        self.graded: GradedRefit | None = None
        self.derived = Derived()


def _fit(project_id: int, method: str, rule: PairRule | None = None) -> _Fit:
    # The mark is read first: what comes between it and the votes is seen again by the next step, never missed.
    mark = watermark_of(project_id)
    fit = _Fit(method, mark, votes_of(project_id), predictions_of(project_id))
    last = AggregationRun.objects.filter(project_id=project_id).order_by("-number").first()
    fit.derived = derive_all(project_id=project_id, method=method, rule=rule or rule_of(last), voted=fit.comparisons)
    if not len(fit.table) and not fit.judged.comparison.size and fit.derived.labels is None:
        others = sum(other_sizes_of(project_id).values())
        raise NothingToDo(
            "There are no votes and no predictions to aggregate. Import choices, judge, or annotate first."
            + (f" {others:,} answered comparisons of one or of several completions are left out." if others else "")
        )
    if not len(fit.table):
        return fit
    if method == GRADED:
        last = AggregationRun.objects.filter(project_id=project_id, method=GRADED).order_by("-number").first()
        known = last.params.get("graded") if last else None
        fit.graded = graded_refit(project_id, fit.table, fit.comparisons, fit.raters, known)
        fit.aggregate = fit.graded.aggregate
    else:
        fit.aggregate = AGGREGATORS[method].load()(fit.table.votes(fit.comparisons, fit.raters))
    return fit


def _store(project: Project, fit: _Fit) -> AggregationRun:
    """Write run, estimates and changed preferences; then the votes that came while the refit ran."""
    _preferences_lock(project.pk)
    last = AggregationRun.objects.filter(project=project).order_by("-number").first()
    told = np.union1d(fit.comparisons, fit.derived.comparisons)
    labels = _joined(_fitted(fit), fit.derived.labels, _judged(project.pk, fit.judged, without=told))
    run = AggregationRun.objects.create(
        project=project,
        number=1 + (last.number if last else 0),
        method=fit.method,
        method_version=AGGREGATORS[fit.method].version,
        params=fit.mark.fields
        | {"class_prior": None if fit.aggregate is None else fit.aggregate.class_prior.tolist()}
        | ({"graded": fit.graded.params} if fit.graded else {})
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
    _refresh(project.pk, sorted(set(since.values_list("comparison_id", flat=True))), run)
    return run


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
    unit = np.searchsorted(fit.comparisons, fit.table.comparison).astype(np.int64)
    found = agreement(unit, fit.table.label.astype(np.float64), "nominal", seed=0)
    return {
        "agreement": asdict(found),
        "answered_by": fit.aggregate.method,
        "fallback_reason": fit.aggregate.fallback_reason,
        "log_likelihood": float(likelihood[-1]) if likelihood.size else None,
        "iterations": int(likelihood.size),
        "converged": fit.aggregate.converged,
        "flip_rates": _flip_rates(fit.table, labels),
        **({"choice": fit.graded.metrics} if fit.graded else {}),
    }


def _flip_rates(table: VoteTable, labels: Labels) -> dict[str, Any]:
    """Share of labels that are flipped, from pairs of raters and from the method itself, or why there is none."""
    _, item = np.unique(table.comparison, return_inverse=True)
    first, second = (np.bincount(item, weights=table.label == side) for side in (FIRST, SECOND))
    votes, voted = first + second, labels.votes > 0
    pairs, disagreeing = int((votes * (votes - 1) / 2).sum()), int((first * second).sum())
    return {
        "repeats": _rate_or_reason(lambda: flip_rate_from_repeats(disagreeing, pairs)),
        "model": _rate_or_reason(lambda: flip_rate_from_model(labels.flip_probability[voted])),
    }


def _rate_or_reason(rate: Callable[[], FlipRate]) -> dict[str, Any]:
    try:
        return asdict(rate())
    except (NoVotes, NoSignal) as error:
        return {"reason": str(error)}


def _estimates_store(run: AggregationRun, fit: _Fit) -> None:
    aggregate, rows = fit.aggregate, []
    said = dict(fit.derived.raters)
    for index, rater_id in enumerate(fit.raters.tolist()):
        if aggregate is None:
            break
        reliability = float(aggregate.rater_accuracy[index])
        low, high = (float(bound) for bound in aggregate.rater_interval[index])
        rows.append(
            RaterEstimate(
                run=run,
                rater_id=rater_id,
                votes=int(aggregate.rater_votes[index]),
                reliability=reliability,
                low=low,
                high=high,
                details=_details(fit, index, rater_id) | (said.pop(rater_id).details if rater_id in said else {}),
            )
        )
    rows += [
        RaterEstimate(
            run=run, rater_id=rater_id, votes=one.answers, reliability=one.reliability, low=one.low, high=one.high,
            details=one.details,
        )
        for rater_id, one in said.items()
    ]  # fmt: skip
    RaterEstimate.objects.bulk_create(rows, batch_size=1000)


def _details(fit: _Fit, index: int, rater_id: int) -> dict[str, Any]:
    """Confusion, and the share of votes for the side shown as A: far from a half, a rater looks at sides."""
    own = fit.table.rater == rater_id
    sides = fit.table.shown_as_a[own]
    sides = sides[~np.isnan(sides)]
    confusion = (
        None if fit.aggregate is None or fit.aggregate.confusion is None else fit.aggregate.confusion[index]
    )
    return {
        "confusion": None if confusion is None else confusion.tolist(),
        "share_for_a": float(sides.mean()) if sides.size else None,
        "votes_with_side": int(sides.size),
        "ties": int(np.count_nonzero(fit.table.label[own] == N_OUTCOMES - 1)),
        "both_bad": int(np.count_nonzero(fit.table.both_bad[own])),
        **(fit.graded.details[index] if fit.graded else {}),
    }


def _counts(fit: _Fit, labels: Labels, changed: int) -> dict[str, int]:
    directed = labels.direction != TIE
    counts = {
        "votes": len(fit.table),
        "raters": int(fit.raters.size),
        "comparisons": int(labels.comparison.size),
        "preferences": int(np.count_nonzero(directed)),
        "ties": int(np.count_nonzero(~directed)),
        "changed": changed,
    }
    return counts | fit.derived.counts | {
        f"from_{origin}": int(np.count_nonzero(labels.origin == origin))
        for origin in ("person", "source", "model")
    }


# Labels


def _fitted(fit: _Fit) -> Labels | None:
    """Labels of a full refit, of the comparisons with votes."""
    if fit.aggregate is None:
        return None
    if fit.graded is not None:
        return _voted_graded(fit.table, fit.comparisons, fit.graded.told)
    return _voted(fit.table, fit.comparisons, fit.aggregate.posterior, fit.aggregate.method)


def labels_of_votes(project_id: int, method: str, table: VoteTable) -> Labels:
    """What some of a project's votes would amount to if nobody else had voted; stores nothing."""
    comparisons, raters = np.unique(table.comparison), np.unique(table.rater)
    if method != GRADED:
        found = AGGREGATORS[method].load()(table.votes(comparisons, raters))
        return _voted(table, comparisons, found.posterior, found.method)
    last = AggregationRun.objects.filter(project_id=project_id, method=GRADED).order_by("-number").first()
    refit = graded_refit(project_id, table, comparisons, raters, last.params.get("graded") if last else None)
    return _voted_graded(table, comparisons, refit.told)


def _voted_graded(table: VoteTable, comparisons: NDArray[np.int64], told: Told) -> Labels:
    """Labels from the graded model, which knows strength and what more votes could tell."""
    found = told.preferences
    return replace(
        _voted(table, comparisons, told.posterior, GRADED, found),
        strength=told.strength,
        strength_se=told.strength_se,
        ambiguity=told.ambiguity,
        ignorance=told.ignorance,
    )


def _voted(
    table: VoteTable,
    comparisons: NDArray[np.int64],
    posterior: NDArray[np.float64],
    method: str,
    found: Preferences | None = None,
) -> Labels:
    """Labels of comparisons with votes, from the posterior that an aggregator gave them."""
    found = found or preferences(posterior)
    unknown = np.full(comparisons.size, np.nan)
    item = np.searchsorted(comparisons, table.comparison)
    counts = np.bincount(item, minlength=comparisons.size)
    agreeing = np.bincount(item, weights=table.label == found.direction[item], minlength=comparisons.size)
    graded = ~np.isnan(table.strength)
    n_graded = np.bincount(item[graded], minlength=comparisons.size)
    sums = np.bincount(item[graded], weights=table.strength[graded], minlength=comparisons.size)
    by_person = np.bincount(item, weights=table.person, minlength=comparisons.size) > 0
    return Labels(
        comparison=comparisons,
        posterior=posterior,
        direction=found.direction,
        flip_probability=found.flip_probability,
        soft_label=found.soft_label,
        strength=np.divide(sums, n_graded, out=np.full(comparisons.size, np.nan), where=n_graded > 0),
        agreement=agreeing / counts,
        votes=counts.astype(np.int64),
        origin=np.where(by_person, "person", "source"),
        method=np.full(comparisons.size, method, dtype="<U40"),
        method_version=np.full(comparisons.size, AGGREGATORS[method].version, dtype="<U20"),
        strength_se=unknown,
        ambiguity=unknown,
        ignorance=unknown,
        weight=np.ones(comparisons.size),
    )


def _judged(project_id: int, judged: PredictionTable, *, without: NDArray[np.int64]) -> Labels | None:
    """Labels of comparisons that only judges have seen."""
    kept = ~np.isin(judged.comparison, without)
    if not kept.any():
        return None
    comparison, rater, label = judged.comparison[kept], judged.rater[kept], judged.label[kept]
    p_first = judged.p_first[kept]
    calibrated, fits = p_first.copy(), calibrations_of(project_id)
    for rater_id, fit in fits.items():
        calibrated[rater == rater_id] = fit.apply(p_first[rater == rater_id])
    # An imported prediction without a probability is worth one smoothed vote for its side.
    posterior = np.full((comparison.size, N_OUTCOMES), SMOOTHING)
    posterior[np.arange(comparison.size), label] += 1.0
    posterior /= posterior.sum(axis=1, keepdims=True)
    known = ~np.isnan(calibrated)
    posterior[known] = judge_posterior(calibrated[known], judged.p_tie[kept][known])
    found = preferences(posterior)
    return Labels(
        comparison=comparison,
        posterior=posterior,
        direction=found.direction,
        flip_probability=found.flip_probability,
        soft_label=found.soft_label,
        strength=np.full(comparison.size, np.nan),
        agreement=np.full(comparison.size, np.nan),
        votes=np.zeros(comparison.size, dtype=np.int64),
        origin=np.full(comparison.size, "model"),
        method=np.where(np.isin(rater, list(fits)), JUDGE, UNCALIBRATED).astype("<U40"),
        method_version=np.full(comparison.size, CALIBRATION_VERSION, dtype="<U20"),
        strength_se=np.full(comparison.size, np.nan),
        ambiguity=np.full(comparison.size, np.nan),
        ignorance=np.full(comparison.size, np.nan),
        weight=np.ones(comparison.size),
    )


def _joined(*labels: Labels | None) -> Labels:
    parts = [part for part in labels if part is not None]
    if len(parts) == 1:
        return parts[0]
    fields = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in Labels.__dataclass_fields__
    }
    order = np.argsort(fields["comparison"], kind="stable")
    return Labels(**{name: values[order] for name, values in fields.items()})


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
    told = True
    if comparison_ids:
        _preferences_lock(project_id)
        told = _refresh(project_id, comparison_ids, run)
    if run is not None and (not told or _is_due(project_id, run)):
        aggregate_start(project=run.project, method=run.method)
    return len(comparison_ids)


def _is_due(project_id: int, run: AggregationRun) -> bool:
    """Whether so many votes came since the last refit that its view of the raters is old."""
    since = Annotation.objects.filter(
        project_id=project_id, pk__gt=run.annotations_until, state=Annotation.State.CURRENT
    ).count()
    return since >= max(REFIT_VOTES, REFIT_SHARE * int(run.params["annotations"]))


def _refresh(project_id: int, comparison_ids: list[int], run: AggregationRun | None) -> bool:
    """Labels of some comparisons, raters held as the last refit saw them. The caller holds the lock.

    False where only a refit can tell them; they then keep the labels that they have.
    """
    if not comparison_ids:
        return True
    comparison_ids = sorted(derive_touched(project_id=project_id, comparison_ids=comparison_ids))
    table = votes_of(project_id, comparison_ids)
    comparisons = np.unique(table.comparison)
    try:
        voted = _voted_online(table, comparisons, run) if comparisons.size else None
    except ScaleUnknown:
        return False
    derived = derive_between(project_id=project_id, comparison_ids=comparison_ids, run=run, voted=comparisons)
    told = comparisons if derived is None else np.union1d(comparisons, derived.comparison)
    judged = _judged(project_id, predictions_of(project_id, comparison_ids=comparison_ids), without=told)
    left: set[int] = set(comparison_ids)
    if voted is not None or derived is not None or judged is not None:
        labels = _joined(voted, derived, judged)
        labels_store(labels, project_id=project_id, run_id=run.pk if run else None, is_all=False)
        left -= set(labels.comparison.tolist())
    labels_clear(sorted(left), project_id=project_id)
    return True


def _voted_online(table: VoteTable, comparisons: NDArray[np.int64], run: AggregationRun | None) -> Labels:
    raters = np.unique(table.rater)
    if run is not None and run.params.get("graded"):
        theta = dict(RaterEstimate.objects.filter(run=run).values_list("rater_id", "details__theta"))
        told = graded_between(run.project_id, table, comparisons, raters, run.params["graded"], theta)
        return _voted_graded(table, comparisons, told)
    votes = table.votes(comparisons, raters)
    confusions = _confusions_of(run)
    if run is None or not confusions:
        return _voted(table, comparisons, AGGREGATORS["majority"].load()(votes).posterior, "majority")
    stranger = stranger_confusion(N_OUTCOMES)
    confusion = np.stack([confusions.get(rater_id, stranger) for rater_id in raters.tolist()])
    posterior = posterior_given_raters(votes, np.array(run.params["class_prior"]), confusion)
    return _voted(table, comparisons, posterior, str(run.metrics["answered_by"]))


def _confusions_of(run: AggregationRun | None) -> dict[int, NDArray[np.float64]]:
    """Confusion of each rater in the last refit; empty where its method has none."""
    if run is None:
        return {}
    found = RaterEstimate.objects.filter(run=run).values_list("rater_id", "details__confusion")
    return {rater_id: np.array(confusion) for rater_id, confusion in found if confusion is not None}

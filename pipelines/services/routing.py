"""Who judges what. First `route_pilot`: a random share goes to people. Then `route_budget`: the judge is calibrated on
the pilot, a policy decides the rest, and every decision is kept with its reason and propensity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from numpy.typing import NDArray
from scipy.special import betaincinv

from annotation.models import Annotation, Comparison, Demand, Project, Rater, User
from pipelines.errors import InputRefused, NothingToDo
from pipelines.labels import AGGREGATORS
from pipelines.labels.votes import FIRST, TIE
from pipelines.models import Calibration, Derivation, Prediction, RoutingDecision, RoutingPlan
from pipelines.routing import POLICIES
from pipelines.routing.calibration import VERSION as CALIBRATION_VERSION
from pipelines.routing.calibration import Calibration as CalibrationFit
from pipelines.routing.calibration import fit_calibration, reliability
from pipelines.routing.draw import keyed_uniform, pilot_draw
from pipelines.routing.errors import BudgetNegative, NothingToCalibrate
from pipelines.routing.policies import Decision, RoutingInput
from pipelines.selectors.pairs import left_out_of
from pipelines.selectors.votes import PredictionTable, VoteTable, predictions_of, votes_of
from pipelines.services.ordering import order_again
from pipelines.services.routing_rows import PILOT_POOL, PLAN_POOL, PlannedRow, plan_store, wanted_of

DEFAULT_POLICY = "confidence"
PILOT = "pilot"
JUDGED_BEFORE = "judged_before"


@dataclass(frozen=True)
class _Pool:
    """The pairs of a project, by id, with their stable keys."""

    ids: NDArray[np.int64]
    keys: list[str]

    def __len__(self) -> int:
        return len(self.keys)


# The pilot


@transaction.atomic
def route_pilot(
    *, project: Project, share: float, seed: int = 0, created_by: User | None = None
) -> RoutingPlan:
    """A new plan that sends a random share to people and nothing else; the same pilot again changes nothing."""
    if not 0.0 < share <= 1.0:
        raise InputRefused(f"A pilot's share must lie above 0 and at most 1; got {share}.")
    _lock(project)
    pool = _pool_of(project)
    plan = _current(project)
    if (
        plan is not None
        and plan.state == RoutingPlan.State.PILOT
        and (plan.pilot_share, plan.seed) == (share, seed)
    ):
        return plan
    plan = _plan_new(project, share=share, seed=seed, created_by=created_by)
    picked = np.flatnonzero(pilot_draw(_seed(plan), pool.keys, share))
    # Served in the order of the draw, so that a pilot cut short is still a random one.
    draw = keyed_uniform(_seed(plan), [pool.keys[index] for index in picked])
    rows = [
        PlannedRow(int(pool.ids[index]), "person", PILOT, None, None, share, PILOT_POOL, place)
        for place, index in enumerate(picked[np.argsort(draw, kind="stable")])
    ]
    plan_store(rows, plan_id=plan.pk, project_id=project.pk)
    order_again(project.pk)
    plan.counts = {
        "comparisons": len(pool),
        "person": len(rows),
        "model": 0,
        "undecided": len(pool) - len(rows),
        PILOT: len(rows),
        **left_out_of(project),
    }
    plan.save(update_fields=["counts"])
    return plan


# The budget


@transaction.atomic
def route_budget(
    *,
    project: Project,
    budget: int,
    policy: str = DEFAULT_POLICY,
    judge: str | None = None,
    created_by: User | None = None,
) -> RoutingPlan:
    """Decide every comparison under a budget of people's counted annotations, the pilot's included.

    Without a pilot the judge's own confidence is taken as it is. The same call on the same state decides the same.
    """
    if budget < 0:
        raise BudgetNegative(budget)
    if policy not in POLICIES:
        raise InputRefused(f"There is no policy {policy!r}; known are {', '.join(POLICIES)}.")
    _lock(project)
    pool = _pool_of(project)
    before = _current(project)
    pilot = np.isin(pool.ids, _pilot_of(before))
    rater = _judge_of(project, judge)
    predictions = predictions_of(project.pk, rater_id=rater.pk)
    calibration = _calibrate(project, rater, predictions, pool.ids[pilot]) if pilot.any() else None
    plan = _plan_for_budget(before, project, created_by)
    spent = _spent(pool.ids, project)
    wanted = _wanted(pool.ids, project)
    given, open_ = _input(plan, pool, pilot, predictions, calibration, spent, budget, wanted)
    decisions = POLICIES[policy].load()(given)
    rows = list(_rows(pool, open_, decisions, given.confidence))
    _plan_save(plan, policy=policy, rater=rater, calibration=calibration, budget=budget, rows=rows)
    RoutingDecision.objects.filter(plan=plan).delete()
    plan_store(rows, plan_id=plan.pk, project_id=project.pk)
    order_again(project.pk)
    return plan


def _input(
    plan: RoutingPlan,
    pool: _Pool,
    pilot: NDArray[np.bool_],
    predictions: PredictionTable,
    calibration: Calibration | None,
    spent: NDArray[np.int64],
    budget: int,
    wanted: NDArray[np.int64],
) -> tuple[RoutingInput, NDArray[np.int64]]:
    """What the policy decides on, and the positions in the pool that it speaks of.

    What people finished outside the pilot is spent already: it leaves the input, and the budget shrinks by it.
    """
    open_ = np.flatnonzero(pilot | (spent < wanted))
    spent_outside = int(spent[~pilot].sum())
    if spent_outside > budget:
        raise InputRefused(
            f"People have given {spent_outside} annotations outside the pilot already; the budget is {budget}."
        )
    confidence, inconsistent = _confidence(pool.ids[open_], predictions, calibration)
    cost = np.where(pilot, wanted, np.maximum(wanted - spent, 1))[open_]
    given = RoutingInput(
        keys=[pool.keys[index] for index in open_],
        confidence=confidence,
        inconsistent=inconsistent,
        pilot=pilot[open_],
        cost=cost.astype(np.int64),
        pilot_share=plan.pilot_share,
        budget_annotations=budget - spent_outside,
        seed=_seed(plan),
    )
    return given, open_


def _confidence(
    ids: NDArray[np.int64], predictions: PredictionTable, calibration: Calibration | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Calibrated confidence in the judge's own side, NaN without a prediction; and where its orders disagree."""
    p_first = predictions.p_first
    if calibration is not None:
        p_first = CalibrationFit(calibration.params["slope"], calibration.pairs).apply(p_first)
    confidence = np.full(ids.size, np.nan)
    inconsistent = np.zeros(ids.size, dtype=bool)
    place = np.searchsorted(predictions.comparison, ids)
    known = np.flatnonzero(np.isin(ids, predictions.comparison))
    confidence[known] = np.maximum(p_first, 1.0 - p_first)[place[known]]
    inconsistent[known] = predictions.inconsistent[place[known]]
    return confidence, inconsistent


def _rows(
    pool: _Pool, open_: NDArray[np.int64], decisions: Sequence[Decision], confidence: NDArray[np.float64]
) -> Iterator[PlannedRow]:
    decided = dict(zip(open_.tolist(), zip(decisions, confidence.tolist(), strict=True), strict=True))
    for index, comparison_id in enumerate(pool.ids.tolist()):
        if index not in decided:
            yield PlannedRow(comparison_id, "person", JUDGED_BEFORE, None, None, 1.0, PLAN_POOL, 0)
            continue
        decision, sure = decided[index]
        in_pilot = decision.reason == PILOT
        yield PlannedRow(
            comparison_id,
            decision.destination,
            decision.reason,
            decision.rank,
            None if np.isnan(sure) else sure,
            decision.propensity,
            PILOT_POOL if in_pilot else PLAN_POOL,
            decision.rank or 0,
        )


def _spent(ids: NDArray[np.int64], project: Project) -> NDArray[np.int64]:
    """Counted annotations that people gave, a comparison."""
    found = dict(Demand.objects.filter(project=project, done__gt=0).values_list("comparison_id", "done"))
    return np.array([found.get(comparison_id, 0) for comparison_id in ids.tolist()], dtype=np.int64)


def _wanted(ids: NDArray[np.int64], project: Project) -> NDArray[np.int64]:
    found = wanted_of(project.pk)
    return np.array([found[comparison_id] for comparison_id in ids.tolist()], dtype=np.int64)


# Plans


def _lock(project: Project) -> None:
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _current(project: Project) -> RoutingPlan | None:
    return RoutingPlan.objects.filter(project=project).exclude(state=RoutingPlan.State.REPLACED).first()


def _pool_of(project: Project) -> _Pool:
    pairs = Comparison.objects.filter(project=project, size=2, one_prompt=True)
    # An edit against its source is judged already, by whoever wrote it; a pair of a ranking by whoever ranked.
    written = Annotation.objects.filter(comparison=OuterRef("pk"), derived_from__isnull=False)
    ranked = Derivation.objects.filter(comparison=OuterRef("pk"))
    pairs = pairs.exclude(Exists(written) | Exists(ranked), demand__isnull=True)
    rows = list(pairs.order_by("id").values_list("id", "key"))
    if not rows:
        raise NothingToDo(
            f"The project {project.slug} has no comparisons to route. Import some first: pairs of completions of a prompt."
        )
    return _Pool(np.array([row[0] for row in rows], dtype=np.int64), [bytes(row[1]).hex() for row in rows])


def _pilot_of(plan: RoutingPlan | None) -> NDArray[np.int64]:
    found: QuerySet[Any, int] = RoutingDecision.objects.filter(plan=plan, reason=PILOT).values_list(
        "comparison_id", flat=True
    )
    return np.array(list(found) if plan is not None else [], dtype=np.int64)


def _seed(plan: RoutingPlan) -> str:
    return f"{plan.project.split_salt}:{plan.seed}"


def _plan_new(project: Project, *, share: float, seed: int, created_by: User | None) -> RoutingPlan:
    RoutingPlan.objects.filter(project=project).update(state=RoutingPlan.State.REPLACED)
    return RoutingPlan.objects.create(
        project=project,
        state=RoutingPlan.State.PILOT,
        policy=DEFAULT_POLICY,
        policy_version=POLICIES[DEFAULT_POLICY].version,
        pilot_share=share,
        seed=seed,
        created_by=created_by,
    )


def _plan_for_budget(before: RoutingPlan | None, project: Project, created_by: User | None) -> RoutingPlan:
    """The pilot's plan itself, or a new one in the place of one that was routed already."""
    if before is not None and before.state == RoutingPlan.State.PILOT:
        return before
    share, seed = (before.pilot_share, before.seed) if before else (0.0, 0)
    return _plan_new(project, share=share, seed=seed, created_by=created_by)


def _plan_save(
    plan: RoutingPlan,
    *,
    policy: str,
    rater: Rater,
    calibration: Calibration | None,
    budget: int,
    rows: Sequence[PlannedRow],
) -> None:
    plan.state = RoutingPlan.State.ROUTED
    plan.policy, plan.policy_version = policy, POLICIES[policy].version
    plan.rater, plan.calibration, plan.budget = rater, calibration, budget
    destinations = Counter(row.destination for row in rows)
    plan.counts = {
        "comparisons": len(rows),
        "person": destinations["person"],
        "model": destinations["model"],
        "undecided": 0,
        **Counter(row.reason for row in rows),
        **left_out_of(plan.project),
    }
    plan.save()


# The judge


def _judge_of(project: Project, name: str | None) -> Rater:
    """The judge by name, or the only one there is."""
    with_predictions = Prediction.objects.filter(project=project).values("rater_id")
    judges = list(Rater.objects.filter(project=project, pk__in=with_predictions).order_by("name"))
    if name is not None:
        judges = [judge for judge in judges if judge.name == name]
    if not judges:
        wanted = f"of {name!r} " if name is not None else ""
        raise NothingToDo(
            f"There are no predictions {wanted}in {project.slug}. Let a model judge first: judge --model NAME"
        )
    if len(judges) > 1:
        names = ", ".join(judge.name for judge in judges)
        raise InputRefused(
            f"Several judges have predictions ({names}). Name the one to route by, with --model."
        )
    return judges[0]


def _calibrate(
    project: Project, rater: Rater, predictions: PredictionTable, pilot_ids: NDArray[np.int64]
) -> Calibration:
    """Fit and keep the judge's calibration on the pilot that people answered."""
    known = ~np.isnan(predictions.p_first)
    judged = dict(
        zip(predictions.comparison[known].tolist(), predictions.p_first[known].tolist(), strict=True)
    )
    truth = _people_say(votes_of(project.pk).of_people(), pilot_ids)
    both = sorted(truth.keys() & judged.keys())
    if not both:
        raise NothingToCalibrate
    p_first = np.array([judged[comparison_id] for comparison_id in both])
    answers = np.array([truth[comparison_id] for comparison_id in both])
    fit = fit_calibration(p_first, answers)
    return Calibration.objects.create(
        project=project,
        rater=rater,
        method="temperature",
        method_version=CALIBRATION_VERSION,
        params={"slope": fit.slope},
        pairs=fit.n,
        metrics={"before": _metrics(p_first, answers), "after": _metrics(fit.apply(p_first), answers)},
    )


def _people_say(table: VoteTable, pilot_ids: NDArray[np.int64]) -> dict[int, float]:
    """P(first better) of each pilot comparison by its voters, weighted by reliability where that can be told.

    Reliability is learnt from all of the table's votes. Where it cannot be told the mean vote stands: smoothing would
    make the judge look worse than it is.
    """
    ids = table.comparisons
    if not ids.size:
        return {}
    raters = np.unique(table.rater)
    found = AGGREGATORS["dawid_skene"].load()(table.votes(ids, raters))
    if found.fallback_reason is None:
        soft = found.posterior[:, FIRST] + found.posterior[:, TIE] / 2
    else:
        item = np.searchsorted(ids, table.comparison)
        values = np.where(table.label == FIRST, 1.0, np.where(table.label == TIE, 0.5, 0.0))
        soft = np.bincount(item, weights=values, minlength=ids.size) / np.bincount(item, minlength=ids.size)
    in_pilot = np.isin(ids, pilot_ids)
    return dict(zip(ids[in_pilot].tolist(), soft[in_pilot].tolist(), strict=True))


def _metrics(p_first: NDArray[np.float64], answers: NDArray[np.float64]) -> dict[str, Any]:
    """Reliability, with the 95 % interval (Jeffreys) of the accuracy."""
    found = reliability(p_first, answers)
    fields: dict[str, Any] = asdict(found)
    if found.accuracy is not None:
        n = int(np.count_nonzero(answers != 0.5))
        right = found.accuracy * n
        low, high = (float(betaincinv(right + 0.5, n - right + 0.5, bound)) for bound in (0.025, 0.975))
        fields |= {"accuracy_low": low, "accuracy_high": high}
    return fields

"""Steps between two refits: comparisons with new votes get their labels at once, and whoever voted is known better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.labels import PROJECT_METHODS
from pipelines.labels.dawid_skene import DIAGONAL, OFF_DIAGONAL
from pipelines.labels.errors import ScaleUnknown
from pipelines.labels.glad import PRIOR_MEAN
from pipelines.labels.online import (
    confusions_moved,
    posterior_given_raters,
    posterior_given_skills,
    skills_moved,
    stranger_confusion,
)
from pipelines.labels.votes import N_OUTCOMES, Votes
from pipelines.models import AggregationRun, RaterEstimate, RaterStep
from pipelines.selectors.votes import MODEL, VoteTable, predictions_of
from pipelines.services.derivation import derive_between, derive_touched
from pipelines.services.graded import RaterState, graded_between
from pipelines.services.labelling import (
    answers_of,
    labels_graded,
    labels_judged,
    labels_voted,
)
from pipelines.services.preference_rows import Labels, labels_clear, labels_joined, labels_store

MAJORITY, GLAD = "majority", "glad"
# Votes under each row of the confusion of a rater whom no refit has seen: the prior's.
PRIOR_VOTES = DIAGONAL + (N_OUTCOMES - 1) * OFF_DIAGONAL


def labels_refresh(
    project_id: int, comparison_ids: list[int], run: AggregationRun | None, new: Sequence[int]
) -> bool:
    """Labels of some comparisons, by raters as the last refit saw them and the votes since. The caller holds the lock.

    Args:
        new: annotations that raters have not been known by yet.

    Returns:
        False where a refit is wanted now: only it can tell these comparisons, which keep the labels that they have, or
        somebody is no longer who the refit took them for.
    """
    if not comparison_ids:
        return True
    comparison_ids = sorted(derive_touched(project_id=project_id, comparison_ids=comparison_ids))
    table = answers_of(project_id, run.method if run else "", comparison_ids)
    voted_on = table.kept(table.kind != MODEL).comparisons
    derived = derive_between(project_id=project_id, comparison_ids=comparison_ids, run=run, voted=voted_on)
    if derived is not None:
        table = table.kept(~np.isin(table.comparison, derived.comparison))
    comparisons = table.comparisons
    voted, settled = None, True
    try:
        if comparisons.size:
            voted, settled = _voted(table, comparisons, run, np.isin(table.annotation, list(new)))
    except ScaleUnknown:
        return False
    told = comparisons if derived is None else np.union1d(comparisons, derived.comparison)
    judged = labels_judged(project_id, predictions_of(project_id, comparison_ids=comparison_ids), without=told)
    left: set[int] = set(comparison_ids)
    if voted is not None or derived is not None or judged is not None:
        labels = labels_joined(voted, derived, judged)
        labels_store(labels, project_id=project_id, run_id=run.pk if run else None, is_all=False)
        left -= set(labels.comparison.tolist())
    labels_clear(sorted(left), project_id=project_id)
    return settled


def _voted(
    table: VoteTable, comparisons: NDArray[np.int64], run: AggregationRun | None, new: NDArray[np.bool_]
) -> tuple[Labels, bool]:
    """Labels, and whether everybody is still about who the refit took them for."""
    if run is None:
        return _by_majority(table, comparisons), True
    if run.method_version != PROJECT_METHODS[run.method].version:
        # What an earlier version kept of its raters is no start for steps: a new refit is due.
        return _by_majority(table, comparisons), False
    raters = np.unique(table.rater)
    # An event may come again after votes that a refit met on its way.
    learnt = RaterStep.objects.filter(run=run, rater_id__in=raters.tolist()).values_list("annotations", flat=True)
    new = new & (table.annotation > run.annotations_until) & ~np.isin(table.annotation, [n for ids in learnt for n in ids])
    if run.params.get("graded"):
        details = _details(run, raters)
        known = {rater: RaterState.of(one) for rater, one in details.items() if "precision" in one}
        found = graded_between(run.project_id, table, comparisons, raters, run.params["graded"], known, new)
        _steps_store(run, raters, new, table, [state.as_json() for state in found.states])
        return labels_graded(table, comparisons, found.told, run.method), not found.moved_far
    answered = run.metrics.get("answered_by", MAJORITY)
    if answered == MAJORITY:
        return _by_majority(table, comparisons, run, new), True
    if answered != GLAD:
        return _by_confusion(table, comparisons, raters, run, new), True
    return _by_skill(table, comparisons, raters, run, new), True


def _by_majority(
    table: VoteTable,
    comparisons: NDArray[np.int64],
    run: AggregationRun | None = None,
    new: NDArray[np.bool_] | None = None,
) -> Labels:
    """By shares of votes. Of a rater majority knows the share of right votes, to which the new ones add."""
    raters = np.unique(table.rater)
    votes = table.votes(comparisons, raters)
    posterior = PROJECT_METHODS[MAJORITY].load()(votes).posterior
    if run is not None and new is not None:
        _steps_store(run, raters, new, table, _tallies(run, raters, votes, posterior, new))
    return labels_voted(table, comparisons, posterior, MAJORITY)


def _tallies(
    run: AggregationRun, raters: NDArray[np.int64], votes: Votes, posterior: NDArray[np.float64], new: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    by_run = {"run": run, "rater_id__in": raters.tolist()}
    known = {
        rater: {"votes": n, "right": n * share}
        for rater, n, share in RaterEstimate.objects.filter(**by_run).values_list("rater_id", "votes", "reliability")
        if share is not None
    } | dict(RaterStep.objects.filter(**by_run).values_list("rater_id", "state"))
    count = np.bincount(votes.rater[new], minlength=raters.size)
    right = np.bincount(votes.rater[new], posterior[votes.item[new], votes.label[new]], raters.size)
    before = [known.get(rater, {"votes": 0, "right": 0.0}) for rater in raters.tolist()]
    return [
        {"votes": one["votes"] + n, "right": one["right"] + more}
        for one, n, more in zip(before, count.tolist(), right.tolist(), strict=True)
    ]


def _by_skill(
    table: VoteTable, comparisons: NDArray[np.int64], raters: NDArray[np.int64], run: AggregationRun, new: NDArray[np.bool_]
) -> Labels:
    """By each rater's skill: GLAD's own answer for these comparisons, their ease found anew."""
    known = _details(run, raters)
    stranger = {"skill": PRIOR_MEAN, "skill_precision": 1.0}
    mine = [one if (one := known.get(rater)) and "skill" in one else stranger for rater in raters.tolist()]
    skill, precision = (np.array([details[name] for details in mine]) for name in stranger)
    wrong, votes = np.array(run.params["wrong_shares"]), table.votes(comparisons, raters)
    posterior, ease = posterior_given_skills(votes, np.array(run.params["class_prior"]), skill, wrong)
    skill, precision = skills_moved(votes, posterior, ease, skill, precision, wrong, new)
    states = [
        {"skill": one, "skill_precision": sure} for one, sure in zip(skill.tolist(), precision.tolist(), strict=True)
    ]
    _steps_store(run, raters, new, table, states)
    return labels_voted(table, comparisons, posterior, GLAD)


def _by_confusion(
    table: VoteTable, comparisons: NDArray[np.int64], raters: NDArray[np.int64], run: AggregationRun, new: NDArray[np.bool_]
) -> Labels:
    """By each rater's confusion."""
    known = _details(run, raters)
    stranger = {"confusion": stranger_confusion(N_OUTCOMES).tolist(), "confusion_votes": [PRIOR_VOTES] * N_OUTCOMES}
    # Of a rater who only ranked, rated or said yes or no, a refit knows no confusion.
    mine = [one if (one := known.get(rater)) and one.get("confusion") else stranger for rater in raters.tolist()]
    confusion = np.array([details["confusion"] for details in mine])
    weight = np.array([details["confusion_votes"] for details in mine])
    votes = table.votes(comparisons, raters)
    posterior = posterior_given_raters(votes, np.array(run.params["class_prior"]), confusion)
    confusion, weight = confusions_moved(votes, posterior, confusion, weight, new)
    states = [
        {"confusion": row, "confusion_votes": rests} for row, rests in zip(confusion.tolist(), weight.tolist(), strict=True)
    ]
    _steps_store(run, raters, new, table, states)
    return labels_voted(table, comparisons, posterior, str(run.metrics["answered_by"]))


def _details(run: AggregationRun, raters: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
    """What is known of these raters: by the refit, or by the votes since where there were any."""
    by_run = {"run": run, "rater_id__in": raters.tolist()}
    found = dict(RaterEstimate.objects.filter(**by_run).values_list("rater_id", "details"))
    return found | dict(RaterStep.objects.filter(**by_run).values_list("rater_id", "state"))


def _steps_store(
    run: AggregationRun,
    raters: NDArray[np.int64],
    new: NDArray[np.bool_],
    table: VoteTable,
    states: list[dict[str, Any]],
) -> None:
    """Keep the states of those who voted; the refit's own record stays as it was."""
    moved = np.unique(table.rater[new])
    before = dict(RaterStep.objects.filter(run=run, rater_id__in=moved.tolist()).values_list("rater_id", "annotations"))
    RaterStep.objects.bulk_create(
        [
            RaterStep(
                run=run,
                rater_id=rater,
                annotations=before.get(rater, []) + table.annotation[new & (table.rater == rater)].tolist(),
                state=states[int(np.searchsorted(raters, rater))],
            )
            for rater in moved.tolist()
        ],
        update_conflicts=True,
        unique_fields=["run", "rater"],
        update_fields=["annotations", "state"],
    )

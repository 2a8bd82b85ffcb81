"""Labels of comparisons from what a method says of their votes, or from a judge's probability alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.labels import JOINT, PROJECT_METHODS
from pipelines.labels.preference import Preferences, judge_posterior, preferences
from pipelines.labels.votes import N_OUTCOMES
from pipelines.routing.calibration import VERSION as CALIBRATION_VERSION
from pipelines.selectors.votes import (
    MODEL,
    PERSON,
    PredictionTable,
    VoteTable,
    calibrations_of,
    judge_votes_of,
    votes_of,
)
from pipelines.services.graded import Told
from pipelines.services.preference_rows import Labels, Maker

JUDGE, UNCALIBRATED = "judge", "judge_uncalibrated"
SMOOTHING = 0.5


def answers_of(project_id: int, method: str, comparison_ids: list[int] | None = None) -> VoteTable:
    """What a method takes for votes: those of people and files, for `joint` what judges said too."""
    table = votes_of(project_id, comparison_ids)
    return table.joined(judge_votes_of(project_id, comparison_ids)) if method == JOINT else table


def labels_graded(table: VoteTable, comparisons: NDArray[np.int64], told: Told, method: str) -> Labels:
    """Labels from the graded model, which knows strength and what more votes could tell."""
    found = told.preferences
    return replace(
        labels_voted(table, comparisons, told.posterior, method, found),
        strength=told.strength,
        strength_se=told.strength_se,
        ambiguity=told.ambiguity,
        ignorance=told.ignorance,
    )


def labels_voted(
    table: VoteTable,
    comparisons: NDArray[np.int64],
    posterior: NDArray[np.float64],
    method: str,
    found: Preferences | None = None,
) -> Labels:
    """Labels of comparisons with votes, from the posterior that an aggregator gave them.

    Votes, agreement and mean strength are those of people and files, however many predictions are beside them.
    """
    found = found or preferences(posterior)
    unknown = np.full(comparisons.size, np.nan)
    given = table.kept(table.kind != MODEL)
    item = np.searchsorted(comparisons, given.comparison)
    counts = np.bincount(item, minlength=comparisons.size)
    agreeing = np.bincount(item, weights=given.label == found.direction[item], minlength=comparisons.size)
    graded = ~np.isnan(given.strength)
    n_graded = np.bincount(item[graded], minlength=comparisons.size)
    sums = np.bincount(item[graded], weights=given.strength[graded], minlength=comparisons.size)
    by_person = np.bincount(item, weights=given.kind == PERSON, minlength=comparisons.size) > 0
    version = PROJECT_METHODS[method].version
    return Labels(
        comparison=comparisons,
        posterior=posterior,
        direction=found.direction,
        flip_probability=found.flip_probability,
        soft_label=found.soft_label,
        strength=np.divide(sums, n_graded, out=unknown.copy(), where=n_graded > 0),
        agreement=np.divide(agreeing, counts, out=unknown.copy(), where=counts > 0),
        votes=counts.astype(np.int64),
        predictions=_judges_of(table, comparisons),
        strength_se=unknown,
        ambiguity=unknown,
        ignorance=unknown,
        weight=np.ones(comparisons.size),
        maker=np.where(by_person, 0, np.where(counts > 0, 1, 2)),
        makers=tuple(Maker(origin, method, version) for origin in ("person", "source", "model")),
    )


def _judges_of(table: VoteTable, comparisons: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many judges' predictions are under each label; both orders of one are one."""
    judged = table.kept(table.kind == MODEL)
    if not len(judged):
        return np.zeros(comparisons.size, dtype=np.int64)
    item, rater = judged.comparison, judged.rater
    new = np.concatenate([[True], (np.diff(item) != 0) | (np.diff(rater) != 0)])
    return np.bincount(np.searchsorted(comparisons, item[new]), minlength=comparisons.size).astype(np.int64)


def labels_judged(project_id: int, judged: PredictionTable, *, without: NDArray[np.int64]) -> Labels | None:
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
        predictions=np.ones(comparison.size, dtype=np.int64),
        strength_se=np.full(comparison.size, np.nan),
        ambiguity=np.full(comparison.size, np.nan),
        ignorance=np.full(comparison.size, np.nan),
        weight=np.ones(comparison.size),
        maker=np.where(np.isin(rater, list(fits)), 0, 1),
        makers=tuple(Maker("model", method, CALIBRATION_VERSION) for method in (JUDGE, UNCALIBRATED)),
    )

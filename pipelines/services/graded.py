"""The graded model on a project's votes: a refit whose variant held-out votes choose, and the step between refits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.labels.errors import ScaleUnknown
from pipelines.labels.graded import GradedFit, graded_fit
from pipelines.labels.graded_frozen import FrozenGraded, fit_given, frozen_of
from pipelines.labels.graded_readout import Comparisons, comparisons_of, raters_of
from pipelines.labels.graded_votes import GradedVotes, steps_of_signed
from pipelines.labels.preference import Preferences, directed
from pipelines.labels.votefile.answers import GRADED, VARIANTS, offered
from pipelines.labels.votefile.choosing import choose
from pipelines.labels.votefile.reading import Ballot
from pipelines.labels.votes import TIE, Aggregate, IntArray, Votes, top_labels
from pipelines.selectors.votes import VoteTable, completions_of

CHOOSE_AGAIN = 2
SPLITS = 3
WITHOUT_STRENGTH = 0


@dataclass(frozen=True)
class Told:
    """What n comparisons amount to. Arrays (n,); strengths are on the project's main scale, -1 to 1, negative: the first
    is better; NaN where that scale has no strength. Ambiguity and ignorance are in nats."""

    posterior: NDArray[np.float64]
    preferences: Preferences
    strength: NDArray[np.float64]
    strength_se: NDArray[np.float64]
    ambiguity: NDArray[np.float64]
    ignorance: NDArray[np.float64]


@dataclass(frozen=True)
class GradedRefit:
    """A full fit: `aggregate` for what all methods share, `params` for the steps until the next one."""

    aggregate: Aggregate
    told: Told
    details: list[dict[str, Any]]
    params: dict[str, Any]
    metrics: dict[str, Any]


def graded_refit(
    project_id: int,
    table: VoteTable,
    comparisons: IntArray,
    raters: IntArray,
    last: Mapping[str, Any] | None,
) -> GradedRefit:
    """Fit all votes. `last`: the params of the newest refit, whose variant stays until the votes have doubled."""
    scales = scales_of(table)
    votes = graded_votes(table, comparisons, raters, scales, completions_of(project_id, comparisons))
    variant, chosen_at, metrics = _variant(votes, table, scales, last)
    fit = graded_fit(votes, VARIANTS[variant])
    return GradedRefit(
        aggregate=_aggregate(fit, comparisons.size, raters.size),
        told=told_of(fit, scales),
        details=_rater_details(fit),
        params={
            "scales": scales,
            "variant": variant,
            "chosen_at_votes": chosen_at,
            "frozen": frozen_of(fit).as_json(),
            "values": _values(fit, project_id, comparisons),
        },
        metrics=metrics,
    )


def graded_between(
    project_id: int,
    table: VoteTable,
    comparisons: IntArray,
    raters: IntArray,
    params: Mapping[str, Any],
    theta_of: Mapping[int, list[float]],
) -> Told:
    """Comparisons with new votes, raters and scales as the last refit saw them.

    Raises:
        ScaleUnknown: votes on a scale that the refit has not seen; a new refit is due.
    """
    frozen, scales = FrozenGraded.from_json(params["frozen"]), params["scales"]
    votes = graded_votes(table, comparisons, raters, scales, None, steps=frozen.n_steps)
    populations = np.minimum(_populations(table, raters), len(frozen.mean) - 1)
    theta = np.array(
        [theta_of.get(rater, frozen.mean[kind]) for rater, kind in zip(raters.tolist(), populations, strict=True)]
    )
    fit = fit_given(
        frozen, votes, theta, prior_mean=_prior_mean(params["values"], project_id, comparisons)
    )
    return told_of(fit, scales)


def scales_of(table: VoteTable) -> list[int]:
    """The scales in use by their largest strength, the one with most votes first; 0: a choice without strength."""
    return [m for m, _ in sorted(Counter(table.scale.tolist()).items(), key=lambda one: (-one[1], one[0]))]


def graded_votes(
    table: VoteTable,
    comparisons: IntArray,
    raters: IntArray,
    scales: list[int],
    completions: tuple[IntArray, IntArray] | None,
    steps: tuple[int, ...] | None = None,
) -> GradedVotes:
    """The votes as the model takes them. `steps`: K of each scale where a refit has fixed it already."""
    scale = np.array([scales.index(m) if m in scales else -1 for m in table.scale.tolist()], dtype=np.int64)
    if (scale < 0).any():
        raise ScaleUnknown(f"the last refit saw scales of strength {scales}, these votes {set(table.scale.tolist())}")
    ties = table.label == TIE
    n_steps = steps or tuple(
        2 if m == WITHOUT_STRENGTH and not ties[table.scale == m].any() else 2 * max(m, 1) + 1 for m in scales
    )
    step = np.zeros(len(table), dtype=np.int64)
    for number, (m, k) in enumerate(zip(scales, n_steps, strict=True)):
        chosen = scale == number
        if k == 2 and ties[chosen].any():
            raise ScaleUnknown("the last refit saw no tie on a scale that now has one")
        signed = np.where(ties, 0, np.where(table.label == 0, -1, 1)) if m == WITHOUT_STRENGTH else table.vote
        step[chosen] = steps_of_signed(signed[chosen].astype(np.int64), k)
    first, second = completions or (None, None)
    return GradedVotes(
        item=np.searchsorted(comparisons, table.comparison).astype(np.int64),
        rater=np.searchsorted(raters, table.rater).astype(np.int64),
        step=step,
        side=table.first_shown,
        n_items=int(comparisons.size),
        n_raters=int(raters.size),
        n_steps=n_steps,
        scale=scale,
        population=_populations(table, raters),
        first=first,
        second=second,
    )


def _populations(table: VoteTable, raters: IntArray) -> IntArray:
    """People are kind 0; files are kind 1 beside people, and kind 0 where nobody else votes."""
    is_person = np.zeros(raters.size, dtype=bool)
    is_person[np.searchsorted(raters, table.rater[table.person])] = True
    return np.where(is_person | ~is_person.any(), 0, 1).astype(np.int64)


def _variant(
    votes: GradedVotes, table: VoteTable, scales: list[int], last: Mapping[str, Any] | None
) -> tuple[str, int, dict[str, Any]]:
    """The variant of least log-loss on held-out votes; how many votes there were then; the trials."""
    known = last and last.get("scales") == scales and len(table) < CHOOSE_AGAIN * last["chosen_at_votes"]
    if last and known and (last["variant"] != "completions" or votes.first is not None):
        return last["variant"], last["chosen_at_votes"], {"variant": last["variant"], "trials": []}
    ballot = Ballot(
        votes=Votes(votes.item, votes.rater, table.label, votes.n_items, votes.n_raters),
        graded=votes,
        items=[],
        raters=[],
        categories=[],
        has_sides=bool((votes.side != 0).any()),
        completions=[] if votes.first is None else [True],
        kinds=[],
        notes=[],
    )
    methods = [pair for pair in offered(ballot) if pair[0] == GRADED]
    choice = choose(ballot, methods, seed=0, splits=SPLITS, progress=lambda name: None)
    trials = [
        {
            "variant": trial.variant,
            "log_loss": trial.log_loss if trial.losses else None,
            "splits": len(trial.losses),
            "refused": trial.refused,
        }
        for trial in choice.trials
        if trial.losses or trial.refused
    ]
    found = {"variant": choice.variant, "why": choice.why, "held_out": choice.held_out, "trials": trials}
    return choice.variant, len(table), found


def told_of(fit: GradedFit, scales: list[int]) -> Told:
    """Comparisons of a fit, read on the project's main scale, in stored signs."""
    told: Comparisons = comparisons_of(fit)
    m = scales[0]
    strength, error = (told.strength, told.strength_se) if m else (np.full(fit.votes.n_items, np.nan),) * 2
    posterior = told.consensus / told.consensus.sum(axis=1, keepdims=True)
    # Sums over the grid pass 1 by rounding.
    first = np.clip(told.p_direction_first, 0.0, 1.0)
    reference = told.reference_outcome
    soft = np.clip(reference[:, 0] + reference[:, TIE] / 2, 0.0, 1.0)
    return Told(
        posterior=posterior,
        preferences=directed(first, posterior[:, TIE], soft),
        strength=-strength / max(m, 1),
        strength_se=error / max(m, 1),
        ambiguity=told.ambiguity,
        ignorance=told.ignorance,
    )


def _aggregate(fit: GradedFit, n_comparisons: int, n_raters: int) -> Aggregate:
    raters, told = raters_of(fit), comparisons_of(fit)
    posterior = told.consensus / told.consensus.sum(axis=1, keepdims=True)
    return Aggregate(
        method=GRADED,
        posterior=posterior,
        class_prior=posterior.mean(axis=0),
        confusion=None,
        item_votes=fit.votes.item_counts(),
        rater_votes=fit.votes.rater_counts(),
        rater_accuracy=raters.reliability,
        rater_interval=np.stack([raters.low, raters.high], axis=1),
        top_labels=top_labels(posterior),
        log_likelihood=fit.log_likelihood,
        objective=fit.objective,
        converged=fit.converged,
    )


def _rater_details(fit: GradedFit) -> list[dict[str, Any]]:
    raters = raters_of(fit)
    return [
        {
            "theta": fit.theta[w].tolist(),
            "theta_se": raters.se[w].tolist(),
            "side_bias": float(raters.side_bias[w]),
            "side_low": float(raters.side_low[w]),
            "side_high": float(raters.side_high[w]),
            "spam_odds": float(raters.spam_odds[w]),
            "identified": bool(raters.identified[w]),
            "unidentified_reason": fit.reason,
        }
        for w in range(fit.votes.n_raters)
    ]


def _values(fit: GradedFit, project_id: int, comparisons: IntArray) -> dict[str, Any]:
    """What a comparison's prior mean is made of: nothing, one number, or one a completion."""
    if fit.values is None:
        return {}
    if fit.options.mean:
        return {"mean": float(fit.values[0])}
    found = completions_of(project_id, comparisons, as_ids=True)
    assert found is not None and fit.votes.first is not None and fit.votes.second is not None
    values: dict[str, float] = {}
    for ids, places in zip(found, (fit.votes.first, fit.votes.second), strict=True):
        values |= {str(id_): float(fit.values[place]) for id_, place in zip(ids.tolist(), places, strict=True)}
    return {"completions": values}


def _prior_mean(
    values: Mapping[str, Any], project_id: int, comparisons: IntArray
) -> NDArray[np.float64] | None:
    if "mean" in values:
        return np.full(comparisons.size, values["mean"])
    if "completions" not in values:
        return None
    found = completions_of(project_id, comparisons, as_ids=True)
    assert found is not None, "asked for ids"
    known = values["completions"]
    first, second = (np.array([known.get(str(id_), 0.0) for id_ in ids.tolist()]) for ids in found)
    return np.asarray(first - second)

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
from pipelines.labels.graded_frozen import FrozenGraded, fit_given, frozen_of, raters_moved
from pipelines.labels.graded_readout import Comparisons, comparisons_of, raters_of
from pipelines.labels.graded_votes import GradedVotes, steps_of_signed
from pipelines.labels.preference import Preferences, directed
from pipelines.labels.votefile.answers import GRADED, VARIANTS, offered
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votefile.choosing import choose, split_count
from pipelines.labels.votes import TIE, Aggregate, IntArray, Votes, top_labels
from pipelines.selectors.votes import KINDS, MODEL, PERSON, SOURCE, VoteTable, completions_of

CHOOSE_AGAIN = 2
MOST_SPLITS = 3
WITHOUT_STRENGTH = 0


@dataclass(frozen=True)
class Told:
    """What n comparisons amount to. Arrays (n,); strengths are on the project's main scale, -1 to 1, negative: the first
    is better; NaN where that scale has no strength. `p_direction_first`: P(first better), were no vote a tie. Ambiguity
    and ignorance are in nats."""

    posterior: NDArray[np.float64]
    p_direction_first: NDArray[np.float64]
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
    scales, kinds = scales_of(table), np.unique(table.kind).tolist()
    votes = graded_votes(table, comparisons, raters, scales, kinds, completions_of(project_id, comparisons))
    variant, chosen_at, metrics = _variant(votes, table, scales, last)
    fit = graded_fit(votes, VARIANTS[variant])
    return GradedRefit(
        aggregate=_aggregate(fit, comparisons.size, raters.size),
        told=told_of(fit, scales),
        details=_rater_details(fit),
        params={
            "scales": scales,
            "kinds": [KINDS[kind] for kind in kinds],
            "variant": variant,
            "chosen_at_votes": chosen_at,
            "frozen": frozen_of(fit).as_json(),
            "values": _values(fit, project_id, comparisons),
        },
        metrics=metrics,
    )


@dataclass(frozen=True)
class RaterState:
    """A rater between refits: (3,) theta, and the (3, 3) inverse of its covariance."""

    theta: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> RaterState:
        """Of an estimate's details, or of a step's state."""
        return cls(np.array(details["theta"]), np.array(details["precision"]))

    def as_json(self) -> dict[str, Any]:
        return {"theta": self.theta.tolist(), "precision": self.precision.tolist()}


@dataclass(frozen=True)
class GradedStep:
    """Comparisons, and (in the order of the raters asked for) the raters after the new votes.

    `moved_far`: somebody moved by more than a standard error in one step.
    """

    told: Told
    states: list[RaterState]
    moved_far: bool


def graded_between(
    project_id: int,
    table: VoteTable,
    comparisons: IntArray,
    raters: IntArray,
    params: Mapping[str, Any],
    known: Mapping[int, RaterState],
    new: NDArray[np.bool_],
) -> GradedStep:
    """Comparisons with new votes, by scales as the last refit saw them and raters as they are `known`; then the raters.

    A rater who is not known is like the mean of their kind. `new`: (n,) which votes raters have not been known by yet.

    Raises:
        ScaleUnknown: votes on a scale that the refit has not seen; a new refit is due.
    """
    frozen, scales = FrozenGraded.from_json(params["frozen"]), params["scales"]
    if "kinds" not in params:
        raise ScaleUnknown("the last refit did not say which kinds of raters it knew")
    kinds = [KINDS.index(kind) for kind in params["kinds"]]
    votes = graded_votes(table, comparisons, raters, scales, kinds, None, steps=frozen.n_steps)
    strangers = [
        RaterState(np.array(mean), np.diag(np.array(spread) ** -2.0))
        for mean, spread in zip(frozen.mean, frozen.spread, strict=True)
    ]
    before = [known.get(rater, strangers[kind]) for rater, kind in zip(raters.tolist(), votes.populations, strict=True)]
    theta, precision = (np.array([getattr(state, name) for state in before]) for name in ("theta", "precision"))
    fit = fit_given(
        frozen, votes, theta, prior_mean=_prior_mean(params["values"], project_id, comparisons)
    )
    moved, after = raters_moved(fit, new, precision)
    error = np.sqrt(np.diagonal(np.linalg.inv(precision), axis1=1, axis2=2))
    return GradedStep(
        told_of(fit, scales),
        [RaterState(*state) for state in zip(moved, after, strict=True)],
        bool((np.abs(moved - theta) > error).any()),
    )


def scales_of(table: VoteTable) -> list[int]:
    """The scales in use by their largest strength; 0: a choice without strength, below 0: a judge's.

    The one on which people said most comes first: labels are read on it. However much files brought, theirs comes first only
    where nobody voted here, and that of judges where nobody else did.
    """
    said = [Counter(table.scale[table.kind == kind].tolist()) for kind in (PERSON, SOURCE)]
    return sorted(set(table.scale.tolist()), key=lambda m: (*(-one[m] for one in said), m < 0, m))


def graded_votes(
    table: VoteTable,
    comparisons: IntArray,
    raters: IntArray,
    scales: list[int],
    kinds: list[int],
    completions: tuple[IntArray, IntArray] | None,
    steps: tuple[int, ...] | None = None,
) -> GradedVotes:
    """The votes as the model takes them, kinds of raters as its populations.

    `steps`: K of each scale where a refit has fixed it already.
    """
    scale = np.array([scales.index(m) if m in scales else -1 for m in table.scale.tolist()], dtype=np.int64)
    if (scale < 0).any():
        raise ScaleUnknown(f"the last refit saw scales of strength {scales}, these votes {set(table.scale.tolist())}")
    ties = table.label == TIE
    n_steps = steps or tuple(_steps_on(m, bool(ties[table.scale == m].any())) for m in scales)
    step = np.zeros(len(table), dtype=np.int64)
    for number, (m, k) in enumerate(zip(scales, n_steps, strict=True)):
        chosen = scale == number
        if k % 2 == 0 and ties[chosen].any():
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
        weight=None if (table.weight == 1.0).all() else table.weight,
        population=_populations(table, raters, kinds),
        first=first,
        second=second,
    )


def _steps_on(m: int, has_ties: bool) -> int:
    """K of a scale: a project's has its middle, a choice and a judge's only where somebody said tie."""
    return 2 * m + 1 if m > 0 else 2 * max(-m, 1) + has_ties


def _populations(table: VoteTable, raters: IntArray, kinds: list[int]) -> IntArray:
    """Place of each rater's kind among those that a refit knows; the first is the reference, people where there are any."""
    kind = np.zeros(raters.size, dtype=np.int64)
    kind[np.searchsorted(raters, table.rater)] = table.kind
    if unknown := set(kind.tolist()) - set(kinds):
        raise ScaleUnknown(f"the last refit saw no rater of the kind {KINDS[unknown.pop()]}")
    return np.searchsorted(kinds, kind).astype(np.int64)


def _variant(
    votes: GradedVotes, table: VoteTable, scales: list[int], last: Mapping[str, Any] | None
) -> tuple[str, int, dict[str, Any]]:
    """The variant of least log-loss on held-out votes of people and files; how many there were then; the trials."""
    given = table.kind != MODEL
    if not given.any():
        why = "Only judges answered, and none of their votes is held out."
        return "plain", 0, {"variant": "plain", "trials": [], "why": why}
    votes, table = votes.kept(given), table.kept(given)
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
        completions=list(range(_completion_count(votes))),
        kinds=[],
        notes=[],
    )
    methods = [pair for pair in offered(ballot) if pair[0] == GRADED]
    splits = min(MOST_SPLITS, split_count(ballot))
    choice = choose(ballot, methods, seed=0, splits=splits, progress=lambda name: None)
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


def _completion_count(votes: GradedVotes) -> int:
    """How many completions recur, which are numbered from 0; -1 is one that does not."""
    if votes.first is None or votes.second is None:
        return 0
    return int(max(votes.first.max(initial=-1), votes.second.max(initial=-1))) + 1


def told_of(fit: GradedFit, scales: list[int]) -> Told:
    """Comparisons of a fit, read on the project's main scale, in stored signs."""
    told: Comparisons = comparisons_of(fit)
    m = scales[0]
    strength, error = (told.strength, told.strength_se) if m > 0 else (np.full(fit.votes.n_items, np.nan),) * 2
    posterior = told.consensus / told.consensus.sum(axis=1, keepdims=True)
    # Sums over the grid pass 1 by rounding.
    first = np.clip(told.p_direction_first, 0.0, 1.0)
    reference = told.reference_outcome
    soft = np.clip(reference[:, 0] + reference[:, TIE] / 2, 0.0, 1.0)
    return Told(
        posterior=posterior,
        p_direction_first=first,
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
    raters, precision = raters_of(fit), np.linalg.inv(fit.covariance).tolist()
    return [
        {
            "theta": fit.theta[w].tolist(),
            "theta_se": raters.se[w].tolist(),
            "precision": precision[w],
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

"""One method's answer to a file of votes, in one form for all methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from pipelines.labels import AGGREGATORS, PAIR_MODELS
from pipelines.labels.errors import TableTooLarge, VotesMalformed
from pipelines.labels.graded import GradedFit, GradedOptions, graded_fit
from pipelines.labels.graded_known import component_count
from pipelines.labels.graded_readout import (
    comparisons_of,
    outcomes_of_steps,
    raters_of,
    vote_probabilities,
)
from pipelines.labels.graded_votes import GradedVotes, step_values
from pipelines.labels.pairs import PairScores, pair_table
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votes import BoolArray, FloatArray, IntArray, rater_accuracies

GRADED = "graded"
FLOOR = 1e-12
# Methods with a number for each rater, truth and vote; more take minutes and gigabytes.
BY_TRUTH_AND_VOTE = ("dawid_skene", "dawid_skene_one_coin", "mace")
MOST_CELLS = 2_000_000

# Variants of the graded model: key, options, and what a ballot must have.
VARIANTS: dict[str, GradedOptions] = {
    "plain": GradedOptions(),
    "contested": GradedOptions(contested=True),
    "free_prior": GradedOptions(free_prior=True),
    "free_prior_contested": GradedOptions(free_prior=True, contested=True),
    "mean": GradedOptions(mean=True),
    "completions": GradedOptions(completions=True),
    "completions_contested": GradedOptions(completions=True, contested=True),
}

REASONS = {
    "one_rater": "There is one rater only, so nobody's reliability can be told from the others.",
    "no_shared_items": "No item has two raters, so nobody's reliability can be told from the others.",
    "one_vote_an_item": "There is hardly more than one vote an item: reliability is not identified.",
}


@dataclass(frozen=True)
class Answer:
    """What a method says about all items and raters of a ballot.

    Attributes:
        method, variant: keys; the variant is empty where a method has none.
        probabilities: (T, K) by category, or by step 0..K-1 of graded votes.
        outcomes: (T, 3) first, second, tie of graded votes; None for labels.
        consensus: (T, 3) in the same order; None for labels.
        strength, strength_se: (T,) on the stored signed scale, negative where the first is better; or None.
        flip: (T,) chance that the likelier side is the worse one, at most 0.5; None for labels.
        items: further (T,) columns of items.jsonl. raters: (W,) columns of raters.jsonl.
        facts: numbers about the fit for the report. notes: sentences for people.
        predict: (n,) chance of each vote in another ballot of the same items and raters.
        seconds: how long the fit took.
    """

    method: str
    variant: str
    probabilities: FloatArray
    outcomes: FloatArray | None
    consensus: FloatArray | None
    strength: FloatArray | None
    strength_se: FloatArray | None
    flip: FloatArray | None
    raters: dict[str, np.ndarray]
    predict: Callable[[Ballot], FloatArray]
    items: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def scores(self) -> FloatArray:
        """(T, C) what the label is chosen by: outcomes of graded votes, categories of labels."""
        return self.probabilities if self.outcomes is None else self.outcomes


def offered(ballot: Ballot) -> list[tuple[str, str]]:
    """(method, variant) pairs that this ballot can be asked, cheap ones first."""
    found = [(key, "") for key in AGGREGATORS if key != GRADED]
    if ballot.graded is None:
        return found
    recurring = bool(ballot.completions)
    if recurring and ballot.graded.first is not None and (ballot.graded.first >= 0).all():
        found += [(key, "") for key in PAIR_MODELS if key != "bradley_terry" or not _has_ties(ballot)]
    several = ballot.votes.item.size >= 2 * np.count_nonzero(ballot.votes.item_counts())
    for key, options in VARIANTS.items():
        if (recurring or not options.completions) and (several or not options.contested):
            found.append((GRADED, key))
    return found


def answer(ballot: Ballot, method: str, variant: str = "", *, rounds: int | None = None) -> Answer:
    """Fit one method to all votes of a ballot.

    Args:
        rounds: at most so many for the graded model, where an answer is only to be compared; None is the
            model's own limit.

    Raises:
        LabelError: what the method refuses.
    """
    if method == GRADED:
        options = VARIANTS[variant or "plain"]
        return _graded(
            ballot, variant or "plain", options if rounds is None else replace(options, max_rounds=rounds)
        )
    if method in PAIR_MODELS:
        return _pairs(ballot, method)
    return _labels(ballot, method)


def kept(ballot: Ballot, rows: np.ndarray) -> Ballot:
    """The same items and raters with some of the votes."""
    votes = ballot.votes
    some = replace(votes, item=votes.item[rows], rater=votes.rater[rows], label=votes.label[rows])
    return replace(ballot, votes=some, graded=None if ballot.graded is None else ballot.graded.kept(rows))


def _labels(ballot: Ballot, method: str) -> Answer:
    votes = ballot.votes
    if method in BY_TRUTH_AND_VOTE and votes.n_raters * votes.n_labels**2 > MOST_CELLS:
        raise TableTooLarge(method, votes.n_raters, votes.n_labels, MOST_CELLS)
    found = AGGREGATORS[method].load()(votes)
    raters: dict[str, np.ndarray] = {
        "votes": found.rater_votes,
        "reliability": found.rater_accuracy,
        "low": found.rater_interval[:, 0],
        "high": found.rater_interval[:, 1],
    }
    if found.rater_honesty is not None:
        raters["spam_odds"] = (1 - found.rater_honesty) / np.maximum(found.rater_honesty, FLOOR)
    if found.rater_skill is not None:
        raters["skill"] = found.rater_skill
    notes = (
        []
        if found.fallback_reason is None
        else [f"{REASONS[found.fallback_reason]} The answer is majority's."]
    )
    facts = {
        "converged": found.converged,
        "rounds": int(found.log_likelihood.size),
        "fallback": found.fallback_reason,
    }

    def predict(other: Ballot) -> FloatArray:
        votes = other.votes
        chances = found.vote_probabilities(votes.item, votes.rater)
        return np.asarray(chances[np.arange(votes.item.size), votes.label])

    items = {} if found.item_ease is None else {"ease": found.item_ease}
    return _with_outcomes(ballot, Answer(
        method, "", found.posterior, None, None, None, None, None, raters, predict, items, facts, notes,
    ))  # fmt: skip


def _with_outcomes(ballot: Ballot, plain: Answer) -> Answer:
    """Outcomes, strength and flip of graded votes from probabilities of their steps."""
    if ballot.graded is None:
        return plain
    outcomes = outcomes_of_steps(plain.probabilities)
    values = step_values(plain.probabilities.shape[1])
    mean = plain.probabilities @ values
    spread = np.sqrt(np.maximum(plain.probabilities @ np.square(values) - mean**2, 0.0))
    sides = outcomes[:, :2].sum(axis=1)
    less = outcomes[:, :2].min(axis=1)
    flip = np.divide(less, sides, out=np.full(less.shape, 0.5), where=sides > 0)
    return replace(
        plain,
        outcomes=outcomes,
        consensus=outcomes,
        strength=-mean,
        strength_se=spread,
        flip=np.minimum(flip, 0.5),
    )


def _graded(ballot: Ballot, variant: str, options: GradedOptions) -> Answer:
    if ballot.graded is None:
        raise VotesMalformed("the graded model takes graded votes (`vote`), and this file has labels")
    fit = graded_fit(_with_choices(ballot.graded, ballot.choices), options)
    told, raters = comparisons_of(fit), raters_of(fit)
    notes = [REASONS[fit.reason]] if fit.reason else []
    unidentified = int((~fit.identified & (fit.votes.rater_counts() > 0)).sum())
    if not fit.reason and unidentified:
        notes.append(
            f"{unidentified} raters share no item with others: their reliability rests on the prior."
        )
    if not fit.converged:
        notes.append(f"The fit had not settled after {options.max_rounds} rounds.")

    facts = _graded_facts(ballot, fit)
    notes += _apart(facts)

    def predict(other: Ballot) -> FloatArray:
        if other.graded is None:
            raise VotesMalformed("the graded model takes graded votes")
        return vote_probabilities(fit, other.graded)

    columns: dict[str, np.ndarray] = {
        "votes": fit.votes.rater_counts(),
        "reliability": raters.reliability,
        "low": raters.low,
        "high": raters.high,
        "identified": raters.identified,
        "spam_odds": raters.spam_odds,
        "discrimination": raters.theta[:, 0],
        "discrimination_se": raters.se[:, 0],
        "scale_use": np.exp(raters.theta[:, 2]),
        "at_limit": raters.at_limit,
    }
    if ballot.has_sides:
        sided = np.bincount(fit.votes.rater, fit.votes.side != 0, fit.votes.n_raters) > 0
        sides = {
            "side_bias": raters.side_bias,
            "side_bias_low": raters.side_low,
            "side_bias_high": raters.side_high,
        }
        columns |= {name: np.where(sided, values, np.nan) for name, values in sides.items()}
    items: dict[str, np.ndarray] = {
        "p_direction_first": told.p_direction_first,
        "flip_of_majority": told.flip_of_majority,
        "ambiguity": told.ambiguity,
        "ignorance": told.ignorance,
    }
    if options.contested:
        items["contested"] = told.contested
    return Answer(
        GRADED, variant, told.reference_vote, told.reference_outcome, told.consensus, -told.strength,
        told.strength_se, told.flip_probability, columns, predict, items, facts, notes,
    )  # fmt: skip


def _with_choices(votes: GradedVotes, choices: GradedVotes | None) -> GradedVotes:
    """All in one, choices on a second scale."""
    if choices is None:
        return votes
    item, rater, step, side, weight = (
        np.concatenate([getattr(votes, name), getattr(choices, name)])
        for name in ("item", "rater", "step", "side", "weights")
    )
    return replace(
        votes, item=item, rater=rater, step=step, side=side, n_steps=votes.n_steps + choices.n_steps,
        scale=np.repeat(np.array([0, 1]), [votes.item.size, choices.item.size]), weight=weight,
    )  # fmt: skip


def _graded_facts(ballot: Ballot, fit: GradedFit) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "converged": fit.converged,
        "rounds": int(fit.log_likelihood.size),
        "cuts": fit.cuts[0].tolist(),
        "lapse": fit.lapse,
        "contested_share": fit.share,
        "reference_discrimination": fit.reference_discrimination,
        "components_of_raters": component_count(fit.votes),
        "reliability_not_identified": fit.reason,
        "kinds": [
            dict(zip(("mean_a", "mean_b", "mean_k", "sd_a", "sd_b", "sd_k"), [*mean, *spread], strict=True))
            for mean, spread in zip(fit.hyper.mean.tolist(), fit.hyper.spread.tolist(), strict=True)
        ],
    }
    if fit.values is not None and fit.options.completions:
        facts |= _by_completion(ballot, "completion_values", fit.values[: len(ballot.completions)])
        facts["completion_spread"] = fit.value_spread
        facts |= _components(ballot, fit.votes)
    if fit.values is not None and fit.options.mean:
        facts["mean_difference"] = float(fit.values[0])
    return facts


def _pairs(ballot: Ballot, method: str) -> Answer:
    graded = ballot.graded
    if graded is None or graded.first is None or graded.second is None or not ballot.completions:
        raise VotesMalformed(f"{method} needs `first` and `second`, completions or systems that recur")
    if min(graded.first.min(), graded.second.min()) < 0:
        raise VotesMalformed(f"{method} needs `first` and `second` for every item")
    entry, n_steps = PAIR_MODELS[method], graded.n_steps[0]
    outcome = _outcome_of_step(n_steps)[graded.step]
    first, second = graded.first[graded.item], graded.second[graded.item]
    if entry.takes_raters:
        scores: PairScores = entry.load()(
            first, second, outcome, graded.rater, len(ballot.completions), graded.n_raters
        )
    else:
        scores = entry.load()(pair_table(first, second, outcome, len(ballot.completions)))
    within = _shares_within_outcomes(graded.step, n_steps)
    outcomes = scores.outcomes(graded.first, graded.second)
    probabilities = outcomes[:, _outcome_of_step(n_steps)] * within
    probabilities /= probabilities.sum(axis=1, keepdims=True)

    def predict(other: Ballot) -> FloatArray:
        votes = other.votes
        if scores.reliability is None:
            return np.asarray(probabilities[votes.item, votes.label])
        right = scores.reliability[votes.rater][:, None]
        turned = outcomes[votes.item][:, [1, 0, 2]]
        told = (right * outcomes[votes.item] + (1 - right) * turned)[:, _outcome_of_step(n_steps)] * within
        told /= told.sum(axis=1, keepdims=True)
        return np.asarray(told[np.arange(votes.item.size), votes.label])

    accuracy, interval = rater_accuracies(ballot.votes, probabilities)
    if scores.reliability is not None and scores.reliability_interval is not None:
        accuracy, interval = scores.reliability, scores.reliability_interval
    raters: dict[str, np.ndarray] = {
        "votes": ballot.votes.rater_counts(),
        "reliability": accuracy,
        "low": interval[:, 0],
        "high": interval[:, 1],
    }
    facts: dict[str, Any] = {
        **_by_completion(ballot, "completion_values", scores.scores),
        **_by_completion(ballot, "completion_errors", scores.standard_errors),
        "virtual_wins": scores.virtual_wins,
        **_components(ballot, graded),
    }
    notes = _apart(facts)
    if scores.virtual_wins:
        what = (
            "the readiness to tie"
            if scores.reliability is not None
            else "some values, or the readiness to tie,"
        )
        notes.append(
            f"By these votes alone {what} would be infinite; {scores.virtual_wins} virtual wins and as many losses against "
            "an average one keep it finite."
        )
    return _with_outcomes(ballot, Answer(
        method, "", probabilities, None, None, None, None, None, raters, predict, {}, facts, notes,
    ))  # fmt: skip


def _by_completion(ballot: Ballot, name: str, values: np.ndarray) -> dict[str, Any]:
    names = [str(completion) for completion in ballot.completions]
    return {name: dict(zip(names, values.tolist(), strict=True))}


def _components(ballot: Ballot, votes: GradedVotes) -> dict[str, Any]:
    """Which part each completion is in: those of one part were compared with each other, directly or by others."""
    assert votes.first is not None and votes.second is not None
    voted = (votes.item_counts() > 0) & (votes.first >= 0)
    n = len(ballot.completions)
    pairs = (votes.first[voted], votes.second[voted])
    graph = sparse.coo_array((np.ones(pairs[0].size), pairs), shape=(n, n)).tocsr()
    count, component = csgraph.connected_components(graph, directed=False)
    return {
        "components_of_completions": int(count),
        **_by_completion(ballot, "completion_components", component),
    }


def _apart(facts: dict[str, Any]) -> list[str]:
    count = facts.get("components_of_completions", 1)
    if count == 1:
        return []
    return [
        f"The completions are in {count} parts that were never compared with each other: their values compare only within "
        "one part (completion_components in report.json)."
    ]


def _outcome_of_step(n_steps: int) -> IntArray:
    """(K,) 0 first, 1 second, 2 tie of each step."""
    values = step_values(n_steps)
    return np.where(values > 0, 0, np.where(values < 0, 1, 2)).astype(np.int64)


def _shares_within_outcomes(step: IntArray, n_steps: int) -> FloatArray:
    """(K,) how often a step is used given its outcome, both directions alike."""
    counts = np.bincount(step, minlength=n_steps) + 0.5
    counts = counts + counts[::-1]
    outcome = _outcome_of_step(n_steps)
    return np.asarray(counts / np.bincount(outcome, counts)[outcome])


def _has_ties(ballot: Ballot) -> bool:
    assert ballot.graded is not None
    n_steps = ballot.graded.n_steps[0]
    return bool(n_steps % 2 and (ballot.graded.step == n_steps // 2).any())


def drawn_label(scores: FloatArray) -> tuple[IntArray, BoolArray]:
    """(T,) most probable category, and (T,) whether others share its probability: then it is a draw."""
    best = scores.argmax(axis=1)
    drawn = (scores >= scores.max(axis=1, keepdims=True) - 1e-9).sum(axis=1) > 1
    return best.astype(np.int64), drawn

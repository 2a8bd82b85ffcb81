"""GLAD: a rater's skill times an item's ease decides how likely the rater is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, log_expit

from pipelines.labels.dawid_skene import FLOOR, unidentified_reason, wrong_shares
from pipelines.labels.errors import ObjectiveFell
from pipelines.labels.majority import majority
from pipelines.labels.votes import (
    Aggregate,
    FloatArray,
    Votes,
    rater_accuracies,
    top_labels,
    without_identification,
)

PRIOR_MEAN = 1.0
STEP_LIMIT = 1.0
TOLERANCE_PER_VOTE = 1e-6
MAX_ITERATIONS = 200


def glad(
    votes: Votes, *, tolerance: float = TOLERANCE_PER_VOTE, max_iterations: int = MAX_ITERATIONS
) -> Aggregate:
    """Posterior of each item's label, with P(right) = sigmoid(skill ease), by EM with scoring steps.

    Args:
        votes: item, rater and label, each (n,) int64.
        tolerance: stop when the objective rises by less than this a vote.
        max_iterations: stop then at the latest.

    Returns:
        An `Aggregate` with `rater_skill` (below 0: an inverter) and `item_ease` (above 0; near 0 everybody
        guesses). Not identified with one rater or no shared item: then majority's answer.

    Raises:
        ObjectiveFell: the objective fell, which only a fault can cause.

    Source: Whitehill et al. 2009, with priors N(1, 1) on skill and on log ease. Wrong labels are equally likely, but
    for rare ones (`label_weights`, ours).
    """
    reason = unidentified_reason(votes)
    if reason is not None:
        return without_identification(majority(votes), reason)
    skill, log_ease = np.ones(votes.n_raters), np.zeros(votes.n_items)
    shares = votes.label_counts() + 0.5
    posterior = shares / shares.sum(axis=1, keepdims=True)
    voted = votes.item_counts() > 0
    wrong = wrong_shares(votes)
    likelihoods, objectives, converged = list[float](), list[float](), False
    for number in range(max_iterations):
        class_prior = posterior[voted].mean(axis=0)
        right = posterior[votes.item, votes.label]
        skill = _moved(skill, _skill_problem(votes, right, np.exp(log_ease)))
        log_ease = _moved(log_ease, _ease_problem(votes, right, skill))
        posterior, likelihood = _expectation(votes, class_prior, skill, log_ease, wrong)
        likelihoods.append(likelihood)
        distance = np.square(skill - PRIOR_MEAN).sum() + np.square(log_ease - PRIOR_MEAN).sum()
        objectives.append(likelihood - float(distance) / 2)
        if number == 0:
            continue
        rise = objectives[-1] - objectives[-2]
        if rise < -1e-9 * max(1.0, abs(objectives[-1])):
            raise ObjectiveFell(number, objectives[-2], objectives[-1])
        if rise < tolerance * votes.item.size:
            converged = True
            break
    accuracy, interval = rater_accuracies(votes, posterior)
    return Aggregate(
        method="glad",
        posterior=posterior,
        class_prior=class_prior,
        confusion=None,
        item_votes=votes.item_counts(),
        rater_votes=votes.rater_counts(),
        rater_accuracy=accuracy,
        rater_interval=interval,
        top_labels=top_labels(posterior),
        log_likelihood=np.array(likelihoods),
        objective=np.array(objectives),
        converged=converged,
        rater_skill=skill,
        item_ease=np.exp(log_ease),
        wrong_shares=wrong,
    )


def skill_precision(votes: Votes, skill: FloatArray, ease: FloatArray) -> FloatArray:
    """(n_raters,) how firmly each skill is known: the curvature of the objective, the prior's among it."""
    chance = expit(skill[votes.rater] * ease[votes.item])
    known = np.bincount(votes.rater, chance * (1 - chance) * ease[votes.item] ** 2, votes.n_raters)
    return np.asarray(1.0 + known, dtype=np.float64)


def posterior_given_ease(
    votes: Votes, class_prior: FloatArray, skill: FloatArray, log_ease: FloatArray, wrong: FloatArray
) -> FloatArray:
    """(n_items, n_labels) posterior with all else fixed; an item without votes gets the class prior."""
    return _expectation(votes, class_prior, skill, log_ease, wrong)[0]


# One coordinate's part of the objective, its slope and its curvature, for many coordinates at once.
_Problem = Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]


def _moved(values: FloatArray, problem: _Problem) -> FloatArray:
    """One scoring step of every coordinate, halved where its part of the objective would fall."""
    before, slope, curvature = problem(values)
    step = np.clip(slope / curvature, -STEP_LIMIT, STEP_LIMIT)
    for _ in range(20):
        after, _, _ = problem(values + step)
        fallen = after < before
        if not fallen.any():
            break
        step[fallen] /= 2
    step[after < before] = 0.0
    return values + step


def _skill_problem(votes: Votes, right: FloatArray, ease: FloatArray) -> _Problem:
    factor = ease[votes.item]
    return lambda skill: _parts(votes, right, skill[votes.rater] * factor, factor, votes.rater, skill)


def _ease_problem(votes: Votes, right: FloatArray, skill: FloatArray) -> _Problem:
    factor = skill[votes.rater]

    def problem(log_ease: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        x = factor * np.exp(log_ease)[votes.item]
        return _parts(votes, right, x, x, votes.item, log_ease)

    return problem


def _parts(
    votes: Votes,
    right: FloatArray,
    x: FloatArray,
    slope_of_x: FloatArray,
    place: np.ndarray,
    values: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    chance = expit(x)
    value = right * log_expit(x) + (1 - right) * log_expit(-x)
    add: list[FloatArray] = [
        np.bincount(place, weights=weights, minlength=values.size).astype(np.float64)
        for weights in (value, (right - chance) * slope_of_x, chance * (1 - chance) * slope_of_x**2)
    ]
    away = values - PRIOR_MEAN
    return add[0] - np.square(away) / 2, add[1] - away, add[2] + 1.0


def _expectation(
    votes: Votes, class_prior: FloatArray, skill: FloatArray, log_ease: FloatArray, wrong: FloatArray
) -> tuple[FloatArray, float]:
    x = skill[votes.rater] * np.exp(log_ease)[votes.item]
    missed = log_expit(-x)
    flat = votes.item * votes.n_labels + votes.label
    gained = np.bincount(flat, weights=log_expit(x) - missed, minlength=votes.n_items * votes.n_labels)
    # Where the truth is what the vote says, nothing is said of wrong labels.
    falls: FloatArray = np.log(wrong, out=np.zeros_like(wrong), where=wrong > 0)
    joint: FloatArray = votes.label_counts() @ falls.T + np.log(np.maximum(class_prior, FLOOR))
    joint += gained.reshape(votes.n_items, votes.n_labels)
    joint += np.bincount(votes.item, weights=missed, minlength=votes.n_items)[:, None]
    shift = joint.max(axis=1, keepdims=True)
    weights = np.exp(joint - shift)
    total = weights.sum(axis=1, keepdims=True)
    each = np.log(total) + shift
    return weights / total, float(each[votes.item_counts() > 0].sum())

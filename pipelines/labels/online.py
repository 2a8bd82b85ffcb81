"""Steps between two refits of Dawid-Skene and its kin, and of GLAD: comparisons from their raters, raters from new votes."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, logsumexp

from pipelines.labels.dawid_skene import DIAGONAL, FLOOR, OFF_DIAGONAL
from pipelines.labels.errors import VotesMalformed
from pipelines.labels.glad import PRIOR_MEAN, STEP_LIMIT, posterior_given_ease
from pipelines.labels.votes import BoolArray, FloatArray, Votes

# Where log ease is looked for: its prior is N(1, 1).
LOG_EASE = PRIOR_MEAN + np.linspace(-6.0, 4.0, 61)


def stranger_confusion(n_labels: int) -> FloatArray:
    """(n_labels, n_labels) confusion of a rater whom no refit has seen: the prior of `dawid_skene`."""
    confusion = np.full((n_labels, n_labels), OFF_DIAGONAL)
    np.fill_diagonal(confusion, DIAGONAL)
    shares: FloatArray = confusion / confusion.sum(axis=1, keepdims=True)
    return shares


def confusions_moved(
    votes: Votes, posterior: FloatArray, confusion: FloatArray, weight: FloatArray, new: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Raters after new votes: each adds to the row of every label by the chance that it is the truth, told by the others.

    Args:
        votes: of the comparisons at hand, the new ones among them.
        posterior: (n_items, K) of `posterior_given_raters` on these votes and this confusion.
        confusion: (n_raters, K truth, K vote), rows sum to 1.
        weight: (n_raters, K) votes, the prior's among them, that each row rests on; above 0.
        new: (n,) which votes the raters have not learnt from yet.

    Returns:
        Confusion and weight after them; raters without a new vote stay.

    Example:
        >>> votes = Votes(*(np.array([v], dtype=np.int64) for v in (0, 0, 1)), n_items=1, n_raters=1, n_labels=2)
        >>> before = np.array([[[0.75, 0.25], [0.25, 0.75]]])
        >>> moved, weight = confusions_moved(votes, np.array([[0.25, 0.75]]), before, np.full((1, 2), 4.0), votes.label == 1)
        >>> moved.round(3).tolist(), weight.tolist()
        ([[[0.667, 0.333], [0.222, 0.778]]], [[4.5, 4.5]])

    Source: one vote's part of the M step of Dawid and Skene 1979.
    """
    rows = np.flatnonzero(new)
    item, rater, label = votes.item[rows], votes.rater[rows], votes.label[rows]
    others = posterior[item] / np.maximum(confusion[rater, :, label], FLOOR)
    others /= others.sum(axis=1, keepdims=True)
    by_vote, after = (confusion * weight[:, :, None]).transpose(0, 2, 1).copy(), weight.copy()
    np.add.at(by_vote, (rater, label), others)
    np.add.at(after, rater, others)
    moved: FloatArray = by_vote.transpose(0, 2, 1) / after[:, :, None]
    return moved, after


def posterior_given_raters(votes: Votes, class_prior: FloatArray, confusion: FloatArray) -> FloatArray:
    """Posterior of each item's label with everything about raters held fixed: the E step of Dawid-Skene.

    Args:
        votes: the votes.
        class_prior: (n_labels,), sums to 1.
        confusion: (n_raters, n_labels, n_labels), [w, k, l] = P(vote l | truth k).

    Returns:
        (n_items, n_labels), rows sum to 1; an item without votes gets the class prior.

    Raises:
        VotesMalformed: shapes that do not fit the votes.

    Example:
        >>> votes = Votes(*(np.array([v], dtype=np.int64) for v in (0, 0, 1)), n_items=1, n_raters=1, n_labels=2)
        >>> posterior_given_raters(votes, np.array([0.5, 0.5]), np.array([[[0.9, 0.1], [0.2, 0.8]]])).round(3).tolist()
        [[0.111, 0.889]]

    Source: Dawid and Skene 1979, the E step.
    """
    if class_prior.shape != (votes.n_labels,) or confusion.shape != (
        votes.n_raters,
        votes.n_labels,
        votes.n_labels,
    ):
        raise VotesMalformed(
            f"class prior {class_prior.shape} and confusion {confusion.shape} do not fit the votes"
        )
    joint = np.tile(np.log(np.maximum(class_prior, FLOOR)), (votes.n_items, 1))
    np.add.at(joint, votes.item, np.log(np.maximum(confusion[votes.rater, :, votes.label], FLOOR)))
    joint -= joint.max(axis=1, keepdims=True)
    posterior: FloatArray = np.exp(joint)
    posterior /= posterior.sum(axis=1, keepdims=True)
    return posterior


def posterior_given_skills(
    votes: Votes, class_prior: FloatArray, skill: FloatArray, wrong: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Posterior of each item's label, and its ease, with everything about raters held fixed: GLAD's own answer for an item.

    Args:
        votes: the votes.
        class_prior: (n_labels,), sums to 1.
        skill: (n_raters,) as `glad` fitted it.
        wrong: (n_labels, n_labels), [k, l] = P(vote l | truth k, wrong).

    Returns:
        (n_items, n_labels), rows sum to 1; and (n_items,) ease, the most probable one under its prior. What `glad` finds by
        turns of E and M is looked for on a grid here, as one item has one unknown.

    Example:
        >>> votes = Votes(*(np.array([v], dtype=np.int64) for v in (0, 0, 1)), n_items=1, n_raters=1, n_labels=2)
        >>> found, ease = posterior_given_skills(votes, np.full(2, 0.5), np.array([1.0]), 1 - np.eye(2))
        >>> found.round(2).tolist(), ease.round(2).tolist()
        ([[0.06, 0.94]], [2.72])

    Source: Whitehill et al. 2009, with the prior of `glad`.
    """
    x = skill[votes.rater][:, None] * np.exp(LOG_EASE)
    missed, gained = log_expit(-x), x
    joint = np.zeros((votes.n_items, votes.n_labels, LOG_EASE.size))
    falls = np.log(np.maximum(wrong, FLOOR))
    np.fill_diagonal(falls, 0.0)
    np.add.at(joint, votes.item, missed[:, None, :] + falls[:, votes.label].T[:, :, None])
    np.add.at(joint, (votes.item, votes.label), gained)
    joint += np.log(np.maximum(class_prior, FLOOR))[:, None]
    value = logsumexp(joint, axis=1) - np.square(LOG_EASE - PRIOR_MEAN) / 2
    best = np.clip(value.argmax(axis=1), 1, LOG_EASE.size - 2)
    rows, step = np.arange(votes.n_items), LOG_EASE[1] - LOG_EASE[0]
    below, at, above = (value[rows, best + side] for side in (-1, 0, 1))
    bend = np.minimum(below - 2 * at + above, -1e-12)
    log_ease = LOG_EASE[best] + step * np.clip((below - above) / (2 * bend), -0.5, 0.5)
    return posterior_given_ease(votes, class_prior, skill, log_ease, wrong), np.exp(log_ease)


def skills_moved(
    votes: Votes,
    posterior: FloatArray,
    ease: FloatArray,
    skill: FloatArray,
    precision: FloatArray,
    wrong: FloatArray,
    new: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """Raters' skills after new votes: GLAD's scoring step on these alone, each vote's truth told by the others.

    Args:
        votes: of the items at hand, the new ones among them.
        posterior, ease: of `posterior_given_skills` on these votes.
        skill, precision: (n_raters,) and how firmly each is known (`skill_precision`).
        wrong: as there.
        new: (n,) which votes the raters have not learnt from yet.

    Returns:
        Skill and precision after them; raters without a new vote stay.

    Source: one vote's part of the M step of Whitehill et al. 2009.
    """
    rows = np.flatnonzero(new)
    item, rater, label = votes.item[rows], votes.rater[rows], votes.label[rows]
    factor = ease[item]
    right = expit(skill[rater] * factor)
    says = (1 - right)[:, None] * wrong[:, label].T
    says[np.arange(rows.size), label] = right
    others = posterior[item] / np.maximum(says, FLOOR)
    believed = others[np.arange(rows.size), label] / others.sum(axis=1)
    after = precision + np.bincount(rater, right * (1 - right) * factor**2, skill.size)
    slope = np.bincount(rater, (believed - right) * factor, skill.size)
    return skill + np.clip(slope / after, -STEP_LIMIT, STEP_LIMIT), after

"""Steps between two refits of Dawid-Skene and its kin: comparisons from their raters, and raters from new votes."""

from __future__ import annotations

import numpy as np

from pipelines.labels.dawid_skene import DIAGONAL, FLOOR, OFF_DIAGONAL
from pipelines.labels.errors import VotesMalformed
from pipelines.labels.votes import BoolArray, FloatArray, Votes


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

"""One step between two refits: posteriors of a few comparisons from raters as the last refit estimated them."""

from __future__ import annotations

import numpy as np

from pipelines.labels.dawid_skene import DIAGONAL, FLOOR, OFF_DIAGONAL
from pipelines.labels.errors import VotesMalformed
from pipelines.labels.votes import FloatArray, Votes


def stranger_confusion(n_labels: int) -> FloatArray:
    """(n_labels, n_labels) confusion of a rater whom no refit has seen: the prior of `dawid_skene`."""
    confusion = np.full((n_labels, n_labels), OFF_DIAGONAL)
    np.fill_diagonal(confusion, DIAGONAL)
    shares: FloatArray = confusion / confusion.sum(axis=1, keepdims=True)
    return shares


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

"""Majority vote with smoothed shares."""

from __future__ import annotations

from pipelines.labels.errors import SmoothingNegative
from pipelines.labels.votes import Aggregate, Votes, rater_accuracies, top_labels

VERSION = "1"
SMOOTHING = 0.5


def majority(votes: Votes, *, smoothing: float = SMOOTHING) -> Aggregate:
    """Share of votes a label, each given `smoothing` votes beforehand: a raw share of 1/1 is no certainty.

    Args:
        votes: item, rater and label, each (n,) int64.
        smoothing: votes added to every label, 0 or more.

    Returns:
        An `Aggregate` whose posterior row is (n_tk + a) / (n_t + K a); draws show as several `top_labels`,
        never as the label that comes first. Items without votes are uniform.

    Raises:
        SmoothingNegative: smoothing below 0.

    Example:
        >>> import numpy as np
        >>> array = lambda *values: np.array(values, dtype=np.int64)
        >>> votes = Votes(array(0, 0, 0), array(0, 1, 2), array(0, 0, 1), n_items=1, n_raters=3, n_labels=2)
        >>> majority(votes).posterior.tolist()
        [[0.625, 0.375]]

    Source: additive smoothing of shares, a = 1/2 (Krichevsky and Trofimov 1981).
    """
    if smoothing < 0:
        raise SmoothingNegative(smoothing)
    shares = votes.label_counts() + smoothing
    totals = shares.sum(axis=1, keepdims=True)
    # Without smoothing an item that nobody voted on has no shares at all: it is uniform, as with smoothing.
    shares[totals[:, 0] == 0] = 1.0
    posterior = shares / shares.sum(axis=1, keepdims=True)
    accuracy, interval = rater_accuracies(votes, posterior)
    item_votes = votes.item_counts()
    return Aggregate(
        method="majority",
        posterior=posterior,
        class_prior=posterior[item_votes > 0].mean(axis=0),
        confusion=None,
        item_votes=item_votes,
        rater_votes=votes.rater_counts(),
        rater_accuracy=accuracy,
        rater_interval=interval,
        top_labels=top_labels(posterior),
    )

"""Votes in, aggregate out: the arrays that every aggregator shares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, expit

from pipelines.labels.errors import NoVotes, VotesMalformed

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FIRST, SECOND, TIE = 0, 1, 2
N_OUTCOMES = 3


@dataclass(frozen=True)
class Votes:
    """One row a vote. Where a rater voted twice on an item, both rows count: pass the votes that stand.

    Attributes:
        item: (n,) int64, index of the comparison, 0..n_items-1.
        rater: (n,) int64, index of the rater, 0..n_raters-1.
        label: (n,) int64, outcome, 0..n_labels-1. For comparisons 0 first, 1 second, 2 tie; both bad counts
            as tie and cannot judge is left out by the caller.
        n_items, n_raters, n_labels: sizes; items and raters without a vote are allowed.
    """

    item: IntArray
    rater: IntArray
    label: IntArray
    n_items: int
    n_raters: int
    n_labels: int = N_OUTCOMES

    def __post_init__(self) -> None:
        if self.item.ndim != 1 or not self.item.shape == self.rater.shape == self.label.shape:
            raise VotesMalformed("item, rater and label must be flat and of one length")
        if self.item.size == 0:
            raise NoVotes()
        if self.n_labels < 2:
            raise VotesMalformed(f"at least two labels are needed, got {self.n_labels}")
        limits = (("item", self.item, self.n_items), ("rater", self.rater, self.n_raters),
                  ("label", self.label, self.n_labels))  # fmt: skip
        for name, values, limit in limits:
            if values.dtype != np.int64:
                raise VotesMalformed(f"{name} must be int64, got {values.dtype}")
            if int(values.min()) < 0 or int(values.max()) >= limit:
                raise VotesMalformed(f"{name} must lie in 0..{limit - 1}, got {values.min()}..{values.max()}")

    def item_counts(self) -> IntArray:
        """Votes an item, (n_items,)."""
        return np.bincount(self.item, minlength=self.n_items).astype(np.int64)

    def rater_counts(self) -> IntArray:
        """Votes a rater, (n_raters,)."""
        return np.bincount(self.rater, minlength=self.n_raters).astype(np.int64)

    def label_counts(self) -> FloatArray:
        """Votes an item and label, (n_items, n_labels)."""
        flat = np.bincount(self.item * self.n_labels + self.label, minlength=self.n_items * self.n_labels)
        return flat.reshape(self.n_items, self.n_labels).astype(np.float64)


@dataclass(frozen=True)
class Aggregate:
    """What an aggregator says about items and raters.

    Attributes:
        method: key of the aggregator that computed the posterior (after a fallback: the one fallen back to).
        posterior: (n_items, n_labels), rows sum to 1; an item without votes gets the class prior.
        class_prior: (n_labels,), sums to 1.
        confusion: (n_raters, n_labels, n_labels), [w, k, l] = P(vote l | truth k), rows sum to 1. None where
            the method has none.
        item_votes: (n_items,) votes an item; 1 marks a provisional posterior.
        rater_votes: (n_raters,) votes a rater.
        rater_accuracy: (n_raters,) expected share of right votes, in [0, 1]; NaN without votes.
        rater_interval: (n_raters, 2) 95 % interval of it (Jeffreys), as if the posterior were the truth.
        top_labels: (n_items, n_labels) bool, the labels that share the highest probability: more than one is
            a draw.
        log_likelihood: trace of the observed log-likelihood, one value an iteration, in nats.
        objective: trace of what is maximised (log-likelihood plus log prior); never falls.
        converged: whether the stop rule was met before the last iteration allowed.
        fallback_reason: why another method than the one asked for answered; None if it did not.
        rater_honesty: (n_raters,) chance that a vote copies the truth; None where the method has none.
        rater_skill, item_ease: (n_raters,) and (n_items,), P(right) = sigmoid(skill ease); None likewise.
        wrong_shares: (n_labels, n_labels), [k, l] = P(vote l | truth k, wrong), beside skill and ease.
    """

    method: str
    posterior: FloatArray
    class_prior: FloatArray
    confusion: FloatArray | None
    item_votes: IntArray
    rater_votes: IntArray
    rater_accuracy: FloatArray
    rater_interval: FloatArray
    top_labels: BoolArray
    log_likelihood: FloatArray = field(default_factory=lambda: np.zeros(0))
    objective: FloatArray = field(default_factory=lambda: np.zeros(0))
    converged: bool = True
    fallback_reason: str | None = None
    rater_honesty: FloatArray | None = None
    rater_skill: FloatArray | None = None
    item_ease: FloatArray | None = None
    wrong_shares: FloatArray | None = None

    def vote_probabilities(self, item: IntArray, rater: IntArray) -> FloatArray:
        """(n, n_labels) chance of each label in further votes of these raters on these items."""
        posterior = self.posterior[item]
        if self.confusion is not None:
            found: FloatArray = np.einsum("nk,nkl->nl", posterior, self.confusion[rater])
            return found
        if self.rater_skill is not None and self.item_ease is not None and self.wrong_shares is not None:
            right = expit(self.rater_skill[rater] * self.item_ease[item])[:, None]
            easier: FloatArray = posterior * right + (1 - right) * (posterior @ self.wrong_shares)
            return easier
        return posterior

    @property
    def entropy(self) -> FloatArray:
        """(n_items,) entropy of each posterior, in nats; 0 is certain."""
        logs = np.log(self.posterior, out=np.zeros_like(self.posterior), where=self.posterior > 0)
        entropy: FloatArray = -(self.posterior * logs).sum(axis=1)
        return entropy


def without_identification(answer: Aggregate, reason: str) -> Aggregate:
    """Majority's answer where a method cannot tell its raters, with the reason."""
    return replace(answer, fallback_reason=reason)


def rater_accuracies(votes: Votes, posterior: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Expected share of right votes a rater, and its 95 % interval.

    Args:
        votes: the votes.
        posterior: (n_items, n_labels) probability of each label.

    Returns:
        (n_raters,) accuracy and (n_raters, 2) interval: quantiles of Beta(right + 1/2, wrong + 1/2). NaN
        without votes.
    """
    counts = votes.rater_counts().astype(np.float64)
    right = np.bincount(votes.rater, weights=posterior[votes.item, votes.label], minlength=votes.n_raters)
    right = np.minimum(right, counts)
    seen = counts > 0
    accuracy = np.full(votes.n_raters, np.nan)
    accuracy[seen] = right[seen] / counts[seen]
    interval = np.full((votes.n_raters, 2), np.nan)
    for side, probability in enumerate((0.025, 0.975)):
        wrong = counts[seen] - right[seen]
        interval[seen, side] = betaincinv(right[seen] + 0.5, wrong + 0.5, probability)
    return accuracy, interval


def top_labels(posterior: FloatArray) -> BoolArray:
    """(n_items, n_labels) bool: labels within 1e-9 of the row's maximum. More than one a row is a draw."""
    highest: FloatArray = posterior.max(axis=1, keepdims=True)
    tops: BoolArray = posterior >= highest - 1e-9
    return tops

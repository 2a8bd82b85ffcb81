"""MACE: each vote copies the truth or comes from the rater's own habit, whatever the item."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.special import digamma

from pipelines.labels.dawid_skene import FLOOR, label_weights, unidentified_reason
from pipelines.labels.majority import majority
from pipelines.labels.votes import (
    Aggregate,
    FloatArray,
    Votes,
    rater_accuracies,
    top_labels,
    without_identification,
)

HONEST_PRIOR = (0.5, 0.5)
HABIT_PRIOR = 10.0
RESTARTS, ITERATIONS = 10, 50
TOLERANCE_PER_VOTE = 1e-6
SEED = 20130609


def mace(votes: Votes, *, restarts: int = RESTARTS, iterations: int = ITERATIONS) -> Aggregate:
    """Posterior of each item's label, and the chance that each rater's vote is honest, by variational EM.

    Args:
        votes: item, rater and label, each (n,) int64.
        restarts: random starts; the first is from the vote shares, and the best likelihood stays.
        iterations: at most, for each start.

    Returns:
        An `Aggregate` whose `confusion` is honest [k = l] + (1 - honest) habit[l] and whose `rater_honesty` is the
        chance that a vote is honest. Not identified with one rater or no shared item: then majority's answer.

    Example:
        >>> ints = lambda *values: np.array(values, dtype=np.int64)
        >>> item, rater = np.divmod(np.arange(12), 3)
        >>> label = ints(0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0)
        >>> found = mace(Votes(item, rater, label, n_items=4, n_raters=3, n_labels=2))
        >>> bool(found.rater_honesty[2] < found.rater_honesty[0]), found.posterior.argmax(axis=1).tolist()
        (True, [0, 1, 0, 1])

    Source: Hovy et al. 2013, with its priors: Beta(1/2, 1/2) on honesty, 10 votes a label on habits. Labels are alike
    likely beforehand, but for rare ones (`label_weights`, ours): with a label that nobody gives, two honest raters who
    agree seem a rarer chance than they are, and at 20 to 30 % wrong votes all were taken for guessers.
    """
    reason = unidentified_reason(votes)
    if reason is not None:
        return without_identification(majority(votes), reason)
    random = np.random.default_rng(SEED)
    model = _Mace(votes)
    best = max(
        (model.run(model.start(number, random), iterations) for number in range(restarts)),
        key=lambda r: r[-1][-1],
    )
    posterior, honest, habit, trace = best
    confusion = (1 - honest)[:, None, None] * habit[:, None, :] + honest[:, None, None] * np.eye(
        votes.n_labels
    )
    accuracy, interval = rater_accuracies(votes, posterior)
    return Aggregate(
        method="mace",
        posterior=posterior,
        class_prior=model.weights,
        confusion=confusion,
        item_votes=votes.item_counts(),
        rater_votes=votes.rater_counts(),
        rater_accuracy=accuracy,
        rater_interval=interval,
        top_labels=top_labels(posterior),
        log_likelihood=np.array(trace),
        converged=len(trace) < iterations,
        rater_honesty=honest,
    )


class _Mace:
    def __init__(self, votes: Votes) -> None:
        self.votes = votes
        cells = votes.rater * votes.n_labels + votes.label
        shape = (votes.n_items, votes.n_raters * votes.n_labels)
        self.by_item = sparse.coo_array((np.ones(cells.size), (votes.item, cells)), shape=shape).tocsr()
        self.by_cell = self.by_item.T.tocsr()
        self.counts = np.bincount(cells, minlength=shape[1]).reshape(votes.n_raters, votes.n_labels)
        self.weights = label_weights(votes)

    def start(self, number: int, random: np.random.Generator) -> FloatArray:
        """(n_items, n_labels) where a run begins."""
        shares = self.votes.label_counts() + 0.5
        if number:
            shares = shares * random.random(shares.shape)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def run(
        self, posterior: FloatArray, iterations: int
    ) -> tuple[FloatArray, FloatArray, FloatArray, list[float]]:
        votes, trace = self.votes, list[float]()
        ratio = np.full((votes.n_raters, votes.n_labels), 0.5)
        for _ in range(iterations):
            right = self._right(posterior)
            honest_votes = right * ratio
            other = self.counts - honest_votes
            honest, dishonest, habit = _expected_logs(honest_votes.sum(axis=1), other)
            ratio = honest[:, None] / np.maximum(honest[:, None] + dishonest[:, None] * habit, FLOOR)
            posterior, likelihood = self._expectation(honest, dishonest, habit)
            trace.append(likelihood)
            if len(trace) > 1 and abs(trace[-1] - trace[-2]) < TOLERANCE_PER_VOTE * votes.item.size:
                break
        honest_votes = self._right(posterior) * ratio
        other = self.counts - honest_votes
        total = self.counts.sum(axis=1) + sum(HONEST_PRIOR)
        habit_mean = other + HABIT_PRIOR
        return (
            posterior,
            (honest_votes.sum(axis=1) + HONEST_PRIOR[0]) / total,
            habit_mean / habit_mean.sum(axis=1, keepdims=True),
            trace,
        )

    def _right(self, posterior: FloatArray) -> FloatArray:
        """(n_raters, n_labels) expected votes for the label that is the truth."""
        by_truth = (self.by_cell @ posterior).reshape(
            self.votes.n_raters, self.votes.n_labels, self.votes.n_labels
        )
        return np.asarray(np.diagonal(by_truth, axis1=1, axis2=2))

    def _expectation(
        self, honest: FloatArray, dishonest: FloatArray, habit: FloatArray
    ) -> tuple[FloatArray, float]:
        wrong = np.maximum(dishonest[:, None] * habit, FLOOR)
        n_labels = self.votes.n_labels
        logs = np.repeat(np.log(wrong)[:, :, None], n_labels, axis=2)
        labels = np.arange(n_labels)
        logs[:, labels, labels] = np.log(honest[:, None] + wrong)
        joint = np.ascontiguousarray((self.by_item @ logs.reshape(-1, n_labels)).T) + np.log(self.weights)[:, None]
        shift = joint.max(axis=0)
        weights = np.exp(joint - shift)
        total = weights.sum(axis=0)
        return np.ascontiguousarray((weights / total).T), float((np.log(total) + shift).sum())


def _expected_logs(honest_votes: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """exp E[log] of honesty, its opposite, and habit, under their Beta and Dirichlet posteriors."""
    other_votes = other.sum(axis=1)
    both = digamma(honest_votes + other_votes + sum(HONEST_PRIOR))
    return (
        np.exp(digamma(honest_votes + HONEST_PRIOR[0]) - both),
        np.exp(digamma(other_votes + HONEST_PRIOR[1]) - both),
        np.exp(digamma(other + HABIT_PRIOR) - digamma(other_votes + HABIT_PRIOR * other.shape[1])[:, None]),
    )

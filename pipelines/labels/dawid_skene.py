"""Dawid-Skene: labels and raters estimated together by EM, in full or with one parameter a rater."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pipelines.labels.errors import ObjectiveFell, SmoothingNegative
from pipelines.labels.majority import majority
from pipelines.labels.votes import (
    Aggregate,
    FloatArray,
    Votes,
    rater_accuracies,
    top_labels,
    without_identification,
)

VERSION = "1"
FLOOR = 1e-10
DIAGONAL, OFF_DIAGONAL = 3.0, 1.0
TOLERANCE_PER_VOTE = 1e-6
MAX_ITERATIONS = 200

ONE_RATER = "one_rater"
NO_SHARED_ITEMS = "no_shared_items"


@dataclass(frozen=True)
class _Table:
    """Votes counted by item and (rater, label): (n_items, n_raters * n_labels), and its transpose."""

    by_item: sparse.csr_array
    by_cell: sparse.csc_array


def dawid_skene(
    votes: Votes,
    *,
    one_coin: bool = False,
    diagonal: float = DIAGONAL,
    off_diagonal: float = OFF_DIAGONAL,
    tolerance: float = TOLERANCE_PER_VOTE,
    max_iterations: int = MAX_ITERATIONS,
) -> Aggregate:
    """Posterior of each item's label and confusion of each rater, by EM from the vote shares.

    Args:
        votes: item, rater and label, each (n,) int64.
        one_coin: one accuracy a rater, and wrong votes equally likely, but for rare labels (`label_weights`); for raters
            with fewer than about 50 votes.
        diagonal, off_diagonal: votes added beforehand to right and wrong cells of each rater (a Dirichlet
            prior), 0 or more; both 0 is maximum likelihood.
        tolerance: stop when the objective rises by less than this a vote.
        max_iterations: stop then at the latest, with `converged` False.

    Returns:
        An `Aggregate`. Where confusion is not identified (one rater, or no item with two raters) the answer
        is majority's, with `fallback_reason` `one_rater` or `no_shared_items`.

    Raises:
        SmoothingNegative: a count below 0.
        ObjectiveFell: the objective fell, which only a fault can cause.

    Example:
        >>> import numpy as np
        >>> array = lambda *values: np.array(values, dtype=np.int64)
        >>> lone = Votes(array(0, 1), array(0, 0), array(0, 1), n_items=2, n_raters=1, n_labels=2)
        >>> dawid_skene(lone).fallback_reason
        'one_rater'

    Source: Dawid and Skene 1979. Ours: the Dirichlet prior on the confusion, one-coin and its rare labels, the stop rule
    on the maximised objective (log-likelihood plus log prior).
    """
    if min(diagonal, off_diagonal) < 0:
        raise SmoothingNegative(min(diagonal, off_diagonal))
    reason = unidentified_reason(votes)
    if reason is not None:
        return without_identification(majority(votes), reason)

    table = _table(votes)
    prior_counts = np.full((votes.n_labels, votes.n_labels), off_diagonal)
    np.fill_diagonal(prior_counts, diagonal)
    wrong = wrong_shares(votes) if one_coin else None
    item_votes = votes.item_counts()
    seen = (item_votes > 0) / np.count_nonzero(item_votes)
    counts = votes.label_counts()
    posterior = np.where(
        item_votes[:, None] > 0, counts / np.maximum(item_votes, 1)[:, None], 1.0 / votes.n_labels
    )

    likelihoods: list[float] = []
    objectives: list[float] = []
    converged = False
    for iteration in range(max_iterations):
        class_prior = seen @ posterior
        confusion = _confusion(table, posterior, prior_counts, wrong, votes.n_raters)
        posterior, likelihood = _expectation(table, class_prior, confusion)
        likelihoods.append(likelihood)
        objectives.append(likelihood + _log_prior(confusion, prior_counts, one_coin=one_coin))
        if iteration == 0:
            continue
        rise = objectives[-1] - objectives[-2]
        # The floor on probabilities and rounding move the last digits; more than that is a fault.
        if rise < -1e-9 * max(1.0, abs(objectives[-1])):
            raise ObjectiveFell(iteration, objectives[-2], objectives[-1])
        if rise < tolerance * votes.item.size:
            converged = True
            break

    accuracy, interval = rater_accuracies(votes, posterior)
    return Aggregate(
        method="dawid_skene_one_coin" if one_coin else "dawid_skene",
        posterior=posterior,
        class_prior=class_prior,
        confusion=confusion,
        item_votes=item_votes,
        rater_votes=votes.rater_counts(),
        rater_accuracy=accuracy,
        rater_interval=interval,
        top_labels=top_labels(posterior),
        log_likelihood=np.array(likelihoods),
        objective=np.array(objectives),
        converged=converged,
    )


def dawid_skene_one_coin(votes: Votes) -> Aggregate:
    """`dawid_skene` with one accuracy a rater and the default prior."""
    return dawid_skene(votes, one_coin=True)


def label_weights(votes: Votes) -> FloatArray:
    """(n_labels,) summing to 1: every label alike, but none more than twice its share of the votes (one a label added).

    What weighs every label alike believes in one that hardly anybody gives: of wrong votes it would take its full part.
    Where nobody says tie, a wrong vote for a side would then be half as likely as it is.
    """
    counts = votes.label_counts().sum(axis=0) + 1.0
    weights = np.minimum(2 * counts / counts.sum(), 1.0 / votes.n_labels)
    return np.asarray(weights / weights.sum())


def wrong_shares(votes: Votes) -> FloatArray:
    """(n_labels, n_labels) how wrong votes fall on the labels, [k, l] where k is right: by `label_weights`, never on k."""
    shares = np.repeat(label_weights(votes)[None, :], votes.n_labels, axis=0)
    np.fill_diagonal(shares, 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def unidentified_reason(votes: Votes) -> str | None:
    """Why raters' confusion cannot be told from these votes, or None: `one_rater`, `no_shared_items`."""
    if np.count_nonzero(votes.rater_counts()) < 2:
        return ONE_RATER
    one_rater_of_item = np.zeros(votes.n_items, dtype=np.int64)
    one_rater_of_item[votes.item] = votes.rater
    if np.array_equal(one_rater_of_item[votes.item], votes.rater):
        return NO_SHARED_ITEMS
    return None


def _table(votes: Votes) -> _Table:
    cell = votes.rater * votes.n_labels + votes.label
    shape = (votes.n_items, votes.n_raters * votes.n_labels)
    by_item = sparse.coo_array((np.ones(cell.size), (votes.item, cell)), shape=shape).tocsr()
    return _Table(by_item=by_item, by_cell=by_item.T)


def _confusion(
    table: _Table, posterior: FloatArray, prior_counts: FloatArray, wrong: FloatArray | None, n_raters: int
) -> FloatArray:
    """M step: (n_raters, K truth, K vote). A row without any count is uniform.

    `wrong`: (K, K) how a wrong vote falls on the labels, where one accuracy is all that a rater has.
    """
    n_labels = posterior.shape[1]
    votes_by_truth: FloatArray = (table.by_cell @ posterior).reshape(n_raters, n_labels, n_labels)
    counts = votes_by_truth.transpose(0, 2, 1)
    if wrong is not None:
        right = np.trace(counts, axis1=1, axis2=2) + prior_counts[0, 0]
        missed = counts.sum(axis=(1, 2)) - np.trace(counts, axis1=1, axis2=2) + prior_counts[0, 1]
        total = right + missed
        accuracy = np.divide(right, total, out=np.full(n_raters, 1.0 / n_labels), where=total > 0)
        confusion: FloatArray = (1.0 - accuracy)[:, None, None] * wrong
        diagonal = np.arange(n_labels)
        confusion[:, diagonal, diagonal] = accuracy[:, None]
        return confusion
    smoothed = counts + prior_counts
    totals = smoothed.sum(axis=2, keepdims=True)
    full: FloatArray = np.divide(
        smoothed, totals, out=np.full_like(smoothed, 1.0 / n_labels), where=totals > 0
    )
    return full


def _expectation(table: _Table, class_prior: FloatArray, confusion: FloatArray) -> tuple[FloatArray, float]:
    """E step: posterior (n_items, K) and the observed log-likelihood, in logs with a max shift."""
    n_labels = class_prior.size
    logs = np.log(np.maximum(confusion, FLOOR)).transpose(0, 2, 1).reshape(-1, n_labels)
    # One row a label: numpy is many times faster along long rows than across three columns.
    joint: FloatArray = np.ascontiguousarray((table.by_item @ logs).T)
    joint += np.log(np.maximum(class_prior, FLOOR))[:, None]
    shift = joint.max(axis=0)
    joint -= shift
    np.exp(joint, out=joint)
    total = joint.sum(axis=0)
    joint /= total
    # An item without votes adds the log of the prior's sum, which is 0.
    return np.ascontiguousarray(joint.T), float((np.log(total) + shift).sum())


def _log_prior(confusion: FloatArray, prior_counts: FloatArray, *, one_coin: bool) -> float:
    """Log density of the confusion under the prior, up to a constant, in nats."""
    if not prior_counts.any():
        return 0.0
    if one_coin:
        accuracy = np.clip(confusion[:, 0, 0], FLOOR, 1.0)
        wrong = np.clip(1.0 - confusion[:, 0, 0], FLOOR, 1.0)
        return float((prior_counts[0, 0] * np.log(accuracy) + prior_counts[0, 1] * np.log(wrong)).sum())
    return float((prior_counts * np.log(np.maximum(confusion, FLOOR))).sum())

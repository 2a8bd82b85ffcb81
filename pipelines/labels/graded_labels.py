"""The graded model for outcomes without strength or sides: what every aggregator takes and returns."""

from __future__ import annotations

import numpy as np

from pipelines.labels.errors import VotesMalformed
from pipelines.labels.graded import GradedOptions, graded_fit
from pipelines.labels.graded_readout import comparisons_of, raters_of
from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import FIRST, N_OUTCOMES, SECOND, TIE, Aggregate, Votes, top_labels


def graded(votes: Votes, *, options: GradedOptions | None = None) -> Aggregate:
    """The graded model on first, second and tie (or first and second alone), sides unknown.

    Returns:
        An `Aggregate` whose posterior is the reference vote, the chance that one more reliable rater says each
        outcome. Where votes have strength or sides, `graded_fit` on `GradedVotes` knows more.

    Raises:
        VotesMalformed: other labels than two or three outcomes.
    """
    if votes.n_labels > N_OUTCOMES:
        raise VotesMalformed(f"the graded model takes first, second and tie, got {votes.n_labels} labels")
    step_of = np.array([2, 0, 1] if votes.n_labels == N_OUTCOMES else [1, 0], dtype=np.int64)
    fit = graded_fit(
        GradedVotes(
            votes.item,
            votes.rater,
            step_of[votes.label],
            np.zeros_like(votes.label),
            votes.n_items,
            votes.n_raters,
            (votes.n_labels,),
        ),
        options,
    )
    told, raters = comparisons_of(fit), raters_of(fit)
    posterior = told.reference_outcome[:, [FIRST, SECOND, TIE][: votes.n_labels]]
    item_votes, rater_votes = votes.item_counts(), votes.rater_counts()
    unseen = rater_votes == 0
    interval = np.stack([raters.low, raters.high], axis=1)
    return Aggregate(
        method="graded",
        posterior=posterior,
        class_prior=posterior[item_votes > 0].mean(axis=0),
        confusion=None,
        item_votes=item_votes,
        rater_votes=rater_votes,
        rater_accuracy=np.where(unseen, np.nan, raters.reliability),
        rater_interval=np.where(unseen[:, None], np.nan, interval),
        top_labels=top_labels(posterior),
        log_likelihood=fit.log_likelihood,
        objective=fit.objective,
        converged=fit.converged,
    )

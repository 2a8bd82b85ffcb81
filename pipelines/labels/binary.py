"""Yes and no with a threshold for each rater: the graded model of two steps, where the threshold is the pull to yes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipelines.labels.errors import VotesMalformed
from pipelines.labels.graded import GradedFit, GradedOptions, graded_fit
from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import BoolArray, FloatArray, Votes


@dataclass(frozen=True)
class BinaryFit:
    """What yes and no say.

    Attributes:
        p_yes: (T,) chance that one more rater of average care and average threshold says yes.
        quality, standard_error: (T,) latent, in spreads of items.
        threshold, threshold_error: (W,) in logits: above 0 says yes less often than the average rater.
        discrimination, discrimination_error: (W,) 0 hears nothing, below 0 says the opposite.
        identified: (W,) whether others' votes tell the rater's care.
        fit: the graded fit underneath.
    """

    p_yes: FloatArray
    quality: FloatArray
    standard_error: FloatArray
    threshold: FloatArray
    threshold_error: FloatArray
    discrimination: FloatArray
    discrimination_error: FloatArray
    identified: BoolArray
    fit: GradedFit


def binary_fit(votes: Votes) -> BinaryFit:
    """Logit P(yes) = a d - threshold, d ~ N(m, 1), by EM.

    Args:
        votes: label 1 yes, 0 no.

    Raises:
        VotesMalformed: other than two labels.

    Source: the two-parameter model of item response with raters as items (Birnbaum 1968); priors and standard
    errors as of the graded model.
    """
    if votes.n_labels != 2:
        raise VotesMalformed(f"yes and no are two labels, got {votes.n_labels}")
    # Every vote is on side 1, so the pull to the first side is the pull to yes.
    graded = GradedVotes(
        votes.item, votes.rater, votes.label, np.ones_like(votes.label), votes.n_items, votes.n_raters, (2,)
    )
    fit = graded_fit(graded, GradedOptions(mean=True))
    posterior, d = fit.posterior.astype(np.float64), fit.states.d
    quality = posterior @ d
    voted = votes.rater_counts() > 0
    pull = fit.theta[:, 1]
    average = float(pull[voted].mean())
    errors = np.sqrt(np.diagonal(fit.covariance, axis1=1, axis2=2))
    return BinaryFit(
        p_yes=posterior @ expit(fit.reference_discrimination * d + average),
        quality=quality,
        standard_error=np.sqrt(np.maximum(posterior @ np.square(d) - quality**2, 0.0)),
        threshold=average - pull,
        threshold_error=errors[:, 1],
        discrimination=fit.theta[:, 0],
        discrimination_error=errors[:, 0],
        identified=fit.identified,
        fit=fit,
    )

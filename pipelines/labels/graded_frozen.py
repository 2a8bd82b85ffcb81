"""What a graded fit leaves for the votes that come before the next one: numbers that JSON can hold, and their use.

Between two refits all but two things are held: a comparison's posterior, which is exact given the raters and does not depend
on the order in which its votes came (`fit_given`), and the raters who voted, who move a step (`raters_moved`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines.labels.errors import VotesMalformed
from pipelines.labels.graded import A_LIMIT, K_LIMIT, GradedFit, GradedOptions, Hyper
from pipelines.labels.graded_table import States, blocks_of, cells_of
from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import BoolArray, FloatArray


@dataclass(frozen=True)
class FrozenGraded:
    """Everything common to all comparisons.

    Attributes:
        n_steps: K of each scale. cuts: (K - 1,) of each.
        points, spacing, gains: the grid of states, see `States`.
        log_prior: (S,) of the states where no comparison has a prior mean of its own.
        share: of contested comparisons. lapse: chance of a random step.
        mean, spread: (P, 3) of the raters of each population.
        options: the variant.
    """

    n_steps: tuple[int, ...]
    cuts: tuple[list[float], ...]
    points: int
    spacing: float
    gains: list[float]
    log_prior: list[float]
    share: float
    lapse: float
    mean: list[list[float]]
    spread: list[list[float]]
    options: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> FrozenGraded:
        """Raises `VotesMalformed` where another version of this class wrote the fields."""
        try:
            known = {name: fields[name] for name in cls.__dataclass_fields__}
        except KeyError as error:
            raise VotesMalformed(f"a frozen fit needs {error.args[0]!r}; refit once") from None
        return cls(**known | {"n_steps": tuple(known["n_steps"]), "cuts": tuple(known["cuts"])})

    @property
    def states(self) -> States:
        half = self.points // 2
        d = np.arange(-half, half + 1) * self.spacing
        gains = np.repeat(np.array(self.gains), self.points)
        return States(np.tile(d, len(self.gains)), gains, self.spacing, self.points)


def frozen_of(fit: GradedFit) -> FrozenGraded:
    """The common part of a fit."""
    states = fit.states
    return FrozenGraded(
        n_steps=fit.votes.n_steps,
        cuts=tuple(cuts.tolist() for cuts in fit.cuts),
        points=states.points,
        spacing=states.spacing,
        gains=states.gain[:: states.points].tolist(),
        log_prior=fit.log_prior.tolist(),
        share=fit.share,
        lapse=fit.lapse,
        mean=fit.hyper.mean.tolist(),
        spread=fit.hyper.spread.tolist(),
        options=asdict(fit.options),
    )


def fit_given(
    frozen: FrozenGraded,
    votes: GradedVotes,
    theta: FloatArray,
    *,
    prior_mean: FloatArray | None = None,
) -> GradedFit:
    """The fit of these votes with all but their comparisons held: the E step.

    Args:
        frozen: of the last full fit.
        votes: on the frozen fit's scales.
        theta: (n_raters, 3) a, b, k of each rater.
        prior_mean: (n_items,) prior mean of d of each comparison, for the variants with `completions` or `mean`.

    Raises:
        VotesMalformed: other scales, or shapes that do not fit the votes.

    Source: the E step of `graded_fit`.
    """
    if votes.n_steps != frozen.n_steps:
        raise VotesMalformed(f"the fit knows scales of {frozen.n_steps} steps; got votes on {votes.n_steps}")
    if theta.shape != (votes.n_raters, 3):
        raise VotesMalformed(f"theta must have shape ({votes.n_raters}, 3), got {theta.shape}")
    states = frozen.states
    log_joint = _log_prior(frozen, states, prior_mean, votes.n_items)
    blocks, row = blocks_of(votes)
    for number, block in enumerate(blocks):
        if not block.rater.size:
            continue
        cells = cells_of(block, theta, np.array(frozen.cuts[number]), states, frozen.lapse, np.float64)
        flat = np.log(cells.p.reshape(-1, states.d.size))
        chosen = np.flatnonzero(votes.scales == number)
        weighted = flat[row[chosen] - block.rows.start] * votes.weights[chosen, None]
        np.add.at(log_joint, votes.item[chosen], weighted)
    posterior = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    return GradedFit(
        votes=votes,
        options=GradedOptions(**frozen.options),
        theta=theta,
        covariance=np.zeros((votes.n_raters, 3, 3)),
        cuts=tuple(np.array(cuts) for cuts in frozen.cuts),
        hyper=Hyper(np.array(frozen.mean), np.array(frozen.spread)),
        lapse=frozen.lapse,
        share=frozen.share,
        states=states,
        log_joint=log_joint,
        posterior=posterior,
        values=None,
        value_spread=0.0,
        identified=np.zeros(votes.n_raters, dtype=bool),
        reason=None,
        converged=True,
        log_prior=np.array(frozen.log_prior),
    )


def raters_moved(fit: GradedFit, new: BoolArray, precision: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Raters after new votes: one step of Fisher scoring on the information of each vote given the others.

    Args:
        fit: of `fit_given`, on votes that hold the new ones.
        new: (n,) which votes the raters have not learnt from yet.
        precision: (n_raters, 3, 3) inverse covariance of theta before these votes.

    Returns:
        theta (n_raters, 3) and precision after them; raters without a new vote stay.

    Source: ours; one vote of it is the online step of `graded_votes.json`.
    """
    votes, d = fit.votes, fit.states.d
    score, information = np.zeros((votes.n_raters, 3)), np.zeros((votes.n_raters, 3, 3))
    blocks, row = blocks_of(votes)
    for number, block in enumerate(blocks):
        chosen = np.flatnonzero(new & (votes.scales == number))
        if not chosen.size:
            continue
        cells = cells_of(block, fit.theta, fit.cuts[number], fit.states, fit.lapse, np.float64)
        group, step = np.divmod(row[chosen] - block.rows.start, block.n_steps)
        p, weight, place = cells.p[group], votes.weights[chosen], np.arange(chosen.size)
        others = fit.posterior[votes.item[chosen]] / p[place, step] ** weight[:, None]
        others /= others.sum(axis=1, keepdims=True)
        slope = cells.slope[group]
        gradient = np.stack(
            [-slope * d, -block.side[group][:, None, None] * slope, cells.stretch[group]], axis=1
        )
        expected = np.einsum("nks,ns->nk", p, others)
        pull = np.einsum("njks,ns->njk", gradient, others)
        told = np.einsum("njk,nlk->njl", pull / expected[:, None], pull) * weight[:, None, None]
        np.add.at(information, votes.rater[chosen], told)
        np.add.at(score, votes.rater[chosen], (pull[place, :, step].T / expected[place, step] * weight).T)
    precision = precision + information
    theta = fit.theta + np.linalg.solve(precision, score[:, :, None])[:, :, 0]
    theta[:, 0] = np.clip(theta[:, 0], -A_LIMIT, A_LIMIT)
    theta[:, 2] = np.clip(theta[:, 2], -K_LIMIT, K_LIMIT)
    return theta, precision


def _log_prior(
    frozen: FrozenGraded, states: States, prior_mean: FloatArray | None, n_items: int
) -> FloatArray:
    """(T, S) log prior of the states of each comparison."""
    if prior_mean is None:
        return np.tile(np.array(frozen.log_prior), (n_items, 1))
    if prior_mean.shape != (n_items,):
        raise VotesMalformed(f"prior_mean must have one value an item, got shape {prior_mean.shape}")
    d = states.d[: states.points]
    log_d = d * prior_mean[:, None] - d * d / 2
    highest = log_d.max(axis=1, keepdims=True)
    log_d -= np.log(np.exp(log_d - highest).sum(axis=1, keepdims=True)) + highest
    if not frozen.options["contested"]:
        return log_d
    return np.concatenate([log_d + np.log1p(-frozen.share), log_d + np.log(frozen.share)], axis=1)

"""Groups of people with different preferences: a mixture of reward functions, each person in one group, by EM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.logistic import ridge_logistic
from pipelines.labels.votes import BoolArray, FloatArray, IntArray

RESTARTS, ROUNDS = 10, 50
TOLERANCE_PER_VOTE = 1e-4
PRECISION = 1.0
RELIABILITY_PRIOR = (8.0, 2.0)
LEAST_PEOPLE, LEAST_VOTES = 5, 30


@dataclass(frozen=True)
class GroupFit:
    """Groups of raters.

    Attributes:
        weight: (K, k) each group's reward of the features. share: (K,) of people, largest first.
        membership: (H, K) chance that a person is of each group; rows sum to 1.
        reliability: (H,) chance that a person's vote goes the way of the group's reward: the careless are
            unreliable members, not a group of their own.
        log_likelihood: of the votes, in nats.
        shown: (K,) whether the group has 5 people and 30 votes; below that hide its figures.
    """

    weight: FloatArray
    share: FloatArray
    membership: FloatArray
    reliability: FloatArray
    log_likelihood: float
    shown: BoolArray

    @property
    def group(self) -> IntArray:
        """(H,) the likeliest group of each person."""
        return np.asarray(self.membership.argmax(axis=1), dtype=np.int64)

    def rewards(self, features: FloatArray) -> FloatArray:
        """(n, K) each group's reward of (n, k) features of completions."""
        return np.asarray(features @ self.weight.T)

    def min_reward(self, features: FloatArray) -> FloatArray:
        """(n,) what the worst-served group gets: the MaxMin objective."""
        return np.asarray(self.rewards(features)[:, self.shown | ~self.shown.any()].min(axis=1))


def group_fit(
    difference: FloatArray, rater: IntArray, groups: int, *, seed: int, restarts: int = RESTARTS
) -> GroupFit:
    """Mixture of `groups` linear rewards over people.

    Args:
        difference: (n, k) features of the winner minus those of the loser of each vote, finite.
        rater: (n,) int64 index of the person, 0..H-1; all of a person's votes go to one group.
        groups: K, 1 or more; with one vote a person groups are not identified and K must be 1.
        seed: of the random starts; the best likelihood stays.

    Raises:
        NoVotes, VotesMalformed: shapes, NaN, or more groups than votes a person can tell.

    Source: MaxMin-RLHF (2024); people instead of pairs, and a reliability each, so that noise is no group.
    """
    _check(difference, rater, groups)
    random, model = np.random.default_rng(seed), _Mixture(difference, rater, groups)
    runs = [model.run(random) for _ in range(restarts if groups > 1 else 1)]
    return max(runs, key=lambda run: run.log_likelihood)


def group_count(
    difference: FloatArray, rater: IntArray, most: int, *, seed: int, folds: int = 5
) -> tuple[int, FloatArray]:
    """K of the best log-likelihood a vote on held-out people, and the (most,) figures; K = 1 where nobody has two votes.

    People are held out, not pairs: their votes are told by the mixture of groups, whose members they may be.
    """
    _check(difference, rater, 1)
    people = np.unique(rater)
    if np.bincount(rater).max() < 2 or people.size < 2 * folds:
        return 1, np.full(most, np.nan)
    fold = np.random.default_rng(seed).permutation(people.size) % folds
    fold_of = np.zeros(int(rater.max()) + 1, dtype=np.int64)
    fold_of[people] = fold
    totals = np.zeros(most)
    for part in range(folds):
        inside = fold_of[rater] == part
        for k in range(1, most + 1):
            fit = group_fit(difference[~inside], rater[~inside], k, seed=seed, restarts=3)
            totals[k - 1] += people_log_likelihood(fit, difference[inside], rater[inside])
    scores = totals / rater.size
    best = 1
    for k in range(2, most + 1):
        # One more group must pay for itself, or chance alone would add them.
        if scores[k - 1] > scores[best - 1] + 1e-3:
            best = k
    return best, scores


def people_log_likelihood(fit: GroupFit, difference: FloatArray, rater: IntArray) -> float:
    """Log-likelihood of votes of new people: each is of one group, and as reliable as the average person."""
    told = difference @ fit.weight.T
    reliability = float(fit.reliability[np.isfinite(fit.reliability)].mean())
    chance = np.log(reliability * expit(told) + (1 - reliability) * expit(-told))
    people, place = np.unique(rater, return_inverse=True)
    joint = np.stack([np.bincount(place, column, people.size) for column in chance.T], axis=1)
    return float(logsumexp(joint + np.log(fit.share), axis=1).sum())


class _Mixture:
    def __init__(self, difference: FloatArray, rater: IntArray, groups: int) -> None:
        self.x, self.rater, self.groups = difference, rater, groups
        self.people = int(rater.max()) + 1
        self.votes = np.bincount(rater, minlength=self.people)

    def run(self, random: np.random.Generator) -> GroupFit:
        membership = random.dirichlet(np.full(self.groups, 0.3), self.people)
        if self.groups == 1:
            membership = np.ones((self.people, 1))
        alpha, beta = RELIABILITY_PRIOR
        reliability = np.full(self.people, alpha / (alpha + beta))
        # A first step on random memberships, as if every vote were careful.
        right = np.ones((self.x.shape[0], self.groups))
        before = -np.inf
        for _ in range(ROUNDS):
            weight = self._rewards(membership, right)
            share = (membership[self.votes > 0].sum(axis=0) + 1) / ((self.votes > 0).sum() + self.groups)
            told = expit(self.x @ weight.T)
            eta = reliability[self.rater][:, None]
            chance = eta * told + (1 - eta) * (1 - told)
            joint = np.log(share) + np.stack(
                [np.bincount(self.rater, c, self.people) for c in np.log(chance).T], axis=1
            )
            total = logsumexp(joint, axis=1, keepdims=True)
            membership = np.exp(joint - total)
            right = eta * told / chance
            expected = np.bincount(self.rater, (membership[self.rater] * right).sum(axis=1), self.people)
            reliability = (expected + alpha - 1) / (self.votes + alpha + beta - 2)
            likelihood = float(total[self.votes > 0].sum())
            if abs(likelihood - before) < TOLERANCE_PER_VOTE * self.rater.size:
                break
            before = likelihood
        order = np.argsort(-share, kind="stable")
        membership = membership[:, order]
        return GroupFit(
            weight[order], share[order], membership, np.where(self.votes > 0, reliability, np.nan), likelihood,
            self._shown(membership),
        )  # fmt: skip

    def _rewards(self, membership: FloatArray, right: FloatArray) -> FloatArray:
        """Each group's ridge regression, its members' votes weighted by membership; a careless vote counts turned."""
        rows = [
            ridge_logistic(self.x, right[:, k], membership[self.rater, k], PRECISION)[0]
            for k in range(self.groups)
        ]
        return np.stack(rows)

    def _shown(self, membership: FloatArray) -> BoolArray:
        hard = membership.argmax(axis=1)
        seen = self.votes > 0
        people = np.bincount(hard[seen], minlength=self.groups)
        votes = np.bincount(hard, self.votes, self.groups)
        return np.asarray((people >= LEAST_PEOPLE) & (votes >= LEAST_VOTES))


def _check(difference: FloatArray, rater: IntArray, groups: int) -> None:
    if difference.ndim != 2 or rater.shape != difference.shape[:1]:
        raise VotesMalformed("differences must be (votes, features) with a rater for each vote")
    if not rater.size:
        raise NoVotes()
    if not np.isfinite(difference).all() or rater.min() < 0:
        raise VotesMalformed("features must be finite and raters 0 or more")
    if groups < 1 or (groups > 1 and np.bincount(rater).max() < 2):
        raise VotesMalformed(f"{groups} groups cannot be told apart where nobody has two votes; take 1")


@dataclass(frozen=True)
class GroupGap:
    """One item's difference of shares between two groups: with p-value, and after correction over all items."""

    item: int
    share_one: float
    share_other: float
    p_value: float
    q_value: float


def group_gaps(
    item: IntArray, said_first: BoolArray, group: IntArray, one: int, other: int
) -> list[GroupGap]:
    """Items on which two groups differ, by Fisher's exact test with Benjamini and Hochberg's correction.

    Args:
        item: (n,) int64. said_first: (n,) bool. group: (n,) group of each vote's rater.

    Returns:
        One row an item that both groups voted on, by rising p-value.
    """
    from scipy.stats import fisher_exact

    rows = []
    for number in np.intersect1d(item[group == one], item[group == other]):
        sides = [said_first[(item == number) & (group == which)] for which in (one, other)]
        table = [[int(side.sum()), int((~side).sum())] for side in sides]
        rows.append((int(number), sides[0].mean(), sides[1].mean(), float(fisher_exact(table).pvalue)))
    rows.sort(key=lambda row: (row[3], row[0]))
    least, out = 1.0, list[GroupGap]()
    for rank in range(len(rows), 0, -1):
        number, share_one, share_other, p = rows[rank - 1]
        least = min(least, p * len(rows) / rank)
        out.append(GroupGap(number, float(share_one), float(share_other), p, least))
    return out[::-1]


def group_preference(
    difference: FloatArray, rater: IntArray, *, seed: int, draws: int = 100
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(k,) what one group rewards by itself, with 95 % intervals from resampling its people.

    Args:
        difference: (n, k) features of the winner minus those of the loser, of the group's votes alone.
        rater: (n,) int64 index of the person.

    Raises:
        NoVotes: nothing arrived.

    Source: the M step of MaxMin-RLHF (2024) for people who are surely of the group; the cluster bootstrap is ours.
    """
    if not rater.size:
        raise NoVotes()
    ones = np.ones(rater.size)
    weight = ridge_logistic(difference, ones, ones, PRECISION)[0]
    people, place = np.unique(rater, return_inverse=True)
    random = np.random.default_rng(seed)
    drawn = [
        ridge_logistic(difference, ones, times[place].astype(np.float64), PRECISION)[0]
        for times in random.multinomial(people.size, np.full(people.size, 1 / people.size), size=draws)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    return weight, low, high


def clustered_share(
    right: BoolArray, rater: IntArray, *, seed: int, draws: int = 1000
) -> tuple[float, float, float] | None:
    """Share of votes that are right, with its 95 % interval from resampling people; None without a vote.

    Example:
        >>> right, rater = np.array([True, True, False, False]), np.array([0, 0, 1, 1])
        >>> clustered_share(right, rater, seed=0)
        (0.5, 0.0, 1.0)
    """
    if not right.size:
        return None
    _, place = np.unique(rater, return_inverse=True)
    votes, good = np.bincount(place), np.bincount(place, right)
    times = np.random.default_rng(seed).multinomial(votes.size, np.full(votes.size, 1 / votes.size), size=draws)
    low, high = np.quantile((times @ good) / (times @ votes), (0.025, 0.975))
    return float(right.mean()), float(low), float(high)

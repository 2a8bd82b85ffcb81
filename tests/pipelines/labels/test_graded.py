"""The graded model against its vector, against worlds with a known truth, and in degenerate cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.graded import (
    GradedFit,
    GradedOptions,
    graded_fit,
)
from pipelines.labels.graded_frozen import fit_given, frozen_of, raters_moved
from pipelines.labels.graded_known import NO_SHARED_ITEMS, ONE_RATER, ONE_VOTE_EACH, component_count
from pipelines.labels.graded_readout import comparisons_of, raters_of, vote_probabilities
from pipelines.labels.graded_votes import GradedVotes, family_weights
from tests.pipelines.labels.graded_scene import EXACT, VECTOR, graded, vector_votes, world

EXPECTED, TOLERANCE = VECTOR["expected"], VECTOR["tolerances"]


@pytest.fixture(scope="module")
def fit():
    return graded_fit(vector_votes(), EXACT)


# The vector


def test_it_reaches_the_vectors_parameters(fit) -> None:
    wanted = EXPECTED["fixed_hyper"]
    assert fit.converged
    assert fit.theta == pytest.approx(np.array(wanted["theta"]), abs=TOLERANCE["theta"])
    assert fit.cuts[0][2:] == pytest.approx(wanted["tau"], abs=TOLERANCE["tau"])
    assert fit.log_likelihood[-1] == pytest.approx(wanted["log_marginal_likelihood"], abs=TOLERANCE["log"])
    assert fit.objective[-1] == pytest.approx(wanted["log_posterior_unnormalised"], abs=TOLERANCE["log"])


def test_it_reads_the_vectors_comparisons(fit) -> None:
    wanted, found = EXPECTED["fixed_hyper"], comparisons_of(fit)
    numbers = {
        "d_mean": found.d_mean,
        "d_sd": found.d_sd,
        "p_direction_first": found.p_direction_first,
        "p_first": found.consensus[:, 0],
        "p_second": found.consensus[:, 1],
        "p_tie": found.consensus[:, 2],
        "reference_vote": found.reference_vote,
        "strength": found.strength,
        "ambiguity_nats": found.ambiguity,
        "ignorance_nats": found.ignorance,
    }
    for name, values in numbers.items():
        assert values == pytest.approx(np.array(wanted[name]), abs=TOLERANCE["posterior"]), name
    flips = [np.nan if flip is None else flip for flip in wanted["flip_of_majority"]]
    assert found.flip_of_majority == pytest.approx(np.array(flips), abs=TOLERANCE["posterior"], nan_ok=True)


def test_the_grid_is_close_to_adaptive_quadrature(fit) -> None:
    wanted, found = EXPECTED["adaptive_quadrature"], comparisons_of(fit)
    limits = TOLERANCE["quadrature_against_grid"]
    assert found.d_mean == pytest.approx(np.array(wanted["d_mean"]), abs=limits["mean"])
    assert found.d_sd == pytest.approx(np.array(wanted["d_sd"]), abs=limits["sd"])
    assert found.consensus[:, 0] == pytest.approx(np.array(wanted["p_first"]), abs=limits["probabilities"])


def test_its_standard_errors_are_the_vectors(fit) -> None:
    se = np.sqrt(np.diagonal(fit.covariance, axis1=1, axis2=2))
    assert se == pytest.approx(np.array(EXPECTED["fixed_hyper"]["theta_se"]), abs=TOLERANCE["se"])


def one_more(fit: GradedFit, item: int, rater: int, step: int, side: int) -> tuple[GradedFit, np.ndarray, np.ndarray]:
    """The comparison with one more vote, raters held, and theta and covariance of the raters after it."""
    votes = fit.votes
    own = np.flatnonzero(votes.item == item)
    columns = [np.append(values[own], more) for values, more in
               ((votes.rater, rater), (votes.step, step), (votes.side, side))]  # fmt: skip
    some = GradedVotes(np.zeros(own.size + 1, dtype=np.int64), *columns, 1, votes.n_raters, votes.n_steps)
    given = fit_given(frozen_of(fit), some, fit.theta)
    new = np.arange(own.size + 1) == own.size
    theta, precision = raters_moved(given, new, np.linalg.inv(fit.covariance))
    return given, theta, np.linalg.inv(precision)


def test_one_vote_online_is_the_vectors(fit) -> None:
    wanted = EXPECTED["online"]
    given, theta, covariance = one_more(fit, *wanted["vote"])
    posterior, d, rater = given.posterior[0], fit.states.d, wanted["vote"][1]
    mean = posterior @ d
    assert mean == pytest.approx(wanted["posterior_d_mean"], abs=1e-5)
    assert np.sqrt(posterior @ d**2 - mean**2) == pytest.approx(wanted["posterior_d_sd"], abs=1e-5)
    assert theta[rater] == pytest.approx(wanted["theta_after"], abs=1e-5)
    assert covariance[rater] == pytest.approx(np.array(wanted["theta_cov_after"]), abs=1e-5)
    others = np.arange(theta.shape[0]) != rater
    assert theta[others] == pytest.approx(fit.theta[others], abs=1e-12)


def test_empirical_bayes_is_the_vectors() -> None:
    fit = graded_fit(vector_votes(), GradedOptions(half=12, spacing=1 / 3))
    wanted, limit = EXPECTED["empirical_bayes"], TOLERANCE["empirical_bayes"]
    assert fit.theta == pytest.approx(np.array(wanted["theta"]), abs=limit)
    assert fit.cuts[0][2:] == pytest.approx(wanted["tau"], abs=limit)
    assert fit.hyper.mean[0, :2] == pytest.approx([wanted["mu_a"], wanted["mu_b"]], abs=limit)
    assert fit.hyper.spread[0] == pytest.approx([wanted["sd_a"], wanted["sd_b"], wanted["sd_k"]], abs=limit)


@pytest.mark.parametrize("name", ["all_ties", "all_strong_first"])
def test_degenerate_votes_have_the_vectors_answer(name: str) -> None:
    case = EXPECTED["degenerate"][name]
    fit = graded_fit(graded(np.array(case["votes"], dtype=np.int64), 6, 2, 5), EXACT)
    assert fit.theta == pytest.approx(np.array(case["theta"]), abs=TOLERANCE["degenerate"])
    assert fit.cuts[0][2:] == pytest.approx(case["tau"], abs=TOLERANCE["degenerate"])
    assert comparisons_of(fit).d_sd == pytest.approx(np.array(case["d_sd"]), abs=TOLERANCE["degenerate"])
    assert fit.objective[-1] == pytest.approx(case["penalised_log_posterior"], abs=TOLERANCE["degenerate"])
    assert (np.diff(fit.objective) > -1e-9).all()


def test_one_rater_has_the_vectors_answer_and_says_that_reliability_is_unknown() -> None:
    case = EXPECTED["degenerate"]["one_annotator_one_vote_each"]
    rows = np.stack([np.arange(8), np.zeros(8, dtype=np.int64), case["votes"], case["sides"]], axis=1)
    fit = graded_fit(graded(rows, 8, 1, 5), EXACT)
    assert fit.theta == pytest.approx(np.array(case["theta"]), abs=TOLERANCE["degenerate"])
    assert comparisons_of(fit).d_mean == pytest.approx(np.array(case["d_mean"]), abs=TOLERANCE["degenerate"])
    assert fit.reason == ONE_RATER
    assert not fit.identified.any()


# What must hold


def test_the_objective_never_falls_with_fixed_hyperparameters(fit) -> None:
    assert (np.diff(fit.objective) > -1e-9).all()


@pytest.mark.parametrize(
    "options",
    [
        GradedOptions(),
        GradedOptions(contested=True),
        GradedOptions(free_prior=True),
        GradedOptions(mean=True),
    ],
    ids=["plain", "contested", "free_prior", "mean"],
)
def test_swapping_the_stored_order_mirrors_the_answer(options: GradedOptions) -> None:
    votes = vector_votes()
    options = replace(options, max_rounds=12)
    swapped = replace(votes, step=4 - votes.step, side=-votes.side)
    one, other = graded_fit(votes, options), graded_fit(swapped, options)
    assert other.theta == pytest.approx(one.theta, abs=1e-9)
    mirrored = one.posterior.reshape(votes.n_items, -1, one.states.points)[:, :, ::-1]
    assert other.posterior == pytest.approx(mirrored.reshape(other.posterior.shape), abs=1e-9)
    here, there = comparisons_of(one), comparisons_of(other)
    assert there.strength == pytest.approx(-here.strength, abs=1e-9)
    assert there.flip_probability == pytest.approx(here.flip_probability, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_votes_and_names_of_raters_change_nothing(seed: int) -> None:
    random, votes = np.random.default_rng(seed), vector_votes()
    order, names = random.permutation(votes.item.size), random.permutation(votes.n_raters)
    shuffled = votes.kept(order)
    renamed = replace(shuffled, rater=names[shuffled.rater].astype(np.int64))
    options = GradedOptions(max_rounds=10)
    one, other = graded_fit(votes, options), graded_fit(renamed, options)
    assert other.theta[names] == pytest.approx(one.theta, abs=1e-8)
    assert other.posterior == pytest.approx(one.posterior, abs=1e-8)


def test_a_rater_without_discrimination_moves_nothing() -> None:
    votes = vector_votes()
    fit = graded_fit(votes, replace(EXACT, max_rounds=5))
    blind = replace(fit, theta=fit.theta * [0.0, 1.0, 1.0])
    own = votes.kept(votes.item == 3)
    before = fit_given(frozen_of(blind), replace(own, item=np.zeros_like(own.item), n_items=1), blind.theta)
    after, _, _ = one_more(blind, 3, 0, 4, 1)
    assert after.posterior[0] == pytest.approx(before.posterior[0], abs=1e-12)


def test_two_steps_without_sides_ignore_scale_use_and_bias() -> None:
    drawn = world(1, n_steps=2, raters=20).votes
    fit = graded_fit(replace(drawn, side=np.zeros_like(drawn.side)))
    assert fit.theta[:, 1:] == pytest.approx(np.zeros((20, 2)), abs=1e-12)
    assert fit.cuts[0].tolist() == [0.0]


def test_mirrored_votes_come_out_the_right_way_round() -> None:
    drawn = world(2, spammers=0.0)
    fit = graded_fit(drawn.votes)
    assert np.corrcoef(comparisons_of(fit).d_mean, drawn.d)[0, 1] > 0.85


def test_weights_of_one_half_twice_count_as_one() -> None:
    votes = vector_votes()
    twice = votes.kept(np.concatenate([np.arange(votes.item.size)] * 2))
    half = replace(twice, weight=np.full(twice.item.size, 0.5))
    one, other = graded_fit(votes, EXACT), graded_fit(half, EXACT)
    assert other.theta == pytest.approx(one.theta, abs=1e-6)
    # Each half is seen beside its twin, so a pair tells about as much as one whole vote.
    se = [np.sqrt(np.diagonal(fit.covariance, axis1=1, axis2=2)) for fit in (one, other)]
    assert (np.abs(np.log(se[1] / se[0])) < 0.25).all()


def test_two_scales_share_raters_and_keep_their_own_cuts() -> None:
    drawn = world(3, raters=40)
    votes = drawn.votes
    binary = votes.kept((votes.step != 2) & (np.arange(votes.item.size) % 2 == 0))
    rest = votes.kept(np.arange(votes.item.size) % 2 == 1)
    both = GradedVotes(
        np.concatenate([rest.item, binary.item]),
        np.concatenate([rest.rater, binary.rater]),
        np.concatenate([rest.step, (binary.step > 2).astype(np.int64)]),
        np.concatenate([rest.side, binary.side]),
        votes.n_items,
        votes.n_raters,
        (5, 2),
        scale=np.repeat(np.arange(2), [rest.item.size, binary.item.size]),
    )
    fit, alone = graded_fit(both), graded_fit(rest)
    assert [cuts.size for cuts in fit.cuts] == [4, 1]
    gain = [np.corrcoef(comparisons_of(each).d_mean, drawn.d)[0, 1] for each in (alone, fit)]
    assert gain[1] > gain[0]


def test_kinds_of_raters_have_means_of_their_own() -> None:
    drawn = world(4, raters=40, spammers=0.0)
    kind = (np.arange(40) >= 30).astype(np.int64)
    noise = np.random.default_rng(5).integers(0, 5, drawn.votes.step.size)
    step = np.where(kind[drawn.votes.rater] == 1, noise, drawn.votes.step)
    fit = graded_fit(replace(drawn.votes, step=step, population=kind))
    people, judges = fit.hyper.mean[:, 0]
    assert people > 1.2
    assert judges < 0.5
    assert fit.reference_discrimination == people


def test_completions_that_recur_carry_over() -> None:
    random = np.random.default_rng(6)
    value = random.normal(size=30)
    first, second = np.triu_indices(30, 1)
    d = value[first] - value[second]
    item = np.repeat(np.arange(first.size), 1)
    step = (1.5 * d + random.logistic(size=item.size) > 0).astype(np.int64)
    votes = GradedVotes(
        item, random.integers(0, 10, item.size), step, np.zeros_like(step), first.size, 10, (2,),
        first=first, second=second,
    )  # fmt: skip
    fit = graded_fit(votes, GradedOptions(completions=True))
    assert fit.values is not None
    assert np.corrcoef(fit.values, value)[0, 1] > 0.95
    assert fit.reason is None


def test_family_votes_count_by_their_number() -> None:
    item, rater = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0])
    weights = family_weights(item, rater, np.array([0, 0, 1]), np.array([0.5, 0.5, 0.0]))
    assert weights.tolist() == pytest.approx([2**-0.5, 2**-0.5, 1.0, 1.0])
    with pytest.raises(VotesMalformed):
        family_weights(item, rater, np.array([0, 0, 1]), np.array([0.5, 0.5, 2.0]))


# Refusals and flags


@pytest.mark.parametrize(
    "change",
    [
        {"step": np.array([5, 0])},
        {"side": np.array([2, 0])},
        {"rater": np.array([0, 9])},
        {"weight": np.array([1.0, np.nan])},
        {"weight": np.array([1.0, 0.0])},
        {"n_steps": (1,)},
        {"first": np.array([0, 1])},
        {"first": np.array([0, 1]), "second": np.array([0, 2])},
        {"item": np.array([0.0, 1.0])},
    ],
)
def test_malformed_votes_are_refused_by_name(change) -> None:
    pair = np.array([0, 1])
    whole = dict(item=pair, rater=pair, step=pair, side=pair, n_items=2, n_raters=2, n_steps=(5,))
    with pytest.raises(VotesMalformed):
        GradedVotes(**(whole | change))


def test_no_votes_is_refused() -> None:
    none = np.zeros(0, dtype=np.int64)
    with pytest.raises(NoVotes):
        GradedVotes(none, none, none, none, 1, 1, (5,))


def test_combinations_without_meaning_are_refused() -> None:
    with pytest.raises(VotesMalformed):
        graded_fit(vector_votes(), GradedOptions(completions=True))
    with pytest.raises(VotesMalformed):
        graded_fit(vector_votes(), GradedOptions(mean=True, free_prior=True))


def test_one_vote_an_item_holds_the_hyperparameters_and_flags_everybody() -> None:
    fit = graded_fit(world(7, votes=1, raters=20).votes)
    assert fit.reason == ONE_VOTE_EACH
    assert not fit.identified.any()
    assert fit.hyper.mean[0, 0] == 1.5


def test_raters_who_share_no_item_are_flagged() -> None:
    votes = vector_votes()
    lone = replace(
        votes,
        item=np.concatenate([votes.item, [40, 40]]),
        rater=np.concatenate([votes.rater, [6, 6]]),
        step=np.concatenate([votes.step, [4, 0]]),
        side=np.concatenate([votes.side, [1, -1]]),
        n_items=41,
        n_raters=7,
    )
    fit = graded_fit(lone)
    assert fit.identified.tolist() == [True] * 6 + [False]
    assert component_count(lone) == component_count(votes) + 1
    alone = lone.kept(lone.item == 40)
    assert graded_fit(alone).reason == ONE_RATER
    apart = graded(np.array([[0, 0, 4, 1], [0, 0, 4, -1], [1, 1, 0, 1], [1, 1, 0, 1]]), 2, 2, 5)
    assert graded_fit(apart).reason == NO_SHARED_ITEMS


def test_a_rater_who_contradicts_itself_spoils_nothing() -> None:
    votes = vector_votes()
    rows = np.array([[t, 6, y, 1] for t in range(40) for y in (0, 4)])
    base = np.stack([votes.item, votes.rater, votes.step, votes.side], axis=1)
    fit = graded_fit(graded(np.concatenate([base, rows]), 40, 7, 5))
    assert np.isfinite(fit.theta).all()
    assert abs(fit.theta[6, 0]) < 0.3
    assert raters_of(fit).spam_odds[6] > 1


def test_a_deterministic_rater_is_at_the_limit_or_below() -> None:
    rows = np.array([[t, w, 4 * (t % 2), 1] for t in range(60) for w in range(4)])
    fit = graded_fit(graded(rows, 60, 4, 5), GradedOptions(free_prior=True))
    assert (np.abs(fit.theta[:, 0]) <= 8).all()
    assert np.isfinite(comparisons_of(fit).strength).all()


def test_new_items_and_raters_can_join_online(fit) -> None:
    frozen, ints = frozen_of(fit), lambda *values: np.array(values, dtype=np.int64)
    votes = GradedVotes(ints(0, 1), ints(0, 0), ints(4, 0), ints(1, -1), 2, 1, fit.votes.n_steps)
    theta, precision = np.array(frozen.mean), np.diag(np.array(frozen.spread[0]) ** -2.0)[None]
    given = fit_given(frozen, votes, theta)
    d = given.posterior @ fit.states.d
    assert d[0] > 0.3 > -0.3 > d[1]
    moved, after = raters_moved(given, np.array([True, False]), precision)
    assert np.abs(moved - theta).max() < 1 and (np.linalg.eigvalsh(after - precision) > -1e-9).all()
    with pytest.raises(VotesMalformed):
        fit_given(frozen, replace(votes, n_steps=(7,)), theta)


def test_votes_counted_in_part_teach_in_part(fit) -> None:
    whole, half = (
        raters_moved(
            replace(given, votes=replace(given.votes, weight=np.full(given.votes.item.size, weight))),
            np.ones(given.votes.item.size, dtype=bool),
            np.linalg.inv(fit.covariance),
        )[1]
        for given in [one_more(fit, 0, 1, 4, 1)[0]]
        for weight in (1.0, 0.5)
    )
    before = np.linalg.inv(fit.covariance)[1]
    assert np.trace(before) < np.trace(half[1]) < np.trace(whole[1])


# A known truth


def errors_of(seed: int, votes: int, raters: int = 200):
    drawn = world(seed, raters=raters, each=50, votes=votes)
    fit = graded_fit(drawn.votes)
    found, told = raters_of(fit), comparisons_of(fit)
    truth, share = true_reliability(drawn)
    bias = found.side_bias - (expit(drawn.b) - 0.5)
    inside = (found.low < truth) & (truth < found.high)
    covered = [
        inside.mean(),
        (np.abs(fit.theta[:, 0] - drawn.a) < 1.96 * found.se[:, 0]).mean(),
        ((found.side_low < expit(drawn.b) - 0.5) & (expit(drawn.b) - 0.5 < found.side_high)).mean(),
        (np.abs(told.d_mean - drawn.d) < 1.96 * told.d_sd).mean(),
    ]
    binomial = np.sqrt((truth * (1 - truth) / (50 * share)).mean())
    return found.reliability - truth, bias, binomial, np.array(covered), fit.cuts[0] - drawn.cuts


def true_reliability(drawn):
    d = np.linspace(-6, 6, 1201)
    weight = np.exp(-d * d / 2)
    half = drawn.cuts.size // 2
    cut = np.exp(drawn.k)[:, None] * drawn.cuts[half]
    right = voted = 0.0
    for side in (1, -1):
        seen = drawn.a[:, None] * d + side * drawn.b[:, None]
        first, second = expit(seen - cut), expit(-cut - seen)
        right = right + np.where(d > 0, first, np.where(d < 0, second, (first + second) / 2)) @ weight
        voted = voted + (first + second) @ weight
    return right / voted, voted / (2 * weight.sum())


def test_it_recovers_error_rates_side_bias_and_cuts() -> None:
    runs = [errors_of(seed, 5) for seed in range(3)]
    error = np.concatenate([run[0] for run in runs])
    assert abs(error.mean()) < 0.02
    assert abs(np.concatenate([run[1] for run in runs]).mean()) < 0.02
    assert np.sqrt((error**2).mean()) < 1.2 * np.mean([run[2] for run in runs])
    assert np.abs(np.mean([run[4] for run in runs], axis=0)).max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("votes", [2, 5])
def test_its_intervals_cover(votes: int) -> None:
    covered = np.mean([errors_of(seed, votes)[3] for seed in range(8)], axis=0)
    assert (covered > 0.90).all()
    assert (covered < 0.98).all()


def test_its_held_out_chances_are_of_the_model() -> None:
    drawn = world(8)
    last = np.arange(drawn.votes.item.size) % 5 == 4
    fit = graded_fit(drawn.votes.kept(~last))
    chance = vote_probabilities(fit, drawn.votes.kept(last))
    shares = np.bincount(drawn.votes.step[~last], minlength=5) / (~last).sum()
    assert -np.log(chance).mean() < -np.log(shares[drawn.votes.step[last]]).mean() - 0.1
    every = [
        vote_probabilities(fit, replace(drawn.votes, step=np.full_like(drawn.votes.step, step)))
        for step in range(5)
    ]
    assert np.sum(every, axis=0) == pytest.approx(1.0)

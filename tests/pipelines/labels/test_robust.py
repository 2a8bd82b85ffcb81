"""Flip rates, LCPO, NBPO, reward ensembles and models' own uncertainty, against their vectors and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipelines.labels.dawid_skene import dawid_skene_one_coin
from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.reward_ensemble import (
    GROUPS,
    FlipUnchecked,
    decile_table,
    ensemble_losses,
    ensemble_strength,
    flip_checked,
    smoothed_loss,
)
from pipelines.labels.robust import (
    NoSignal,
    confusion_counts,
    flip_rate_from_gold,
    flip_rate_from_model,
    flip_rate_from_raters,
    flip_rate_from_repeats,
    ipo_margin,
    lcpo_fit,
    lcpo_moving_eta,
    loss_weights,
    nbpo_loss,
    simpo_margin,
    soft_loss,
    temperature,
)
from pipelines.labels.uncertainty import (
    LN2,
    DropoutInactive,
    best_and_worst_agree,
    consistency_loss,
    gain_smoothing,
    gain_weights,
    implicit_label,
    information_gain,
    iteration_consistency,
)
from pipelines.labels.votes import Votes

VECTORS = Path(__file__).parents[2] / "vectors"
LCPO, REWARD, UNSURE = (
    json.loads((VECTORS / f"{name}.json").read_text()) for name in ("lcpo_em", "reward-voting", "uncertainty")
)
MARGINS = np.array(LCPO["inputs"]["margins"])


# Flip rates


def test_confusion_counts_votes_by_what_is_right() -> None:
    said, gold = (np.array(labels, dtype=np.int64) for labels in ([0, 0, 1, 2, 2], [0, 1, 1, 1, 2]))
    counts = confusion_counts(said, gold, 3)
    assert counts.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 1]]
    assert flip_rate_from_gold(int(counts.sum() - counts.trace()), int(counts.sum())).rate == 2 / 5
    assert confusion_counts(said[:0], gold[:0], 2).tolist() == [[0, 0], [0, 0]]
    for bad in (gold[:2], np.full(5, 3), np.full(5, -1)):
        with pytest.raises(VotesMalformed):
            confusion_counts(said, bad, 3)


def test_flip_rates_by_hand() -> None:
    gold = flip_rate_from_gold(3, 30)
    assert gold.rate == 0.1
    assert gold.low < 0.1 < gold.high
    repeats = flip_rate_from_repeats(18, 100)
    assert repeats.rate == pytest.approx(0.1)
    assert repeats.low < repeats.rate < repeats.high
    for none in (flip_rate_from_repeats(0, 10), flip_rate_from_gold(0, 10)):
        assert none.low == none.rate == 0 < none.high < 0.25
    model = flip_rate_from_model(np.array([0.1, 0.3, np.nan]))
    assert (model.rate, model.n) == (pytest.approx(0.2), 2)


def test_the_rate_from_reliabilities_is_that_of_votes_and_its_interval_covers_it() -> None:
    """Beside it the rate of the labels, which several votes make better."""
    covered, gaps = 0, []
    for seed in range(12):
        random = np.random.default_rng(seed)
        error, truth = random.beta(2, 8, 30), random.integers(0, 2, 400)
        item = np.repeat(np.arange(400), 3)
        rater = np.concatenate([random.choice(30, 3, replace=False) for _ in range(400)])
        said = np.where(random.random(item.size) < error[rater], 1 - truth[item], truth[item])
        posterior = dawid_skene_one_coin(Votes(item, rater, said, 400, 30, 2)).posterior
        found = flip_rate_from_raters(rater, posterior[item, said], np.ones(item.size))
        wanted = float(error[rater].mean())
        covered += found.low <= wanted <= found.high
        gaps.append(found.rate - wanted)
        labels = flip_rate_from_model(posterior.min(axis=1)).rate
        assert labels < found.rate - 0.05
    assert covered >= 11 and abs(np.mean(gaps)) < 0.01
    with pytest.raises(NoVotes):
        flip_rate_from_raters(item[:0], posterior[:0, 0], posterior[:0, 0])
    with pytest.raises(VotesMalformed):
        flip_rate_from_raters(rater, posterior[item, said] + 1, np.ones(item.size))


def test_a_rate_of_one_half_is_refused_not_clipped() -> None:
    with pytest.raises(NoSignal):
        flip_rate_from_gold(5, 10)
    with pytest.raises(NoSignal):
        flip_rate_from_repeats(60, 100)
    with pytest.raises(NoVotes):
        flip_rate_from_gold(0, 0)
    with pytest.raises(VotesMalformed):
        flip_rate_from_gold(3, 2)
    with pytest.raises(VotesMalformed):
        flip_rate_from_model(np.array([0.7]))


# LCPO


def test_lcpo_is_the_vectors() -> None:
    wanted, tolerance = LCPO["expected"], LCPO["tolerance"]
    found = lcpo_fit(MARGINS)
    assert found.eta[0] == pytest.approx(wanted["eta_full_batch"], abs=tolerance["eta_full_batch"])
    assert found.standard_error[0] == pytest.approx(wanted["standard_error_eta"], abs=1e-6)
    assert found.trace[:3, 0] == pytest.approx(
        wanted["eta_after_first_3_em_steps"], abs=tolerance["posteriors"]
    )
    assert found.weight[:6] == pytest.approx(wanted["first_6_posteriors"], abs=tolerance["posteriors"])
    losses = soft_loss(MARGINS[:6], found.weight[:6])
    assert losses == pytest.approx(wanted["first_6_weighted_losses_dpo_link"], abs=tolerance["posteriors"])


def test_lcpo_in_batches_is_the_vectors() -> None:
    batch = LCPO["inputs"]["minibatch"]
    found = lcpo_moving_eta(MARGINS, size=batch["size"], eta_start=batch["eta_init"], rate=batch["ema_rate"])
    assert found[:3] == pytest.approx(LCPO["expected"]["eta_ema_first_3"], abs=LCPO["tolerance"]["ema"])
    wanted = LCPO["expected"]["eta_after_one_pass_minibatch_ema"]
    assert found[-1] == pytest.approx(wanted, abs=LCPO["tolerance"]["ema"])


def test_lcpo_recovers_each_raters_rate_within_three_errors() -> None:
    people = LCPO["inputs"]["per_annotator"]
    margin = np.concatenate([person["margins"] for person in people.values()])
    rater = np.repeat(np.arange(3), [len(person["margins"]) for person in people.values()])
    found = lcpo_fit(margin, rater)
    assert found.eta == pytest.approx(list(LCPO["expected"]["per_annotator_eta"].values()), abs=1e-5)
    assert found.standard_error == pytest.approx(
        list(LCPO["expected"]["per_annotator_se"].values()), abs=1e-6
    )
    truth = 1 - np.array([person["true_flip_rate"] for person in people.values()])
    assert (np.abs(found.eta - truth) < 3 * found.standard_error).all()


def test_lcpo_learns_nothing_from_margins_of_nothing() -> None:
    found = lcpo_fit(np.zeros(10))
    assert found.eta[0] == pytest.approx(0.9, abs=1e-12)
    assert found.weight == pytest.approx(np.full(10, 0.9), abs=1e-12)
    with pytest.raises(VotesMalformed):
        lcpo_fit(np.array([np.nan]))
    with pytest.raises(VotesMalformed):
        lcpo_fit(np.zeros(3), eta_start=0.4)


def test_links_of_other_losses_normalise_both_orders() -> None:
    gap, gamma = np.array([-1.0, 0.0, 2.0]), 0.5
    right, wrong = expit(gap - gamma), expit(-gap - gamma)
    assert expit(simpo_margin(gap, gamma)) == pytest.approx(right / (right + wrong))
    assert simpo_margin(gap, 0.0) == pytest.approx(gap)
    tau, m = 0.2, np.array([0.3, -0.1])
    loss = [(m - 1 / (2 * tau)) ** 2, (-m - 1 / (2 * tau)) ** 2]
    assert expit(ipo_margin(m, tau)) == pytest.approx(
        np.exp(-loss[0]) / (np.exp(-loss[0]) + np.exp(-loss[1]))
    )


def test_temperature_calibrates() -> None:
    random = np.random.default_rng(0)
    margin = random.normal(0, 2, 4000)
    right = (random.random(4000) < expit(margin)).astype(float)
    assert temperature(3 * margin, right) == pytest.approx(3, rel=0.1)
    with pytest.raises(VotesMalformed):
        temperature(np.ones(4), np.ones(4))


def test_nbpo_losses_by_hand() -> None:
    score, seen = np.array([0.0, 0.0, 2.0]), np.array([1.0, 0.0, 1.0])
    found = nbpo_loss(score, seen, missed=0.8, accidental=0.1)
    like = expit(2.0)
    assert np.exp(-found) == pytest.approx([0.15, 0.85, 0.2 * like + 0.1 * (1 - like)])
    assert nbpo_loss(score, seen, missed=0, accidental=0) == pytest.approx(soft_loss(score, seen))
    with pytest.raises(VotesMalformed):
        nbpo_loss(score, seen, missed=0.9, accidental=0.2)


def test_weights_have_mean_one() -> None:
    assert loss_weights(np.array([1.0, 3.0])).tolist() == [0.5, 1.5]
    with pytest.raises(VotesMalformed):
        loss_weights(np.zeros(2))


# Reward ensembles


def strength():
    scores = [np.array(REWARD["inputs"][name]) for name in ("chosen_scores", "rejected_scores")]
    return ensemble_strength(*scores)


def test_ensemble_strength_is_the_vectors() -> None:
    found, wanted = strength(), REWARD["expected"]
    numbers = {
        "mean": found.mean,
        "std_ddof0": found.spread,
        "vote_fraction": found.vote_share,
        "soft_label_sigmoid_of_mean": found.soft_label,
        "soft_label_mean_of_sigmoids": found.mild_label,
    }
    for name, values in numbers.items():
        assert values == pytest.approx(np.array(wanted[name]), abs=REWARD["tolerance"]["absolute"]), name
    assert found.order.tolist() == wanted["order_weakest_first"]
    assert [GROUPS[group] for group in found.group] == wanted["group"]


def test_the_published_row_is_met() -> None:
    row, wanted = REWARD["inputs"]["released_row"], REWARD["expected"]["released_row"]
    found = ensemble_strength(np.array(row["chosen"])[:, None], np.array(row["rejected"])[:, None])
    assert (found.mean[0], found.spread[0], found.vote_share[0]) == pytest.approx(
        (wanted["mean"], wanted["std_ddof0"], wanted["vote_fraction"]), abs=1e-6
    )


def test_ensemble_losses_are_the_vectors() -> None:
    found, wanted = strength(), REWARD["expected"]
    delta = np.array(REWARD["inputs"]["trained_model_delta_r"])
    sign = np.where(found.group == 0, -1.0, 1.0)
    assert np.flatnonzero(sign < 0).tolist() == wanted["flipped_indices"]
    losses = ensemble_losses(delta, found, sign)
    names = {
        "plain": "plain",
        "soft": "soft",
        "adaptive_margin": "adaptive_margin",
        "soft_and_margin": "soft_and_margin",
    }
    for ours, theirs in names.items():
        assert losses[ours] == pytest.approx(wanted[f"loss_{theirs}_after_flip"], abs=1e-6), ours
    assert smoothed_loss(delta, 0.1) == pytest.approx(wanted["loss_label_smoothing_no_flip"], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-5, 5), st.integers(0, 9))
def test_a_models_own_zero_does_not_count_and_swapping_negates(shift: float, model: int) -> None:
    chosen, rejected = (np.array(REWARD["inputs"][name]) for name in ("chosen_scores", "rejected_scores"))
    moved = np.zeros((10, 1))
    moved[model] = shift
    one = ensemble_strength(chosen, rejected)
    assert ensemble_strength(chosen + moved, rejected + moved).mean == pytest.approx(one.mean, abs=1e-9)
    turned = ensemble_strength(rejected, chosen)
    assert turned.mean == pytest.approx(-one.mean)
    assert turned.vote_share == pytest.approx(1 - one.vote_share)


def test_nothing_is_flipped_without_gold() -> None:
    random = np.random.default_rng(0)
    found = ensemble_strength(random.normal(size=(5, 200)), random.normal(size=(5, 200)))
    with pytest.raises(FlipUnchecked):
        flip_checked(found, np.full(200, np.nan))
    with pytest.raises(FlipUnchecked):
        flip_checked(found, np.ones(200))
    assert (
        flip_checked(found, np.where(found.group == 0, 0.0, 1.0)) == np.where(found.group == 0, -1, 1)
    ).all()
    rows = decile_table(found, np.ones(200))
    assert [row["accuracy"] for row in rows] == [1.0] * 10
    with pytest.raises(VotesMalformed):
        ensemble_strength(np.array([[np.nan]]), np.array([[0.0]]))


# Models' own uncertainty


def test_information_gain_is_the_vectors() -> None:
    p, wanted = np.array(UNSURE["inputs"]["mc_dropout_p"]).T, UNSURE["expected"]
    total, expected, gain = information_gain(p)
    assert total == pytest.approx(wanted["total_entropy"], abs=1e-6)
    assert expected == pytest.approx(wanted["expected_entropy"], abs=1e-6)
    assert gain == pytest.approx(wanted["information_gain"], abs=1e-6)
    assert gain_weights(gain) == pytest.approx(wanted["sampling_weight_mu1"], abs=1e-6)
    assert gain_weights(gain, 2.0) == pytest.approx(wanted["sampling_weight_mu2"], abs=1e-6)


def test_half_and_half_is_the_whole_gain_and_equal_passes_are_refused() -> None:
    gain = information_gain(np.array([[0.0, 0.7], [1.0, 0.7]]))[2]
    assert gain == pytest.approx([LN2, 0])
    assert gain_smoothing(gain) == pytest.approx([0.5, 0])
    with pytest.raises(DropoutInactive):
        information_gain(np.full((3, 2), 0.4))


def test_iteration_consistency_is_the_vectors() -> None:
    inputs, wanted = UNSURE["inputs"]["cream"], UNSURE["expected"]
    for row, rewards in inputs["rewards_t"].items():
        now, before = np.array(rewards), np.array(inputs["rewards_t_minus_1"][row])
        assert iteration_consistency(now, before, "kendall_ordinal") == pytest.approx(
            wanted["cream_kendall"][row], abs=1e-6
        )
        assert iteration_consistency(now, before, "spearman") == pytest.approx(
            wanted["cream_spearman"][row], abs=1e-6
        )
        assert best_and_worst_agree(now, before) == bool(wanted["top_bottom_agreement"][row])
    tied = (np.array(inputs["rewards_t"]["d"]), np.array(inputs["rewards_t_minus_1"]["d"]))
    assert iteration_consistency(*tied) == pytest.approx(wanted["cream_kendall_d_tie_aware"], abs=1e-6)
    loss = UNSURE["inputs"]["cream_loss"]
    found = consistency_loss(np.array(loss["implicit_margin"]), np.array(loss["consistency"]))
    assert found == pytest.approx(wanted["cream_loss"], abs=1e-6)
    assert iteration_consistency(np.ones(3), np.arange(3.0)) is None


def test_implicit_labels_are_the_vectors() -> None:
    inputs, wanted = UNSURE["inputs"]["implicit"], UNSURE["expected"]
    sums = [np.array(inputs[name]) for name in ("pol_1", "ref_1", "pol_2", "ref_2")]
    margin, p = implicit_label(*sums, inputs["beta"])
    assert margin == pytest.approx(wanted["implicit_margin"], abs=1e-6)
    assert p == pytest.approx(wanted["implicit_p_response1"], abs=1e-6)

"""Agreement against the textbook table, and where it is not defined."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from annotation.agreement import (
    LEVELS,
    NO_PAIRS,
    NO_VARIATION,
    Level,
    RatingsMalformed,
    agreement,
    cohen_kappa,
    concordance,
    cross_agreement,
    cross_agreement_interval,
    fleiss_agreement,
    fleiss_kappa,
    kendalls_w,
    krippendorff_alpha,
    percent_agreement,
)

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "krippendorff_alpha.json").read_text())


def textbook() -> tuple[np.ndarray, np.ndarray]:
    rows = VECTOR["inputs"]["reliability_data"]
    rated = [(unit, value) for row in rows for unit, value in enumerate(row) if value is not None]
    return np.array([unit for unit, _ in rated]), np.array([value for _, value in rated], dtype=float)


@pytest.mark.parametrize("level", LEVELS)
def test_the_textbook_table_is_met(level: Level) -> None:
    found = krippendorff_alpha(*textbook(), level)
    assert found == pytest.approx(VECTOR["expected"]["alpha"][level], abs=VECTOR["tolerance"])


def test_the_order_of_ratings_and_the_names_of_units_do_not_matter() -> None:
    unit, value = textbook()
    order = np.random.default_rng(0).permutation(unit.size)
    assert krippendorff_alpha(unit[order] + 7, value[order]) == pytest.approx(krippendorff_alpha(unit, value))


def test_no_variation_is_not_perfect_agreement() -> None:
    found = agreement(np.array([0, 0, 1, 1]), np.ones(4), seed=1)
    assert (found.alpha, found.low, found.reason, found.percent) == (None, None, NO_VARIATION, 1.0)


def test_units_rated_once_carry_no_agreement() -> None:
    assert krippendorff_alpha(np.array([0, 1]), np.array([1.0, 2.0])) is None
    assert percent_agreement(np.array([0, 1]), np.array([1.0, 2.0])) is None
    assert agreement(np.array([0, 1]), np.array([1.0, 2.0]), seed=1).reason == NO_PAIRS
    assert agreement(np.zeros(0, dtype=np.int64), np.zeros(0), seed=1).reason == NO_PAIRS


def test_coin_flips_agree_by_chance_alone() -> None:
    random = np.random.default_rng(2)
    found = agreement(np.repeat(np.arange(400), 3), random.integers(0, 2, 1200).astype(float), seed=1)
    assert found.low is not None and found.high is not None
    assert found.low < 0 < found.high
    assert found.percent == pytest.approx(0.5, abs=0.05)


def test_the_interval_holds_alpha_repeats_by_seed_and_narrows_with_units() -> None:
    unit, value = textbook()
    small = agreement(unit, value, "ordinal", seed=3)
    large = agreement(
        np.concatenate([unit + 20 * copy for copy in range(30)]), np.tile(value, 30), "ordinal", seed=3
    )
    assert small == agreement(unit, value, "ordinal", seed=3)
    assert small.low is not None and small.alpha is not None and small.high is not None
    assert large.low is not None and large.high is not None
    assert small.low < small.alpha < small.high
    assert large.high - large.low < (small.high - small.low) / 3


def test_percent_agreement_counts_pairs() -> None:
    # Unit 0: one of three pairs agrees; unit 1: its one pair agrees.
    found = percent_agreement(np.array([0, 0, 0, 1, 1]), np.array([1.0, 1.0, 2.0, 3.0, 3.0]))
    assert found == pytest.approx(2 / 4)


@pytest.mark.parametrize(
    ("unit", "value", "level"),
    [
        (np.array([0, 0]), np.array([1.0]), "nominal"),
        (np.array([0, 0]), np.array([1.0, np.nan]), "nominal"),
        (np.array([-1, 0]), np.array([1.0, 1.0]), "nominal"),
        (np.array([0, 0]), np.array([1.0, 1.0]), "ratio"),
    ],
)
def test_faulty_ratings_are_refused(unit: np.ndarray, value: np.ndarray, level: Level) -> None:
    with pytest.raises(RatingsMalformed):
        krippendorff_alpha(unit, value, level)


RATERS = [np.array(row, dtype=np.int64) for row in VECTOR["inputs"]["kappa_raters"]]


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_cohens_kappa_is_the_vectors(weights) -> None:
    wanted = VECTOR["expected"]["cohen_kappa_rater1_rater2"][weights]
    assert cohen_kappa(RATERS[0], RATERS[1], weights) == pytest.approx(wanted, abs=VECTOR["tolerance"])
    assert cohen_kappa(RATERS[1], RATERS[0], weights) == pytest.approx(wanted, abs=VECTOR["tolerance"])


def test_fleiss_kappa_is_the_vectors() -> None:
    counts = np.stack([(np.array(RATERS) == category).sum(axis=0) for category in range(3)], axis=1)
    wanted = VECTOR["expected"]["fleiss_kappa_three_raters"]
    assert fleiss_kappa(counts) == pytest.approx(wanted, abs=VECTOR["tolerance"])


def test_agreement_across_groups_stands_beside_its_ceiling() -> None:
    unit = np.array([0, 0, 0, 1, 1, 1, 2])
    value = np.array([1.0, 1.0, 2.0, 3.0, 1.0, 3.0, 1.0])
    group = np.array([0, 0, 1, 0, 0, 1, 0])
    found = cross_agreement(unit, value, group, 0, 1)
    assert (found.between, found.pairs) == (0.25, 4)
    assert (found.ceiling, found.ceiling_pairs) == (0.5, 2)
    back = cross_agreement(unit, value, group, 1, 0)
    assert (back.between, back.ceiling) == (0.25, None)
    empty = cross_agreement(unit[:0], value[:0], group[:0], 0, 1)
    assert (empty.between, empty.pairs) == (None, 0)
    with pytest.raises(RatingsMalformed):
        cross_agreement(unit, value, group, 0, 0)


def test_without_variation_kappas_are_not_defined() -> None:
    same = np.zeros(4, dtype=np.int64)
    assert cohen_kappa(same, same) is None
    assert fleiss_kappa(np.array([[3, 0], [3, 0]])) is None
    assert kendalls_w(np.ones((3, 4))) is None


def test_kendalls_w_by_hand() -> None:
    # Sums of ranks 4, 5, 9: S = 14, so W = 12 * 14 / (9 * 24).
    ranks = np.array([[1, 2, 3], [2, 1, 3], [1, 2, 3]], dtype=float)
    assert kendalls_w(ranks) == pytest.approx(12 * 14 / (9 * 24))
    assert kendalls_w(np.stack([np.arange(5.0), -np.arange(5.0)])) == pytest.approx(0)
    tied = np.array([[1, 1, 2], [1, 1, 2]], dtype=float)
    assert kendalls_w(tied) == pytest.approx(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: cohen_kappa(np.array([0]), np.array([0, 1])),
        lambda: cohen_kappa(np.array([-1]), np.array([0])),
        lambda: cohen_kappa(np.array([0]), np.array([0]), "cubic"),  # type: ignore[arg-type]
        lambda: fleiss_kappa(np.array([[2, 1], [1, 1]])),
        lambda: fleiss_kappa(np.array([[1, 0]])),
        lambda: kendalls_w(np.array([[1.0, np.nan], [1.0, 2.0]])),
        lambda: kendalls_w(np.array([[1.0, 2.0]])),
    ],
)
def test_malformed_ratings_of_the_other_measures_are_refused(call) -> None:
    with pytest.raises(RatingsMalformed):
        call()


def test_the_interval_of_a_judge_and_of_the_ceiling_cover_what_is_true():
    """People right 9 times of 10, a judge 7 of 10: they agree .66, people with each other .82; on judged units alone."""
    covered, draw = np.zeros(2), np.random.default_rng(0)
    for run in range(60):
        units = 80
        people = np.where(draw.random((units, 3)) < 0.9, 1.0, 0.0)
        judge = np.where(draw.random(units) < 0.7, 1.0, 0.0)
        unit = np.concatenate([np.repeat(np.arange(units), 3), np.arange(40)])
        value = np.concatenate([people.ravel(), judge[:40]])
        group = np.concatenate([np.zeros(units * 3, dtype=np.int64), np.ones(40, dtype=np.int64)])
        found = cross_agreement_interval(unit, value, group, 0, 1, seed=run)
        assert (found.units, found.found.pairs, found.found.ceiling_pairs) == (40, 120, 120)
        covered += [
            found.between_low <= 0.66 <= found.between_high,
            found.ceiling_low <= 0.82 <= found.ceiling_high,
        ]
    assert (covered >= 51).all()


def test_without_a_common_unit_there_is_no_interval_and_without_a_second_vote_no_ceiling():
    unit, value, group = np.array([0, 1]), np.array([1.0, 1.0]), np.array([0, 1])
    assert cross_agreement_interval(unit, value, group, 0, 1, seed=0) is None
    found = cross_agreement_interval(np.array([0, 0]), value, group, 0, 1, seed=0)
    assert (found.found.between, found.ceiling_low, found.below) == (1.0, None, None)


def test_fleiss_kappa_is_of_the_units_with_the_most_common_number_of_ratings() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 80)
    said = np.where(random.random((80, 3)) < 0.85, truth[:, None], 1 - truth[:, None])
    unit, value = np.repeat(np.arange(80), 3), said.ravel().astype(float)
    # Units with another number of ratings stay out, as do those rated once.
    more = np.concatenate([unit, [90, 90, 90, 90, 91, 92, 92]])
    found = fleiss_agreement(more, np.concatenate([value, [0.0, 1, 0, 1, 1, 0, 1]]), seed=1)
    wanted = fleiss_kappa(np.stack([(said == k).sum(axis=1) for k in (0, 1)], axis=1))
    assert found is not None and (found.kappa, found.n_units, found.n_raters) == (wanted, 80, 3)
    assert found.low < found.kappa < found.high and found.high - found.low < 0.4
    assert fleiss_agreement(np.array([0, 1]), np.zeros(2), seed=0) is None
    same = fleiss_agreement(np.array([0, 0, 1, 1]), np.ones(4), seed=0)
    assert same is not None and (same.kappa, same.low, same.n_units) == (None, None, 2)


def test_concordance_is_the_mean_of_sets_and_unrelated_rankings_have_no_correlation() -> None:
    random = np.random.default_rng(0)
    noise = [np.argsort(random.random((3, 5)), axis=1).astype(float) for _ in range(300)]
    found = concordance(noise, seed=0)
    assert found is not None and (found.n_sets, found.n_rankings) == (300, 900)
    assert found.w == pytest.approx(1 / 3, abs=0.03) and found.low < 0 < found.high
    assert found.w == pytest.approx(np.mean([kendalls_w(one) for one in noise]))
    left_out = [np.ones((2, 3)), np.array([[1.0, 2, 3]])]
    again = concordance([*noise, *left_out], seed=0)
    assert again == found and concordance(left_out, seed=0) is None

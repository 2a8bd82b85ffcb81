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

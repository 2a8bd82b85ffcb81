"""Length control against its vector; factors against planted weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.factors import FactorConstant, factor_fit, factor_tau, length_signs, sparse_weights
from pipelines.labels.length_control import (
    Gamed,
    length_controlled,
    length_controlled_intervals,
    length_report,
    length_weights,
)
from pipelines.labels.logistic import RegressionUnsettled, ridge_logistic

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "lc-alpacaeval-glm.json").read_text())
TOLERANCE = VECTOR["tolerance"]


def column(name: str, rows: str = "rows") -> np.ndarray:
    return np.array([row[name] for row in VECTOR["inputs"][rows]], dtype=float)


def controlled(gamed: bool, strength: float | None):
    extra = Gamed(
        column("std_delta_len", "gamed_rows"),
        column("preference", "gamed_rows"),
        column("instruction_difficulty", "gamed_rows"),
    )
    return length_controlled(
        column("len_baseline"),
        column("len_model"),
        column("preference"),
        column("instruction_difficulty"),
        gamed=extra if gamed else None,
        strength=strength,
    )


@pytest.mark.parametrize(
    ("name", "gamed", "strength"),
    [
        ("noreg_C1", False, 1.0),
        ("noreg_C100", False, 100.0),
        ("noreg_C1e6", False, 1e6),
        ("v1_C100", True, 100.0),
        ("v1_C1e6", True, 1e6),
    ],
)
def test_length_control_is_the_vectors(name: str, gamed: bool, strength: float) -> None:
    found, wanted = controlled(gamed, strength), VECTOR["expected"][name]
    ours = (found.length, found.difficulty, found.model)
    theirs = [
        wanted[f"coef_{key}"]
        for key in ("tanh_std_delta_len", "instruction_difficulty", "not_gamed_baseline")
    ]
    assert ours == pytest.approx(theirs, abs=TOLERANCE["coefficients"])
    assert found.win_rate == pytest.approx(wanted["lc_win_rate"], abs=TOLERANCE["win_rate_points"])
    assert found.standard_error == pytest.approx(
        wanted["lc_standard_error"], abs=TOLERANCE["win_rate_points"]
    )
    assert found.controlled == pytest.approx(wanted["per_row_controlled_preference"], abs=1e-4)
    assert found.raw_win_rate == pytest.approx(VECTOR["expected"]["raw_win_rate"])


@pytest.mark.parametrize(("name", "gamed"), [("noreg", False), ("v1", True)])
def test_the_chosen_strength_gives_the_official_win_rate(name: str, gamed: bool) -> None:
    found, wanted = controlled(gamed, None), VECTOR["expected"]["official_cv"][name]
    assert found.win_rate == pytest.approx(
        wanted["lc_win_rate"], abs=TOLERANCE["official_cv_win_rate_points"]
    )


def test_swapping_the_outputs_negates_the_model() -> None:
    lengths = column("len_baseline"), column("len_model")
    told = column("preference")
    one = length_controlled(*lengths, told, strength=100.0)
    two = length_controlled(*lengths[::-1], np.where(told == 0, 0, 3 - told), strength=100.0)
    assert two.model == pytest.approx(-one.model, abs=1e-5)
    assert two.length == pytest.approx(one.length, abs=1e-5)
    double = length_controlled(*(2 * length for length in lengths), told, strength=100.0)
    assert double.win_rate == pytest.approx(one.win_rate, abs=1e-6)


def test_ties_missing_preferences_and_equal_lengths() -> None:
    even = np.full(20, 100.0)
    preference = np.array([0.0, 1.5, 1.0, 2.0] * 5)
    found = length_controlled(even, even, preference, strength=10.0)
    assert found.length == 0
    assert found.win_rate == pytest.approx(50, abs=1e-6)
    preference[0] = np.nan
    assert length_controlled(even, even, preference, strength=10.0).controlled.size == 20
    with pytest.raises(NoVotes):
        length_controlled(even, even, np.full(20, np.nan))
    with pytest.raises(VotesMalformed):
        length_controlled(even, even, np.full(20, 3.0))


def drawn(seed: int, weight=(1.0, -0.5, 0.0), n: int = 1500):
    random = np.random.default_rng(seed)
    x = random.choice([-1.0, 0.0, 1.0], (n, len(weight)))
    return x, (random.random(n) < expit(x @ np.array(weight))).astype(float)


def test_factors_recover_planted_weights_within_intervals() -> None:
    runs = [factor_fit(*drawn(seed), ["rich", "long", "polite"]) for seed in range(20)]
    inside = [(run.low < [1.0, -0.5, 0.0]) & (run.high > [1.0, -0.5, 0.0]) for run in runs]
    assert np.mean(inside) > 0.88
    assert np.mean([run.weight for run in runs], axis=0) == pytest.approx([1.0, -0.5, 0.0], abs=0.06)
    found = runs[0]
    assert found.stability[:2] == pytest.approx([1, 1])
    assert found.log_loss < found.null_log_loss
    assert found.accuracy > 0.6
    assert found.enough.all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_swapping_pairs_changes_no_weight(seed: int) -> None:
    x, y = drawn(1, n=300)
    turned = np.random.default_rng(seed).random(300) < 0.5
    one = factor_fit(x, y, list("abc"))
    two = factor_fit(np.where(turned[:, None], -x, x), np.where(turned, 1 - y, y), list("abc"))
    assert two.weight == pytest.approx(one.weight, abs=1e-8)
    assert two.low == pytest.approx(one.low, abs=1e-8)


def test_shuffled_labels_leave_everything_indifferent() -> None:
    x, y = drawn(2)
    found = factor_fit(x, np.random.default_rng(0).permutation(y), list("abc"))
    assert found.preference == pytest.approx([0.5] * 3, abs=0.06)


def test_clusters_widen_intervals_of_copied_votes() -> None:
    x, y = drawn(3, n=200)
    rows, cluster = np.tile(x, (5, 1)), np.tile(np.arange(200), 5)
    alone = factor_fit(rows, np.tile(y, 5), list("abc"), precision=0.0)
    together = factor_fit(rows, np.tile(y, 5), list("abc"), precision=0.0, cluster=cluster)
    assert together.high - together.low == pytest.approx((alone.high - alone.low) * np.sqrt(5), rel=1e-6)


def test_what_cannot_explain_is_refused_or_named() -> None:
    x, y = drawn(4, n=300)
    with pytest.raises(FactorConstant):
        factor_fit(np.column_stack([x, np.ones(300)]), y, list("abcd"))
    with pytest.raises(VotesMalformed):
        factor_fit(x, np.full(300, 2.0), list("abc"))
    with pytest.raises(RegressionUnsettled):
        ridge_logistic(np.ones((4, 2)), np.array([1.0, 1, 0, 1]), np.ones(4), 0.0)
    pair = factor_fit(np.column_stack([x, x[:, 0] + 0.1 * x[:, 1]]), y, list("abcd"))
    assert ("a", "d") in [names[:2] for names in pair.collinear]


def test_the_sparse_prior_drops_what_says_nothing() -> None:
    x, y = drawn(5, weight=(1.5, 0.0, 0.0), n=400)
    found = sparse_weights(x, y)
    assert found[0] > 0.5
    assert np.abs(found[1:]).max() < 0.1


def test_data_that_follow_length_alone_show_length_alone() -> None:
    random = np.random.default_rng(6)
    first, second = random.integers(20, 400, 800), random.integers(20, 400, 800)
    other = random.normal(size=(800, 1))
    y = (random.random(800) < expit(3 * np.tanh((first - second) / 150))).astype(float)
    found = length_report(first, second, y, other)
    assert found.longer_wins > 0.7
    assert found.low < found.longer_wins < found.high
    assert found.fit.low[0] > 1
    assert found.fit.low[1] < 0 < found.fit.high[1]
    assert found.length_only_accuracy > 0.7
    assert len(found.deciles) == 10


def test_signs_of_length_follow_the_table() -> None:
    first = np.array([0, 1, 1, 11, 11, 70, 90, 100, 100])
    second = np.array([1, 2, 3, 18, 19, 100, 100, 0, 100])
    assert length_signs(first, second).tolist() == [-1, 0, -1, 0, -1, -1, 0, 1, 0]


def test_tau_and_weights_by_hand() -> None:
    assert factor_tau(np.array([1, 0, -1, 1]), np.array([1, 1, 1, 0])) == pytest.approx(0.0)
    assert factor_tau(np.array([1.0]), np.array([0.0])) is None
    assert length_weights(np.array([0.5, 0.9, 0.1])) == pytest.approx([1.0, 0.5 / 0.9, 2.0])


def test_a_win_rate_that_the_penalty_leaves_at_one_half_still_has_an_interval() -> None:
    random = np.random.default_rng(1)
    even = random.integers(100, 900, (2, 60)).astype(float)
    told = 1 + (random.random(60) < 0.55).astype(float)
    fit = length_controlled(*even, told, strength=1e-4)
    found = length_controlled_intervals(*even, told, cluster=np.arange(60), seed=0)
    assert fit.win_rate == 50 and fit.model == 0
    assert found.low + 5 < 50 < found.high - 5 and found.raw_low < fit.raw_win_rate < found.raw_high
    # Of clusters that repeat a prompt, fewer are known.
    wide = length_controlled_intervals(*even, told, cluster=np.arange(60) // 6, seed=0)
    assert wide.high != found.high
    all_won = length_controlled_intervals(*even, np.full(60, 2.0), cluster=np.arange(60), seed=0)
    assert np.isfinite([all_won.low, all_won.high]).all() and all_won.raw_low == 100

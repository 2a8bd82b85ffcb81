"""From posterior to preference: signs, flips, ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.labels.errors import PosteriorMalformed
from pipelines.labels.preference import judge_posterior, preferences


def rows(*values: tuple[float, float, float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_the_heavier_side_is_chosen_and_the_flip_is_the_other_sides_share() -> None:
    found = preferences(rows((0.6, 0.2, 0.2), (0.1, 0.7, 0.2)))
    assert found.direction_keys() == ["first", "second"]
    assert found.flip_probability.tolist() == pytest.approx([0.25, 0.125])
    assert found.soft_label.tolist() == pytest.approx([0.7, 0.2])


def test_half_or_more_mass_on_tie_is_a_tie_even_where_one_side_leads() -> None:
    found = preferences(rows((0.5, 0.0, 0.5), (0.45, 0.05, 0.5), (0.46, 0.05, 0.49)))
    assert found.direction_keys() == ["tie", "tie", "first"]
    assert np.isnan(found.flip_probability[0])


def test_equal_sides_are_a_tie() -> None:
    assert preferences(rows((0.4, 0.4, 0.2))).direction_keys() == ["tie"]


@settings(deadline=None)
@given(st.tuples(*[st.floats(0.01, 1.0)] * 3))
def test_swapping_the_completions_flips_the_preference_and_nothing_else(
    mass: tuple[float, float, float],
) -> None:
    row = np.array([mass]) / sum(mass)
    plain, swapped = preferences(row), preferences(row[:, [1, 0, 2]])
    turned = {"first": "second", "second": "first", "tie": "tie"}
    assert turned[plain.direction_keys()[0]] == swapped.direction_keys()[0]
    np.testing.assert_allclose(plain.flip_probability, swapped.flip_probability)
    np.testing.assert_allclose(plain.soft_label, 1 - swapped.soft_label)
    if plain.direction_keys()[0] != "tie":
        assert 0 <= plain.flip_probability[0] < 0.5


def test_a_judge_never_says_tie() -> None:
    found = preferences(judge_posterior(np.array([0.9, 0.2, 0.5])))
    assert found.direction_keys() == ["first", "second", "tie"]
    assert found.p_tie.tolist() == [0, 0, 0]


def test_a_judge_of_three_labels_may_say_tie() -> None:
    found = preferences(judge_posterior(np.array([0.9, 0.9]), np.array([0.6, 0.3])))
    assert found.direction_keys() == ["tie", "first"]
    assert found.flip_probability[1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "posterior",
    [rows((0.5, 0.6, 0.2)), rows((np.nan, 0.5, 0.5)), rows((1.2, -0.2, 0.0)), np.ones((2, 2)) / 2],
)
def test_what_is_not_a_posterior_is_refused(posterior: np.ndarray) -> None:
    with pytest.raises(PosteriorMalformed):
        preferences(posterior)

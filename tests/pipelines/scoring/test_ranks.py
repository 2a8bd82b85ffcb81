"""Ranks and their correlation, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from pipelines.scoring.ranks import mean_ranks, rank_correlation


@pytest.mark.parametrize("seed", range(5))
def test_equal_values_share_the_mean_of_their_ranks(seed):
    values = np.random.default_rng(seed).integers(0, 6, 20).astype(np.float64)
    assert mean_ranks(values).tolist() == rankdata(values).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_rank_correlation_is_spearmans(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 6, 20).astype(np.float64), rng.normal(size=20)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_what_does_not_vary_has_no_rank_correlation():
    assert rank_correlation(np.ones(4), np.arange(4.0)) is None

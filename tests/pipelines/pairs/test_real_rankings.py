"""Rankings of real people: what two say of a pair, held against what the third then says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipelines.pairs.answers import Order, order_of
from pipelines.pairs.orders import pairs_said
from tests.pipelines.imports.real_forms import squality_rows

pytestmark = pytest.mark.reference


def held_out(folder: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) log-losses of ours and of smoothed majority, and (n,) whether the likelier side was right."""
    losses, hits = [], []
    for row in squality_rows(folder, Counter()):
        size = len(row["completions"])
        orders = [order_of({"key": key}, one["answers"], size) for one in row["annotations"]]
        for out, held in enumerate(orders):
            rest: list[Order] = [*orders[:out], *orders[out + 1 :]]
            for (i, j), told in pairs_said(rest, size).items():
                said = held.said(i, j)
                if not said:
                    continue
                first, second, _ = told.posterior
                n_first, n_second, _ = told.said
                ours = first / (first + second)
                majority = (n_first + 0.5) / (n_first + n_second + 1.0)
                losses.append([-np.log(p if said < 0 else 1 - p) for p in (ours, majority)])
                hits.append((ours > 0.5) == (said < 0))
    return np.array(losses), np.array(hits)


@pytest.mark.parametrize(("key", "most"), [("overall_rank", 0.35), ("selection_rank", 0.36), ("correctness_rank", 0.48)])
def test_two_rankings_foretell_the_third_better_than_shares_do(reference_data, key, most):
    losses, hits = held_out(reference_data, key)
    ours, majority = losses.mean(axis=0)
    assert len(losses) == 540
    assert ours < majority and ours < most
    assert hits.mean() > 0.79

"""Graded votes for tests: the vector's, and worlds drawn from the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.labels.graded import GradedOptions
from pipelines.labels.graded_votes import GradedVotes

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "graded_votes.json").read_text())
EXACT = GradedOptions(
    fixed=True, half=12, spacing=1 / 3, tolerance=1e-10, rater_tolerance=1e-10, max_rounds=3000
)


def vector_votes() -> GradedVotes:
    rows = np.array([row for row in VECTOR["inputs"]["votes"] if row[2] is not None], dtype=np.int64)
    inputs = VECTOR["inputs"]
    return graded(rows, inputs["n_comparisons"], inputs["n_annotators"], inputs["steps"])


def graded(rows: np.ndarray, n_items: int, n_raters: int, n_steps: int) -> GradedVotes:
    return GradedVotes(*(column.copy() for column in rows.T), n_items, n_raters, (n_steps,))


class World(NamedTuple):
    votes: GradedVotes
    a: np.ndarray
    b: np.ndarray
    k: np.ndarray
    d: np.ndarray
    cuts: np.ndarray


def world(
    seed: int, *, raters: int = 60, each: int = 50, votes: int = 5, n_steps: int = 5, spammers: float = 0.15
) -> World:
    """`raters` with `each` votes, `votes` an item; shown order drawn, true parameters returned."""
    random = np.random.default_rng(seed)
    n_items = raters * each // votes
    a = np.abs(random.normal(1.8, 0.6, raters))
    a[random.random(raters) < spammers] = 0.0
    b, k = random.normal(0, 0.3, raters), random.normal(0, 0.35, raters)
    d = random.normal(size=n_items)
    item = np.repeat(np.arange(n_items), votes)
    rater = random.permutation(np.repeat(np.arange(raters), each))[: item.size]
    side = random.choice([-1, 1], item.size)
    half = (n_steps - 1) // 2
    free = np.array([0.8, 2.0, 3.0])[:half]
    cuts = np.concatenate([-free[::-1], [] if n_steps % 2 else [0.0], free])
    seen = a[rater] * d[item] + side * b[rater] + random.logistic(size=item.size)
    step = (seen[:, None] > np.exp(k[rater])[:, None] * cuts).sum(axis=1)
    return World(
        graded(np.stack([item, rater, step, side], axis=1), n_items, raters, n_steps), a, b, k, d, cuts
    )

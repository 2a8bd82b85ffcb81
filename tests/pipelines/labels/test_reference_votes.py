"""Real votes with gold: what the methods reach, and that the product chooses well by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.labels import BLIND, _ballot, argument_rows, ballots, judge_rows
from pipelines.labels.votefile.answers import GRADED, answer, kept, offered
from pipelines.labels.votefile.choosing import choose, held_out_rows
from pipelines.labels.votefile.measures import gold_measures

# Accuracy within a percent of crowd-kit 1.4.2 on the same votes, where it has the method.
PUBLISHED = {
    ("snow2008-temp", "majority"): 0.939,
    ("snow2008-temp", "dawid_skene"): 0.942,
    ("gal-binary-crowd", "majority"): 0.696,
    ("gal-binary-crowd", "dawid_skene"): 0.709,
    ("gal-binary-crowd", "mace"): 0.722,
}


@pytest.mark.slow
def test_accuracy_on_gold_is_that_of_others_implementations(reference_data: Path, tmp_path: Path) -> None:
    found = {}
    for name, ballot, gold in ballots(reference_data, tmp_path):
        for method in ("majority", "dawid_skene", "mace"):
            if (name, method) in PUBLISHED:
                found[name, method] = gold_measures(answer(ballot, method).scores, gold).accuracy
    assert found == pytest.approx(PUBLISHED, abs=0.01)


def losses(ballot, methods, split: int) -> dict[str, float]:
    out = held_out_rows(ballot, 1_000, split)
    rest = np.ones(ballot.votes.item.size, dtype=bool)
    rest[out] = False
    train, test = kept(ballot, rest), kept(ballot, out)
    graded = [pair for pair in methods if pair[0] == GRADED]
    chosen = choose(train, graded, seed=split, splits=1, progress=lambda step: None)
    pairs = [pair for pair in methods if pair[0] != GRADED] + [(chosen.method, chosen.variant)]
    return {
        method: float(-np.log(np.maximum(answer(train, method, variant).predict(test), 1e-12)).mean())
        for method, variant in pairs
    }


@pytest.mark.slow
def test_on_judges_the_graded_model_is_clearly_ahead(reference_data: Path, tmp_path: Path) -> None:
    ballot = _ballot(judge_rows(reference_data), tmp_path)
    methods = [pair for pair in offered(ballot) if pair[0] in (*BLIND, GRADED)]
    runs = [losses(ballot, methods, split) for split in range(4)]
    mean = {method: np.mean([run[method] for run in runs]) for method in runs[0]}
    assert mean[GRADED] < min(mean[method] for method in BLIND) - 0.04


@pytest.mark.slow
def test_on_arguments_the_plain_model_is_ahead_of_rivals_blind_to_recurrence(
    reference_data: Path, tmp_path: Path
) -> None:
    ballot = _ballot(argument_rows(reference_data), tmp_path)
    methods = [*((method, "") for method in BLIND), (GRADED, "plain")]
    run = losses(ballot, methods, 0)
    assert run[GRADED] < min(run[method] for method in BLIND) - 0.01

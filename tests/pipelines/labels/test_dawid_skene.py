"""Dawid-Skene against its vector, and what must hold for any votes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.labels import AGGREGATORS
from pipelines.labels.dawid_skene import NO_SHARED_ITEMS, ONE_RATER, dawid_skene
from pipelines.labels.errors import NoVotes, SmoothingNegative, VotesMalformed
from pipelines.labels.majority import majority
from pipelines.labels.votes import Votes

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "dawid_skene.json").read_text())
LABELS = VECTOR["inputs"]["labels"]


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def vector_votes() -> tuple[Votes, list[str], list[str]]:
    rows = VECTOR["inputs"]["votes"]
    items, raters = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    votes = Votes(
        np.array([items.index(row[0]) for row in rows]),
        np.array([raters.index(row[1]) for row in rows]),
        np.array([LABELS.index(row[2]) for row in rows]),
        len(items),
        len(raters),
        len(LABELS),
    )
    return votes, items, raters


def simulated(
    seed: int, *, accuracies: tuple[float, ...] = (0.95, 0.9, 0.85, 0.8, 0.6, 0.35)
) -> tuple[Votes, np.ndarray]:
    """300 items, five of the six raters on each."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, 300)
    rater = np.concatenate([random.permutation(6)[:5] for _ in range(300)])
    item = np.repeat(np.arange(300), 5)
    right = random.random(item.size) < np.array(accuracies)[rater]
    label = np.where(right, truth[item], (truth[item] + random.integers(1, 3, item.size)) % 3)
    return Votes(item, rater, label, 300, 6), truth


def test_the_vector_is_met_without_smoothing() -> None:
    votes, items, raters = vector_votes()
    found = dawid_skene(votes, diagonal=0, off_diagonal=0, tolerance=1e-13, max_iterations=5000)
    expected, tolerance = VECTOR["expected"], VECTOR["tolerance"]
    posterior = [[expected["posterior"][item][label] for label in LABELS] for item in items]
    confusion = [
        [
            [expected["confusion_true_row_observed_col"][rater][truth][vote] for vote in LABELS]
            for truth in LABELS
        ]
        for rater in raters
    ]
    np.testing.assert_allclose(found.posterior, posterior, atol=tolerance["posterior"])
    np.testing.assert_allclose(
        found.class_prior, [expected["class_prior"][label] for label in LABELS], atol=tolerance["class_prior"]
    )
    np.testing.assert_allclose(found.confusion, confusion, atol=tolerance["confusion"])
    assert found.log_likelihood[-1] == pytest.approx(
        expected["observed_log_likelihood"], abs=tolerance["observed_log_likelihood"]
    )
    truth = [LABELS.index(VECTOR["inputs"]["true_labels_for_reference"][item]) for item in items]
    assert (found.posterior.argmax(axis=1) == truth).mean() == pytest.approx(expected["accuracy_vs_truth"])


def test_majority_gives_the_vectors_sets_not_the_first_label() -> None:
    votes, items, _ = vector_votes()
    sets = majority(votes).top_labels
    found = {item: [LABELS[k] for k in np.flatnonzero(sets[row])] for row, item in enumerate(items)}
    assert found == VECTOR["expected"]["majority_sets"]


@pytest.mark.parametrize("one_coin", [False, True])
@pytest.mark.parametrize("smoothing", [(0.0, 0.0), (3.0, 1.0)])
def test_the_objective_never_falls(one_coin: bool, smoothing: tuple[float, float]) -> None:
    votes, _ = simulated(3)
    found = dawid_skene(votes, one_coin=one_coin, diagonal=smoothing[0], off_diagonal=smoothing[1])
    assert (np.diff(found.objective) > -1e-6).all()
    assert found.converged


def test_it_beats_majority_and_recovers_confusion() -> None:
    gains = []
    for seed in range(10):
        votes, truth = simulated(seed)
        found = dawid_skene(votes)
        gains.append(
            (found.posterior.argmax(1) == truth).mean()
            - (majority(votes).posterior.argmax(1) == truth).mean()
        )
        counts = np.zeros((6, 3, 3))
        np.add.at(counts, (votes.rater, truth[votes.item], votes.label), 1)
        assert found.confusion is not None
        assert np.abs(found.confusion - counts / counts.sum(2, keepdims=True)).max() < 0.2
    assert np.mean(gains) > 0.02


@pytest.mark.parametrize("one_coin", [False, True])
def test_the_worst_rater_has_the_lowest_accuracy_and_an_interval_around_it(one_coin: bool) -> None:
    found = dawid_skene(simulated(0)[0], one_coin=one_coin)
    assert found.rater_accuracy.argmin() == 5
    assert (found.rater_interval[:, 0] < found.rater_accuracy).all()
    assert (found.rater_accuracy < found.rater_interval[:, 1]).all()


def test_renaming_raters_and_labels_renames_the_answer_and_nothing_else() -> None:
    votes, _ = simulated(1)
    plain = dawid_skene(votes)
    labels, raters = np.array([2, 0, 1]), np.array([5, 3, 1, 0, 2, 4])
    renamed = dawid_skene(Votes(votes.item, raters[votes.rater], labels[votes.label], 300, 6))
    np.testing.assert_allclose(renamed.posterior[:, labels], plain.posterior, atol=1e-9)
    np.testing.assert_allclose(renamed.rater_accuracy[raters], plain.rater_accuracy, atol=1e-9)


def test_the_order_of_votes_does_not_matter() -> None:
    votes, _ = simulated(2)
    order = np.random.default_rng(0).permutation(votes.item.size)
    mixed = dawid_skene(Votes(votes.item[order], votes.rater[order], votes.label[order], 300, 6))
    np.testing.assert_allclose(mixed.posterior, dawid_skene(votes).posterior, atol=1e-9)


def test_one_rater_falls_back_to_majority_and_says_so() -> None:
    found = dawid_skene(Votes(ints(0, 1, 2), ints(1, 1, 1), ints(0, 1, 1), 3, 2))
    assert (found.method, found.fallback_reason) == ("majority", ONE_RATER)
    np.testing.assert_allclose(found.posterior[0], [0.6, 0.2, 0.2])
    assert np.isnan(found.rater_accuracy[0])


def test_raters_without_a_common_item_fall_back_and_say_so() -> None:
    found = dawid_skene(Votes(ints(0, 0, 1), ints(0, 0, 1), ints(0, 1, 1), 2, 2))
    assert (found.method, found.fallback_reason) == ("majority", NO_SHARED_ITEMS)


def test_an_item_without_votes_gets_the_class_prior_and_moves_nothing() -> None:
    votes, _ = simulated(4)
    more = dawid_skene(Votes(votes.item, votes.rater, votes.label, 301, 7))
    np.testing.assert_allclose(more.posterior[:300], dawid_skene(votes).posterior, atol=1e-6)
    np.testing.assert_allclose(more.posterior[300], more.class_prior, atol=1e-2)


def test_unanimous_votes_give_certain_labels() -> None:
    item, rater = np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20)
    found = dawid_skene(Votes(item, rater, item % 2, 20, 3))
    assert (found.posterior.argmax(1) == np.arange(20) % 2).all()
    assert np.isfinite(found.posterior).all()


def test_faulty_votes_are_refused_by_name() -> None:
    with pytest.raises(NoVotes):
        Votes(ints(), ints(), ints(), 1, 1)
    with pytest.raises(VotesMalformed, match="label must lie in 0..2"):
        Votes(ints(0), ints(0), ints(3), 1, 1)
    with pytest.raises(VotesMalformed, match="int64"):
        Votes(np.array([0.0]), ints(0), ints(0), 1, 1)  # type: ignore[arg-type]
    with pytest.raises(SmoothingNegative):
        dawid_skene(simulated(0)[0], diagonal=-1)


def test_majority_without_smoothing_is_the_share_and_with_it_never_certain() -> None:
    votes = Votes(ints(0, 0, 0), ints(0, 1, 2), ints(0, 0, 0), 2, 3)
    assert majority(votes, smoothing=0).posterior[0].tolist() == [1.0, 0.0, 0.0]
    assert majority(votes).posterior[0, 0] == pytest.approx(3.5 / 4.5)
    assert majority(votes).posterior[1].tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("key", sorted(AGGREGATORS))
def test_every_registered_aggregator_keeps_the_contract(key: str) -> None:
    votes, truth = simulated(5)
    found = AGGREGATORS[key].load()(votes)
    assert found.method == key == AGGREGATORS[key].key
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1.0)
    assert (found.posterior.argmax(1) == truth).mean() > 0.85
    assert found.rater_interval.shape == (6, 2) and found.entropy.shape == (300,)

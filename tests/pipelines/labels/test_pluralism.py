"""Cycles, minimax winners, groups and ideal points: vectors, and worlds with planted groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from pipelines.labels.errors import NoVotes, VotesMalformed
from pipelines.labels.groups import group_count, group_fit, group_gaps
from pipelines.labels.ideal_points import ideal_points, new_mixture
from pipelines.labels.intransitivity import expected_cyclic_share, hodge_rank, minimax_winner, triads

VECTORS = Path(__file__).parents[2] / "vectors"
WINNER, CYCLES = (
    json.loads((VECTORS / f"{name}.json").read_text()) for name in ("minimax_winner", "intransitivity")
)


def wins(name: str) -> np.ndarray:
    return np.array(CYCLES["inputs"][name]["wins"], dtype=float)


@pytest.mark.parametrize("number", range(4))
def test_the_minimax_winner_is_the_vectors(number: int) -> None:
    table, wanted = (
        np.array(WINNER["inputs"]["cases"][number]["P"], float),
        WINNER["expected"]["cases"][number],
    )
    found = minimax_winner(table)
    assert found.p == pytest.approx(wanted["p"], abs=WINNER["tolerance"]["p"])
    assert found.worst_case == pytest.approx(wanted["worst_case"], abs=WINNER["tolerance"]["worst_case"])
    assert found.copeland.tolist() == wanted["copeland"]
    assert found.borda == pytest.approx(wanted["borda"])
    assert found.unique


def test_of_many_winners_the_most_even_one_is_taken_and_said() -> None:
    found = minimax_winner(np.full((4, 4), 0.5))
    assert found.p == pytest.approx(np.full(4, 0.25), abs=1e-6)
    assert not found.unique
    with pytest.raises(VotesMalformed):
        minimax_winner(np.array([[0.5, 0.7], [0.7, 0.5]]))


def test_triads_and_hodge_are_the_vectors() -> None:
    wanted, found = CYCLES["expected"]["complete"], triads(wins("complete"))
    assert (found.observed, found.cyclic, found.share) == (
        wanted["triads"],
        wanted["cyclic"],
        wanted["share"],
    )
    assert found.cycles.tolist() == wanted["cycles_in_beat_order"]
    assert found.zeta == pytest.approx(wanted["kendall_zeta"])
    assert (found.violations, found.paths) == (
        wanted["strong_transitivity_violations"],
        wanted["strong_transitivity_checked"],
    )
    for name in ("complete", "uneven"):
        potential, rest = hodge_rank(wins(name), pseudo=CYCLES["inputs"]["log_odds_pseudocount"])
        assert potential == pytest.approx(
            CYCLES["expected"][name]["hodge_potential"], abs=CYCLES["tolerance"]
        )
        assert rest == pytest.approx(CYCLES["expected"][name]["cyclic_energy_share"], abs=CYCLES["tolerance"])


def test_missing_and_tied_pairs_decide_nothing() -> None:
    found, wanted = triads(wins("partial")), CYCLES["expected"]["partial"]
    assert (found.observed, found.cyclic, found.tied) == (
        wanted["triads_fully_observed"],
        wanted["cyclic"],
        wanted["undecided_because_of_tie"],
    )
    assert found.share is None
    assert found.zeta is None


def test_few_votes_make_circles_by_chance() -> None:
    random = np.random.default_rng(0)
    upper = np.triu(random.integers(0, 2, (9, 9)), 1).astype(float)
    table = upper + np.triu(1 - upper, 1).T
    share, p = expected_cyclic_share(table, seed=1, draws=50)
    assert share > 0.05
    assert p > 0.02
    cycle = np.array([[0, 40, 0], [0, 0, 40], [40, 0, 0]], dtype=float)
    assert expected_cyclic_share(cycle, seed=1, draws=50)[1] < 0.6
    with pytest.raises(NoVotes):
        expected_cyclic_share(np.array([[0, 1.0], [0, 0]]), seed=0)


def planted(seed: int, careless: int = 0):
    random = np.random.default_rng(seed)
    truth = np.repeat([0, 1], 20)
    weight = np.array([[2.0, -1.0, 0.5], [-2.0, 1.0, -0.5]])
    rater = np.repeat(np.arange(40), 30)
    x = random.normal(size=(rater.size, 3))
    first = random.random(rater.size) < expit((x * weight[truth[rater]]).sum(axis=1))
    guess = rater < careless
    first = np.where(guess, random.random(rater.size) < 0.5, first)
    return np.where(first[:, None], x, -x), rater, truth, weight


def test_two_planted_groups_are_found_and_one_reward_is_not_enough() -> None:
    x, rater, truth, weight = planted(0)
    found = group_fit(x, rater, 2, seed=0)
    same = (found.group == truth).mean()
    assert max(same, 1 - same) > 0.95
    assert found.shown.all()
    assert found.share == pytest.approx([0.5, 0.5], abs=0.06)
    order = [0, 1] if same > 0.5 else [1, 0]
    for ours, theirs in zip(found.weight[order], weight, strict=True):
        assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.9
    one = group_fit(x, rater, 1, seed=0)
    assert ((x @ one.weight[0]) > 0).mean() < 0.6
    assert found.min_reward(x[:5]) == pytest.approx(found.rewards(x[:5]).min(axis=1))


def test_the_careless_are_unreliable_members_and_no_group() -> None:
    x, rater, _, _ = planted(1, careless=4)
    found = group_fit(x, rater, 2, seed=0)
    assert found.reliability[:4].mean() < found.reliability[4:].mean() - 0.1


@pytest.mark.slow
def test_the_number_of_groups_is_chosen_by_held_out_people() -> None:
    x, rater, _, _ = planted(2)
    assert group_count(x, rater, 3, seed=0)[0] == 2
    random = np.random.default_rng(3)
    shared = np.where((random.random(rater.size) < expit(x @ [1.0, 1.0, 0.0]))[:, None], x, -x)
    assert group_count(shared, rater, 3, seed=0)[0] == 1


def test_one_vote_each_is_one_group() -> None:
    x, rater = np.ones((3, 2)), np.arange(3)
    assert group_count(x, rater, 3, seed=0)[0] == 1
    with pytest.raises(VotesMalformed):
        group_fit(x, rater, 2, seed=0)


def test_gaps_between_groups_are_corrected() -> None:
    item = np.repeat([0, 1], 40)
    group = np.tile(np.repeat([0, 1], 20), 2)
    said = np.concatenate([group[:40] == 0, np.tile([True, False], 20)])
    found = group_gaps(item, said, group, 0, 1)
    assert [gap.item for gap in found] == [0, 1]
    assert found[0].q_value < 1e-6
    assert (found[0].share_one, found[0].share_other) == (1.0, 0.0)
    assert found[1].q_value == pytest.approx(1.0)
    assert all(gap.q_value >= gap.p_value for gap in found)


def test_ideal_points_put_people_on_the_map() -> None:
    random = np.random.default_rng(4)
    corners = np.array([[1.5, 0.0], [-1.5, 0.0]])
    kind = np.repeat([0, 1], 15)
    rater = np.repeat(np.arange(30), 20)
    one, other = random.normal(size=(600, 2)), random.normal(size=(600, 2))
    ideal = corners[kind[rater]]
    gap = ((other - ideal) ** 2).sum(axis=1) - ((one - ideal) ** 2).sum(axis=1)
    first = (random.random(600) < expit(gap))[:, None]
    winner, loser = np.where(first, one, other), np.where(first, other, one)
    found = ideal_points(winner, loser, rater, prototypes=2, seed=0, restarts=2)
    people = found.people
    apart = np.linalg.norm(people[kind == 0].mean(axis=0) - people[kind == 1].mean(axis=0))
    within = np.mean([people[kind == k].std(axis=0).max() for k in (0, 1)])
    assert apart > 3 * within
    assert (found.gap(winner, loser, people[rater]) > 0).mean() > 0.75
    mine = new_mixture(found, winner[rater == 0], loser[rater == 0])
    assert mine.argmax() == found.mixture[0].argmax()
    with pytest.raises(VotesMalformed):
        new_mixture(found, winner[:3], loser[:3])

"""MACE and GLAD: what they recover, and what must hold for any votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipelines.labels.dawid_skene import NO_SHARED_ITEMS, ONE_RATER
from pipelines.labels.glad import glad, skill_precision
from pipelines.labels.mace import mace
from pipelines.labels.majority import majority
from pipelines.labels.online import posterior_given_skills, skills_moved
from pipelines.labels.votes import Votes


def votes_of(item, rater, label, n_labels: int = 3) -> Votes:
    columns = [np.asarray(column, dtype=np.int64) for column in (item, rater, label)]
    return Votes(*columns, int(columns[0].max()) + 1, int(columns[1].max()) + 1, n_labels)


def habits(seed: int, honest=(0.95, 0.8, 0.6, 0.1, 0.1), items: int = 300):
    """Raters copy the truth or say label 0."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, items)
    item, rater = (part.ravel() for part in np.indices((items, len(honest))))
    copies = random.random(item.size) < np.array(honest)[rater]
    return votes_of(item, rater, np.where(copies, truth[item], 0)), truth


def difficulties(seed: int, items: int = 400):
    random = np.random.default_rng(seed)
    truth, ease = random.integers(0, 2, items), np.exp(random.normal(0.5, 1.0, items))
    skill = np.array([3.0, 2.0, 1.5, 1.0, 0.5, -0.5])
    item, rater = (part.ravel() for part in np.indices((items, skill.size)))
    right = random.random(item.size) < expit(skill[rater] * ease[item])
    return votes_of(item, rater, np.where(right, truth[item], 1 - truth[item]), 2), truth, skill, ease


def test_mace_recovers_honesty_and_beats_majority() -> None:
    votes, truth = habits(0)
    found = mace(votes)
    assert found.rater_honesty == pytest.approx([0.95, 0.8, 0.6, 0.1, 0.1], abs=0.1)
    assert (found.posterior.argmax(1) == truth).mean() > (
        majority(votes).posterior.argmax(1) == truth
    ).mean() + 0.02
    assert found.confusion is not None
    assert found.confusion.sum(axis=2) == pytest.approx(np.ones((5, 3)))
    assert found.confusion[4, 2, 0] > 0.8


def test_glad_orders_raters_and_items() -> None:
    votes, truth, skill, ease = difficulties(1)
    found = glad(votes)
    assert found.rater_skill is not None and found.item_ease is not None
    assert np.corrcoef(found.rater_skill, skill)[0, 1] > 0.9
    assert np.corrcoef(np.log(found.item_ease), np.log(ease))[0, 1] > 0.2
    assert (found.posterior.argmax(1) == truth).mean() >= (
        majority(votes).posterior.argmax(1) == truth
    ).mean()
    assert (np.diff(found.objective) > -1e-9 * abs(found.objective[-1])).all()


@pytest.mark.parametrize("method", [mace, glad])
def test_chances_of_further_votes_sum_to_one(method) -> None:
    votes, _ = habits(2, items=60)
    chances = method(votes).vote_probabilities(votes.item, votes.rater)
    assert chances.sum(axis=1) == pytest.approx(np.ones(votes.item.size))
    assert (chances >= 0).all()


@pytest.mark.parametrize("method", [mace, glad])
def test_raters_who_cannot_be_told_give_majoritys_answer(method) -> None:
    assert method(votes_of([0, 1], [0, 0], [0, 1])).fallback_reason == ONE_RATER
    apart = method(votes_of([0, 1], [0, 1], [0, 1]))
    assert (apart.fallback_reason, apart.method) == (NO_SHARED_ITEMS, "majority")


@pytest.mark.parametrize("method", [mace, glad])
def test_everybody_agreeing_is_finite(method) -> None:
    item, rater = (part.ravel() for part in np.indices((20, 3)))
    found = method(votes_of(item, rater, item % 3))
    assert np.isfinite(found.posterior).all()
    assert (found.posterior.argmax(1) == np.arange(20) % 3).all()


@pytest.mark.parametrize(("method", "told"), [(glad, "rater_skill"), (mace, "rater_honesty")])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_and_names_change_nothing(method, told: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    votes, _ = habits(seed % 5, items=40)
    order, names = random.permutation(votes.item.size), random.permutation(votes.n_raters)
    other = Votes(
        votes.item[order],
        names[votes.rater[order]].astype(np.int64),
        votes.label[order],
        votes.n_items,
        votes.n_raters,
    )
    one, two = method(votes), method(other)
    assert two.posterior == pytest.approx(one.posterior, abs=1e-9)
    assert getattr(two, told)[names] == pytest.approx(getattr(one, told), abs=1e-9)


def test_an_item_told_anew_by_fixed_skills_is_as_glad_left_it_and_a_wrong_vote_costs_skill() -> None:
    random = np.random.default_rng(0)
    skill, ease, truth = random.normal(1.2, 0.7, 30), np.exp(random.normal(0.5, 0.7, 300)), random.integers(0, 2, 300)
    item = np.repeat(np.arange(300), 5)
    rater = np.concatenate([random.choice(30, 5, replace=False) for _ in range(300)])
    is_right = random.random(item.size) < 1 / (1 + np.exp(-skill[rater] * ease[item]))
    label = np.where(random.random(item.size) < 0.05, 2, np.where(is_right, truth[item], 1 - truth[item]))
    votes = Votes(item, rater, label, 300, 30, 3)
    found = glad(votes)
    assert found.rater_skill is not None and found.item_ease is not None and found.wrong_shares is not None
    again, told = posterior_given_skills(votes, found.class_prior, found.rater_skill, found.wrong_shares)
    assert np.abs(again - found.posterior).max() < 5e-3
    assert np.abs(np.log(told) - np.log(found.item_ease)).max() < 0.05
    precision = skill_precision(votes, found.rater_skill, found.item_ease)
    believed = again[votes.item, votes.label]
    for vote, falls in ((int(believed.argmin()), True), (int(believed.argmax()), False)):
        new = np.arange(votes.item.size) == vote
        moved, sure = skills_moved(votes, again, told, found.rater_skill, precision, found.wrong_shares, new)
        who = votes.rater[vote]
        assert (moved[who] < found.rater_skill[who]) == falls and sure[who] > precision[who]
        others = np.arange(30) != who
        assert (moved == found.rater_skill)[others].all() and (sure == precision)[others].all()

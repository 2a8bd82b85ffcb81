"""Between two refits a vote moves its comparison and whoever gave it, once."""

from __future__ import annotations

import numpy as np
import pytest

from annotation.outbox import outbox_add
from pipelines.models import AggregationRun, Job, RaterEstimate, RaterStep
from pipelines.services.aggregation import aggregate_full, preference_refresh
from tests import cast
from tests.pipelines.scene import annotate, rater, withdraw
from tests.pipelines.services.test_aggregation import current

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene():
    """24 comparisons: three people agree on the first 20, two of them on the rest."""
    project = cast.project()
    pairs = [cast.comparison(project, f"Question {n}?", f"yes {n}", f"no {n}", wanted=None) for n in range(24)]
    people = [rater(project, name) for name in ("ben", "eve", "dan")]
    for n, pair in enumerate(pairs):
        for person in people if n < 20 else people[:2]:
            annotate(pair, person, "second" if n % 2 else "first", 2 if n % 2 else -2)
    return project, pairs, people


def against(pair, person, n: int):
    """A vote against everybody else's."""
    return annotate(pair, person, "first" if n % 2 else "second", -2 if n % 2 else 2)


@pytest.mark.parametrize(("method", "key"), [("graded", "theta"), ("dawid_skene", "confusion"), ("glad", "skill")])
def test_who_votes_against_the_others_is_believed_less_at_once(scene, method, key):
    project, pairs, (_, _, dan) = scene
    run = aggregate_full(project=project, method=method)
    before = RaterEstimate.objects.get(run=run, rater=dan).details
    votes = [against(pairs[n], dan, n) for n in (20, 21, 22)]
    preference_refresh(project_id=project.pk)
    step = RaterStep.objects.get(run=run)
    assert (step.rater, step.annotations) == (dan, [vote.pk for vote in votes])
    was, now = (np.array(details[key]) for details in (before, step.state))
    # Of theta the discrimination; of a confusion the sides that were voted for.
    part = {"graded": lambda theta: theta[:1], "dawid_skene": lambda rows: np.diag(rows)[:2], "glad": lambda skill: skill}
    assert (part[method](now) < part[method](was)).all()
    assert RaterEstimate.objects.get(run=run, rater=dan).details == before
    assert current(pairs[20]).outcome == "first" and current(pairs[20]).votes == 3


@pytest.mark.parametrize("method", ["graded", "dawid_skene", "glad"])
def test_what_was_learnt_counts_in_the_next_comparison(scene, method):
    project, pairs, (_, _, dan) = scene
    aggregate_full(project=project, method=method)
    fresh = cast.comparison(project, "One more?", "this", "that", wanted=None)
    annotate(fresh, dan, "first", -2)
    preference_refresh(project_id=project.pk)
    trusted = current(fresh).soft_label
    for n in (20, 21, 22, 23):
        against(pairs[n], dan, n)
    preference_refresh(project_id=project.pk)
    again = annotate(fresh, rater(project, "nobody", "source"), "cannot_judge")
    assert again and preference_refresh(project_id=project.pk) == 1
    assert 0.5 < current(fresh).soft_label < trusted - 0.01


def test_after_glad_a_vote_moves_a_label_from_where_the_refit_left_it(scene):
    project, pairs, (_, _, dan) = scene
    aggregate_full(project=project, method="glad")
    preference_refresh(project_id=project.pk)
    before = current(pairs[3])
    # A repeat is no second vote: the comparison is told anew from the same ones.
    annotate(pairs[3], dan, "second", 2)
    assert preference_refresh(project_id=project.pk) == 1
    after = current(pairs[3])
    assert (after.method, after.votes) == ("glad", 3)
    for name in ("p_first", "p_second", "p_tie", "flip_probability"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=5e-3), name


@pytest.mark.parametrize("method", ["majority", "dawid_skene", "glad", "graded"])
def test_a_refit_of_an_earlier_version_is_followed_by_a_new_one(scene, method):
    project, pairs, (_, _, dan) = scene
    run = aggregate_full(project=project, method=method)
    run.method_version, run.params["wrong_shares"] = "0", None
    run.save()
    run.rater_estimates.update(details={})
    against(pairs[20], dan, 20)
    preference_refresh(project_id=project.pk)
    assert Job.objects.filter(project=project, kind="aggregate", state="running").exists()


def test_majority_counts_a_vote_for_its_comparison_and_for_its_rater(scene):
    project, pairs, (ben, _, dan) = scene
    run = aggregate_full(project=project, method="majority")
    against(pairs[20], dan, 20)
    preference_refresh(project_id=project.pk)
    before, step = RaterEstimate.objects.get(run=run, rater=dan), RaterStep.objects.get(run=run)
    assert (step.rater, step.state["votes"]) == (dan, before.votes + 1)
    # Two to one against it: 1.5 of 4.5 smoothed votes say so.
    assert step.state["right"] == pytest.approx(before.votes * before.reliability + 1.5 / 4.5)
    against(pairs[21], dan, 21)
    preference_refresh(project_id=project.pk)
    assert RaterStep.objects.get(run=run).state["votes"] == before.votes + 2


@pytest.mark.parametrize(("votes", "is_due"), [(1_000, True), (1_001, False)])
def test_a_refit_is_due_when_votes_grew_by_five_percent(scene, votes, is_due):
    project, pairs, _ = scene
    run = aggregate_full(project=project, method="majority")
    preference_refresh(project_id=project.pk)
    run.params["annotations"] = votes
    run.save()
    for n in range(50):
        annotate(pairs[n % 24], rater(project, f"new {n // 24}"), "first", -1)
    preference_refresh(project_id=project.pk)
    assert Job.objects.filter(project=project, kind="aggregate").exists() == is_due


@pytest.mark.parametrize("method", ["graded", "dawid_skene", "glad"])
def test_an_event_that_comes_again_teaches_nothing_more(scene, method):
    project, pairs, (_, _, dan) = scene
    run = aggregate_full(project=project, method=method)
    vote = against(pairs[20], dan, 20)
    preference_refresh(project_id=project.pk)
    once = RaterStep.objects.get(run=run).state
    outbox_add(project_id=project.pk, kind="annotation.submitted", subject_id=vote.pk)
    preference_refresh(project_id=project.pk)
    assert RaterStep.objects.get(run=run).state == once


def test_a_withdrawn_vote_leaves_its_comparison_and_its_rater_waits_for_the_refit(scene):
    project, pairs, (_, _, dan) = scene
    run = aggregate_full(project=project, method="graded")
    preference_refresh(project_id=project.pk)
    before = current(pairs[20]).soft_label
    vote = against(pairs[20], dan, 20)
    preference_refresh(project_id=project.pk)
    assert current(pairs[20]).soft_label < before
    withdraw(vote)
    preference_refresh(project_id=project.pk)
    assert current(pairs[20]).soft_label == pytest.approx(before, abs=2e-4)
    assert RaterStep.objects.filter(run=run).count() == 1


def test_somebody_new_is_known_from_the_first_vote(scene):
    project, pairs, _ = scene
    run = aggregate_full(project=project, method="dawid_skene")
    new = rater(project, "new")
    against(pairs[20], new, 20)
    preference_refresh(project_id=project.pk)
    state = np.array(RaterStep.objects.get(run=run, rater=new).state["confusion"])
    assert state[0, 1] > 1 / 5 and state.sum(axis=1) == pytest.approx(np.ones(3))


def test_a_refit_begins_anew(scene):
    project, pairs, (_, _, dan) = scene
    aggregate_full(project=project, method="graded")
    against(pairs[20], dan, 20)
    preference_refresh(project_id=project.pk)
    run = aggregate_full(project=project, method="graded")
    assert AggregationRun.objects.filter(project=project).count() == 2
    assert not RaterStep.objects.filter(run=run).exists()

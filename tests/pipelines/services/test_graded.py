"""The graded model on a project's votes: strengths, sides, a variant that held-out votes chose, steps between refits."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from annotation.models import Annotation
from annotation.outbox import outbox_add
from pipelines.models import AggregationRun, Job, Preference, PreferenceRevision, RaterEstimate
from pipelines.services.aggregation import aggregate_full, preference_refresh
from tests import cast
from tests.pipelines.scene import annotate, rater

pytestmark = pytest.mark.django_db


def current(comparison) -> PreferenceRevision:
    return Preference.objects.select_related("current").get(comparison=comparison).current


@pytest.fixture
def scene():
    """40 comparisons; three steady people, one who presses at random, and one who mostly takes A."""
    project, draw = cast.project(), random.Random(5)
    pairs = [cast.comparison(project, f"Question {n}?", f"yes {n}", f"no {n}", wanted=None) for n in range(40)]
    people = {name: rater(project, name) for name in ("ben", "eve", "dan", "random", "left")}
    for n, pair in enumerate(pairs):
        truth = 2.5 if n % 2 else -2.5
        for name, person in people.items():
            shown = [0, 1] if draw.random() < 0.5 else [1, 0]
            vote = round(max(-3, min(3, draw.gauss(truth, 1))))
            if name == "random":
                vote = draw.randint(-3, 3)
            if name == "left":
                vote = -2 if shown == [0, 1] else 2
            outcome = "tie" if vote == 0 else "first" if vote < 0 else "second"
            annotate(pair, person, outcome, vote)
            Annotation.objects.filter(comparison=pair, rater=person).update(shown_order=shown)
    return project, pairs, people


def test_strength_sides_and_spam_are_told(scene):
    project, pairs, people = scene
    run = aggregate_full(project=project, method="graded")
    odd, even = current(pairs[1]), current(pairs[0])
    assert (odd.outcome, even.outcome) == ("second", "first")
    assert odd.strength > 0.3 > -0.3 > even.strength
    assert 0 < odd.strength_se < 0.3 and odd.ambiguity > 0 and odd.ignorance >= 0
    assert odd.p_first + odd.p_second + odd.p_tie == pytest.approx(1)
    estimates = {e.rater_id: e for e in RaterEstimate.objects.filter(run=run)}
    steady, random_, left = (estimates[people[name].pk] for name in ("ben", "random", "left"))
    assert steady.reliability > 0.9 > random_.reliability
    assert steady.low < steady.reliability < steady.high
    assert left.details["side_low"] > 0 and steady.details["side_low"] < 0 < steady.details["side_high"]
    assert random_.details["spam_odds"] > 1 > steady.details["spam_odds"]


def test_the_variant_is_chosen_by_held_out_votes_and_kept_until_votes_double(scene):
    project, _, _ = scene
    first = aggregate_full(project=project, method="graded")
    assert {trial["variant"] for trial in first.metrics["choice"]["trials"]} >= {"plain", "contested"}
    trials = first.metrics["choice"]["trials"]
    losses = {t["variant"]: t["log_loss"] for t in trials if t["splits"] == max(t["splits"] for t in trials)}
    assert first.params["graded"]["variant"] == min(losses, key=losses.get)
    again = aggregate_full(project=project, method="graded")
    assert again.metrics["choice"]["trials"] == []
    assert again.params["graded"]["variant"] == first.params["graded"]["variant"]


def test_a_step_between_refits_says_what_the_refit_said_of_the_same_votes(scene):
    project, pairs, _ = scene
    aggregate_full(project=project, method="graded")
    preference_refresh(project_id=project.pk)
    before = current(pairs[3])
    Preference.objects.filter(comparison=pairs[3]).update(current=None)
    some = Annotation.objects.filter(comparison=pairs[3]).first()
    outbox_add(project_id=project.pk, kind="annotation.submitted", subject_id=some.pk)
    assert preference_refresh(project_id=project.pk) == 1
    after = current(pairs[3])
    for name in ("p_first", "p_tie", "soft_label", "flip_probability", "strength", "strength_se", "ambiguity"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=2e-4), name
    assert after.method == "graded"


def test_votes_on_a_new_scale_wait_for_the_refit_that_they_start(scene):
    project, pairs, people = scene
    aggregate_full(project=project, method="graded")
    stranger = rater(project, "new")
    annotate(pairs[0], stranger, "second", None)
    preference_refresh(project_id=project.pk)
    assert Job.objects.filter(project=project, kind="aggregate", state="running").exists()
    run = aggregate_full(project=project, method="graded")
    assert run.params["graded"]["scales"] == [3, 0]


def test_labels_are_read_on_the_scale_of_people_however_many_choices_a_file_brought(scene):
    project, pairs, people = scene
    file = rater(project, "file", "source")
    for n in range(220):
        pair = cast.comparison(project, f"Imported {n}?", f"one {n}", f"two {n}", wanted=None)
        annotate(pair, file, ("first", "second")[n % 2], None)
    Annotation.objects.filter(comparison=pairs[0]).delete()
    for name in ("ben", "eve", "dan"):
        annotate(pairs[0], people[name], "tie", 0)
    run = aggregate_full(project=project, method="graded")
    assert run.params["graded"]["scales"] == [3, 0]
    assert current(pairs[0]).outcome == "tie" and current(pairs[0]).p_tie > 0.5
    assert current(pairs[0]).strength == pytest.approx(0, abs=0.15) and current(pairs[1]).strength > 0.3


def test_completions_that_recur_are_told_apart_by_their_own_values():
    project = cast.project()
    words, people = [f"answer {n}" for n in range(7)], ["ben", "eve"]
    for (i, a), (j, b) in itertools.combinations(enumerate(words), 2):
        pair = cast.comparison(project, "Which?", a, b, wanted=None)
        positions = [place.completion.text.body for place in pair.places.order_by("position")]
        better = positions.index(a if i < j else b)
        for name in people:
            annotate(pair, rater(project, name), ("first", "second")[better], (-2, 2)[better])
    run = aggregate_full(project=project, method="graded")
    assert "completions" in {t["variant"] for t in run.metrics["choice"]["trials"]}


def test_renaming_nobody_and_adding_rows_in_another_order_changes_nothing(scene):
    project, pairs, _ = scene
    aggregate_full(project=project, method="graded")
    first = [current(pair).soft_label for pair in pairs]
    AggregationRun.objects.all().delete()
    aggregate_full(project=project, method="graded")
    assert np.allclose([current(pair).soft_label for pair in pairs], first, atol=1e-9)

"""The graded model on people's votes and judges' predictions at once."""

from __future__ import annotations

import random

import pytest

from annotation.models import Rater
from pipelines.models import AggregationRun, Prediction, PreferenceRevision, RaterEstimate
from pipelines.selectors.votes import JUDGE_SCALE, MODEL, judge_votes_of
from pipelines.services.aggregation import aggregate_full, preference_refresh
from pipelines.services.versions import version_freeze
from tests import cast
from tests.pipelines.scene import annotate, judge, predict, rater, withdraw
from tests.pipelines.services.test_aggregation import current

pytestmark = pytest.mark.django_db


def predict_both(pair, by: Rater, p_ab: float, p_ba: float) -> Prediction:
    """A prediction as the judges here store it; P(first better) in each order."""
    made = predict(pair, by, (p_ab + p_ba) / 2, "inconsistent" if (p_ab - 0.5) * (p_ba - 0.5) < 0 else None)
    Prediction.objects.filter(pk=made.pk).update(p_first_ab=p_ab, p_first_ba=p_ba)
    return made


@pytest.fixture
def scene():
    """60 comparisons: three people on the first 40, a good judge and one that takes what stands first on all."""
    project, draw = cast.project(), random.Random(8)
    pairs = [cast.comparison(project, f"Question {n}?", f"yes {n}", f"no {n}", wanted=None) for n in range(60)]
    people = [rater(project, name) for name in ("ben", "eve", "dan")]
    good, sided = judge(project, "good"), judge(project, "sided")
    for n, pair in enumerate(pairs):
        truth = 1 if n % 2 else -1
        for person in people if n < 40 else []:
            vote = truth * draw.choice((1, 2, 3)) * (1 if draw.random() < 0.85 else -1)
            annotate(pair, person, "first" if vote < 0 else "second", vote)
        right = draw.random() < 0.95
        predict_both(pair, good, *([0.1 if (truth > 0) == right else 0.9] * 2))
        predict_both(pair, sided, draw.uniform(0.6, 0.99), draw.uniform(0.01, 0.4))
    return project, pairs, people, good, sided


def test_judges_count_as_raters_of_their_own_kind_and_not_as_votes(scene):
    project, pairs, _, good, sided = scene
    run = aggregate_full(project=project, method="joint")
    assert run.params["graded"]["kinds"] == ["person", "model"]
    assert (run.counts["votes"], run.counts["predictions"]) == (120, 120)
    with_people, without = current(pairs[1]), current(pairs[51])
    assert (with_people.votes, with_people.predictions, with_people.origin) == (3, 2, "person")
    assert (without.votes, without.predictions, without.origin) == (0, 2, "model")
    assert (without.method, without.agreement) == ("joint", None)
    rows = [current(pair) for pair in pairs]
    assert sum((row.p_second > row.p_first) == bool(n % 2) for n, row in enumerate(rows)) >= 56
    estimates = {e.rater_id: e for e in RaterEstimate.objects.filter(run=run)}
    assert estimates[good.pk].reliability > 0.8 > estimates[sided.pk].reliability
    assert estimates[sided.pk].details["side_low"] > 0.1 > abs(estimates[good.pk].details["side_bias"])


def test_both_orders_of_a_judge_share_one_vote(scene):
    project, pairs, _, good, sided = scene
    table = judge_votes_of(project.pk, [pairs[0].pk])
    assert table.rater.tolist() == sorted([good.pk, good.pk, sided.pk, sided.pk])
    assert sorted(table.first_shown.tolist()) == [-1, -1, 1, 1] and set(table.kind.tolist()) == {MODEL}
    assert table.weight.tolist() == pytest.approx([0.5] * 4) and set(table.scale.tolist()) == {JUDGE_SCALE}


def test_judges_on_one_model_are_one_family(scene):
    project, pairs, _, good, sided = scene
    Rater.objects.filter(pk=sided.pk).update(model=good.model)
    assert judge_votes_of(project.pk, [pairs[0].pk]).weight.tolist() == pytest.approx([0.5 * 2**-0.5] * 4)


def test_an_inconsistent_prediction_says_nothing_of_its_comparison(scene):
    project, _, _, _, sided = scene
    lone = cast.comparison(project, "Once more?", "this", "that", wanted=None)
    predict_both(lone, sided, 0.9, 0.1)
    aggregate_full(project=project, method="joint")
    assert current(lone).p_first + current(lone).p_tie / 2 == pytest.approx(0.5, abs=0.08)


def test_imported_predictions_without_numbers_are_choices(scene):
    project, pairs, *_ = scene
    file = judge(project, "file")
    predict(pairs[3], file, None, "second")
    predict(pairs[4], file, None, "inconsistent")
    table = judge_votes_of(project.pk, [pairs[3].pk, pairs[4].pk])
    mine = table.kept(table.rater == file.pk)
    assert mine.comparison.tolist() == [pairs[3].pk]
    assert (mine.label.tolist(), mine.scale.tolist(), mine.first_shown.tolist()) == ([1], [0], [0])


def test_a_step_between_refits_says_what_the_refit_said_of_the_same_answers(scene):
    project, pairs, people, *_ = scene
    run = aggregate_full(project=project, method="joint")
    before = current(pairs[7])
    annotate(pairs[7], people[0], "second", 3)  # a repeat, which is no second vote
    preference_refresh(project_id=project.pk)
    after = current(pairs[7])
    assert after.p_first == pytest.approx(before.p_first, abs=1e-5)
    assert (after.votes, after.predictions, after.method, after.run) == (3, 2, "joint", run)


def test_without_people_left_a_comparison_still_has_what_judges_say(scene):
    project, pairs, *_ = scene
    aggregate_full(project=project, method="joint")
    for vote in list(pairs[9].annotations.filter(state="current")):
        withdraw(vote)
    preference_refresh(project_id=project.pk)
    assert (current(pairs[9]).votes, current(pairs[9]).predictions, current(pairs[9]).origin) == (0, 2, "model")


def test_a_new_kind_of_rater_waits_for_a_refit(scene):
    project, pairs, *_ = scene
    aggregate_full(project=project, method="joint")
    before = current(pairs[5]).pk
    annotate(pairs[5], rater(project, "file", "source"), "first")
    preference_refresh(project_id=project.pk)
    assert current(pairs[5]).pk == before


def test_judges_alone_can_be_asked():
    project = cast.project()
    pairs = [cast.comparison(project, f"Question {n}?", f"yes {n}", f"no {n}") for n in range(12)]
    for n, pair in enumerate(pairs):
        for name in ("one", "two", "three"):
            predict_both(pair, judge(project, name), *([0.2 if n % 2 else 0.8] * 2))
    run = aggregate_full(project=project, method="joint")
    rows = [current(pair) for pair in pairs]
    assert [row.outcome for row in rows] == ["second" if n % 2 else "first" for n in range(12)]
    assert {(row.votes, row.predictions, row.strength) for row in rows} == {(0, 3, None)}
    assert run.metrics["agreement"]["alpha"] is None


@pytest.mark.django_db(transaction=True)
def test_filters_on_votes_count_no_judges_and_the_manifest_names_the_method(scene):
    project, *_ = scene
    aggregate_full(project=project, method="joint")
    version = version_freeze(project=project, name="three", filters=["votes >= 1"])
    assert version.rows_out == 40 - PreferenceRevision.objects.filter(
        preference__current__outcome="tie", votes__gt=0, pk__in=project.preferences.values("current")
    ).count()
    assert version.manifest["recipe"]["labels"] == {"method": "joint", "version": "1"}
    assert version.run == AggregationRun.objects.get(project=project)

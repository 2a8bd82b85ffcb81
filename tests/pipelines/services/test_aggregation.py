"""Preferences follow the votes, else the judge; a refit and the online steps agree on what changed."""

from __future__ import annotations

import pytest

from annotation.models import Annotation
from pipelines import queue
from pipelines.errors import InputRefused, NothingToDo
from pipelines.models import Calibration, Prediction, Preference, PreferenceRevision, RaterEstimate
from pipelines.services.aggregation import (
    aggregate_current,
    aggregate_full,
    aggregate_start,
    preference_refresh,
)
from tests import cast
from tests.pipelines.scene import annotate, judge, predict, rater, withdraw
from workers.loop import drain

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return cast.project()


def current(comparison) -> PreferenceRevision:
    return Preference.objects.select_related("current").get(comparison=comparison).current


def places(comparison) -> list[int]:
    return [place.completion_id for place in comparison.places.order_by("position")]


def test_votes_make_a_preference(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    for name in ("ben", "eve", "dan"):
        annotate(pair, rater(project, name), "second", 3)
    run = aggregate_full(project=project, method="majority")
    row = current(pair)
    first, second = places(pair)
    assert (row.outcome, row.chosen_id, row.rejected_id, row.origin) == ("second", second, first, "person")
    assert row.p_second == pytest.approx(3.5 / 4.5) and row.flip_probability == pytest.approx(0.5 / 4)
    assert (row.strength, row.agreement, row.votes, row.run) == (1.0, 1.0, 3, run)
    assert row.soft_label == pytest.approx(row.p_first + row.p_tie / 2)


def test_ties_have_neither_chosen_nor_rejected(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    annotate(pair, rater(project, "ben"), "both_bad")
    aggregate_full(project=project, method="majority")
    assert (current(pair).outcome, current(pair).chosen, current(pair).flip_probability) == (
        "tie",
        None,
        None,
    )


def test_what_cannot_be_judged_or_was_not_counted_is_no_vote(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    annotate(pair, rater(project, "ben"), "cannot_judge")
    surplus = annotate(pair, rater(project, "eve"), "first", -1)
    Annotation.objects.filter(pk=surplus.pk).update(state="surplus")
    with pytest.raises(NothingToDo):
        aggregate_full(project=project)


def test_a_repeat_of_one_rater_is_no_second_vote(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    source = rater(project, "file", "source")
    for outcome in ("first", "second", "second"):
        annotate(pair, source, outcome)
    aggregate_full(project=project, method="majority")
    assert (current(pair).outcome, current(pair).votes, current(pair).origin) == ("first", 1, "source")


def test_identical_texts_never_become_a_preference(project):
    same = cast.comparison(project, "Why?", "Because.")
    other = cast.comparison(project, "How?", "So.", "Thus.")
    annotate(same, rater(project, "ben"), "first")
    annotate(other, rater(project, "ben"), "first")
    aggregate_full(project=project)
    assert not Preference.objects.filter(comparison=same).exists()


def test_votes_decide_and_the_judge_fills_the_rest(project):
    voted, judged, nobody = cast.comparisons(project, 3)
    annotate(voted, rater(project, "ben"), "second", 1)
    machine = judge(project)
    predict(voted, machine, 0.99)
    predict(judged, machine, 0.9)
    run = aggregate_full(project=project)
    assert (current(voted).outcome, current(voted).origin) == ("second", "person")
    row = current(judged)
    assert (row.outcome, row.origin, row.method, row.votes) == ("first", "model", "judge_uncalibrated", 0)
    assert row.confidence == pytest.approx(0.9) and row.flip_probability == pytest.approx(0.1)
    assert row.agreement is None and row.strength is None
    assert not Preference.objects.filter(comparison=nobody).exists()
    assert run.counts["from_person"] == run.counts["from_model"] == 1


def test_a_calibration_moves_the_judges_confidence_and_keeps_its_side(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    machine = judge(project)
    predict(pair, machine, 0.9)
    Calibration.objects.create(
        project=project,
        rater=machine,
        method="t",
        method_version="1",
        params={"slope": 0.5},
        pairs=9,
        metrics={},
    )
    aggregate_full(project=project)
    assert current(pair).confidence == pytest.approx(0.75)


def test_a_judges_tie_is_no_directed_preference_and_leaves_the_direction_its_odds(project):
    """Stored P(first better) holds half of the tie: 0.6 with a tie of 0.7 says 'first' with 0.25 to 0.05."""
    tied, sided = cast.comparisons(project, 2)
    for pair, p_first, p_tie, outcome in ((tied, 0.6, 0.7, "tie"), (sided, 0.7, 0.2, "first")):
        made = predict(pair, judge(project), p_first, outcome)
        Prediction.objects.filter(pk=made.pk).update(p_tie=p_tie)
    aggregate_full(project=project)
    assert (current(tied).outcome, current(tied).p_tie) == ("tie", pytest.approx(0.7))
    assert current(sided).outcome == "first"
    assert current(sided).flip_probability == pytest.approx(0.25)


def test_the_newest_prediction_counts_and_inconsistent_is_no_tie(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    machine = judge(project)
    predict(pair, machine, 0.1)
    predict(pair, machine, 0.6, outcome="inconsistent")
    aggregate_full(project=project)
    assert (current(pair).outcome, current(pair).p_first) == ("first", pytest.approx(0.6))


def test_the_spammer_has_the_lowest_reliability(project):
    raters = [rater(project, name) for name in ("ben", "eve", "dan", "spam")]
    for n, pair in enumerate(cast.comparisons(project, 30)):
        truth = "first" if n % 3 else "second"
        for who in raters[:3]:
            annotate(pair, who, truth, shown=[0, 1] if n % 2 else [1, 0])
        annotate(pair, raters[3], "first" if n % 2 else "second", shown=[0, 1] if n % 2 else [1, 0])
    run = aggregate_full(project=project, method="dawid_skene")
    estimates = {row.rater.name: row for row in RaterEstimate.objects.filter(run=run).select_related("rater")}
    assert min(estimates, key=lambda name: estimates[name].reliability) == "spam"
    assert estimates["spam"].details["share_for_a"] == 1.0
    assert estimates["ben"].low <= estimates["ben"].reliability <= estimates["ben"].high
    assert run.metrics["agreement"]["alpha"] is not None


def test_only_what_changed_gets_a_new_revision(project):
    pairs = cast.comparisons(project, 4)
    for pair in pairs:
        annotate(pair, rater(project, "ben"), "first", -2)
    aggregate_full(project=project, method="majority")
    annotate(pairs[0], rater(project, "eve"), "second", 1)
    run = aggregate_full(project=project, method="majority")
    assert run.counts["changed"] == 1
    assert PreferenceRevision.objects.count() == 5 and current(pairs[0]).run == run


def test_a_preference_without_votes_left_loses_its_revision(project):
    pairs = cast.comparisons(project, 2)
    vote = annotate(pairs[0], rater(project, "ben"), "first")
    annotate(pairs[1], rater(project, "ben"), "first")
    aggregate_full(project=project)
    withdraw(vote)
    aggregate_full(project=project)
    assert current(pairs[0]) is None and current(pairs[1]) is not None


def test_nothing_new_means_no_new_run(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    vote = annotate(pair, rater(project, "ben"), "first")
    first = aggregate_current(project=project, method="majority")
    assert aggregate_current(project=project) == first
    withdraw(vote)
    annotate(pair, rater(project, "eve"), "second")
    again = aggregate_current(project=project)
    assert (again.number, again.method) == (2, "majority")


def test_a_prediction_that_went_means_a_new_run(project):
    """The newest prediction stays, so only the count tells that an older one went with its import."""
    older, newer = cast.comparisons(project, 2)
    gone = predict(older, judge(project), 0.9)
    predict(newer, judge(project), 0.9)
    run = aggregate_full(project=project)
    gone.delete()
    assert aggregate_current(project=project).number == run.number + 1


def test_a_new_vote_is_applied_online_and_only_there(project):
    pairs = cast.comparisons(project, 2)
    for pair in pairs:
        annotate(pair, rater(project, "ben"), "first")
    aggregate_full(project=project, method="majority")
    preference_refresh(project_id=project.pk)
    for name in ("eve", "dan"):
        annotate(pairs[0], rater(project, name), "second")
    assert preference_refresh(project_id=project.pk) == 1
    assert (current(pairs[0]).outcome, current(pairs[1]).outcome) == ("second", "first")
    assert preference_refresh(project_id=project.pk) == 0


def test_an_online_step_knows_who_is_reliable(project):
    good, spam = [rater(project, name) for name in ("ben", "eve", "dan")], rater(project, "spam")
    for n, pair in enumerate(cast.comparisons(project, 40)):
        for who in good:
            annotate(pair, who, "first" if n % 3 else "second")
        annotate(pair, spam, "second" if n % 2 else "first")
    run = aggregate_full(project=project, method="dawid_skene")
    pair = cast.comparison(project, "And this?", "Yes.", "No.")
    annotate(pair, good[0], "second")
    annotate(pair, spam, "first")
    preference_refresh(project_id=project.pk)
    assert (current(pair).outcome, current(pair).method, current(pair).run) == ("second", "dawid_skene", run)


def test_an_undone_vote_gives_the_comparison_back_to_the_judge(project):
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    predict(pair, judge(project), 0.8)
    vote = annotate(pair, rater(project, "ben"), "second")
    preference_refresh(project_id=project.pk)
    assert current(pair).origin == "person"
    withdraw(vote)
    preference_refresh(project_id=project.pk)
    assert (current(pair).origin, current(pair).outcome) == ("model", "first")


def test_many_new_votes_start_a_refit(project):
    pairs = cast.comparisons(project, 60)
    annotate(pairs[0], rater(project, "ben"), "first")
    aggregate_full(project=project, method="majority")
    for pair in pairs:
        annotate(pair, rater(project, "eve"), "first")
    preference_refresh(project_id=project.pk)
    assert queue.Job.objects.get().kind == "aggregate"
    drain(queue="default", worker="w")
    assert queue.Job.objects.get().result["run"] == 2


def test_a_vote_that_comes_during_a_refit_is_not_overwritten(project, monkeypatch):
    from pipelines.services import aggregation

    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    annotate(pair, rater(project, "ben"), "first")
    fit = aggregation._fit(project.pk, "majority")
    for name in ("eve", "dan"):
        annotate(pair, rater(project, name), "second")
    preference_refresh(project_id=project.pk)
    aggregation._store(project, fit)
    assert current(pair).outcome == "second"


def test_an_unknown_method_is_refused(project):
    with pytest.raises(InputRefused, match="no method 'vibes'"):
        aggregate_start(project=project, method="vibes")

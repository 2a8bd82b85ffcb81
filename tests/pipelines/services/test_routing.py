"""A pilot, then a plan: deterministic, within the budget, and nothing else is open to people."""

from __future__ import annotations

import json
import uuid

import pytest
from django.core.management import call_command

from annotation.models import Comparison, Demand, Project
from annotation.services.assignment import assignment_next, assignment_submit
from annotation.services.demand import (
    comparison_hold,
    comparison_settle,
    comparison_wanted_set,
    queue_wanted_set,
)
from pipelines.errors import InputRefused, NothingToDo
from pipelines.models import RoutingDecision, RoutingPlan
from pipelines.routing.errors import BudgetBelowPilot, BudgetNegative, NothingToCalibrate
from pipelines.services.routing import route_budget, route_pilot
from tests import cast
from tests.pipelines.scene import annotate, judge, predict, rater

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return cast.project()


@pytest.fixture
def judged(project) -> list[Comparison]:
    """Twenty comparisons, the n-th judged with a confidence of 0.5 + n/50."""
    pairs = cast.comparisons(project, 20)
    for n, pair in enumerate(pairs):
        predict(pair, judge(project), 0.5 + (n + 1) / 50)
    return pairs


def answer_pilot(project: Project, ben) -> int:
    """Ben answers all that he is given, for the first completion; returns how many."""
    answered = 0
    while rows := assignment_next(project_id=project.pk, user_id=ben.pk):
        assignment_submit(
            assignment_id=rows[0].id, user_id=ben.pk, submit_key=uuid.uuid4(), answers=cast.vote(-2)
        )
        answered += 1
    return answered


def open_to_people(project: Project) -> set[int]:
    return set(Demand.objects.filter(project=project, is_open=True).values_list("comparison_id", flat=True))


def sent_to(plan: RoutingPlan, destination: str) -> set[int]:
    found = RoutingDecision.objects.filter(plan=plan, destination=destination)
    return set(found.values_list("comparison_id", flat=True))


def test_only_the_pilot_is_open_to_people(project, judged):
    plan = route_pilot(project=project, share=0.25)
    assert len(open_to_people(project)) == 5
    assert sent_to(plan, "person") == open_to_people(project)
    assert Demand.objects.filter(project=project).count() == 5


def test_the_same_pilot_again_changes_nothing(project, judged):
    assert route_pilot(project=project, share=0.25) == route_pilot(project=project, share=0.25)


def test_another_seed_draws_another_pilot(project, judged):
    first = sent_to(route_pilot(project=project, share=0.25), "person")
    assert sent_to(route_pilot(project=project, share=0.25, seed=1), "person") != first


def test_people_get_the_pilot_and_then_what_the_plan_sends(project, judged):
    ben = cast.person("Ben", project, "annotator")
    route_pilot(project=project, share=0.2)
    assert answer_pilot(project, ben) == 4
    plan = route_budget(project=project, budget=10)
    assert len(sent_to(plan, "person")) == 10 and len(sent_to(plan, "model")) == 10
    assert answer_pilot(project, ben) == 6
    assert not sent_to(plan, "model") & set(
        ben.participations.get().assignments.values_list("comparison_id", flat=True)
    )


def test_the_least_certain_go_to_people_in_order(project, judged):
    route_pilot(project=project, share=0.05)
    answer_pilot(project, cast.person("Ben", project, "annotator"))
    plan = route_budget(project=project, budget=6)
    decisions = RoutingDecision.objects.filter(plan=plan, reason="low_confidence").order_by("rank")
    confidences = [row.confidence for row in decisions]
    assert confidences == sorted(confidences) and len(confidences) == 5
    assert max(confidences) < min(
        RoutingDecision.objects.filter(plan=plan, reason="confident").values_list("confidence", flat=True)
    )
    assert set(
        RoutingDecision.objects.filter(plan=plan, destination="model").values_list("propensity", flat=True)
    ) == {0.05}


def test_the_calibration_is_kept_with_its_figures(project, judged):
    route_pilot(project=project, share=0.5)
    answer_pilot(project, cast.person("Ben", project, "annotator"))
    calibration = route_budget(project=project, budget=12).calibration
    assert calibration.pairs == 10 and calibration.params["slope"] > 0
    assert calibration.metrics["after"]["log_loss"] <= calibration.metrics["before"]["log_loss"]
    assert calibration.metrics["before"]["accuracy_low"] < 1.0


def test_without_a_pilot_confidence_is_taken_as_it_is(project, judged):
    plan = route_budget(project=project, budget=3)
    assert plan.calibration is None
    assert sent_to(plan, "person") == {pair.pk for pair in judged[:3]}
    assert open_to_people(project) == sent_to(plan, "person")


def test_a_budget_of_zero_opens_nothing(project, judged):
    plan = route_budget(project=project, budget=0)
    assert open_to_people(project) == set() and len(sent_to(plan, "model")) == 20


def test_a_comparison_without_a_prediction_goes_first(project, judged):
    new = cast.comparison(project, "New?", "Yes.", "No.", wanted=None)
    plan = route_budget(project=project, budget=1)
    row = RoutingDecision.objects.get(plan=plan, destination="person")
    assert (row.comparison, row.reason, row.rank, row.confidence) == (new, "no_prediction", 1, None)


def test_routing_again_replaces_the_plan_and_keeps_the_pilot(project, judged):
    ben = cast.person("Ben", project, "annotator")
    pilot = sent_to(route_pilot(project=project, share=0.2), "person")
    answer_pilot(project, ben)
    first = route_budget(project=project, budget=10)
    second = route_budget(project=project, budget=6)
    first.refresh_from_db()
    assert (first.state, second.state) == ("replaced", "routed")
    assert pilot <= sent_to(second, "person") and len(open_to_people(project)) == 2


def test_the_same_state_gives_the_same_decisions(project, judged):
    def decisions(plan):
        return list(
            RoutingDecision.objects.filter(plan=plan)
            .order_by("comparison_id")
            .values_list("comparison_id", "destination", "reason", "rank", "confidence", "propensity")
        )

    assert decisions(route_budget(project=project, budget=7)) == decisions(
        route_budget(project=project, budget=7)
    )


def test_votes_from_before_the_plan_count_against_the_budget(project, judged):
    ben = cast.person("Ben", project, "annotator")
    for _ in range(2):
        row = assignment_next(project_id=project.pk, user_id=ben.pk)[0]
        assignment_submit(assignment_id=row.id, user_id=ben.pk, submit_key=uuid.uuid4(), answers=cast.vote(1))
    plan = route_budget(project=project, budget=5)
    assert plan.counts["judged_before"] == 2 and len(open_to_people(project)) == 3
    with pytest.raises(InputRefused, match="2 annotations outside the pilot"):
        route_budget(project=project, budget=1)


def test_who_holds_a_lease_may_finish_though_the_model_gets_it(project, judged):
    ben = cast.person("Ben", project, "annotator")
    row = assignment_next(project_id=project.pk, user_id=ben.pk)[0]
    plan = route_budget(project=project, budget=0)
    assert row.comparison_id in sent_to(plan, "model") and open_to_people(project) == set()
    stored = assignment_submit(
        assignment_id=row.id, user_id=ben.pk, submit_key=uuid.uuid4(), answers=cast.vote(1)
    )
    assert not stored.late


def test_what_a_plan_sends_to_the_model_stays_closed_when_more_is_wanted(project, judged):
    ben = cast.person("Ben", project, "annotator")
    row = assignment_next(project_id=project.pk, user_id=ben.pk)[0]
    route_budget(project=project, budget=0)
    assignment_submit(assignment_id=row.id, user_id=ben.pk, submit_key=uuid.uuid4(), answers=cast.vote(1))
    assert queue_wanted_set(project=project, wanted=3) == 0
    assert comparison_wanted_set(project=project, comparison_ids=[row.comparison_id], wanted=3) == 0
    assert open_to_people(project) == set()
    plan = route_budget(project=project, budget=4)
    assert open_to_people(project) == sent_to(plan, "person") == {row.comparison_id}


def test_a_plan_forgets_nothing_that_is_held_back(project, judged):
    comparison_hold(project_id=project.pk, comparison_id=judged[0].pk)
    route_budget(project=project, budget=0)
    plan = route_budget(project=project, budget=20)
    assert judged[0].pk in sent_to(plan, "person") - open_to_people(project)
    comparison_settle(project_id=project.pk, comparison_id=judged[0].pk)
    assert judged[0].pk in open_to_people(project)


def test_a_budget_below_zero_is_refused(project, judged):
    with pytest.raises(BudgetNegative, match="got -1"):
        route_budget(project=project, budget=-1)


def test_a_budget_below_the_pilot_is_refused_and_changes_nothing(project, judged):
    route_pilot(project=project, share=0.5)
    answer_pilot(project, cast.person("Ben", project, "annotator"))
    with pytest.raises(BudgetBelowPilot):
        route_budget(project=project, budget=9)


def test_an_unanswered_pilot_cannot_calibrate(project, judged):
    route_pilot(project=project, share=0.5)
    with pytest.raises(NothingToCalibrate):
        route_budget(project=project, budget=15)


def test_a_files_choices_are_no_peoples_answers(project, judged):
    """A source said something about every pilot comparison; the calibration waits for people all the same."""
    route_pilot(project=project, share=0.25)
    for pair in judged:
        annotate(pair, rater(project, "crowd", "source"), "first")
    with pytest.raises(NothingToCalibrate):
        route_budget(project=project, budget=10)


def test_a_share_outside_its_range_is_refused(project, judged):
    with pytest.raises(InputRefused, match=r"got 1\.5"):
        route_pilot(project=project, share=1.5)


def test_a_project_without_predictions_is_refused(project):
    cast.comparisons(project, 1)
    with pytest.raises(NothingToDo, match="no predictions"):
        route_budget(project=project, budget=1)


def test_two_judges_must_be_told_apart(project, judged):
    predict(judged[0], judge(project, "other"), 0.9)
    with pytest.raises(InputRefused, match="judge, other"):
        route_budget(project=project, budget=1)
    assert route_budget(project=project, budget=1, judge="other").rater.name == "other"


def test_a_spammer_does_not_spoil_the_calibration(project):
    people = [rater(project, name) for name in ("ben", "eve", "dan")]
    spam = rater(project, "spam")
    pairs = cast.comparisons(project, 40)
    for n, pair in enumerate(pairs):
        truth = n % 2
        predict(pair, judge(project), 0.9 if truth else 0.1)
        for who in people[: 2 + n % 2]:
            annotate(pair, who, "first" if truth else "second")
        annotate(pair, spam, "first" if n % 4 < 2 else "second")
    route_pilot(project=project, share=1.0)
    plan = route_budget(project=project, budget=40)
    assert plan.calibration.params["slope"] > 1


def test_the_command_answers_in_json(project, judged, capsys):
    call_command("route", project=project.slug, pilot=0.1, as_json=True)
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["ok"] and answer["counts"]["pilot"] == 2


def test_the_command_refuses_a_negative_budget_with_exit_code_2(project, judged, capsys):
    with pytest.raises(SystemExit) as exit_:
        call_command("route", project=project.slug, budget=-5, as_json=True)
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert exit_.value.code == 2 and answer["error"] == "A budget must be 0 annotations or more; got -5."

"""The assignment queue: exact, fair to late votes, the same on a retry."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.errors import (
    AlreadyAnswered,
    Conflict,
    FormRefused,
    KeptAsSurplus,
    KeyReused,
    NotFound,
    Refused,
)
from annotation.models import Annotation, Assignment, Demand, Flag, OutboxEvent, Project
from annotation.selectors.judging import judgeable_list
from annotation.services.assignment import (
    assignment_heartbeat,
    assignment_next,
    assignment_release,
    assignment_skip,
    assignment_submit,
    assignment_sweep,
    comparison_flag,
)
from annotation.services.corrections import annotation_correct, annotation_undo
from annotation.services.demand import comparison_hold, comparison_settle, comparison_wanted_set
from tests import cast
from tests.annotation.queue_invariants import broken_invariants

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return cast.project()


def lend(project: Project, user, n: int = 1):
    return assignment_next(project_id=project.pk, user_id=user.pk, prefetch=n)


def submit(row, user, strength: int = -2, key=None, answers=None):
    return assignment_submit(
        assignment_id=row.id, user_id=user.pk, submit_key=key or uuid4(), answers=answers or cast.vote(strength)
    )


def end_lease(row) -> None:
    Assignment.objects.filter(pk=row.id).update(lease_until=timezone.now() - timedelta(hours=1))


def test_it_lends_the_comparison_that_stands_first(project):
    first, second = cast.comparisons(project, 2)
    ben = cast.person("Ben", project, "annotator")
    Demand.objects.filter(comparison=second).update(ord=-1)
    assert [row.comparison_id for row in lend(project, ben, 2)] == [second.pk, first.pk]


def test_a_second_tab_gets_the_same_lease(project):
    cast.comparisons(project, 3)
    ben = cast.person("Ben", project, "annotator")
    assert lend(project, ben) == lend(project, ben)


def test_a_person_never_gets_a_comparison_twice(project):
    cast.comparisons(project, 1, wanted=3)
    ben = cast.person("Ben", project, "annotator")
    submit(lend(project, ben)[0], ben)
    assert lend(project, ben) == []


def test_the_last_wanted_place_is_held_by_the_lease(project):
    cast.comparisons(project, 1, wanted=1)
    ben, dan = (cast.person(name, project, "annotator") for name in ("Ben", "Dan"))
    assert lend(project, ben) and not lend(project, dan)


def test_each_two_showings_of_a_comparison_have_both_sides_first(project):
    made = cast.comparisons(project, 8, wanted=4)
    people = [cast.person(f"P{i}", project, "annotator") for i in range(4)]
    for user in people:
        lend(project, user, 8)
    for comparison in made:
        orders = [tuple(a.option_order) for a in comparison.assignments.order_by("id")]
        assert {orders[0], orders[1]} == {(0, 1), (1, 0)} == {orders[2], orders[3]}


def test_a_vote_counts_once_and_tells_the_outbox(project):
    (comparison,) = cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    done = submit(lend(project, ben)[0], ben, -3)
    annotation = Annotation.objects.get(pk=done.annotation_id)
    assert (annotation.outcome, annotation.vote, annotation.vote_scale) == ("first", -3, 3)
    assert Demand.objects.get(comparison=comparison).done == 1
    assert OutboxEvent.objects.filter(subject_id=annotation.pk).count() == 1
    assert broken_invariants() == {}


def test_the_same_key_and_body_give_the_same_row(project):
    cast.comparisons(project, 1)
    ben, key = cast.person("Ben", project, "annotator"), uuid4()
    (row,) = lend(project, ben)
    first, again = submit(row, ben, key=key), submit(row, ben, key=key)
    assert (again.annotation_id, again.replay) == (first.annotation_id, True)
    assert Annotation.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(project):
    cast.comparisons(project, 1)
    ben, key = cast.person("Ben", project, "annotator"), uuid4()
    (row,) = lend(project, ben)
    submit(row, ben, -1, key=key)
    with pytest.raises(KeyReused):
        submit(row, ben, +1, key=key)


def test_a_second_key_from_another_tab_is_refused(project):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    submit(row, ben)
    with pytest.raises(AlreadyAnswered):
        submit(row, ben)


def test_a_vote_after_the_clock_passed_but_before_the_sweep_is_a_vote(project):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    end_lease(row)
    assert not submit(row, ben).late


def test_a_swept_vote_is_counted_late_while_a_place_is_free(project):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    end_lease(row)
    assert assignment_sweep() == 1
    assert submit(row, ben).late
    assert broken_invariants() == {}


def test_it_keeps_a_late_vote_as_surplus_when_others_were_enough(project):
    cast.comparisons(project, 1)
    ben, dan, key = cast.person("Ben", project, "annotator"), cast.person("Dan", project, "annotator"), uuid4()
    (row,) = lend(project, ben)
    end_lease(row)
    assignment_sweep()
    submit(lend(project, dan)[0], dan)
    for _ in range(2):
        with pytest.raises(KeptAsSurplus):
            submit(row, ben, key=key)
    assert Annotation.objects.filter(state="surplus").count() == 1
    assert broken_invariants() == {}


def test_the_person_gets_their_own_expired_comparison_back(project):
    cast.comparisons(project, 2)
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    end_lease(row)
    assignment_sweep()
    (again,) = lend(project, ben)
    assert (again.id, again.token) == (row.id, row.token + 2)
    assert broken_invariants() == {}


def test_a_heartbeat_renews_only_the_lease_it_names(project):
    cast.comparisons(project, 2)
    ben = cast.person("Ben", project, "annotator")
    one, two = lend(project, ben, 2)
    held = assignment_heartbeat(
        project_id=project.pk, user_id=ben.pk, leases=[(one.id, one.token), (two.id, two.token + 1)]
    )
    assert list(held) == [one.id] and held[one.id] == Assignment.objects.get(pk=one.id).lease_until


def test_a_skip_gives_the_place_to_others_only(project):
    cast.comparisons(project, 1)
    ben, dan = cast.person("Ben", project, "annotator"), cast.person("Dan", project, "annotator")
    assignment_skip(assignment_id=lend(project, ben)[0].id, user_id=ben.pk, reason="too_long")
    assert lend(project, ben) == [] and len(lend(project, dan)) == 1
    assert broken_invariants() == {}


def test_three_that_find_it_broken_hold_it_back(project):
    (comparison,) = cast.comparisons(project, 1, wanted=5)
    for name in ("Ben", "Dan"):
        user = cast.person(name, project, "annotator")
        assignment_skip(assignment_id=lend(project, user)[0].id, user_id=user.pk, reason="broken")
    eve = cast.person("Eve", project, "annotator")
    comparison_flag(assignment_id=lend(project, eve)[0].id, user_id=eve.pk, reason="The answers are cut off.")
    assert Demand.objects.get(comparison=comparison).held_back


def test_cannot_judge_fills_no_place_and_the_third_holds_back(project):
    (comparison,) = cast.comparisons(project, 1, wanted=1)
    for number, name in enumerate(("Ben", "Dan", "Eve"), start=1):
        user = cast.person(name, project, "annotator")
        submit(lend(project, user)[0], user, answers=cast.CANNOT_JUDGE)
        demand = Demand.objects.get(comparison=comparison)
        assert (demand.done, demand.leased, demand.held_back) == (0, 0, number == 3)
    assert broken_invariants() == {}


def test_a_released_lease_can_still_be_answered_late(project):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    assignment_release(assignment_id=row.id, project_id=project.pk, reason="on holiday")
    assert submit(row, ben).late
    with pytest.raises(Conflict):
        assignment_release(assignment_id=row.id, project_id=project.pk, reason="again")


def test_undo_lends_the_comparison_again_and_keeps_the_place(project):
    cast.comparisons(project, 1)
    ben, dan = cast.person("Ben", project, "annotator"), cast.person("Dan", project, "annotator")
    (row,) = lend(project, ben)
    done = submit(row, ben)
    again = annotation_undo(annotation_id=done.annotation_id, user_id=ben.pk)
    assert again is not None and again.id == row.id and lend(project, dan) == []
    assert Annotation.objects.get(state="retraction").retracts_id == done.annotation_id
    assert submit(again, ben, +1).annotation_id != done.annotation_id
    assert broken_invariants() == {}


def test_the_key_of_an_answer_taken_back_is_refused_and_blocks_nothing(project):
    cast.comparisons(project, 1)
    ben, key = cast.person("Ben", project, "annotator"), uuid4()
    (row,) = lend(project, ben)
    done = submit(row, ben, key=key)
    annotation_undo(annotation_id=done.annotation_id, user_id=ben.pk)
    with pytest.raises(Conflict, match="took this answer back"):
        submit(row, ben, key=key)
    submit(row, ben)
    assert broken_invariants() == {}


def test_a_key_used_on_another_comparison_is_refused(project):
    cast.comparisons(project, 2)
    ben, key = cast.person("Ben", project, "annotator"), uuid4()
    first, second = lend(project, ben, 2)
    submit(first, ben, -1, key=key)
    with pytest.raises(KeyReused):
        submit(second, ben, +1, key=key)
    assert broken_invariants() == {}


def test_the_third_cannot_judge_that_is_undone_lets_the_comparison_go_on(project):
    (comparison,) = cast.comparisons(project, 1)
    for name in ("Ben", "Dan", "Eve"):
        user = cast.person(name, project, "annotator")
        done = submit(lend(project, user)[0], user, answers=cast.CANNOT_JUDGE)
    assert Demand.objects.get(comparison=comparison).held_back
    assert annotation_undo(annotation_id=done.annotation_id, user_id=user.pk) is not None
    assert not Demand.objects.get(comparison=comparison).held_back
    assert broken_invariants() == {}


def test_the_third_cannot_judge_that_is_corrected_counts_and_lets_the_comparison_go_on(project):
    (comparison,) = cast.comparisons(project, 1, wanted=2)
    for name in ("Ben", "Dan", "Eve"):
        user = cast.person(name, project, "annotator")
        done = submit(lend(project, user)[0], user, answers=cast.CANNOT_JUDGE)
    annotation_correct(
        annotation_id=done.annotation_id, user_id=user.pk, submit_key=uuid4(), answers=cast.vote(2)
    )
    demand = Demand.objects.get(comparison=comparison)
    assert (demand.done, demand.held_back) == (1, False) and broken_invariants() == {}


def test_a_late_vote_on_what_is_held_back_counts_while_a_place_is_free(project):
    (comparison,) = cast.comparisons(project, 1, wanted=2)
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    assignment_release(assignment_id=row.id, project_id=project.pk, reason="on holiday")
    comparison_hold(project_id=project.pk, comparison_id=comparison.pk)
    assert submit(row, ben).late
    demand = Demand.objects.get(comparison=comparison)
    assert (demand.done, demand.held_back) == (1, True) and broken_invariants() == {}


def test_a_curator_who_settles_the_flags_hands_the_comparison_out_again(project):
    (comparison,) = cast.comparisons(project, 1, wanted=5)
    for name in ("Ben", "Dan", "Eve"):
        user = cast.person(name, project, "annotator")
        comparison_flag(assignment_id=lend(project, user)[0].id, user_id=user.pk, reason="Cut off.")
    assert Demand.objects.get(comparison=comparison).held_back
    comparison_settle(project_id=project.pk, comparison_id=comparison.pk)
    assert not Demand.objects.get(comparison=comparison).held_back
    assert not Flag.objects.filter(resolved_at=None).exists()


def test_no_step_reaches_an_assignment_through_another_project(project):
    cast.comparisons(project, 1)
    other = cast.project()
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    elsewhere = {"assignment_id": row.id, "user_id": ben.pk, "project_id": other.pk}
    for call in (
        lambda: assignment_submit(**elsewhere, submit_key=uuid4(), answers=cast.vote(1)),
        lambda: assignment_skip(**elsewhere, reason="other"),
        lambda: comparison_flag(**elsewhere, reason="x"),
    ):
        with pytest.raises(NotFound):
            call()
    assert assignment_heartbeat(project_id=other.pk, user_id=ben.pk, leases=[(row.id, row.token)]) == {}
    assert judgeable_list(project_id=other.pk, user_id=ben.pk, assignment_ids=[row.id]) == []


def test_only_the_latest_answer_can_be_undone(project):
    cast.comparisons(project, 2)
    ben = cast.person("Ben", project, "annotator")
    first = submit(lend(project, ben)[0], ben)
    submit(lend(project, ben)[0], ben)
    with pytest.raises(Conflict):
        annotation_undo(annotation_id=first.annotation_id, user_id=ben.pk)


def test_undoing_cannot_judge_takes_a_place_only_if_one_is_free(project):
    cast.comparisons(project, 1)
    ben, dan = cast.person("Ben", project, "annotator"), cast.person("Dan", project, "annotator")
    done = submit(lend(project, ben)[0], ben, answers=cast.CANNOT_JUDGE)
    lend(project, dan)
    assert annotation_undo(annotation_id=done.annotation_id, user_id=ben.pk) is None
    assert broken_invariants() == {}


def test_a_correction_supersedes_without_moving_the_count(project):
    (comparison,) = cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    done = submit(lend(project, ben)[0], ben, -1)
    new = annotation_correct(
        annotation_id=done.annotation_id, user_id=ben.pk, submit_key=uuid4(), answers=cast.vote(2)
    )
    assert Annotation.objects.get(pk=new.annotation_id).supersedes_id == done.annotation_id
    assert Demand.objects.get(comparison=comparison).done == 1
    assert broken_invariants() == {}


def test_a_correction_that_changes_nothing_stores_nothing(project):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    done = submit(lend(project, ben)[0], ben, 2)
    events = OutboxEvent.objects.count()
    same = annotation_correct(
        annotation_id=done.annotation_id, user_id=ben.pk, submit_key=uuid4(), answers=cast.vote(2)
    )
    assert same.annotation_id == done.annotation_id
    assert (Annotation.objects.get().state, OutboxEvent.objects.count()) == ("current", events)


def test_a_correction_from_cannot_judge_is_surplus_when_the_place_is_taken(project):
    cast.comparisons(project, 1)
    ben, dan = cast.person("Ben", project, "annotator"), cast.person("Dan", project, "annotator")
    done = submit(lend(project, ben)[0], ben, answers=cast.CANNOT_JUDGE)
    submit(lend(project, dan)[0], dan)
    with pytest.raises(KeptAsSurplus):
        annotation_correct(
            annotation_id=done.annotation_id, user_id=ben.pk, submit_key=uuid4(), answers=cast.vote(2)
        )
    assert broken_invariants() == {}


def test_lowering_keeps_the_promise_to_who_holds_it(project):
    (comparison,) = cast.comparisons(project, 1, wanted=3)
    ben, dan, eve = (cast.person(name, project, "annotator") for name in ("Ben", "Dan", "Eve"))
    rows = [lend(project, user)[0] for user in (ben, dan)]
    comparison_wanted_set(project=project, comparison_ids=[comparison.pk], wanted=1)
    assert lend(project, eve) == []
    assert not any(submit(row, user).late for row, user in zip(rows, (ben, dan), strict=True))
    assert Demand.objects.get(comparison=comparison).done == 2
    assert broken_invariants() == {}


def test_the_database_refuses_more_than_wanted(project):
    (comparison,) = cast.comparisons(project, 1, wanted=1)
    with pytest.raises(IntegrityError, match="demand_never_over"), transaction.atomic():
        Demand.objects.filter(comparison=comparison).update(done=2)


def test_the_database_refuses_to_change_an_answer(project):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    submit(lend(project, ben)[0], ben)
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        Annotation.objects.update(vote=3)


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "first", "vote": 2},
        {"outcome": "first", "vote": -4},
        {"outcome": "first"},
        {"outcome": "better"},
        {"outcome": "both_bad", "vote": 0},
        {"outcome": "tie", "vote": True},
        "first",
    ],
)
def test_a_contradictory_answer_is_refused_and_the_lease_stays(project, answer):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    (row,) = lend(project, ben)
    with pytest.raises(FormRefused):
        submit(row, ben, answers={"preference": answer})
    assert Assignment.objects.get(pk=row.id).state == "leased"


def test_nobody_answers_for_somebody_else(project):
    cast.comparisons(project, 1)
    ben, cy = cast.person("Ben", project, "annotator"), cast.person("Cy")
    (row,) = lend(project, ben)
    with pytest.raises(NotFound):
        submit(row, cy)


def test_an_archived_project_hands_out_nothing(project):
    cast.comparisons(project, 1)
    ben = cast.person("Ben", project, "annotator")
    lend(project, ben)
    Project.objects.filter(pk=project.pk).update(archived_at=timezone.now())
    with pytest.raises(Refused):
        lend(project, ben)


def test_next_and_submit_stay_within_their_budget_of_statements(project, django_assert_max_num_queries):
    cast.comparisons(project, 3)
    ben = cast.person("Ben", project, "annotator")
    submit(lend(project, ben)[0], ben)
    with django_assert_max_num_queries(5):  # two of them are the test's savepoint
        (row,) = lend(project, ben)
    with django_assert_max_num_queries(6):
        submit(row, ben)

"""What people are asked for: batches, revoked leases, offers to people and groups, holding back, deleting."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.db import connection

from annotation.errors import Conflict, NotFound, Refused
from annotation.models import Assignment, Comparison, Demand, Import, Participation, Project
from annotation.selectors.overview import waiting_for
from annotation.selectors.queue import batch_list, offer_list
from annotation.services import assignment_sql as sql
from annotation.services.assignment import (
    assignment_next,
    assignment_skip,
    assignment_submit,
    assignment_sweep,
    participation_ensure,
)
from annotation.services.demand import (
    comparison_delete,
    comparison_hold,
    comparison_settle,
    comparison_wanted_set,
    queue_wanted_set,
)
from annotation.services.offers import group_set, offer_create, offer_release, offers_sweep
from annotation.services.people import membership_remove, user_invite
from tests import cast
from tests.annotation.queue_invariants import broken_invariants

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return cast.project()


def lend(project, user, n: int = 1):
    return assignment_next(project_id=project.pk, user_id=user.pk, prefetch=n)


def vote(row, user, answers=None):
    return assignment_submit(
        assignment_id=row.id, user_id=user.pk, submit_key=uuid4(), answers=answers or cast.vote(1)
    )


def people(project, *names: str):
    return [cast.person(name, project, "annotator") for name in names]


def batch(project, comparisons, name: str) -> Import:
    made = Import.objects.create(project=project, file_name=name, source_name=name, state="done")
    Comparison.objects.filter(pk__in=[c.pk for c in comparisons]).update(source_import=made)
    return made


def test_a_batch_is_raised_alone_and_a_single_comparison_above_it(project):
    first, second, third = cast.comparisons(project, 3)
    made = batch(project, [first, second], "a")
    comparison_wanted_set(project=project, comparison_ids=[second.pk], wanted=5)
    assert queue_wanted_set(project=project, wanted=3, import_id=made.pk) == 2
    assert list(Demand.objects.order_by("pk").values_list("wanted", flat=True)) == [3, 3, 1]
    comparison_wanted_set(project=project, comparison_ids=[third.pk], wanted=4)
    made.refresh_from_db()
    third.refresh_from_db()
    assert (made.wanted, third.wanted) == (3, 4)


def test_the_projects_word_replaces_those_of_batches_and_comparisons(project):
    first, second = cast.comparisons(project, 2)
    made = batch(project, [first], "a")
    queue_wanted_set(project=project, wanted=3, import_id=made.pk)
    comparison_wanted_set(project=project, comparison_ids=[second.pk], wanted=5)
    queue_wanted_set(project=project, wanted=2)
    assert set(Demand.objects.values_list("wanted", flat=True)) == {2}
    assert not Import.objects.exclude(wanted=None).exists()
    assert not Comparison.objects.exclude(wanted=None).exists()


def test_lowering_now_takes_the_newest_leases_back(project):
    (comparison,) = cast.comparisons(project, 1, wanted=3)
    ben, dan, eve = people(project, "Ben", "Dan", "Eve")
    rows = [lend(project, user)[0] for user in (ben, dan, eve)]
    comparison_wanted_set(project=project, comparison_ids=[comparison.pk], wanted=1, now=True)
    states = [Assignment.objects.get(pk=row.id).state for row in rows]
    assert states == ["leased", "released", "released"]
    assert not vote(rows[0], ben).late
    with pytest.raises(Conflict):
        vote(rows[1], dan)
    assert broken_invariants() == {}


def test_a_bulk_raise_is_found_by_whoever_had_nothing_left(project):
    cast.comparisons(project, 2, wanted=1)
    ben, dan = people(project, "Ben", "Dan")
    for row in lend(project, ben, 2):
        vote(row, ben)
    assert lend(project, dan) == []
    queue_wanted_set(project=project, wanted=2)
    assert len(lend(project, dan, 3)) == 2
    assert broken_invariants() == {}


@pytest.mark.parametrize("wanted", [-1, 1001])
def test_an_odd_number_of_wanted_annotations_is_refused(project, wanted):
    with pytest.raises(Refused, match="from 0 to 1,000"):
        queue_wanted_set(project=project, wanted=wanted)


def test_offered_comparisons_come_first_and_keep_their_place(project):
    first, second = cast.comparisons(project, 2)
    ben, dan = people(project, "Ben", "Dan")
    made = offer_create(project=project, user_id=ben.pk, comparison_ids=[second.pk], days=3)
    assert made.offered == 1 and made.due_at is not None
    assert [row.comparison_id for row in lend(project, dan, 3)] == [first.pk]
    assert waiting_for(user_id=ben.pk, projects=[project])[project.pk] == 1
    (row,) = lend(project, ben)
    assert row.comparison_id == second.pk
    assert Assignment.objects.get(pk=row.id).source == "named"
    assert broken_invariants() == {}


def test_an_offered_comparison_whose_lease_ran_out_is_offered_again(project):
    (comparison,) = cast.comparisons(project, 1)
    ben, dan = people(project, "Ben", "Dan")
    offer_create(project=project, user_id=ben.pk)
    (row,) = lend(project, ben)
    Assignment.objects.update(lease_until="2026-01-01T00:00Z")
    assert assignment_sweep() == 1
    assert Assignment.objects.get(pk=row.id).state == "offered" and lend(project, dan) == []
    assert not vote(row, ben).late
    assert Demand.objects.get(comparison=comparison).done == 1
    assert broken_invariants() == {}


def test_a_due_offer_is_released_to_everybody(project):
    cast.comparisons(project, 2)
    ben, dan = people(project, "Ben", "Dan")
    made = offer_create(project=project, user_id=ben.pk, days=1)
    assert lend(project, dan) == []
    type(made).objects.update(due_at="2026-01-01T00:00Z")
    assert offers_sweep() == 1
    assert len(lend(project, dan, 3)) == 2
    assert broken_invariants() == {}


def test_what_is_set_aside_for_a_group_is_for_its_members_until_it_is_released(project):
    first, second = cast.comparisons(project, 2)
    ben, dan = people(project, "Ben", "Dan")
    group = group_set(project=project, name="physics", user_ids=[ben.pk])
    made = offer_create(project=project, group_id=group.pk, comparison_ids=[second.pk])
    assert [row.comparison_id for row in lend(project, dan, 3)] == [first.pk]
    assert [row.comparison_id for row in lend(project, ben, 1)] == [second.pk]
    assert [(o.name, o.waiting, o.done) for o in offer_list(project=project)] == [("physics", 0, 0)]
    comparison_wanted_set(project=project, comparison_ids=[second.pk], wanted=2)
    assert len(lend(project, dan, 3)) == 1
    offer_release(project_id=project.pk, offer_id=made.pk)
    assert len(lend(project, dan, 3)) == 2
    assert broken_invariants() == {}


def test_what_somebody_lost_and_is_set_aside_since_goes_to_the_group_alone(project):
    (comparison,) = cast.comparisons(project, 1)
    ben, dan = people(project, "Ben", "Dan")
    lend(project, dan)
    Assignment.objects.update(lease_until="2026-01-01T00:00Z")
    assignment_sweep()
    group = group_set(project=project, name="physics", user_ids=[ben.pk])
    offer = offer_create(project=project, group_id=group.pk, comparison_ids=[comparison.pk])
    assert lend(project, dan) == []
    offer_release(project_id=project.pk, offer_id=offer.pk)
    assert len(lend(project, dan)) == 1 and broken_invariants() == {}


def test_an_offer_of_nothing_open_is_refused(project):
    cast.comparisons(project, 1)
    ben, dan = people(project, "Ben", "Dan")
    lend(project, dan)
    with pytest.raises(Conflict, match="nothing was offered"):
        offer_create(project=project, user_id=ben.pk)
    with pytest.raises(NotFound):
        offer_create(project=project, user_id=cast.person("Cy").pk)


def test_whoever_leaves_gives_everything_back_and_may_return(project):
    cast.comparisons(project, 2)
    ben, dan = people(project, "Ben", "Dan")
    offer_create(project=project, user_id=ben.pk, most=1)
    lend(project, ben, 2)
    membership_remove(project=project, user_id=ben.pk, role="annotator")
    assert len(lend(project, dan, 3)) == 2
    user_invite(email=ben.email, role="annotator", project=project)
    assert Participation.objects.get(annotator=ben).state == "active"
    assert broken_invariants() == {}


def test_what_a_curator_holds_back_stays_so_whatever_people_do(project):
    (comparison,) = cast.comparisons(project, 1, wanted=3)
    ben, dan = people(project, "Ben", "Dan")
    (row,) = lend(project, ben)
    comparison_hold(project_id=project.pk, comparison_id=comparison.pk)
    assert lend(project, dan) == []
    assignment_skip(assignment_id=row.id, user_id=ben.pk, reason="broken")
    assert Demand.objects.get(comparison=comparison).held_back
    comparison_settle(project_id=project.pk, comparison_id=comparison.pk)
    assert len(lend(project, dan)) == 1


def test_only_what_nobody_holds_or_judged_is_deleted(project):
    first, second, third = cast.comparisons(project, 3)
    (ben,) = people(project, "Ben")
    one, two = lend(project, ben, 2)
    vote(one, ben)
    for held in (one, two):
        with pytest.raises(Conflict):
            comparison_delete(project_id=project.pk, comparison_id=held.comparison_id)
    comparison_delete(project_id=project.pk, comparison_id=third.pk)
    assert set(Comparison.objects.values_list("pk", flat=True)) == {first.pk, second.pk}


def test_progress_by_batch_adds_up(project):
    made = cast.comparisons(project, 4, wanted=2)
    a, b = batch(project, made[:3], "a"), batch(project, made[3:], "b")
    ben, dan = people(project, "Ben", "Dan")
    vote(lend(project, ben)[0], ben)
    lend(project, dan, 2)
    offer_create(project=project, user_id=dan.pk, import_id=b.pk)
    comparison_hold(project_id=project.pk, comparison_id=made[2].pk)
    first, second = batch_list(project=project)
    assert (first.import_id, first.comparisons, first.places, first.done, first.leased, first.left) == (a.pk, 3, 6, 1, 2, 1)
    assert (first.held_back, second.offered, second.leased, second.left) == (1, 1, 0, 1)


def test_next_with_offers_groups_and_lost_leases_stays_within_its_budget(project, django_assert_max_num_queries):
    cast.comparisons(project, 3, wanted=2)
    (ben,) = people(project, "Ben")
    group = group_set(project=project, name="g", user_ids=[ben.pk])
    offer_create(project=project, group_id=group.pk, most=1)
    offer_create(project=project, user_id=ben.pk, most=1)
    lend(project, ben)
    Assignment.objects.filter(state="leased").update(lease_until="2026-01-01T00:00Z")
    assignment_sweep()
    with django_assert_max_num_queries(8):
        assert len(lend(project, ben, 3)) == 3
    for row in lend(project, ben, 3):
        vote(row, ben)
    with django_assert_max_num_queries(8):
        assert lend(project, ben) == []


# The cursor


def cursor_of(user) -> tuple[int, int]:
    mine = Participation.objects.get(annotator=user)
    return mine.cursor_pool, mine.cursor_ord


def fill(project, n: int, wanted: int = 2) -> None:
    """Many comparisons, by SQL."""
    (one,) = cast.comparisons(project, 1, wanted=wanted)
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH made AS (
                 INSERT INTO annotation_comparison (project_id, prompt_id, key, context, size, warnings, created_at)
                 SELECT c.project_id, c.prompt_id, sha256(int4send(n)), '', 2, '{}', now()
                 FROM annotation_comparison c, generate_series(1, %s) n WHERE c.id = %s RETURNING id, project_id)
               INSERT INTO annotation_demand
                 (comparison_id, project_id, pool, ord, wanted, done, leased, promised, held_back)
               SELECT id, project_id, 0, id, %s, 0, 0, 0, false FROM made""",
            [n, one.pk, wanted],
        )


def did_the_first(project, user, n: int) -> None:
    """The person submitted the first `n` comparisons of the queue, by SQL."""
    participation = Participation.objects.get(project=project, annotator=user)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO annotation_assignment (participation_id, comparison_id, repeat_no, source, counted, state,
                 token, option_order, closed_at, times_expired, closing_reason)
               SELECT %s, comparison_id, 0, 'pool', false, 'submitted', 1, '{0,1}', now(), 0, ''
               FROM annotation_demand WHERE project_id = %s ORDER BY ord LIMIT %s""",
            [participation.pk, project.pk, n],
        )


def buffers(statement: str, values: dict[str, object]) -> tuple[int, str]:
    """Pages touched by a statement, and its plan."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + statement, values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    return sum(map(int, re.findall(r"Buffers: shared hit=(\d+)", plan)[:1])), plan


def test_a_comparison_that_opens_again_behind_the_cursor_is_found(project):
    fill(project, 300)
    ben, dan = people(project, "Ben", "Dan")
    (row,) = lend(project, dan)
    lend(project, ben)
    did_the_first_of = Demand.objects.order_by("ord").values_list("pk", flat=True)
    comparison_wanted_set(project=project, comparison_ids=list(did_the_first_of[:250]), wanted=0)
    assignment_skip(assignment_id=lend(project, ben)[0].id, user_id=ben.pk, reason="too_long")
    lend(project, ben)
    assert cursor_of(ben)[1] > row.comparison_id
    comparison_wanted_set(project=project, comparison_ids=[did_the_first_of[5]], wanted=1)
    assert lend(project, ben, 2)[1].comparison_id == did_the_first_of[5]
    assert broken_invariants() == {}


@pytest.mark.slow
def test_who_did_the_first_nine_tenths_of_100k_is_served_from_the_index(project):
    fill(cast.project("other"), 2_000)
    with connection.cursor() as cursor:
        # Statistics of a table that was emptied: until the next look at it the planner expects no row at all.
        cursor.execute("DELETE FROM annotation_demand")
        cursor.execute("DELETE FROM annotation_comparisoncompletion")
        cursor.execute("DELETE FROM annotation_comparison")
        cursor.execute("ANALYZE annotation_comparison")
    fill(project, 100_000)
    ben, dan = people(project, "Ben", "Dan")
    for user in (ben, dan):
        participation_ensure(project_id=project.pk, user_id=user.pk)
    did_the_first(project, ben, 90_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE annotation_demand, annotation_assignment, annotation_participation")
    lend(project, ben)
    assert cursor_of(ben)[1] > 80_000
    project.refresh_from_db()
    for user in (ben, dan):
        mine = Participation.objects.get(annotator=user)
        values = {
            "project": project.pk, "me": mine.pk, "k": 3, "lease": 900, "version": project.queue_version,
            "cursor_pool": mine.cursor_pool, "cursor_ord": mine.cursor_ord,
        }  # fmt: skip
        touched, plan = buffers(sql.PICK, values)
        assert touched <= 300, f"{user} read {touched} pages\n{plan}"
        assert "using demand_next" in plan
        tables = {node for node in ("annotation_demand", "annotation_assignment") if f"Seq Scan on {node}" in plan}
        assert tables == set()

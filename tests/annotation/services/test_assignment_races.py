"""Two or many connections at once: the queue stays exact. Order is made by locks, never by sleeping."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from annotation.errors import AlreadyAnswered, AnnotationError, Conflict, KeptAsSurplus
from annotation.models import Annotation, Assignment, Demand
from annotation.services.assignment import (
    assignment_heartbeat,
    assignment_next,
    assignment_skip,
    assignment_submit,
    assignment_sweep,
    comparison_flag,
    participation_ensure,
)
from annotation.services.corrections import annotation_undo
from annotation.services.demand import comparison_delete, comparison_wanted_set
from annotation.services.offers import offer_create, offer_release
from tests import cast
from tests.annotation.queue_invariants import broken_invariants

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """Run the calls from threads that start together; an AnnotationError is a result."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except AnnotationError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def wait_until_blocked(n: int = 1) -> None:
    """Until `n` connections wait for a row lock."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0] >= n:
                return
    raise AssertionError("nobody waits for a lock")


def people(project, n: int):
    users = [cast.person(f"P{i}", project, "annotator") for i in range(n)]
    for user in users:
        participation_ensure(project_id=project.pk, user_id=user.pk)
    return users


def lend(project, user, n: int = 1):
    return assignment_next(project_id=project.pk, user_id=user.pk, prefetch=n)


def test_sixteen_claims_of_the_last_place_lend_it_once():
    project = cast.project()
    cast.comparisons(project, 1, wanted=2)
    users = people(project, 16)
    lent = at_once([lambda user=user: lend(project, user) for user in users])
    assert sum(len(rows) for rows in lent) == 2
    assert broken_invariants() == {}


def test_two_tabs_of_one_person_get_the_same_lease():
    project = cast.project()
    cast.comparisons(project, 5)
    (ben,) = people(project, 1)
    first, second = at_once([lambda: lend(project, ben)] * 2)
    assert first == second


@pytest.mark.parametrize("posts", [2, 8])
def test_posts_of_one_key_at_once_store_one_vote(posts):
    project = cast.project()
    cast.comparisons(project, 1)
    (ben,) = people(project, 1)
    (row,) = lend(project, ben)
    key = uuid4()
    done = at_once(
        [
            lambda: assignment_submit(
                assignment_id=row.id, user_id=ben.pk, submit_key=key, answers=cast.vote(1)
            ).annotation_id
        ]
        * posts
    )
    assert len(set(done)) == 1 and Annotation.objects.count() == 1


def test_a_submit_that_waited_for_the_sweeper_is_counted_late():
    project = cast.project()
    cast.comparisons(project, 1)
    (ben,) = people(project, 1)
    (row,) = lend(project, ben)
    submitted: list[object] = []

    def submit() -> None:
        submitted.append(
            assignment_submit(assignment_id=row.id, user_id=ben.pk, submit_key=uuid4(), answers=cast.vote(1))
        )
        connections.close_all()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE annotation_assignment SET lease_until = now() - interval '1 hour'")
        assert assignment_sweep() == 1
        thread = threading.Thread(target=submit)
        thread.start()
        wait_until_blocked()
    thread.join()
    assert submitted[0].late  # type: ignore[attr-defined]
    assert broken_invariants() == {}


# One transaction has done its step and not committed; the other meets its locks


def meet(first: Callable[[], object], second: Callable[[], object], *, waits: bool = True) -> object:
    """What `second` gives when it comes while `first` is done but not committed: it waits for a lock, or need not."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(second())
        except AnnotationError as error:
            result.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        first()
        thread.start()
        if waits:
            wait_until_blocked()
        else:
            thread.join(10)
            assert not thread.is_alive(), "it waited"
    thread.join()
    return result[0]


def voting(row, user, key=None) -> Callable[[], object]:
    return lambda: assignment_submit(
        assignment_id=row.id, user_id=user.pk, submit_key=key or uuid4(), answers=cast.vote(1)
    )


def expire(row) -> None:
    Assignment.objects.filter(pk=row.id).update(lease_until="2026-01-01T00:00Z")
    assignment_sweep()


@pytest.fixture
def scene():
    """A project of one comparison wanted once, Ben and Dan."""
    project = cast.project()
    cast.comparisons(project, 1)
    return project, *people(project, 2)


def test_a_second_key_from_another_tab_waits_and_is_refused(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    assert isinstance(meet(voting(row, ben), voting(row, ben)), AlreadyAnswered)
    assert Annotation.objects.count() == 1 and broken_invariants() == {}


def test_the_sweeper_passes_by_a_lease_that_is_being_answered(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    Assignment.objects.update(lease_until="2026-01-01T00:00Z")
    assert meet(voting(row, ben), assignment_sweep, waits=False) == 0
    assert not Annotation.objects.get().late and broken_invariants() == {}


def test_a_heartbeat_that_waited_for_the_sweeper_learns_that_the_lease_is_lost(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    Assignment.objects.update(lease_until="2026-01-01T00:00Z")
    held = meet(
        assignment_sweep,
        lambda: assignment_heartbeat(project_id=project.pk, user_id=ben.pk, leases=[(row.id, row.token)]),
    )
    assert held == {}


def test_a_claim_of_the_place_that_a_late_vote_takes_waits_and_finds_nothing(scene):
    project, ben, dan = scene
    (row,) = lend(project, ben)
    expire(row)
    assert meet(voting(row, ben), lambda: lend(project, dan)) == []
    assert Annotation.objects.get().late and broken_invariants() == {}


def test_a_late_vote_that_waits_for_the_claim_of_its_place_is_surplus(scene):
    project, ben, dan = scene
    (row,) = lend(project, ben)
    expire(row)
    assert isinstance(meet(lambda: lend(project, dan), voting(row, ben)), KeptAsSurplus)
    assert broken_invariants() == {}


def test_the_old_tabs_vote_counts_after_the_lease_was_resumed(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    expire(row)
    (again,) = lend(project, ben)
    assert again.token > row.token and not voting(row, ben)().late
    assert isinstance(at_once([voting(again, ben)])[0], AlreadyAnswered)
    assert broken_invariants() == {}


def test_one_of_the_promised_who_skips_shrinks_the_promise():
    project = cast.project()
    (comparison,) = cast.comparisons(project, 1, wanted=3)
    ben, dan, eve = people(project, 3)
    one, two = lend(project, ben)[0], lend(project, dan)[0]
    comparison_wanted_set(project=project, comparison_ids=[comparison.pk], wanted=1)
    assignment_skip(assignment_id=two.id, user_id=dan.pk, reason="too_long")
    demand = Demand.objects.get()
    assert (demand.leased, demand.promised, demand.is_open) == (1, 0, False)
    assignment_skip(assignment_id=one.id, user_id=ben.pk, reason="too_long")
    assert len(lend(project, eve)) == 1


def test_a_raise_behind_a_cursor_that_is_being_stored_is_found_by_the_next_call():
    project = cast.project()
    first, *_ = cast.comparisons(project, 3)
    ben, dan = people(project, 2)
    voting(lend(project, dan)[0], dan)()
    # Ben's cursor goes past the first comparison; the raise does not wait for him.
    meet(
        lambda: lend(project, ben),
        lambda: comparison_wanted_set(project=project, comparison_ids=[first.pk], wanted=2),
        waits=False,
    )
    assert first.pk in {row.comparison_id for row in lend(project, ben, 3)}
    assert broken_invariants() == {}


def test_nobody_gets_the_place_of_whoever_takes_an_answer_back(scene):
    project, ben, dan = scene
    (row,) = lend(project, ben)
    done = voting(row, ben)()
    undo = lambda: annotation_undo(annotation_id=done.annotation_id, user_id=ben.pk)  # noqa: E731 - a name of its own for one line
    assert meet(undo, lambda: lend(project, dan), waits=False) == [] == lend(project, dan)
    assert len(lend(project, ben)) == 1 and broken_invariants() == {}


@pytest.mark.parametrize("says", ["flag", "cannot judge"])
def test_of_two_who_are_the_third_at_once_one_holds_the_comparison_back(says):
    project = cast.project()
    (comparison,) = cast.comparisons(project, 1, wanted=5)
    users = people(project, 3)
    rows = [lend(project, user)[0] for user in users]

    def saying(row, user) -> Callable[[], object]:
        own = {"assignment_id": row.id, "user_id": user.pk}
        if says == "flag":
            return lambda: comparison_flag(**own, reason="Cut off.")
        return lambda: assignment_submit(**own, submit_key=uuid4(), answers=cast.CANNOT_JUDGE)

    first, second, third = (saying(row, user) for row, user in zip(rows, users, strict=True))
    first()
    meet(second, third)
    assert Demand.objects.get(comparison=comparison).held_back and broken_invariants() == {}


def test_deleting_waits_for_a_claim_and_is_refused(scene):
    project, ben, _ = scene
    comparison = Demand.objects.get().pk
    found = meet(
        lambda: lend(project, ben),
        lambda: comparison_delete(project_id=project.pk, comparison_id=comparison),
    )
    assert isinstance(found, Conflict) and Demand.objects.filter(pk=comparison).exists()


def test_deleting_locks_assignments_before_the_demand_and_none_after(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    assignment_skip(assignment_id=row.id, user_id=ben.pk, reason="other")
    with CaptureQueriesContext(connection) as queries:
        comparison_delete(project_id=project.pk, comparison_id=row.comparison_id)
    locking = [query["sql"].split(" WHERE ")[0] for query in queries if "FOR UPDATE" in query["sql"]]
    assert ["assignment" in sql.split(" FROM ")[1] for sql in locking] == [True, False]


def test_a_claim_waits_for_a_deletion_and_finds_nothing(scene):
    project, ben, _ = scene
    comparison = Demand.objects.get().pk
    found = meet(
        lambda: comparison_delete(project_id=project.pk, comparison_id=comparison),
        lambda: lend(project, ben),
    )
    assert found == []


def test_a_new_order_makes_claims_take_another_and_votes_wait():
    project = cast.project()
    first, second = cast.comparisons(project, 2, wanted=2)
    ben, dan = people(project, 2)
    (row,) = lend(project, ben)

    def moving() -> None:
        Demand.objects.filter(pk=first.pk).update(ord=first.pk + 1000)

    (other,) = meet(moving, lambda: lend(project, dan), waits=False)
    assert other.comparison_id == second.pk
    assert not meet(moving, voting(row, ben)).late
    assert broken_invariants() == {}


def test_a_vote_that_meets_lowering_now_is_surplus(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    comparison = row.comparison_id

    def lower() -> None:
        comparison_wanted_set(project=project, comparison_ids=[comparison], wanted=0, now=True)

    assert isinstance(meet(lower, voting(row, ben)), KeptAsSurplus)
    assert broken_invariants() == {}


def test_a_vote_in_progress_is_counted_before_lowering_now_takes_its_lease(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    meet(
        voting(row, ben),
        lambda: comparison_wanted_set(
            project=project, comparison_ids=[row.comparison_id], wanted=0, now=True
        ),
    )
    assert Annotation.objects.get().state == "current"
    assert (Demand.objects.get().done, broken_invariants()) == (1, {})


def test_the_end_of_an_offer_waits_for_its_person_and_leaves_them_what_they_began(scene):
    project, ben, dan = scene
    offer = offer_create(project=project, user_id=ben.pk)
    found = meet(
        lambda: lend(project, ben), lambda: offer_release(project_id=project.pk, offer_id=offer.pk)
    )
    assert found is None and len(lend(project, ben)) == 1
    assert lend(project, dan) == [] and broken_invariants() == {}


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_vote_whose_connection_dies_before_the_commit_leaves_nothing_and_is_sent_again(scene):
    project, ben, _ = scene
    (row,) = lend(project, ben)
    key, pids, done = uuid4(), [], threading.Event()
    may_end = threading.Event()

    def dying() -> None:
        try:
            with transaction.atomic():
                voting(row, ben, key)()
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    pids.append(cursor.fetchone()[0])
                done.set()
                may_end.wait(10)
        except DatabaseError:
            pids.append(0)
        finally:
            connections.close_all()

    thread = threading.Thread(target=dying)
    thread.start()
    assert done.wait(10)
    terminate(pids[0])
    may_end.set()
    thread.join()
    assert pids[1:] == [0] and Annotation.objects.count() == 0
    assert not voting(row, ben, key)().replay
    assert Annotation.objects.count() == 1 and broken_invariants() == {}


@pytest.mark.slow
def test_forty_people_do_everything_at_once_and_the_counts_are_exact():
    """Claims, votes, retries, skips, undos, sweeps, raises and lowers from 8 threads until nothing is left."""
    project = cast.project()
    made = cast.comparisons(project, 120, wanted=3)
    users = people(project, 40)
    acknowledged: set[int] = set()
    withdrawn: set[int] = set()
    deadline = time.monotonic() + 12

    def act(seed: int) -> None:
        rng = random.Random(seed)
        idle = 0
        while idle < 60 and time.monotonic() < deadline:
            user = rng.choice(users)
            with suppress(AnnotationError):
                idle = 0 if one_step(rng, user) else idle + 1
        connections.close_all()

    def one_step(rng: random.Random, user) -> bool:
        dice = rng.random()
        if dice < 0.04:
            wanted = rng.choice([2, 3, 4])
            comparison_wanted_set(project=project, comparison_ids=[rng.choice(made).pk], wanted=wanted)
            return True
        if dice < 0.08:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE annotation_assignment SET lease_until = now() - interval '1 s' "
                    "WHERE id = (SELECT id FROM annotation_assignment WHERE state = 'leased' LIMIT 1 FOR UPDATE SKIP LOCKED)"
                )
            assignment_sweep()
            return True
        rows = lend(project, user, rng.choice([1, 2, 3]))
        if not rows:
            return False
        row = rng.choice(rows)
        if dice < 0.12:
            assignment_skip(assignment_id=row.id, user_id=user.pk, reason="too_long")
            return True
        key, answers = uuid4(), cast.vote(rng.choice([-3, -1, 0, 2]))
        done = assignment_submit(assignment_id=row.id, user_id=user.pk, submit_key=key, answers=answers)
        acknowledged.add(done.annotation_id)
        if dice < 0.25:
            again = assignment_submit(assignment_id=row.id, user_id=user.pk, submit_key=key, answers=answers)
            assert again.annotation_id == done.annotation_id
        elif dice < 0.32:
            annotation_undo(annotation_id=done.annotation_id, user_id=user.pk)
            withdrawn.add(done.annotation_id)
        return True

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(act, seed) for seed in range(8)]:
            future.result()
    # What was raised or given back last is judged in peace.
    for user in users:
        while rows := lend(project, user, 3):
            for row in rows:
                answers = cast.vote(1)
                done = assignment_submit(assignment_id=row.id, user_id=user.pk, submit_key=uuid4(), answers=answers)
                acknowledged.add(done.annotation_id)
    stored = set(Annotation.objects.exclude(state="retraction").values_list("id", flat=True))
    assert acknowledged <= stored
    assert set(Annotation.objects.filter(state="withdrawn").values_list("id", flat=True)) == withdrawn
    assert broken_invariants() == {}
    assert len(acknowledged) > 200
    assert not Demand.objects.filter(is_open=True).exists()
    assert not Assignment.objects.filter(state="leased").exists()

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
from django.db import connection, connections, transaction

from annotation.errors import AnnotationError
from annotation.models import Annotation, Assignment, Demand
from annotation.services.assignment import (
    assignment_next,
    assignment_skip,
    assignment_submit,
    assignment_sweep,
    participation_ensure,
)
from annotation.services.corrections import annotation_undo
from annotation.services.demand import comparison_wanted_set
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
    deadline = time.monotonic() + 10
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
    stored = set(Annotation.objects.exclude(state="retraction").values_list("id", flat=True))
    assert acknowledged <= stored
    assert set(Annotation.objects.filter(state="withdrawn").values_list("id", flat=True)) == withdrawn
    assert broken_invariants() == {}
    assert len(acknowledged) > 200
    assert not Demand.objects.filter(is_open=True).exists() or Assignment.objects.filter(state="leased").exists()

"""Work items: planned once, leased by one, finished exactly once, whoever dies."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from annotation.models import OutboxEvent, Project
from annotation.outbox import outbox_add
from pipelines import queue
from pipelines.errors import Busy, Cancelled, Fenced, InputRefused
from pipelines.models import Job, WorkItem

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return Project.objects.create(slug="ada", title="Ada")


def add(project: Project, key: str = "k", **more: object) -> int:
    given = {"queue": "default", "kind": "test", "params": {}, **more}
    return queue.work_add(project_id=project.pk, key=key, **given)


def take(name: str = "w", **more: object) -> queue.Leased:
    item = queue.work_take(queue="default", worker=name, **more)
    assert item is not None
    return item


def state_of(item: queue.Leased) -> WorkItem:
    return WorkItem.objects.get(pk=item.id)


def expire(item: queue.Leased) -> None:
    WorkItem.objects.filter(pk=item.id).update(lease_until=Now() - timedelta(seconds=1))


def make_due() -> None:
    WorkItem.objects.filter(state="ready").update(due_at=Now())


def test_planning_twice_plans_once(project):
    assert add(project) == 1
    assert add(project) == 0


def test_the_same_key_is_planned_again_once_it_is_done(project):
    add(project)
    queue.work_finish(take())
    assert add(project) == 1


def test_an_unknown_queue_is_refused(project):
    with pytest.raises(InputRefused, match="no queue 'gpu'"):
        add(project, queue="gpu")


def test_an_item_is_taken_once(project):
    add(project)
    take()
    assert queue.work_take(queue="default", worker="w2") is None


def test_work_that_is_not_due_waits(project):
    add(project, due_in=60)
    assert queue.work_take(queue="default", worker="w") is None


def test_higher_priority_goes_first(project):
    add(project, "low")
    add(project, "high", priority=1)
    assert take().key == "high"


def test_one_job_can_be_taken_alone(project):
    add(project, "other")
    job = queue.job_start(project=project, kind="test", params={})
    assert take(job_id=job.pk).job_id == job.pk
    assert queue.work_take(queue="default", worker="w", job_id=job.pk) is None


def test_projects_take_turns(project):
    other = Project.objects.create(slug="cy", title="Cy")
    queue.work_plan(
        [queue.Slice(str(n), {}) for n in range(200)], queue="default", project_id=project.pk, kind="big"
    )
    queue.work_plan(
        [queue.Slice(str(n), {}) for n in range(10)], queue="default", project_id=other.pk, kind="small"
    )
    first_sixty = [take().project_id for _ in range(60)]
    assert first_sixty.count(other.pk) == 10


def test_a_finish_stores_results_and_closes_the_job(project):
    job = queue.job_start(project=project, kind="test", params={"n": 1})
    item = take()
    with queue.work_finishing(item):
        item.counts["judged"] += 5
        item.result["name"] = "x"
    job.refresh_from_db()
    assert (job.state, job.result) == ("done", {"name": "x", "counts": {"judged": 5}})


def test_counts_of_slices_add_up(project):
    job = queue.job_start(project=project, kind="test", params={})
    planner = take()
    with queue.work_finishing(planner):
        slices = [queue.Slice(f"{job.pk}/{n}", {}, 3) for n in range(2)]
        queue.work_plan(slices, queue="default", project_id=project.pk, kind="slice", job_id=job.pk)
    for _ in range(2):
        item = take()
        item.counts.update(judged=3, refused=0)
        queue.work_finish(item)
    job.refresh_from_db()
    assert (job.state, job.total, job.result["counts"]) == ("done", 6, {"judged": 6, "refused": 0})


def test_a_failing_body_leaves_the_item_leased(project):
    add(project)
    item = take()
    with pytest.raises(ZeroDivisionError), queue.work_finishing(item):
        raise ZeroDivisionError
    assert state_of(item).state == "leased"


def test_a_stalled_worker_is_fenced_and_stores_nothing(project):
    add(project)
    stalled = take("stalled")
    expire(stalled)
    assert queue.work_sweep() == 1
    make_due()
    queue.work_finish(take("second"))
    with pytest.raises(Fenced), queue.work_finishing(stalled):
        pytest.fail("the body must not run")


def test_a_heartbeat_tells_that_the_lease_is_lost(project):
    add(project)
    item = take()
    expire(item)
    queue.work_sweep()
    queue.work_heartbeat(item)
    with pytest.raises(Fenced):
        item.check()


def test_a_heartbeat_moves_the_lease_and_brings_progress(project):
    add(project, size=10)
    item = take()
    item.advance(4)
    before = state_of(item).lease_until
    queue.work_heartbeat(item)
    row = state_of(item)
    assert row.lease_until > before and row.progress == 4 and not item.lost


def test_the_starting_of_a_running_job_returns_it(project):
    first = queue.job_start(project=project, kind="test", params={"a": 1})
    assert queue.job_start(project=project, kind="test", params={"a": 1}) == first
    assert queue.job_start(project=project, kind="test", params={"a": 2}) != first


def test_a_retryable_error_puts_it_back_later(project):
    add(project)
    item = take()
    queue.work_fail(item, Busy("later"))
    row = state_of(item)
    assert (row.state, row.attempts, row.error) == ("ready", 1, "later")
    assert queue.work_take(queue="default", worker="w") is None


def test_an_error_that_cannot_heal_goes_to_a_person_at_once(project):
    job = queue.job_start(project=project, kind="test", params={})
    queue.work_fail(take(), InputRefused("no such model"))
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "no such model")


def test_a_poison_item_goes_to_a_person_after_three_attempts(project):
    job = queue.job_start(project=project, kind="test", params={})
    for _ in range(3):
        item = take()
        expire(item)
        queue.work_sweep()
        make_due()
    job.refresh_from_db()
    assert state_of(item).state == "needs_person" and "attempt 3 of 3" in job.error


def test_a_slice_that_dies_twice_is_cut_down_to_the_bad_subject(project):
    add(project, params={"ids": [1, 2, 3, 4], "model": "m"}, size=4)
    done: list[int] = []
    while (item := queue.work_take(queue="default", worker="w")) is not None:
        if 3 in item.params["ids"]:
            queue.work_fail(item, RuntimeError("poison"))
        else:
            done += item.params["ids"]
            queue.work_finish(item)
        make_due()
    assert sorted(done) == [1, 2, 4]
    assert [row.params["ids"] for row in WorkItem.objects.filter(state="needs_person")] == [[3]]


def test_cancelling_ends_what_waits_and_refuses_the_result_of_what_runs(project):
    job = queue.job_start(project=project, kind="test", params={})
    running = take()
    add(project, "more", job_id=job.pk)
    queue.job_cancel(job_id=job.pk)
    queue.work_heartbeat(running)
    with pytest.raises(Cancelled):
        running.check()
    with pytest.raises(Cancelled), queue.work_finishing(running):
        pytest.fail("the body must not run")
    queue.work_fail(running, Cancelled("Cancelled."))
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert set(WorkItem.objects.values_list("state", flat=True)) == {"cancelled"}


def test_the_sweeper_ends_a_cancelled_item_of_a_dead_worker(project):
    job = queue.job_start(project=project, kind="test", params={})
    item = take()
    queue.job_cancel(job_id=job.pk)
    expire(item)
    queue.work_sweep()
    job.refresh_from_db()
    assert (state_of(item).state, job.state) == ("cancelled", "cancelled")


def test_an_event_plans_one_refresh_a_project_and_is_taken_once(project):
    for subject in (5, 6):
        outbox_add(project_id=project.pk, kind="annotation.submitted", subject_id=subject)
    assert queue.outbox_consume() == 1
    assert queue.outbox_consume() == 0
    assert queue.outbox_take(project_id=project.pk, prefix="annotation.") == [5, 6]
    assert not OutboxEvent.objects.exists()


def test_progress_is_the_sum_over_the_items(project):
    job = queue.job_start(project=project, kind="test", params={})
    with queue.work_finishing(take()):
        slices = [queue.Slice(str(n), {}, 10) for n in range(2)]
        queue.work_plan(slices, queue="ml", project_id=project.pk, kind="slice", job_id=job.pk)
    item = queue.work_take(queue="ml", worker="w")
    item.advance(4)
    queue.work_heartbeat(item)
    assert queue.job_progress(job.pk) == queue.JobProgress(4, 20, ("ml",))


def in_thread(function):
    """Run in a thread with a connection of its own."""

    def body():
        try:
            function()
        finally:
            connection.close()

    thread = threading.Thread(target=body)
    thread.start()
    return thread


def wait_for_lock() -> None:
    """Until another backend of this database waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(10_000):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    pytest.fail("nobody waits for a lock")


@pytest.mark.django_db
def test_finished_items_that_no_job_shows_are_taken_away_after_a_day():
    project = Project.objects.create(slug="ada", title="Ada")
    job = queue.job_start(project=project, kind="t", params={})
    for key in ("old", "new"):
        add(project, key)
    queue.work_finish(take())
    WorkItem.objects.filter(key="old").update(state="done", done_at=Now() - timedelta(days=2))
    WorkItem.objects.filter(job=job).update(state="done", done_at=Now() - timedelta(days=2))
    assert queue.work_prune() == 1
    assert not WorkItem.objects.filter(key="old").exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_take_the_same_item():
    project = Project.objects.create(slug="ada", title="Ada")
    queue.work_plan(
        [queue.Slice(str(n), {}) for n in range(60)], queue="default", project_id=project.pk, kind="t"
    )
    taken: list[int] = []

    def work():
        while (item := queue.work_take(queue="default", worker="w")) is not None:
            taken.append(item.id)
            queue.work_finish(item)

    for thread in [in_thread(work) for _ in range(4)]:
        thread.join()
    assert len(taken) == len(set(taken)) == 60


@pytest.mark.django_db(transaction=True)
def test_the_last_two_slices_that_finish_together_close_the_job():
    project = Project.objects.create(slug="ada", title="Ada")
    job = queue.job_start(project=project, kind="t", params={})
    add(project, "second", job_id=job.pk)
    first, second = take(), take()
    with transaction.atomic():
        with queue.work_finishing(first):
            pass
        thread = in_thread(lambda: queue.work_finish(second))
        wait_for_lock()
    thread.join()
    job.refresh_from_db()
    assert job.state == "done"


@pytest.mark.django_db(transaction=True)
def test_a_cancel_while_a_planner_finishes_cancels_what_it_planned():
    project = Project.objects.create(slug="ada", title="Ada")
    job = queue.job_start(project=project, kind="t", params={})
    planner = take()
    with transaction.atomic():
        with queue.work_finishing(planner):
            queue.work_add(queue="ml", project_id=project.pk, kind="s", key="s", params={}, job_id=job.pk)
        thread = in_thread(lambda: queue.job_cancel(job_id=job.pk))
        wait_for_lock()
    thread.join()
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert WorkItem.objects.get(kind="s").state == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_a_failing_bell_does_not_fail_the_transaction(settings):
    settings.BROKER_URL = "redis+socket:///nowhere/redis.sock"
    project = Project.objects.create(slug="ada", title="Ada")
    assert add(project) == 1
    assert WorkItem.objects.count() == 1

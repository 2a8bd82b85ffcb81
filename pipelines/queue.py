"""The work queue: jobs that people start, cut into items that workers lease.

Postgres holds intent, lease, attempts and outcome; the broker only says "look" (`bell.py`). Times are the database's.

- `job_start` writes a job and its first item, which does the work or plans slices with `work_add`.
- A worker takes an item (`work_take`: token + 1, attempts + 1), computes outside any transaction, and stores results
  inside `with work_finishing(item):`, whose first statement closes the item by its token. Whoever lost the lease
  changes no row there, is told by `Fenced`, and everything it wrote is rolled back: results appear exactly once.
- `work_fail`, `work_sweep` and `job_cancel` are the other ways for an item to end. Every way ends in `_job_settle`.

Lock order: item, then job. Planning the same (kind, key) twice while the first is open plans once.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from annotation.models import OutboxEvent, Project, User
from pipelines.bell import ring, ring_on_commit
from pipelines.errors import Cancelled, Fenced, InputRefused, JobFailed, PipelineError
from pipelines.models import Job, WorkerHeartbeat, WorkItem

# `train` starts and watches training processes: it needs the extra, and must not wait for a long `ml` slice.
DEFAULT, ML, TRAIN = "default", "ml", "train"
QUEUES = (DEFAULT, ML, TRAIN)
MAX_ATTEMPTS, PLAN_ATTEMPTS = 3, 10
OPEN = (WorkItem.State.READY, WorkItem.State.LEASED)
LONGEST_WAIT_SECONDS = 600
# Jobs whose work goes on outside the queue, and what stops it there.
CANCELLERS = {"train": "pipelines.services.training:training_cancel_of_job"}
OUTBOX_CONSUMERS = {"annotation.": "preference.refresh"}
DEBOUNCE_SECONDS = 1.0
REFUSED = "refused"
SEEN_SECONDS = 15


@dataclass(frozen=True)
class Slice:
    """One item to be planned. `params` with a list `ids` can be cut in halves when it fails."""

    key: str
    params: Mapping[str, Any]
    size: int = 1


@dataclass
class Leased:
    """An item in a worker's hand. The heartbeat thread sets `cancelled` and `lost`, and reads `progress`."""

    id: int
    token: int
    queue: str
    project_id: int
    job_id: int | None
    kind: str
    key: str
    params: dict[str, Any]
    size: int
    attempts: int
    progress: int = 0
    cancelled: bool = False
    lost: bool = False
    finished: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    result: dict[str, Any] = field(default_factory=dict)

    def advance(self, subjects: int = 1) -> None:
        """Say that so many subjects more are done; raises when the work should stop."""
        self.progress += subjects
        self.check()

    def check(self) -> None:
        """Raise `Cancelled` or `Fenced` if the last heartbeat said so."""
        if self.cancelled:
            raise Cancelled("Cancelled.")
        if self.lost:
            raise Fenced("Another worker has this work now.")


# Jobs


@transaction.atomic
def job_start(
    *,
    project: Project,
    kind: str,
    params: Mapping[str, Any],
    queue: str = DEFAULT,
    created_by: User | None = None,
    size: int = 0,
    max_attempts: int = MAX_ATTEMPTS,
) -> Job:
    """A job and its first item, of the same kind. The same job that still runs is returned instead of a second one.

    A first item that only plans may be tried more often than work that stores results.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    running = Job.objects.filter(project=project, kind=kind, params=dict(params), state=Job.State.RUNNING)
    if (job := running.filter(cancel_requested=False).first()) is not None:
        return job
    job = Job.objects.create(project=project, kind=kind, params=dict(params), created_by=created_by)
    work_add(
        queue=queue,
        project_id=project.pk,
        kind=kind,
        key=f"job-{job.pk}",
        params=params,
        size=size,
        job_id=job.pk,
        max_attempts=max_attempts,
    )
    return job


def job_cancel(*, job_id: int) -> Job:
    """Ask for the end of a job: what waits is cancelled now, what runs stops at its next heartbeat and stores nothing.

    The flag is committed first: a planner that finishes later sees it under the job's lock and cancels what it planned.
    """
    job = Job.objects.get(pk=job_id)
    if job.kind in CANCELLERS:
        import_string(CANCELLERS[job.kind].replace(":", "."))(job)
        job.refresh_from_db()
        return job
    with transaction.atomic():
        Job.objects.filter(pk=job_id, state=Job.State.RUNNING).update(cancel_requested=True)
    with transaction.atomic():
        items = WorkItem.objects.filter(job_id=job_id)
        items.filter(state=WorkItem.State.READY).update(state=WorkItem.State.CANCELLED, done_at=Now())
        items.filter(state=WorkItem.State.LEASED).update(cancel_requested=True)
        _job_settle(job_id)
    return Job.objects.get(pk=job_id)


@dataclass(frozen=True)
class JobProgress:
    done: int
    total: int
    waiting_queues: tuple[str, ...]


def job_progress(job_id: int) -> JobProgress:
    """Subjects done and planned, and the queues that still hold items of it."""
    items = WorkItem.objects.filter(job_id=job_id)
    sums = items.exclude(state=WorkItem.State.CANCELLED).aggregate(
        total=Sum("size"),
        done=Sum("size", filter=Q(state=WorkItem.State.DONE)),
        running=Sum("progress", filter=Q(state__in=OPEN)),
    )
    queues = items.filter(state__in=OPEN).values_list("queue", flat=True).distinct()
    return JobProgress(
        (sums["done"] or 0) + (sums["running"] or 0), sums["total"] or 0, tuple(sorted(queues))
    )


def _job_settle(
    job_id: int | None, counts: Mapping[str, int] | None = None, result: Mapping[str, Any] | None = None
) -> None:
    """Add to the job's result, and close the job when no item of it is open. Runs last in the caller's transaction.

    The job's row lock makes the last two items that finish together serial: the second sees that nothing is open.
    """
    if job_id is None:
        return
    job = Job.objects.select_for_update(no_key=True).get(pk=job_id)
    items = WorkItem.objects.filter(job=job)
    if counts or result:
        summed = Counter(job.result.get("counts", {})) + Counter(counts or {})
        job.result = {
            **job.result,
            **(result or {}),
            "counts": {**job.result.get("counts", {}), **(counts or {}), **summed},
        }
        job.save(update_fields=["result"])
    if job.cancel_requested:
        items.filter(state=WorkItem.State.READY).update(state=WorkItem.State.CANCELLED, done_at=Now())
    if job.state != Job.State.RUNNING or items.filter(state__in=OPEN).exists():
        return
    failed = items.filter(state=WorkItem.State.NEEDS_PERSON).order_by("id").first()
    job.error = failed.error if failed else ""
    job.state = (
        Job.State.CANCELLED if job.cancel_requested else Job.State.FAILED if failed else Job.State.DONE
    )
    job.total = items.exclude(state=WorkItem.State.CANCELLED).aggregate(n=Sum("size"))["n"] or 0
    job.save(update_fields=["state", "error", "total"])
    Job.objects.filter(pk=job.pk).update(finished_at=Now())


# Items: plan and take


def work_add(
    *,
    queue: str,
    project_id: int,
    kind: str,
    key: str,
    params: Mapping[str, Any],
    size: int = 1,
    job_id: int | None = None,
    due_in: float = 0.0,
    priority: int = 0,
    max_attempts: int = MAX_ATTEMPTS,
) -> int:
    """Plan one item; returns 1, or 0 when the same is open already. `due_in` in seconds."""
    return work_plan(
        [Slice(key, params, size)],
        queue=queue,
        project_id=project_id,
        kind=kind,
        job_id=job_id,
        due_in=due_in,
        priority=priority,
        max_attempts=max_attempts,
    )


PLAN = """
INSERT INTO pipelines_workitem (queue, project_id, job_id, kind, key, params, size, progress, priority, due_at, state,
                                attempts, max_attempts, token, leased_by, cancel_requested, error)
SELECT %(queue)s, %(project)s, %(job)s, %(kind)s, s.key, s.params, s.size, 0, %(priority)s,
       statement_timestamp() + make_interval(secs => %(due_in)s), 'ready',
       %(attempts)s, %(max_attempts)s, 0, '', false, ''
FROM jsonb_to_recordset(%(slices)s::jsonb) AS s(key text, params jsonb, size bigint)
ON CONFLICT (kind, key) WHERE state IN ('ready', 'leased') DO NOTHING
"""


def work_plan(
    slices: Iterable[Slice],
    *,
    queue: str,
    project_id: int,
    kind: str,
    job_id: int | None = None,
    due_in: float = 0.0,
    priority: int = 0,
    attempts: int = 0,
    max_attempts: int = MAX_ATTEMPTS,
) -> int:
    """Plan many items in one statement of the caller's transaction, ring after it; returns how many are new."""
    if queue not in QUEUES:
        raise InputRefused(f"There is no queue {queue!r}; known are {', '.join(QUEUES)}.")
    rows = [{"key": s.key, "params": dict(s.params), "size": s.size} for s in slices]
    with connection.cursor() as cursor:
        cursor.execute(
            PLAN,
            {
                "queue": queue,
                "project": project_id,
                "job": job_id,
                "kind": kind,
                "priority": priority,
                "due_in": float(due_in),
                "attempts": attempts,
                "max_attempts": max_attempts,
                "slices": json.dumps(rows),
            },
        )
        planned = int(cursor.rowcount)
    if planned and due_in <= 0:
        ring_on_commit(queue)
    return planned


# Projects take turns by chance: with many items of one and few of another, each is as likely to be next.
TAKE = """
UPDATE pipelines_workitem SET state = 'leased', token = token + 1, attempts = attempts + 1, progress = 0,
       leased_by = %(worker)s, lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
WHERE id = (
  SELECT id FROM pipelines_workitem
  WHERE queue = %(queue)s AND state = 'ready' AND due_at <= statement_timestamp()
    AND (%(job)s::bigint IS NULL OR job_id = %(job)s::bigint)
  ORDER BY priority DESC, hashint8(project_id # %(turn)s::bigint), due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, token, queue, project_id, job_id, kind, key, params, size, attempts
"""


def work_take(*, queue: str, worker: str, job_id: int | None = None) -> Leased | None:
    """Lease the next due item, of one job if asked. The attempt counts from now: a killed worker has had it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            TAKE,
            {
                "queue": queue,
                "worker": worker[:80],
                "lease": float(settings.WORK_LEASE_SECONDS),
                "job": job_id,
                "turn": random.getrandbits(62),
            },
        )
        row = cursor.fetchone()
        if row is None:
            return None
        names = [column.name for column in cursor.description or ()]
    found = dict(zip(names, row, strict=True))
    if isinstance(found["params"], str):
        found["params"] = json.loads(found["params"])
    return Leased(**found)


def work_heartbeat(item: Leased) -> None:
    """Move the lease on, store progress, set `lost` or `cancelled`. Never inside another transaction."""
    held = WorkItem.objects.filter(pk=item.id, token=item.token, state=WorkItem.State.LEASED)
    changed = held.update(lease_until=_lease_end(), progress=min(item.progress, item.size))
    item.lost = changed == 0
    item.cancelled = held.filter(cancel_requested=True).exists()


def _lease_end() -> Any:
    return Now() + timedelta(seconds=settings.WORK_LEASE_SECONDS)


# Items: the ways to end


@contextmanager
def work_finishing(item: Leased) -> Iterator[None]:
    """Close the item, then run the body in the same transaction: results and the item's end appear together.

    Raises `Cancelled` or `Fenced` before the body runs. Whatever the body raises rolls all of it back.
    """
    with transaction.atomic():
        held = WorkItem.objects.filter(pk=item.id, token=item.token, state=WorkItem.State.LEASED)
        closed = held.filter(cancel_requested=False).update(
            state=WorkItem.State.DONE, lease_until=None, progress=F("size"), done_at=Now(), error=""
        )
        if not closed:
            item.cancelled = held.exists()
            item.lost = not item.cancelled
            item.check()
        yield
        _job_settle(item.job_id, item.counts, item.result)
    item.finished = True


def work_finish(item: Leased) -> None:
    """Close an item that has no results of its own."""
    with work_finishing(item):
        pass


@transaction.atomic
def work_fail(item: Leased, error: BaseException) -> None:
    """Give the item back after an error: later again, in halves, to a person, or cancelled."""
    held = WorkItem.objects.select_for_update(no_key=True).filter(
        pk=item.id, token=item.token, state=WorkItem.State.LEASED
    )
    row = held.first()
    if row is None:
        return
    hopeless = isinstance(error, PipelineError) and not error.retryable
    cancelled = isinstance(error, Cancelled)
    _give_back(row, reason=_sentence(error), hopeless=hopeless, cancelled=cancelled)
    if hopeless and not cancelled and not isinstance(error, JobFailed):
        _job_settle(row.job_id, result={REFUSED: True})


@transaction.atomic
def work_release(item: Leased) -> None:
    """Put an item back, its attempt uncounted: a person stopped the worker, the item did nothing wrong."""
    WorkItem.objects.filter(pk=item.id, token=item.token, state=WorkItem.State.LEASED).update(
        state=WorkItem.State.READY,
        lease_until=None,
        leased_by="",
        attempts=F("attempts") - 1,
        token=F("token") + 1,
    )


def work_sweep(*, limit: int = 200) -> int:
    """Take away expired leases, whose workers are dead or stalled. Returns how many."""
    with transaction.atomic():
        expired = list(
            WorkItem.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(state=WorkItem.State.LEASED, lease_until__lt=Now())
            .order_by("id")[:limit]
        )
        for row in expired:
            reason = f"The worker {row.leased_by} stopped answering (attempt {row.attempts} of {row.max_attempts})."
            _give_back(row, reason=reason, hopeless=False, cancelled=False)
    return len(expired)


def _give_back(row: WorkItem, *, reason: str, hopeless: bool, cancelled: bool) -> None:
    """End a lease without results, under the row's lock."""
    state = WorkItem.State
    halves = [] if hopeless or cancelled or row.cancel_requested or row.attempts < 2 else _halves(row)
    if cancelled or row.cancel_requested or halves:
        row.state = state.CANCELLED
    elif hopeless or row.attempts >= row.max_attempts:
        row.state = state.NEEDS_PERSON
    else:
        row.state = state.READY
    row.token, row.lease_until, row.error = row.token + 1, None, reason
    row.save(update_fields=["token", "lease_until", "error", "state"])
    if row.state == state.READY:
        wait = min(LONGEST_WAIT_SECONDS, 2.0**row.attempts) * random.uniform(0.5, 1.5)
        WorkItem.objects.filter(pk=row.pk).update(due_at=Now() + timedelta(seconds=wait))
    else:
        WorkItem.objects.filter(pk=row.pk).update(done_at=Now())
    if halves:
        # One attempt is counted already, so that a half that fails once more is cut again, down to the bad subject.
        work_plan(
            halves,
            queue=row.queue,
            project_id=row.project_id,
            kind=row.kind,
            job_id=row.job_id,
            priority=row.priority,
            attempts=1,
        )
    _job_settle(row.job_id)


def _halves(row: WorkItem) -> list[Slice]:
    ids = row.params.get("ids", [])
    if len(ids) < 2:
        return []
    middle = len(ids) // 2
    return [
        Slice(f"{row.key}.{name}"[-160:], {**row.params, "ids": part}, len(part))
        for name, part in (("a", ids[:middle]), ("b", ids[middle:]))
    ]


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"


# Outbox and bells


def outbox_consume() -> int:
    """Plan work for what happened. Returns how many items are new.

    Rows are deleted by the work itself, in the transaction that stores its results, so none is lost or applied
    twice. Never read by "id > last seen": ids become visible out of order.
    """
    planned = 0
    for prefix, kind in OUTBOX_CONSUMERS.items():
        projects = OutboxEvent.objects.filter(kind__startswith=prefix).values_list("project_id", flat=True)
        for project_id in projects.order_by("project_id").distinct():
            planned += work_add(
                queue=DEFAULT,
                project_id=project_id,
                kind=kind,
                key=str(project_id),
                params={},
                size=0,
                due_in=DEBOUNCE_SECONDS,
            )
    return planned


def work_prune(*, days: int = 1, limit: int = 5000) -> int:
    """Take away finished items that no job shows: refreshes, one for each burst of votes. Returns how many."""
    old = WorkItem.objects.filter(
        job=None, state=WorkItem.State.DONE, done_at__lt=Now() - timedelta(days=days)
    ).order_by("id")
    deleted, _ = WorkItem.objects.filter(pk__in=old.values("pk")[:limit]).delete()
    return deleted


def outbox_take(*, project_id: int, prefix: str, limit: int = 5000) -> list[int]:
    """Delete a batch of a project's events and return their subjects; in the transaction that acts on them."""
    events = OutboxEvent.objects.filter(project_id=project_id, kind__startswith=prefix)
    batch = list(
        events.select_for_update(skip_locked=True).order_by("id").values_list("id", "subject_id")[:limit]
    )
    OutboxEvent.objects.filter(pk__in=[event_id for event_id, _ in batch]).delete()
    return [subject for _, subject in batch]


def due_queues() -> list[str]:
    """Queues with work that is due."""
    return list(
        WorkItem.objects.filter(state=WorkItem.State.READY, due_at__lte=Now())
        .values_list("queue", flat=True)
        .order_by("queue")
        .distinct()
    )


def ring_due() -> None:
    """Ring for all that is due: bells may have been lost with the broker."""
    for queue in due_queues():
        ring(queue)


# Who serves


def worker_seen(*, name: str, queue: str) -> None:
    """Write down that a worker serves a queue now."""
    WorkerHeartbeat.objects.update_or_create(name=name[:120], defaults={"queue": queue, "seen_at": Now()})


def worker_gone(*, name: str) -> None:
    WorkerHeartbeat.objects.filter(name=name[:120]).delete()


def queue_served(queue: str) -> bool:
    """Whether some worker served the queue in the last seconds."""
    recent = WorkerHeartbeat.objects.filter(queue=queue, seen_at__gt=Now() - timedelta(seconds=SEEN_SECONDS))
    return recent.exists()


def queue_stuck(queue: str, *, worker: str, seconds: float) -> bool:
    """Whether work has been due for so long while this worker holds none of it."""
    due = WorkItem.objects.filter(
        queue=queue, state=WorkItem.State.READY, due_at__lt=Now() - timedelta(seconds=seconds)
    )
    held = WorkItem.objects.filter(queue=queue, state=WorkItem.State.LEASED, leased_by=worker[:80])
    return due.exists() and not held.exists()

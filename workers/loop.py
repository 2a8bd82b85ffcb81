"""The loop that every worker runs: take an item, beat its lease, do it, until nothing is due."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from pipelines.errors import Fenced, PipelineError
from pipelines.queue import (
    Leased,
    work_fail,
    work_finish,
    work_heartbeat,
    work_release,
    work_take,
    worker_gone,
    worker_seen,
)
from workers.handlers import HANDLERS

logger = logging.getLogger(__name__)
PRESENCE_SECONDS = 5.0


def worker_name(role: str) -> str:
    """Unique among living processes."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def drain(
    *,
    queue: str,
    worker: str,
    seconds: float | None = None,
    job_id: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Do what is due, at most for `seconds` and until `stop()`, always finishing the item in hand. Returns how many."""
    end = None if seconds is None else time.monotonic() + seconds
    done = 0
    while not stop() and (end is None or time.monotonic() < end):
        _connections_refresh()
        item = work_take(queue=queue, worker=worker, job_id=job_id)
        if item is None:
            return done
        work_do(item)
        done += 1
    return done


def work_do(item: Leased) -> None:
    """Run the item's handler under a beating lease; whatever goes wrong ends in the item's row."""
    try:
        with _beating(item):
            HANDLERS[item.kind].load()(item)
            if not item.finished:
                work_finish(item)
        level = logging.INFO if item.size else logging.DEBUG
        logger.log(level, "work.done kind=%s id=%d", item.kind, item.id)
    except Fenced:
        logger.warning("work.fenced kind=%s id=%d token=%d", item.kind, item.id, item.token)
    except (KeyboardInterrupt, SystemExit):
        work_release(item)
        raise
    except PipelineError as error:
        logger.warning(
            "work.failed kind=%s id=%d error=%s: %s", item.kind, item.id, type(error).__name__, error
        )
        _fail(item, error)
    except Exception as error:
        logger.exception("work.failed kind=%s id=%d", item.kind, item.id)
        _fail(item, error)


def _fail(item: Leased, error: BaseException) -> None:
    """If not even that can be written, the lease runs out and the sweeper takes it."""
    try:
        _connections_refresh()
        work_fail(item, error)
    except DatabaseError:
        logger.exception("work.fail_unwritten id=%d", item.id)
        connection.close()


def _connections_refresh() -> None:
    """Drop connections that broke or aged. Inside a transaction (a test's) there is nothing to drop."""
    if not connection.in_atomic_block:
        close_old_connections()


@contextmanager
def _beating(item: Leased) -> Iterator[None]:
    """Renew the lease each quarter of it, from a thread with a connection of its own."""
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(item, stop), name=f"lease-{item.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _beat(item: Leased, stop: threading.Event) -> None:
    try:
        while not item.lost and not stop.wait(settings.WORK_LEASE_SECONDS / 4):
            try:
                work_heartbeat(item)
            except DatabaseError as error:
                logger.warning("work.heartbeat_failed id=%d error=%s", item.id, type(error).__name__)
                connection.close()
    finally:
        connection.close()


def presence(
    *, name: str, queue: str, stop: threading.Event, each: Callable[[], None] = lambda: None
) -> threading.Thread:
    """A thread that says each few seconds that this worker lives, and calls `each`."""

    def body() -> None:
        while True:
            safely("presence", lambda: worker_seen(name=name, queue=queue))
            safely("presence", each)
            if stop.wait(PRESENCE_SECONDS):
                break
        safely("presence", lambda: worker_gone(name=name))
        connection.close()

    thread = threading.Thread(target=body, name="presence", daemon=True)
    thread.start()
    return thread


def safely(name: str, step: Callable[[], object]) -> None:
    """Run one step of an endless loop; a database that is away for a while must not end the loop."""
    try:
        _connections_refresh()
        step()
    except Exception:
        logger.exception("%s.failed", name)
        connection.close()

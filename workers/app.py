"""The Celery app: `python -m celery -A workers.app worker -Q default -c 1`. Its one task looks at a queue."""

from __future__ import annotations

import logging
import mmap
import os
import signal
import threading
from functools import partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

import django
from celery import Celery
from celery.signals import worker_init, worker_ready, worker_shutting_down

django.setup()

from pipelines.bell import LOOK, celery_settings, ring
from pipelines.queue import QUEUES, due_queues, queue_stuck
from workers.loop import drain, presence, safely, worker_name

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 60.0
STUCK_SECONDS = 60.0
GRACE_SECONDS = 20.0

app = Celery("winnow")
app.conf.update(celery_settings())

# One byte that parent and pool process share: the parent hears SIGTERM, the child must stop after the item in hand.
# No lock is involved, so a child that is killed while it looks leaves nothing locked.
_stopping = mmap.mmap(-1, 1)
_name = ""
_leave = threading.Event()


@app.task(name=LOOK)
def look(queue: str) -> None:
    """Do what is due in a queue for a minute, and ring again if more is."""
    drain(
        queue=queue, worker=_name or worker_name(queue), seconds=DRAIN_SECONDS, stop=lambda: _stopping[0] != 0
    )
    if queue in due_queues():
        ring(queue)


@worker_init.connect
def _named(sender: Any, **_: Any) -> None:
    """Before the pool forks, so that parent and child have one name."""
    global _name
    _name = worker_name("celery")


@worker_ready.connect
def _ready(sender: Any, **_: Any) -> None:
    """Say that this worker lives, and watch that it also works."""
    consumed = set(sender.app.amqp.queues.consume_from)
    for queue in QUEUES:
        if queue in consumed:
            safely("worker", partial(ring, queue))
            presence(name=f"{_name}/{queue}", queue=queue, stop=_leave, each=partial(_watch, queue))


@worker_shutting_down.connect
def _shutting_down(**_: Any) -> None:
    _stopping[0] = 1
    _leave.set()


def _watch(queue: str) -> None:
    """End a worker that takes nothing although work is due and the broker answers; the supervisor starts a new one.

    Celery's consumers are known to live on deaf after some reconnections.
    """
    if _stopping[0] or not queue_stuck(queue, worker=_name, seconds=STUCK_SECONDS) or not _broker_answers():
        return
    logger.error("worker.stuck name=%s queue=%s", _name, queue)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Timer(GRACE_SECONDS, os._exit, (1,)).start()


def _broker_answers() -> bool:
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
    except Exception:  # noqa: BLE001 - any fault of the broker's client means no
        return False
    return True

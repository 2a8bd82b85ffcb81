"""The bell: tells workers through the broker that a queue has work. It carries nothing but the queue's name.

A bell may be lost, doubled or late: the clock rings again for whatever is due, and workers take what Postgres holds.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache, partial
from typing import Any

from celery import Celery
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

LOOK = "workers.look"
NO_BROKER = "none"
EXPIRES_SECONDS = 60
QUIET_SECONDS = 2.0
_quiet_until = 0.0


def celery_settings() -> dict[str, Any]:
    """What producer and workers share. The visibility timeout exceeds the longest task: a minute and one slice."""
    return {
        "broker_url": settings.BROKER_URL,
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": 2,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": 600,
            # kombu's defaults bring the bells of a killed worker back only 100 s after that timeout.
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "retry_on_timeout": True,
        }
        if _is_redis()
        else {},
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_default_delivery_mode": "transient",
        "task_time_limit": 900,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_backend": None,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "timezone": "UTC",
    }


def _is_redis() -> bool:
    return str(settings.BROKER_URL).startswith(("redis", "unix"))


@lru_cache(maxsize=1)
def _producer() -> Celery:
    app = Celery("winnow", set_as_current=False)
    app.conf.update(celery_settings())
    return app


def ring(queue: str) -> None:
    """Ring now. A broker that is down is logged and forgotten, and left alone for two seconds."""
    global _quiet_until
    if settings.BROKER_URL == NO_BROKER or time.monotonic() < _quiet_until:
        return
    try:
        _producer().send_task(
            LOOK,
            kwargs={"queue": queue},
            queue=queue,
            expires=EXPIRES_SECONDS,
            retry=False,
            ignore_result=True,
        )
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the caller's work is done
        _quiet_until = time.monotonic() + QUIET_SECONDS
        logger.warning("bell.failed queue=%s error=%s", queue, type(error).__name__)


def ring_on_commit(queue: str) -> None:
    """Ring when the caller's transaction is committed; never fails it."""
    transaction.on_commit(partial(ring, queue), robust=True)

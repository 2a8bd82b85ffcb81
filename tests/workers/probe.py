"""A kind of work for tests, and the real worker programs started with it.

`python -m tests.workers.probe` is the poller; `celery -A tests.workers.probe` the Celery worker.
"""

from __future__ import annotations

import time

import django

django.setup()

from annotation.models import OutboxEvent
from pipelines.queue import Leased, work_finishing
from workers.handlers import HANDLERS, Kind

KIND = "probe"


def probe(item: Leased) -> None:
    """Take a while, then store one row; a doubled result would be a second row."""
    for _ in range(item.params.get("ticks", 0)):
        time.sleep(0.05)
        item.check()
    with work_finishing(item):
        OutboxEvent.objects.create(project_id=item.project_id, kind="probe.done", subject_id=item.params["n"])


HANDLERS[KIND] = Kind("default", "tests.workers.probe:probe")

if __name__ == "__main__":
    from workers.poll import main

    main()
else:
    from workers.app import app  # noqa: F401 - what `celery -A` looks for

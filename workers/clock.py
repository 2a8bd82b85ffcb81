"""What must happen though nobody asks: `python -m workers.clock`. Any number of clocks may run.

Each five seconds: leases of dead workers and absent annotators, and offers that are due, are taken away, runs that nobody
watches are marked, the outbox is turned into work, uploads that nobody answered for are let go, what people said of
themselves is deleted when its days are over, browsers' sessions when theirs is, and the bell is rung for whatever is due,
since bells get lost. Finished items that no page shows are taken away after a day.
"""

from __future__ import annotations

import logging
import os
import signal
import threading


def tick() -> None:
    """One round; a step that fails is logged and does not keep the others from running."""
    from annotation.services.assignment import assignment_sweep
    from annotation.services.offers import offers_sweep
    from annotation.services.people import sessions_expire
    from annotation.services.profiles import profiles_expire
    from pipelines.queue import outbox_consume, ring_due, work_prune, work_sweep
    from pipelines.services.importing import imports_expire
    from pipelines.services.training import training_sweep
    from workers.loop import safely

    steps = (
        work_sweep, assignment_sweep, offers_sweep, training_sweep, outbox_consume, imports_expire, profiles_expire,
        sessions_expire, work_prune, ring_due,
    )  # fmt: skip
    for step in steps:
        safely(step.__name__, step)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    from django.conf import settings

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.getLogger(__name__).info("clock.started")
    while not stop.is_set():
        tick()
        stop.wait(settings.SWEEP_SECONDS)


if __name__ == "__main__":
    main()

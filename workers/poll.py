"""A worker without a broker: `python -m workers.poll --queue default`. It looks each two seconds."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m workers.poll", description=__doc__)
    parser.add_argument("--queue", required=True, choices=["default", "ml", "train"])
    queue: str = parser.parse_args(arguments).queue

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    from django.conf import settings

    from workers.loop import drain, presence, safely, worker_name

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    name = worker_name(queue)
    here = presence(name=name, queue=queue, stop=stop)
    logging.getLogger(__name__).info("worker.started name=%s", name)
    while not stop.is_set():
        safely("worker", lambda: drain(queue=queue, worker=name, stop=stop.is_set))
        stop.wait(settings.WORK_POLL_SECONDS)
    here.join(timeout=5)


if __name__ == "__main__":
    main()

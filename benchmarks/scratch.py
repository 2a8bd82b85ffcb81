"""A database for one measurement: an embedded, durable Postgres in a home of its own, gone afterwards."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch() -> Iterator[Path]:
    """Start it, set Django up and migrate; yields the home."""
    from launcher.home import Home
    from launcher.postgres import Postgres
    from launcher.services import held

    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        home = Home(Path(folder))
        home.prepare()
        postgres = Postgres(home)
        with held(postgres):
            os.environ.update(
                DJANGO_SETTINGS_MODULE="webapp.settings",
                DATABASE_URL=postgres.url(),
                BROKER_URL="none",
                WINNOW_HOME=folder,
                WINNOW_LOG_LEVEL="WARNING",
            )
            import django
            from django.core.management import call_command
            from django.db import connections

            django.setup()
            call_command("migrate", verbosity=0)
            yield Path(folder)
            connections.close_all()


def texts(seed: int, words: int = 220) -> Iterator[str]:
    """Texts of so many words (about 1,500 bytes) that do not compress like repeated text."""
    draw = random.Random(seed)
    vocabulary = [
        "".join(draw.choices("etaoinshrdlucmfwypvbgkjqxz", k=draw.randint(2, 10))) for _ in range(20_000)
    ]
    while True:
        yield " ".join(draw.choices(vocabulary, k=words))


def pairs(count: int, seed: int = 1) -> Iterator[dict[str, str]]:
    """Rows of a prompt and two completions, about 4.6 kB of text each."""
    source = texts(seed)
    for _ in range(count):
        yield {"prompt": next(source), "chosen": next(source), "rejected": next(source)}

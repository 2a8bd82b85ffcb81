"""Move the embedded database to another major version of Postgres, by dump and restore."""

from __future__ import annotations

import shutil
from pathlib import Path

from launcher.errors import HomeRefused
from launcher.home import Home, locked, locked_or_refused
from launcher.postgres import DATABASE, Binaries, Postgres, binaries_find
from launcher.processes import say

BUSY = "the database is in use; stop `make up` and other commands first"


def database_move(home: Home, target: Binaries | None = None) -> Path | None:
    """Move to the major of `target`; the old folder is kept beside the new one and its path returned."""
    target = target or binaries_find()
    new = Postgres(home, target)
    place = new.data
    if not (place / "PG_VERSION").exists():
        raise HomeRefused(f"{home.path} holds no embedded database")
    major = int((place / "PG_VERSION").read_text())
    if major == target.major:
        return None
    with (
        locked(home.run / "postgres.lock"),
        locked_or_refused(home.run / "postgres.users", BUSY),
    ):
        return _move(home, new, Postgres(home, binaries_find(major)))


def _move(home: Home, new: Postgres, old: Postgres) -> Path:
    place, kept = old.data, old.data.with_name(f"postgres-{old.binaries.major}")
    if kept.exists():
        raise HomeRefused(f"{kept} is left from an earlier move; remove it or put it elsewhere")
    dump = home.run / "move.dump"
    say(f"dumping PostgreSQL {old.binaries.version}")
    old.start()
    try:
        # The newer pg_dump reads older servers and knows what newer ones want; an older one reads only its own.
        newest = new if new.binaries.major >= old.binaries.major else old
        words = ["--host=127.0.0.1", f"--port={old.port()}", "--format=custom", f"--file={dump}", DATABASE]
        newest.client("pg_dump", *words)
    finally:
        old.stop()
    place.rename(kept)
    say(f"filling PostgreSQL {new.binaries.version}")
    try:
        new.start()
        new.client(
            "pg_restore",
            "--no-owner",
            "--exit-on-error",
            "--single-transaction",
            f"--dbname={DATABASE}",
            dump,
        )
    except BaseException:
        new.stop()
        shutil.rmtree(place, ignore_errors=True)
        kept.rename(place)
        raise
    finally:
        dump.unlink(missing_ok=True)
    new.stop()
    return kept

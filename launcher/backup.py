"""One file that holds all a restore needs: the database, the secrets, and the files of the home.

A plain tar, readable by its owner alone, whose first member says what is in it, with a hash of each file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from launcher.errors import HomeRefused, LauncherError
from launcher.home import Home
from launcher.postgres import binaries_find
from launcher.processes import run, say
from launcher.services import services

FORMAT = 1
MANIFEST = "backup.json"
DUMP = "database.dump"
# Rebuilt at need, or held in the dump.
LEFT_OUT = {"postgres", "postgres.location", "redis", "run", "log", "backups", "static", "cache"}


class BackupDamaged(LauncherError):
    """The file is not a whole backup."""


def backup_write(home: Home, target: Path | None = None) -> Path:
    """Write a backup; the file appears under its name only when it is complete."""
    home.backups.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.now(UTC)
    target = target or home.backups / f"winnow-{now:%Y%m%d-%H%M%S}.tar"
    if target.exists():
        raise HomeRefused(f"{target} exists already; name another file")
    with tempfile.TemporaryDirectory(dir=home.backups, prefix=".draft-") as folder:
        dump = Path(folder) / DUMP
        with services(home):
            # The dump comes first: files that rows name are written before their rows, so none can be missing.
            _client("pg_dump", "--format=custom", f"--file={dump}")
        members = {DUMP: dump, **{f"home/{path.relative_to(home.path)}": path for path in _files(home)}}
        draft = Path(folder) / "backup.tar"
        _pack(draft, members, now)
        _sync(draft)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(draft, target)
    return target


def backup_restore(home: Home, source: Path) -> None:
    """Fill an empty home from a backup; on any failure the home is empty again."""
    if not source.is_file():
        raise HomeRefused(f"there is no file {source}")
    if home.path.exists() and any(home.path.iterdir()):
        raise HomeRefused(f"{home.path} is not empty; restore into an empty folder: WINNOW_HOME=FOLDER")
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _unpack(source, home.path)
        with services(home):
            _refuse_filled_database()
            # One transaction: a restore that fails leaves no half of the tables.
            database = _address()[1]
            dump = home.path / DUMP
            _client(
                "pg_restore",
                "--no-owner",
                "--exit-on-error",
                "--single-transaction",
                f"--dbname={database}",
                dump,
            )
    except BaseException:
        _empty(home.path)
        raise
    (home.path / DUMP).unlink()


def _files(home: Home) -> Iterator[Path]:
    """The home's own files; links are refused rather than followed out of it."""
    for entry in sorted(home.path.iterdir()):
        if entry.name in LEFT_OUT:
            continue
        for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
            if path.is_symlink():
                raise HomeRefused(
                    f"{path} is a link; a backup holds files only, so replace it by what it points to"
                )
            if path.is_file():
                yield path


def _pack(draft: Path, members: dict[str, Path], now: datetime) -> None:
    facts = {
        "format": FORMAT,
        "made": now.isoformat(timespec="seconds"),
        "files": {name: _hash(path) for name, path in members.items()},
    }
    text = json.dumps(facts, indent=1).encode()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mode = len(text), 0o600
        archive.addfile(head, io.BytesIO(text))
        for name, path in members.items():
            archive.add(path, name, recursive=False, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _unpack(source: Path, target: Path) -> None:
    """Write the members below `target`, each checked against its hash; a stranger's names cannot lead elsewhere."""
    try:
        with tarfile.open(source) as archive:
            head = archive.extractfile(archive.next() or MANIFEST)
            facts = json.loads(head.read()) if head else {}
            if facts.get("format") != FORMAT:
                raise BackupDamaged(f"{source} is no backup of this version (format {facts.get('format')!r})")
            missing = dict(facts["files"])
            for member in archive:
                if not member.isfile() or member.name == MANIFEST:
                    continue
                _unpack_one(archive, member, target, missing.pop(member.name, None))
    except (tarfile.TarError, ValueError, KeyError, AttributeError) as cause:
        raise BackupDamaged(f"{source} is not a backup, or is damaged: {cause}") from cause
    if missing:
        raise BackupDamaged(f"{source} is cut short: {len(missing)} files are missing, first {min(missing)}")


def _unpack_one(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, digest: str | None) -> None:
    path = (target / member.name.removeprefix("home/")).resolve()
    if digest is None or not path.is_relative_to(target.resolve()):
        raise BackupDamaged(f"the backup holds {member.name}, which its list does not name")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    stream = archive.extractfile(member)
    if stream is None:
        raise BackupDamaged(f"the backup's {member.name} cannot be read")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o700 | 0o600)
    with open(descriptor, "wb") as file:
        shutil.copyfileobj(stream, file)
    if _hash(path) != digest:
        raise BackupDamaged(f"the backup's {member.name} differs from what was written")


def _client(tool: str, *words: str | Path) -> str:
    """Run a client program against the database of DATABASE_URL, the password kept off the command line."""
    environment, _ = _address()
    return run([binaries_find().tool(tool), *words], environment=environment)


def _address() -> tuple[dict[str, str], str]:
    parts = urlsplit(os.environ["DATABASE_URL"])
    database = unquote(parts.path.lstrip("/"))
    given = {
        "PGHOST": unquote(parts.hostname or ""),
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": database,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, **{name: value for name, value in given.items() if value}}, database


def _refuse_filled_database() -> None:
    query = (
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public'"
    )
    if _client("psql", "-At", "-c", query).strip() != "0":
        raise HomeRefused("the database of DATABASE_URL is not empty; restore into an empty one")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    with _opened(path) as descriptor:
        os.fsync(descriptor)


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _empty(folder: Path) -> None:
    say(f"the restore failed; {folder} is emptied again")
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()

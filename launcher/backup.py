"""One file that holds all a restore needs: the database, the secrets, and the files of the home.

A plain tar, readable by its owner alone, whose last member says what is in it, with a hash of each file. The home is
in use meanwhile, so each file is read once, through one handle, as far as it reached when it was opened.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from launcher.errors import HomeRefused, LauncherError
from launcher.home import Home
from launcher.postgres import binaries_find
from launcher.processes import run, say
from launcher.services import services

FORMAT = 2
MANIFEST = "backup.json"
DUMP = "database.dump"
# Rebuilt at need, or held in the dump. What the demo leaves below `demo` and `demo-runs` is nobody's data.
LEFT_OUT = {
    "postgres", "postgres.location", "redis", "run", "log", "backups", "static", "cache", "demo", "demo-runs",
}  # fmt: skip


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
        members = chain(
            [(DUMP, dump)], ((f"home/{path.relative_to(home.path)}", path) for path in _files(home))
        )
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
    for place, folders, names in os.walk(home.path, onerror=_walk_failed):
        folder = Path(place)
        kept = [
            name
            for name in sorted([*folders, *names])
            if not _left_out((folder / name).relative_to(home.path))
        ]
        for path in (folder / name for name in kept):
            if path.is_symlink():
                raise HomeRefused(
                    f"{path} is a link; a backup holds files only, so replace it by what it points to"
                )
            if path.is_file():
                yield path
        folders[:] = [name for name in kept if name in folders]


def _walk_failed(error: OSError) -> None:
    """A folder that vanished was a draft; one that cannot be read would be missing from the backup."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _left_out(path: Path) -> bool:
    """Whether a file or folder, named below the home, is rebuilt at need, or a draft that somebody still writes."""
    if path.name.startswith(".") or path.name.endswith(".partial"):
        return True
    # The trainer's own saves: without them a run that was under way begins anew.
    return path.parts[0] in LEFT_OUT or (path.parts[0] == "runs" and path.parts[2:] == ("trainer",))


class _HashedRead:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.sha256.update(data)
        return data


def _pack(draft: Path, members: Iterable[tuple[str, Path]], now: datetime) -> None:
    """Write the members as they are read; one that vanished since it was listed was a draft, and is left out."""
    files: dict[str, str] = {}
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        for name, path in members:
            try:
                opened = path.open("rb")
            except FileNotFoundError:
                continue
            with opened:
                files[name] = _pack_one(archive, opened, name)
        text = json.dumps(
            {"format": FORMAT, "made": now.isoformat(timespec="seconds"), "files": files}, indent=1
        ).encode()
        last = tarfile.TarInfo(MANIFEST)
        last.size, last.mode = len(text), 0o600
        archive.addfile(last, io.BytesIO(text))


def _pack_one(archive: tarfile.TarFile, opened: BinaryIO, name: str) -> str:
    """Add what the file held when it was opened; returns the hash of just that."""
    member = _anonymous(archive.gettarinfo(arcname=name, fileobj=opened))
    # A second name of the same file would be packed as a link to the first.
    member.type, member.linkname, member.size = tarfile.REGTYPE, "", os.fstat(opened.fileno()).st_size
    hashed = _HashedRead(opened)
    try:
        archive.addfile(member, cast("IO[bytes]", hashed))
    except OSError as cause:
        raise LauncherError(
            f"{name} could not be read to its end ({cause}); make the backup again"
        ) from cause
    return hashed.sha256.hexdigest()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _unpack(source: Path, target: Path) -> None:
    """Write the members below `target`, each checked against its hash; a stranger's names cannot lead elsewhere."""
    try:
        with tarfile.open(source) as archive:
            facts: dict[str, Any] | None = None
            found: dict[str, str] = {}
            for member in archive:
                stream = archive.extractfile(member)
                if facts is not None or stream is None or member.name in found:
                    raise BackupDamaged(f"the backup holds {member.name}, which its list does not name")
                if member.name == MANIFEST:
                    facts = _facts(stream.read(), source)
                else:
                    found[member.name] = _unpack_one(stream, member, target)
            if facts is None:
                raise BackupDamaged(f"{source} is cut short: its list of files is missing")
            listed = dict(facts["files"])
    except (tarfile.TarError, ValueError, KeyError, AttributeError) as cause:
        raise BackupDamaged(f"{source} is not a backup, or is damaged: {cause}") from cause
    if wrong := {name for name in {*listed, *found} if listed.get(name) != found.get(name)}:
        raise BackupDamaged(f"the backup's {min(wrong)} differs from what was written")


def _facts(text: bytes, source: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(text)
    if facts.get("format") != FORMAT:
        raise BackupDamaged(f"{source} is no backup of this version (format {facts.get('format')!r})")
    return facts


def _unpack_one(stream: IO[bytes], member: tarfile.TarInfo, target: Path) -> str:
    """Write one member and return its hash; the list that it must agree with comes last."""
    path = (target / member.name.removeprefix("home/")).resolve()
    if not path.is_relative_to(target.resolve()):
        raise BackupDamaged(f"the backup holds {member.name}, which its list does not name")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o700 | 0o600)
    with open(descriptor, "wb") as file:
        shutil.copyfileobj(stream, file)
    return _hash(path)


def _client(tool: str, *words: str | Path) -> str:
    """Run a client program against the database of DATABASE_URL, the password kept off the command line."""
    environment, _ = _address()
    return run([binaries_find().tool(tool), *words], environment=environment)


def _address() -> tuple[dict[str, str], str]:
    parts = urlsplit(os.environ["DATABASE_URL"])
    database = unquote(parts.path.lstrip("/"))
    given = {
        "PGHOST": _host(parts.netloc),
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": database,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, **{name: value for name, value in given.items() if value}}, database


def _host(netloc: str) -> str:
    """The host, or the folder of a Unix socket, whose letters keep their case."""
    place = netloc.rpartition("@")[2]
    host = place.partition("]")[0][1:] if place.startswith("[") else place.partition(":")[0]
    return unquote(host)


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

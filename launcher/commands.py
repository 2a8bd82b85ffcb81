"""The commands of `python -m launcher`, each given its words and returning an exit code."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from launcher import broker, postgres
from launcher.backup import backup_restore, backup_write
from launcher.environment import installed_level
from launcher.errors import HomeRefused, LauncherError
from launcher.home import ROOT, Home, locked_or_refused, port_free, port_pick
from launcher.move import database_move
from launcher.processes import say
from launcher.services import NO_BROKER, services
from launcher.supervise import Program, Supervisor, reclaim

DEFAULT_BIND = ("127.0.0.1", 8000)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # Where a server on every address is reached from here.
NOTHING_SELECTED = 5  # pytest's code
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")


def up(words: list[str]) -> int:
    """Start everything, print the address and a sign-in link, and stop everything at Ctrl-C."""
    _no_words("up", words)
    home = Home.from_environment()
    home.prepare()
    refusal = f"`make up` runs already for {home.path}{_address_note(home)}"
    with ExitStack() as stack:
        stack.enter_context(locked_or_refused(home.run / "up.lock", refusal))
        reclaim(home)  # Before the ports are chosen: a killed run's web process may still hold one.
        host, port = bind_choose(home)
        address = public_address(host, port)
        os.environ["WINNOW_PUBLIC_URL"] = address
        (home.run / "address").write_text(f"{address}\n")
        os.environ["PYTHONUNBUFFERED"] = "1"
        running = stack.enter_context(services(home))
        _manage("migrate", "--noinput", "--verbosity=0")
        note = home.run / "up.json"
        note.write_text(json.dumps({"address": address, "host": host, "port": port, "pid": os.getpid()}))
        stack.callback(note.unlink, missing_ok=True)
        supervisor = Supervisor(home, programs(f"{_bracketed(host)}:{port}"), running)
        supervisor.run(lambda: _announce(address, host, port))
    say("stopped")
    return 0


def programs(bind: str) -> list[Program]:
    """What `up` keeps running, in the order of starting."""
    python = [sys.executable, "-m"]
    web = [*python, "gunicorn", "webapp.wsgi:application", "--bind", bind, "--workers", "2", "--threads", "4"]
    # Loaded once and forked: a killed worker is back at once, and the pages of the code are shared.
    web += ["--preload", "--worker-class", "gthread", "--keep-alive", "75", "--graceful-timeout", "5", "--timeout", "60"]
    web += ["--no-control-socket"]
    queues = ["default", "ml", "train"] if importlib.util.find_spec("torch") else ["default"]
    if len(queues) == 1:
        say(f"only the web side is installed{NO_ML}")
    workers = [Program(f"worker-{queue}", worker_command(queue), 2) for queue in queues]
    return [Program("web", web, 1), *workers, Program("clock", [*python, "workers.clock"], 2)]


def worker_command(queue: str) -> list[str]:
    """The process of one queue: Celery where there is a broker, else one that polls the database."""
    if os.environ["BROKER_URL"] == NO_BROKER:
        return [sys.executable, "-m", "workers.poll", "--queue", queue]
    # Celery warns under root because of pickle, which is switched off; rootless is better, but root must work.
    python = [sys.executable, "-W", "ignore:::celery.platforms", "-m"]
    celery = [*python, "celery", "--quiet", "-A", "workers.app", "worker", "-Q", queue, "-c", "1"]
    return [*celery, "-n", f"{queue}@%h", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]


def bind_choose(home: Home) -> tuple[str, int]:
    """The address for the web: WINNOW_BIND as it is, else the last one, 8000, or the next free port."""
    named = os.environ.get("WINNOW_BIND", "").strip()
    if named:
        host, found, text = named.rpartition(":")
        if not found or not text.isdecimal():
            raise LauncherError(f"WINNOW_BIND must be HOST:PORT; got {named!r}")
        host = host.strip("[]")
        if not port_free(int(text), host):
            raise LauncherError(
                f"WINNOW_BIND={named} cannot be had; another program listens there, or it is not ours"
            )
        return host, int(text)
    note = home.run / "web.port"
    last = int(note.read_text()) if note.exists() else DEFAULT_BIND[1]
    port = next((port for port in (last, DEFAULT_BIND[1]) if port_free(port)), 0) or port_pick()
    note.write_text(f"{port}\n")
    return DEFAULT_BIND[0], port


def public_address(host: str, port: int) -> str:
    """The address that people type: WINNOW_PUBLIC_URL, which others than this machine cannot do without."""
    if named := os.environ.get("WINNOW_PUBLIC_URL"):
        return named.rstrip("/")
    if host not in LOOPBACK:
        raise LauncherError(
            f"WINNOW_BIND={_bracketed(host)}:{port} serves other machines; set WINNOW_PUBLIC_URL to the address that "
            "people type, https behind a proxy (docs/settings.md)"
        )
    return f"http://{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _address_note(home: Home) -> str:
    try:
        return f" at {json.loads((home.run / 'up.json').read_text())['address']}"
    except (OSError, ValueError, KeyError):
        return ""


def _announce(address: str, host: str, port: int) -> bool:
    """Once the web answers, say where, with the administrator's sign-in link; returns whether it was said."""
    if not _answers(LOCAL.get(host, host), port):
        return False
    say(f"Winnow is at {address} (Ctrl-C stops it)")
    asked = _manage_json("site_link", "--json")
    if link := asked.get("link"):
        say(f"sign in as the site administrator, once: {link}")
    elif asked.get("error"):
        say(f"no sign-in link: {asked['error']}")
    return True


def _answers(host: str, port: int) -> bool:
    """Whether the application is loaded: any answer shows it. A redirect to the public address is not followed."""
    line = http.client.HTTPConnection(host, port, timeout=2)
    try:
        line.request("GET", "/")
        line.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()
    return True


def _manage(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *words], cwd=ROOT, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise LauncherError(f"manage.py {words[0]} failed; see the lines above")


def _manage_json(*words: str) -> dict[str, str]:
    """The object that a command of ours prints as its last line; what it says besides is for a terminal."""
    command = [sys.executable, str(ROOT / "manage.py"), *words]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError, subprocess.TimeoutExpired):
        return {"error": f"manage.py {words[0]} gave no answer; try it by hand"}
    return found if isinstance(found, dict) else {}


def demo(words: list[str]) -> int:
    """Hand over to the demo, a client of the product."""
    os.execv(sys.executable, [sys.executable, "-m", "launcher.demo", *words])


# Tests


def check(words: list[str]) -> int:
    """Lint, types, contracts (they are tests, in tests/test_tools.py) and the quick tests."""
    return _pytest("-m", "not slow and not gpu", *words)


def test(words: list[str]) -> int:
    """Everything but the long tests; on the oldest Postgres first, so that the last line sums up the whole suite."""
    oldest = 0
    if (POSTGRES_15 / "initdb").exists():
        say(f"the database's tests on PostgreSQL 15 ({POSTGRES_15}); the whole suite follows")
        oldest = _pytest("-m", "database and not slow and not gpu", *words, postgres=POSTGRES_15)
        if oldest:
            say(
                f"the database's tests failed on PostgreSQL 15 (code {oldest}); the command will end with that code"
            )
    else:
        say("PostgreSQL 15 is not installed here, so its part is left out")
    return _pytest("-m", "not gpu", *words) or oldest


def test_long(words: list[str]) -> int:
    """One long test, by name: tests/long/NAME.py."""
    folder = ROOT / "tests" / "long"
    names = sorted(path.stem for path in folder.glob("[a-z]*.py"))
    if len(words) != 1 or words[0] not in names:
        raise LauncherError(f"test-long takes NAME, one of: {', '.join(names) or '(there are none yet)'}")
    return subprocess.run([sys.executable, "-m", f"tests.long.{words[0]}"], cwd=ROOT, check=False).returncode


def _pytest(*words: str, postgres: Path | None = None) -> int:
    environment = {**os.environ, **({"WINNOW_TEST_POSTGRES_BIN": str(postgres)} if postgres else {})}
    # Some tests take minutes: whoever has nothing left takes from the other.
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-q", *words]
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    return 0 if code == NOTHING_SELECTED and postgres else code


# Data


def backup(words: list[str]) -> int:
    """Write a backup."""
    if len(words) > 1:
        raise LauncherError(f"backup takes one file at most; got {len(words)}")
    home = Home.from_environment()
    if not home.path.exists():
        raise HomeRefused(f"there is nothing to back up in {home.path}")
    written = backup_write(home, Path(words[0]).absolute() if words else None)
    say(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB); it holds the secrets, so keep it private")
    return 0


def restore(words: list[str]) -> int:
    """Fill an empty home."""
    if len(words) != 1 or not words[0]:
        raise LauncherError("restore takes the backup's file: make restore FILE=winnow-....tar")
    home = Home.from_environment()
    backup_restore(home, Path(words[0]).absolute())
    say(f"restored into {home.path}; start it with: make up")
    return 0


def move_database(words: list[str]) -> int:
    """Move to the major version of Postgres that is used now."""
    _no_words("move-database", words)
    home = Home.from_environment()
    home.prepare()
    kept = database_move(home)
    if kept is None:
        say("the data are of this major version already; nothing was moved")
    else:
        say(f"moved; the old files are kept in {kept}, remove them when you have looked at the result")
    return 0


def setup(words: list[str]) -> int:
    """The set-up happened on the way here."""
    say(f"{sys.prefix} holds: {installed_level()}; a running `make up` takes it up when it is started again")
    return 0


# What is here


def doctor(words: list[str]) -> int:
    """Say what was found and chosen, and why; exit 1 if the product could not start."""
    _no_words("doctor", words)
    home = Home.from_environment()
    level = installed_level()
    print(f"python    {sys.version.split()[0]} in {sys.prefix}")
    print(f"installed {level or 'nothing'} of web < ml < dev" + ("" if level in ("ml", "dev") else NO_ML))
    print(
        f"home      {home.path} ({'WINNOW_HOME' if os.environ.get('WINNOW_HOME') else 'default'}){_space(home)}"
    )
    fine = [_doctor_database(home), _doctor_broker(home)]
    named = os.environ.get("WINNOW_BIND")
    note = (
        f"WINNOW_BIND={named}"
        if named
        else "127.0.0.1:8000 if free, else another port of the loopback address"
    )
    print(f"web       {note}{_address_note(home)}")
    return 0 if all(fine) else 1


NO_ML = "; scoring, judging and training want: python3 -m launcher setup ml"


def _space(home: Home) -> str:
    place = next(path for path in (home.path, *home.path.parents) if path.exists())
    return f", {shutil.disk_usage(place).free / 1e9:.0f} GB free"


def _doctor_database(home: Home) -> bool:
    if os.environ.get("DATABASE_URL"):
        print("database  DATABASE_URL is set, so no server of ours is started")
        return True
    found = list(postgres.binaries_all())
    if not found:
        print("database  no PostgreSQL 15 or newer was found")
        return False
    print(f"database  PostgreSQL {found[0].version} from {found[0].source}: {found[0].folder}")
    for other in found[1:]:
        print(f"          also here: {other.version} from {other.source}: {other.folder}")
    if os.geteuid() == 0:
        print(
            f"          under root: {'in a user namespace' if postgres.user_namespace() else 'as the user nobody'}"
        )
    if not home.run.exists():
        print("          not started yet")
        return True
    server = postgres.Postgres(home, found[0])
    pid = server.pid()
    print(
        f"          {f'runs as process {pid} on 127.0.0.1:{server.port()}' if pid else 'not running'}; {server.data}"
    )
    made = (server.data / "PG_VERSION").read_text().strip() if (server.data / "PG_VERSION").exists() else ""
    if made and int(made) != found[0].major:
        print(
            f"          its data are of PostgreSQL {made}; move them with: python3 -m launcher move-database"
        )
        return False
    return True


def _doctor_broker(home: Home) -> bool:
    if named := os.environ.get("BROKER_URL"):
        what = (
            "none: workers poll the database"
            if named == NO_BROKER
            else "BROKER_URL is set, so none of ours is started"
        )
        print(f"broker    {what}")
        return True
    found = list(broker.binaries_all())
    if not found:
        print("broker    no Redis 6.2 or newer was found; workers poll the database")
        return True
    print(f"broker    Redis {found[0].version} from {found[0].source}: {found[0].path}")
    if home.run.exists():
        server = broker.Redis(home, found[0])
        print(
            f"          {'runs as process ' + str(server.pid()) if server.pid() else 'not running'}; {server.socket}"
        )
    return True


def _no_words(command: str, words: list[str]) -> None:
    if words:
        raise LauncherError(f"{command} takes no arguments; got {' '.join(words)}")


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "up": up,
    "demo": demo,
    "check": check,
    "test": test,
    "test-long": test_long,
    "backup": backup,
    "restore": restore,
    "move-database": move_database,
    "setup": setup,
    "doctor": doctor,
}

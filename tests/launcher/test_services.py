"""Starting, joining, and surviving kill -9, with real servers."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.broker import Redis
from launcher.errors import DatabaseUnavailable, HomeRefused
from launcher.home import ROOT, SOCKET_FOLDER_BYTES, Home
from launcher.move import database_move
from launcher.postgres import Postgres, binaries_all
from launcher.processes import started, wait_until
from launcher.services import ensure, held

pytestmark = pytest.mark.database

HOLD = """
import sys
from pathlib import Path
from launcher.home import Home
from launcher.postgres import Postgres
from launcher.services import held
with held(Postgres(Home(Path(sys.argv[1])), durable=False)):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def hold(home: Home) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


def test_the_last_of_two_users_stops_the_server(home: Home) -> None:
    other = hold(home)
    postgres = Postgres(home, durable=False)
    with held(postgres):
        first = postgres.pid()
        other.communicate()
        assert postgres.pid() == first, "joined one goes on after the first user left"
    assert postgres.pid() is None


def test_a_killed_user_leaves_a_server_that_the_next_one_joins_and_stops(home: Home) -> None:
    other = hold(home)
    other.kill()
    other.communicate()
    postgres = Postgres(home, durable=False)
    left = postgres.pid()
    assert left is not None
    with held(postgres):
        assert postgres.pid() == left
    assert postgres.pid() is None


def test_a_killed_server_comes_back_on_its_port_with_its_rows(home: Home) -> None:
    postgres = Postgres(home, durable=False)  # The machine does not die, only the process.
    with held(postgres):
        postgres.client("psql", "-c", "CREATE TABLE kept AS SELECT 7 AS number", "winnow")
        pid, url = postgres.pid(), postgres.url()
        assert pid is not None and not ensure(postgres)
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: started(pid) is None, 5)
        assert ensure(postgres)
        assert postgres.url() == url
        assert postgres.client("psql", "-At", "-c", "SELECT number FROM kept", "winnow") == "7\n"


def test_a_stale_pid_file_naming_another_process_is_no_server(home: Home) -> None:
    postgres = Postgres(home, durable=False)
    with held(postgres):
        lines = (postgres.data / "postmaster.pid").read_text().splitlines()
    (postgres.data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert not postgres.running()
    with held(postgres):
        assert postgres.pid() != os.getpid()


def test_a_password_is_needed(home: Home) -> None:
    postgres = Postgres(home, durable=False)
    with held(postgres):
        (home.secrets / "database_password").write_text("wrong")
        with pytest.raises(Exception, match="password authentication failed"):
            postgres.client("psql", "-c", "SELECT 1", "postgres")


def test_a_killed_redis_comes_back_with_what_it_held(home: Home) -> None:
    redis = Redis(home)
    with held(redis):
        _send(redis, b"SET kept 7")
        pid = redis.pid()
        assert pid is not None
        # Its file is written once a second; ask for it now rather than wait.
        _send(redis, b"CONFIG SET appendfsync always")
        _send(redis, b"SET also 8")
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: started(pid) is None, 5)
        assert ensure(redis)
        assert b"7" in _send(redis, b"GET kept")
    assert redis.pid() is None and not redis.socket.exists()


def test_a_hanging_redis_is_replaced(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.broker.ANSWER_SECONDS", 0.5)
    redis = Redis(home)
    with held(redis):
        pid = redis.pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        assert ensure(redis)
        assert redis.pid() != pid and started(pid) is None


def test_a_long_home_gets_short_socket_paths(tmp_path: Path) -> None:
    home = Home(tmp_path / ("long" * 25))
    home.prepare()
    assert len(os.fsencode(home.socket_folder())) <= SOCKET_FOLDER_BYTES
    redis = Redis(home)
    with held(redis):
        assert redis.running()
    home.socket_folder().rmdir()


def test_another_major_is_refused_and_the_command_named_moves_it(home: Home) -> None:
    found = {binaries.major: binaries for binaries in binaries_all()}
    older, newer = found[16], found[18]
    old = Postgres(home, older, durable=False)
    with held(old):
        old.client("psql", "-c", "CREATE TABLE kept AS SELECT 7 AS number", "winnow")
    new = Postgres(home, newer, durable=False)
    with pytest.raises(DatabaseUnavailable, match="launcher move-database"), held(new):
        pass
    kept = database_move(home, newer)
    assert kept is not None and (kept / "PG_VERSION").read_text() == "16\n"
    with held(new):
        assert new.client("psql", "-At", "-c", "SELECT number FROM kept", "winnow") == "7\n"


def test_a_database_in_use_is_not_moved(home: Home) -> None:
    other = hold(home)
    older = next(binaries for binaries in binaries_all() if binaries.major != Postgres(home).binaries.major)
    with pytest.raises(HomeRefused, match="in use"):
        database_move(home, older)
    other.communicate()


def _send(redis: Redis, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(redis.socket))
        line.sendall(command + b"\r\n")
        return line.recv(100)

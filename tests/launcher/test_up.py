"""`make up`, `manage.py`, backup and restore as people use them: real processes, killed and stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.home import ROOT, Home
from launcher.processes import started, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.database]

START_SECONDS = 120
STOP_SECONDS = 30


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A fresh home of its own, and no database or broker from outside."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
    return {**kept, "WINNOW_HOME": str(tmp_path / "home")}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


class Up:
    """A running `make up`."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.home = Home(Path(environment["WINNOW_HOME"]))
        self.log = log
        with open(log, "w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launcher", "up"],
                cwd=ROOT,
                env=environment,
                stderr=file,
                stdout=file,
                start_new_session=True,
            )

    def said(self, pattern: str, seconds: float = START_SECONDS) -> str:
        """Wait for a line; its last part."""
        if not wait_until(lambda: re.search(pattern, self.log.read_text()) is not None, seconds):
            raise AssertionError(f"never said {pattern!r}:\n{self.log.read_text()[-3000:]}")
        found = re.search(pattern, self.log.read_text())
        assert found
        return found[found.lastindex or 0]

    def child(self, name: str) -> int:
        entries = json.loads((self.home.run / "children.json").read_text())
        return next((entry["pid"] for entry in entries if entry["name"] == name), 0)

    def postgres(self) -> int:
        return int((self.home.postgres / "postmaster.pid").read_text().split()[0])

    def redis(self) -> int:
        return int((self.home.run / "redis.pid").read_text())


@contextmanager
def up(environment: dict[str, str], log: Path) -> Iterator[Up]:
    running = Up(environment, log)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)
            running.process.wait(STOP_SECONDS)


def status(address: str) -> int:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=30) as answer:
        return int(answer.status)


def answers(address: str) -> bool:
    try:
        return status(address) == 200
    except OSError:
        return False


def test_it_serves_heals_and_stops(environment: dict[str, str], tmp_path: Path) -> None:
    with up(environment, tmp_path / "log") as running:
        link = running.said(r"sign in as the site administrator, once: (\S+)")
        address = running.said(r"Winnow is at (\S+)")
        assert link.startswith(address)
        assert status(link) == 200

        web = running.child("web")
        os.kill(web, signal.SIGKILL)
        assert wait_until(lambda: running.child("web") not in (0, web) and answers(address), START_SECONDS)

        redis = running.redis()
        os.kill(redis, signal.SIGKILL)
        running.said("redis had died and was started again")
        assert running.redis() != redis

        postgres = running.postgres()
        os.kill(postgres, signal.SIGKILL)
        running.said("postgres had died and was started again")
        assert wait_until(lambda: answers(address), START_SECONDS)

        joined = run(environment, "manage.py", "site_link", "--json")
        assert json.loads(joined.stdout.splitlines()[-1])["link"].startswith(address), (
            "joins the running services"
        )
        second = run(environment, "-m", "launcher", "up")
        assert second.returncode == 1
        assert "runs already" in second.stderr

        pids = [running.child(name) for name in ("web", "worker-default", "clock")]
        pids += [running.postgres(), running.redis()]
        begin = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(STOP_SECONDS) == 0
        assert time.monotonic() - begin < STOP_SECONDS
        assert [started(pid) for pid in pids] == [None] * len(pids)


def test_what_a_killed_run_left_is_cleaned_up_by_the_next(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with up(environment, tmp_path / "log") as first:
        address = first.said(r"Winnow is at (\S+)")
        left = [first.child("web"), first.child("clock")]
        first.process.kill()
        first.process.wait()
        assert all(started(pid) for pid in left)
    with up(environment, tmp_path / "log2") as second:
        assert second.said(r"Winnow is at (\S+)") == address, "the port is free again"
        assert [started(pid) for pid in left] == [None, None]


def test_without_a_broker_it_polls(environment: dict[str, str], tmp_path: Path) -> None:
    with up({**environment, "BROKER_URL": "none"}, tmp_path / "log") as running:
        running.said(r"Winnow is at (\S+)")
        running.said("worker.started")
        assert not (running.home.run / "redis.pid").exists()


def test_a_project_comes_back_from_a_backup(environment: dict[str, str], tmp_path: Path) -> None:
    made = run(environment, "manage.py", "create_project", "kept", "--template", "pairwise", "--json")
    assert made.returncode == 0, made.stderr
    file = tmp_path / "backup.tar"
    assert run(environment, "-m", "launcher", "backup", str(file)).returncode == 0
    other = {**environment, "WINNOW_HOME": str(tmp_path / "other")}
    restored = run(other, "-m", "launcher", "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    again = run(other, "manage.py", "create_project", "kept", "--template", "pairwise", "--json")
    assert again.returncode == 2, "the project is there already"
    refused = run(environment, "-m", "launcher", "restore", str(file))
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr


def test_doctor_names_what_was_chosen(environment: dict[str, str]) -> None:
    shown = run(environment, "-m", "launcher", "doctor")
    assert shown.returncode == 0
    for word in ("python", "database  PostgreSQL", "broker    Redis", "web       127.0.0.1:8000"):
        assert word in shown.stdout


def test_help_needs_no_services(environment: dict[str, str]) -> None:
    shown = run(environment, "manage.py", "create_project", "--help")
    assert shown.returncode == 0
    assert "--template" in shown.stdout
    assert not (Path(environment["WINNOW_HOME"]) / "postgres").exists()


def test_a_command_may_have_a_version_of_its_own() -> None:
    from manage import _needs_no_services

    assert _needs_no_services(["--version"]) and not _needs_no_services(["train", "--version", "first"])

"""The whole product as its own processes, as `make up` starts it, and annotators that vote over HTTP and never give up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from launcher.home import Home, port_pick
from launcher.postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"
GIVE_UP_SECONDS = 120


@dataclass
class Stack:
    """A home with everything running in it. `settings` goes into the environment of every process."""

    folder: Path
    settings: dict[str, str]
    port: int = field(default_factory=port_pick)
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Home:
        return Home(self.folder)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE"}}
        return {
            **kept,
            "WINNOW_HOME": str(self.folder),
            "WINNOW_BIND": f"127.0.0.1:{self.port}",
            "WINNOW_PUBLIC_URL": self.address,
            "OMP_NUM_THREADS": "1",
            **self.settings,
        }

    def start(self) -> None:
        log = (self.folder / "up.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "launcher", "up"], cwd=ROOT, env=self.environment(), stdout=log, stderr=log
        )
        wait_for(lambda: _answers(f"{self.address}/health/"), "the web to answer", 180)

    def stop(self) -> int:
        """Ctrl-C, as a person would; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def manage(self, *words: str) -> dict[str, Any]:
        """A command's JSON; fails the test when it does."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words, "--json"], cwd=ROOT, env=self.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    def accounts(self, project: str, n: int) -> list[str]:
        """New annotators of a project, each signed in: their session cookies."""
        environment = {**self.environment(), "DATABASE_URL": Postgres(self.home).url()}
        command = [sys.executable, "-m", "tests.chaos.accounts", project, str(n)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return list(json.loads(done.stdout.splitlines()[-1]))

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(Postgres(self.home).url()) as connection:
            return connection.execute(statement, parameters or None).fetchall()

    def kill(self, name: str, *, child: bool = False) -> bool:
        """kill -9 of a program, or of one child process of it; False when it is not there right now."""
        pid = self.pid(name)
        if pid and child:
            pid = next(iter(children(pid)), None)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def pid(self, name: str) -> int | None:
        if name == "redis":
            from launcher.broker import Redis

            return Redis(self.home).pid()
        note = self.home.run / "children.json"
        with suppress(OSError, ValueError):
            for entry in json.loads(note.read_text()):
                if entry["name"] == name:
                    return int(entry["pid"])
        return None


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(path.parent.name))
    return found


def wait_for(condition: Any, what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def _answers(address: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(address, timeout=2).status_code == 200
    return False


class Annotator:
    """Votes as the browser does: the same endpoints, the same key again until the server has answered."""

    def __init__(self, stack: Stack, project: str, email: str, link: str) -> None:
        self.stack, self.project, self.email = stack, project, email
        self.client = httpx.Client(base_url=stack.address, timeout=10, headers={"Accept": "application/json"})
        self.acknowledged: dict[str, int] = {}
        page = self.client.get(link, headers={"Accept": "text/html"})
        assert page.status_code == 200, page.text[:300]
        done = self.client.post(
            link,
            data={"password": PASSWORD, "again": PASSWORD, "csrfmiddlewaretoken": self._token()},
            headers={"Accept": "text/html", "Referer": stack.address},
        )
        assert done.status_code in (200, 302), done.text[:300]

    def _token(self) -> str:
        return self.client.cookies.get("winnow_csrf") or ""

    def vote_until_nothing_is_left(self, seconds_each: float = 0.0) -> None:
        """Every vote is retried with its key until the server answers; only then it is written down."""
        while assignment := self._next():
            time.sleep(seconds_each)
            step = str(1 + assignment["id"] % 7)
            key = str(uuid4())
            fields = {"submit_key": key, "form": str(assignment["form"]), "preference": step}
            reply = self._until_answered("POST", f"/p/{self.project}/annotate/{assignment['id']}/submit", fields)
            assert reply.status_code in (200, 201, 409), reply.text[:300]
            if reply.status_code != 409:
                self.acknowledged[key] = reply.json()["annotation_id"]

    def _next(self) -> dict[str, Any] | None:
        reply = self._until_answered("GET", f"/p/{self.project}/annotate/next", None)
        assert reply.status_code == 200, reply.text[:300]
        waiting = reply.json()["assignments"]
        return dict(waiting[0]) if waiting else None

    def _until_answered(self, method: str, path: str, fields: dict[str, str] | None) -> httpx.Response:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                headers = {"X-CSRFToken": self._token(), "Referer": self.stack.address}
                reply = self.client.request(method, path, data=fields, headers=headers)
                if reply.status_code < 500:
                    return reply
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"no answer to {method} {path} for {GIVE_UP_SECONDS} s"
            time.sleep(0.2)

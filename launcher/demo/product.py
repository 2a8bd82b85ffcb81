"""The product as the demo meets it: `make up`, commands with `--json`, and a browser's requests over HTTP."""

import ctypes
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import Any

from launcher.broker import Redis
from launcher.demo.stages import StageFailed, say
from launcher.home import ROOT, Home
from launcher.postgres import Postgres

START_SECONDS, STOP_SECONDS = 180.0, 60.0
CSRF_COOKIE, CSRF_HEADER = "winnow_csrf", "X-CSRFToken"


PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Ask the kernel to end this process politely when the demo is killed, so that no service is left behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Product:
    """Database, broker, web and workers, started and stopped together as a person starts and stops them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.log = home.log / "demo.log"
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._is_asked = False

    def start(self) -> None:
        """Begin to start everything; `wait` says when it is there."""
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "launcher", "up"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def wait(self) -> None:
        """Return when the web side answers; raises StageFailed if it does not come up."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                raise StageFailed(f"The services ended before they answered; see {self.log}.")
            if self._answers():
                say(f"the product runs at {self.address}; what it says is in {self.log}")
                return
            time.sleep(0.2)
        raise StageFailed(f"The services did not answer within {START_SECONDS:.0f} s; see {self.log}.")

    def _answers(self) -> bool:
        try:
            note = json.loads((self.home.run / "up.json").read_text())
            if self._process is None or note["pid"] != self._process.pid:
                return False
            self.address = f"http://127.0.0.1:{note['port']}"
            return Browser(self.address).get("/health/", accept="*/*").status == 200
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return False

    def pids(self) -> list[int]:
        """Processes that are not descendants of the demo: the database and the broker lead lives of their own."""
        found = [service.pid() for service in (Postgres(self.home), Redis(self.home))]
        return [pid for pid in found if pid]

    def ask_to_stop(self) -> None:
        """Begin to stop everything; `stop` says when it has."""
        if self._process and self._process.poll() is None and not self._is_asked:
            self._is_asked = True
            self._process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """Stop everything; raises StageFailed if it does not stop cleanly."""
        self.ask_to_stop()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise StageFailed(
                f"The services did not stop within {STOP_SECONDS:.0f} s; see {self.log}."
            ) from None
        if code not in (0, 130):
            raise StageFailed(f"The services ended with code {code}; see {self.log}.")

    def command(self, name: str, *words: str) -> dict[str, Any]:
        """Run `./manage.py NAME WORDS --json` and return its object; raises StageFailed with its error."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), name, *words, "--json"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        with open(self.log, "a") as log:
            log.write(f"$ ./manage.py {name} {' '.join(words)}\n{done.stderr}{done.stdout}")
        try:
            answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise StageFailed(f"The command {name} said nothing readable; see {self.log}.") from None
        if done.returncode or not answer["ok"]:
            raise StageFailed(f"The command {name} ended with code {done.returncode}: {answer['error']}")
        return answer

    def together(self, *commands: tuple[str, ...]) -> list[dict[str, Any]]:
        """Run commands that do not need each other at the same time; their objects in the order given."""
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(lambda words: self.command(*words), commands))


class Reply:
    """One answer of the web side."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.location = response.getheader("Location", "")
        self.text = response.read().decode()

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


class Browser:
    """One person's session: keeps the connection and the cookies, sends the CSRF token that a form would send."""

    def __init__(self, address: str) -> None:
        self._host = urllib.parse.urlsplit(address).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=60)
        self.cookies: dict[str, str] = {}

    def get(self, path: str, accept: str = "application/json") -> Reply:
        return self._send("GET", path, None, {"Accept": accept})

    def post(self, path: str, fields: Mapping[str, str], accept: str = "application/json") -> Reply:
        """Post a form, as the page does."""
        body = urllib.parse.urlencode(fields)
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": accept}
        return self._send("POST", path, body, kind | {CSRF_HEADER: self.cookies.get(CSRF_COOKIE, "")})

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Reply:
        sent = headers | {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        try:
            self._connection.request(method, path, body, sent)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # A kept connection that the server closed meanwhile. Every request here may be sent again: a vote
            # carries its submit key.
            self._connection.close()
            self._connection.request(method, path, body, sent)
            response = self._connection.getresponse()
        for line in response.headers.get_all("Set-Cookie") or []:
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return Reply(response)

    def welcome(self, link: str, password: str) -> None:
        """Use a one-time link: set the password, which signs in."""
        path = urllib.parse.urlsplit(link).path
        _expect(self.get(path, accept="text/html"), {200}, "opening a one-time link")
        reply = self.post(path, {"password": password, "again": password}, accept="text/html")
        _expect(reply, {302}, "setting a password")

    def sign_in(self, email: str, password: str) -> None:
        """Sign in by the form."""
        _expect(self.get("/sign-in/", accept="text/html"), {200}, "the sign-in page")
        reply = self.post("/sign-in/", {"login": email, "password": password}, accept="text/html")
        _expect(reply, {302}, "signing in")


def invite(owner: Browser, slug: str, email: str, role: str) -> str:
    """Invite somebody on the people page; the one-time link, or "" for one who has a password."""
    _expect(owner.get(f"/p/{slug}/people/", accept="text/html"), {200}, "the people page")
    reply = owner.post(f"/p/{slug}/people/", {"email": email, "role": role}, accept="text/html")
    _expect(reply, {200}, f"inviting {email}")
    found = re.search(r"https?://[^\s\"<]+/welcome/[^\s\"<]+", reply.text)
    return found.group() if found else ""


def expect_ok(reply: Reply, doing: str) -> Reply:
    """The reply if it is a success; raises StageFailed otherwise."""
    return _expect(reply, {200, 201}, doing)


def _expect(reply: Reply, statuses: set[int], doing: str) -> Reply:
    if reply.status not in statuses:
        raise StageFailed(f"{doing.capitalize()} was answered with {reply.status}: {reply.text[:300]}")
    return reply


def environment_prepare(home: Home) -> None:
    """What every process of the demo inherits: its home, one thread for small models, and no network."""
    os.environ.update(
        WINNOW_HOME=str(home.path),
        OMP_NUM_THREADS="1",
        TOKENIZERS_PARALLELISM="false",
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        HF_HOME=str(home.path / "cache" / "huggingface"),
    )

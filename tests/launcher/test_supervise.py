"""Supervision of plain programs: order, restarts, lines, and what a killed launcher left."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from launcher import supervise
from launcher.errors import BrokerUnavailable
from launcher.home import ROOT, Home
from launcher.processes import started, wait_until
from launcher.supervise import Program, Supervisor, reclaim, stop_training

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def program(name: str, code: str, stage: int = 1, grace_seconds: float = 2.0) -> Program:
    return Program(name, [sys.executable, "-c", code], stage, grace_seconds)


def until(condition: object, supervisor: Supervisor) -> object:
    """A hook that stops the supervisor as soon as a condition holds, or after a minute."""
    end = time.monotonic() + 60

    def hook() -> bool:
        if condition() or time.monotonic() > end:  # type: ignore[operator] - a plain callable
            supervisor.stopping = True
        return False

    return hook


def pids(home: Home) -> dict[str, int]:
    return {entry["name"]: entry["pid"] for entry in json.loads((home.run / "children.json").read_text())}


def test_lines_are_prefixed_and_kept_and_everything_stops(
    home: Home, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(home, [program("web", SLEEP), program("clock", SLEEP, 2)], [])
    logs = [home.log / "web.log", home.log / "clock.log"]
    seen: dict[str, int] = {}

    def both_ready() -> bool:
        seen.update(pids(home))
        return all(log.exists() for log in logs)

    supervisor.run(until(both_ready, supervisor))  # type: ignore[arg-type] - a hook
    assert [log.read_text() for log in logs] == ["ready\n", "ready\n"]
    shown = capfd.readouterr()
    assert "web   | ready" in shown.err and "clock | ready" in shown.err and shown.out == ""
    assert all(started(pid) is None for pid in seen.values()) and not (home.run / "children.json").exists()


def test_a_program_that_fails_is_named_with_its_last_line_and_started_again(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "BACK_OFF_SECONDS", (0.1, 0.1))
    supervisor = Supervisor(home, [program("web", "import sys; sys.exit('no such table')")], [])
    log = home.log / "web.log"
    supervisor.run(until(lambda: log.exists() and log.read_text().count("table") > 1, supervisor))  # type: ignore[arg-type]
    assert "web ended with code 1; its last line: no such table" in capfd.readouterr().err


def test_a_killed_program_comes_back(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(home, [program("web", SLEEP)], [])
    first: list[int] = []

    def killed_and_back() -> bool:
        now = pids(home).get("web")
        if now and not first and (home.log / "web.log").exists():
            first.append(now)
            os.kill(now, signal.SIGKILL)
        return bool(first) and now not in (None, first[0])

    supervisor.run(until(killed_and_back, supervisor))  # type: ignore[arg-type]
    assert "web was killed by SIGKILL" in capfd.readouterr().err


def test_the_pipe_of_a_killed_program_does_not_keep_the_launcher_awake(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {SLEEP}"
    monkeypatch.setattr(supervise, "BACK_OFF_SECONDS", (0.1, 0.1))
    supervisor = Supervisor(home, [program("web", parent)], [])
    first: list[int] = []
    woken: list[float] = []
    take = supervisor._take

    def counted(child: supervise.Child) -> bool:
        woken.append(time.monotonic())
        return take(child)

    monkeypatch.setattr(supervisor, "_take", counted)

    def quiet_after_a_kill() -> bool:
        now = pids(home).get("web")
        log = home.log / "web.log"
        if now and not first and log.exists() and log.read_text().count("ready") == 2:
            first.append(now)
            os.kill(now, signal.SIGKILL)
        return bool(first) and now != first[0] and log.read_text().count("ready") == 4 and woken[-1] < time.monotonic() - 0.5

    supervisor.run(until(quiet_after_a_kill, supervisor))  # type: ignore[arg-type]
    assert first and len(woken) < 30


def test_only_a_program_that_ends_at_its_start_waits_longer_each_time(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "BACK_OFF_SECONDS", (0.1, 0.2, 0.3))
    monkeypatch.setattr(supervise, "STEADY_SECONDS", 0.5)
    steady = program("steady", "import time; print('ready', flush=True); time.sleep(0.8)")
    supervisor = Supervisor(home, [steady, program("broken", "import sys; sys.exit('no such table')")], [])
    log = home.log / "steady.log"
    supervisor.run(until(lambda: log.exists() and log.read_text().count("ready") > 2, supervisor))  # type: ignore[arg-type]
    said = capfd.readouterr().err
    waits = re.findall(r"steady ended with code 0; its last line: ready; starting it again in (\S+) s", said)
    assert waits[:2] == ["0.1", "0.1"]
    assert supervisor.children[1].failures > 2


class Faint:
    """A broker that died, and that was killed twice more while it was being started again."""

    name = "redis"

    def __init__(self, home: Home) -> None:
        self.home, self.starts = home, 0

    def running(self) -> bool:
        return self.starts > 2

    def start(self) -> None:
        self.starts += 1
        if not self.running():
            raise BrokerUnavailable("Redis does not start.")

    def stop(self) -> None: ...

    def url(self) -> str:
        return f"redis://{self.starts}"


def test_a_service_that_dies_while_it_is_started_again_is_tried_once_more(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "BACK_OFF_SECONDS", (0.1, 0.2))
    monkeypatch.setenv("BROKER_URL", "redis://1")
    supervisor, faint = Supervisor(home, [program("worker", SLEEP)], []), Faint(home)
    supervisor.services = [faint]
    supervisor.run(until(faint.running, supervisor))  # type: ignore[arg-type]
    said = capfd.readouterr().err
    assert said.count("Redis does not start.") == 2 and "trying again in 0.2 s" in said
    assert "redis had died and was started again" in said and os.environ["BROKER_URL"] == "redis://3"


def test_a_program_that_does_not_stop_is_ended(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(home, [program("worker", STUBBORN, grace_seconds=0.3)], [])
    supervisor.run(until(lambda: (home.log / "worker.log").exists(), supervisor))  # type: ignore[arg-type]
    assert "worker did not stop in 0.3 s and is ended" in capfd.readouterr().err


def test_a_signal_stops_the_launcher(home: Home) -> None:
    supervisor = Supervisor(home, [program("web", SLEEP)], [])
    begin = time.monotonic()
    supervisor.run(lambda: os.kill(os.getpid(), signal.SIGTERM) or True)  # type: ignore[func-returns-value]
    assert time.monotonic() - begin < 30


LAUNCHER = """
import sys
from pathlib import Path
from launcher.home import Home
from launcher.supervise import Program, Supervisor
home = Home(Path(sys.argv[1]))
Supervisor(home, [Program("web", [sys.executable, "-c", sys.argv[2]], 1)], []).run(lambda: False)
"""


def test_what_a_killed_launcher_left_is_ended_by_pid_and_start_time(home: Home) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(home.path), SLEEP], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    note = home.run / "children.json"
    assert wait_until(lambda: note.exists() and (home.log / "web.log").exists(), 10)
    launcher.kill()
    launcher.wait()
    left = pids(home)["web"]
    assert started(left) is not None
    entries = json.loads(note.read_text())
    note.write_text(json.dumps([*entries, {"name": "other", "pid": os.getpid(), "started": "another boot"}]))
    reclaim(home)
    assert started(left) is None


def test_training_processes_stop_and_a_reused_pid_is_left_alone(home: Home) -> None:
    training = subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.PIPE, start_new_session=True)
    assert training.stdout
    assert training.stdout.readline() == b"ready\n"
    boot, _, ticks = (started(training.pid) or "").partition("-")
    entry = {
        "pid": training.pid,
        "start_ticks": int(ticks),
        "boot_id": boot + "-and-more",
        "host": socket.gethostname(),
    }
    reused = {**entry, "pid": os.getpid()}
    elsewhere = {**entry, "pid": os.getpid(), "host": "another"}
    for number, written in enumerate([entry, reused, elsewhere, {}]):
        (home.runs / str(number)).mkdir(parents=True)
        (home.runs / str(number) / "process.json").write_text(json.dumps(written))
    threading.Thread(target=training.wait, daemon=True).start()
    stop_training(home)
    assert started(training.pid) is None

"""The processes of `make up`: start in order, restart what dies, prefix their lines, stop in reverse order.

Every child leads a session of its own, so that Ctrl-C reaches the launcher alone and the launcher decides the order.
Pid and start time of each are kept in `run/children.json`; the next start ends what a killed launcher left.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from launcher.errors import LauncherError
from launcher.home import Home
from launcher.processes import say, signal_group, started, stop_group, wait_until
from launcher.services import Service, ensure, publish

LOG_BYTES = 10_000_000
# How long before a program starts again, by how often in a row it ended before it was steady.
BACK_OFF_SECONDS = (0.5, 1, 2, 4, 8, 16, 30)
STEADY_SECONDS = 10
TICK_SECONDS = 0.25
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COLOURS = (36, 32, 33, 35, 34)


@dataclass(frozen=True)
class Program:
    """One process to keep running; `stage` orders starting, and stopping in reverse."""

    name: str
    command: Sequence[str]
    stage: int
    grace_seconds: float = 8.0


@dataclass
class Child:
    """A program with its present process."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None
    start: str = ""
    since: float = 0.0
    failures: int = 0
    due: float = 0.0
    tail: list[str] = field(default_factory=list)
    rest: bytes = b""


class Supervisor:
    """Keeps programs and embedded services alive until told to stop."""

    def __init__(self, home: Home, programs: Sequence[Program], services: Sequence[Service]) -> None:
        self.home = home
        self.services = services
        self.children = [Child(program, home.log / f"{program.name}.log") for program in programs]
        self.stopping = False
        self._revivals_failed = 0
        self._revival_due = 0.0
        self._selector = selectors.DefaultSelector()
        self._width = max((len(program.name) for program in programs), default=0)
        self._colour = sys.stderr.isatty()

    def run(self, once_up: Callable[[], bool]) -> None:
        """Start everything and watch it until a signal; `once_up` is called until it returns True."""
        reclaim(self.home)
        told = False
        with self._signals():
            try:
                for child in self.children:
                    self._start(child)
                while not self.stopping:
                    self._read_for(TICK_SECONDS)
                    self._revive_services()
                    self._revive_children()
                    told = told or once_up()
            finally:
                self._stop()

    # Signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        previous = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        if self.stopping:
            say("stopping at once")
            for child in self.children:
                if child.process:
                    signal_group(child.process.pid, signal.SIGKILL)
        self.stopping = True

    # Children

    def _start(self, child: Child) -> None:
        rotate(child.log)
        child.process = subprocess.Popen(
            child.program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        child.start = started(child.process.pid) or ""
        child.since = time.monotonic()
        if child.process.stdout is not None:
            os.set_blocking(child.process.stdout.fileno(), False)
            self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        self._remember()

    def _remember(self) -> None:
        """Write down who runs, whole, so that a killed launcher's children can be found."""
        alive = [
            {"name": child.program.name, "pid": child.process.pid, "started": child.start}
            for child in self.children
            if child.process is not None
        ]
        draft = self.home.run / "children.json.new"
        draft.write_text(json.dumps(alive))
        draft.replace(self.home.run / "children.json")

    def _revive_children(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.due:
                    self._start(child)
                continue
            code = child.process.poll()
            if code is not None:
                self._bury(child, code, now)

    def _bury(self, child: Child, code: int, now: float) -> None:
        """Say which process ended and why, and set when it starts again."""
        process = child.process
        if process is None:
            return
        signal_group(process.pid, signal.SIGKILL)  # What it may have left in its session.
        self._let_go(child)
        # What ran for a while does not fail at its start, so waiting would only keep people from their work.
        child.failures = 0 if now - child.since > STEADY_SECONDS else child.failures + 1
        wait = BACK_OFF_SECONDS[min(child.failures, len(BACK_OFF_SECONDS) - 1)]
        child.due = now + wait
        last = f"; its last line: {child.tail[-1]}" if child.tail else ""
        say(
            f"{child.program.name} {_why(code)}{last}; starting it again in {wait:g} s (all lines: {child.log})"
        )
        self._remember()

    def _revive_services(self) -> None:
        """Start again what died. What cannot be started now is tried again: it may have been killed while it started."""
        if time.monotonic() < self._revival_due:
            return
        revived: list[str] = []
        try:
            for service in self.services:
                if ensure(service):
                    revived.append(service.name)
            self._revivals_failed = 0
        except LauncherError as refusal:
            wait = BACK_OFF_SECONDS[min(self._revivals_failed, len(BACK_OFF_SECONDS) - 1)]
            self._revivals_failed += 1
            self._revival_due = time.monotonic() + wait
            say(f"{refusal}\ntrying again in {wait:g} s")
        if not revived:
            return
        say(f"{' and '.join(revived)} had died and was started again")
        before = {name: os.environ.get(name) for name in ("DATABASE_URL", "BROKER_URL")}
        publish(list(self.services))
        if any(os.environ.get(name) != value for name, value in before.items()):
            say("its address changed, so every process starts again")
            for child in self.children:
                if child.process:
                    child.process.terminate()

    # Lines

    def _read_for(self, seconds: float) -> None:
        """Pass lines on for so long: looking after everybody at each line would cost more than the lines."""
        end = time.monotonic() + seconds
        while not self.stopping and (left := end - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            self._take(key.data)

    def _take(self, child: Child) -> bool:
        """Read what a child said; return whether there may be more."""
        stream = child.process.stdout if child.process else None
        if stream is None:
            return False
        try:
            chunk = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return False
        more = bool(chunk)
        if not chunk:
            self._close(child)
            chunk = b"\n" if child.rest else b""
        *lines, child.rest = (child.rest + chunk).split(b"\n")
        self._print(child, [line.decode(errors="replace").rstrip("\r") for line in lines])
        return more

    def _let_go(self, child: Child) -> None:
        """Take what an ended process still said, and close its pipe, which children of its own may hold open: one that
        nobody reads would wake the launcher for ever once they end."""
        while self._take(child):
            continue
        self._close(child)
        child.process = None

    def _close(self, child: Child) -> None:
        if child.process and child.process.stdout:
            self._selector.unregister(child.process.stdout)
            child.process.stdout.close()
            child.process.stdout = None

    def _print(self, child: Child, lines: list[str]) -> None:
        if not lines:
            return
        rotate(child.log)
        with open(child.log, "a", errors="replace") as file:
            file.writelines(f"{line}\n" for line in lines)
        child.tail = [*child.tail, *(line for line in lines if line.strip())][-5:]
        colour = COLOURS[self.children.index(child) % len(COLOURS)]
        name = f"{child.program.name:<{self._width}} |"
        prefix = f"\x1b[{colour}m{name}\x1b[0m" if self._colour else name
        for line in lines:
            print(prefix, _printable(line), file=sys.stderr, flush=True)

    # The end

    def _stop(self) -> None:
        """Stop the later stages first; within a stage all at once."""
        for stage in sorted({child.program.stage for child in self.children}, reverse=True):
            group = [child for child in self.children if child.program.stage == stage and child.process]
            for child in group:
                if child.process and child.process.poll() is None:
                    child.process.terminate()
            end = time.monotonic() + max((child.program.grace_seconds for child in group), default=0.0)
            while time.monotonic() < end and any(
                child.process and child.process.poll() is None for child in group
            ):
                self._read(0.1)
            for child in group:
                self._end(child)
        stop_training(self.home)
        (self.home.run / "children.json").unlink(missing_ok=True)

    def _end(self, child: Child) -> None:
        if child.process is None:
            return
        if child.process.poll() is None:
            say(f"{child.program.name} did not stop in {child.program.grace_seconds:g} s and is ended")
        signal_group(child.process.pid, signal.SIGKILL)
        child.process.wait()
        self._let_go(child)


def reclaim(home: Home) -> None:
    """End the children of a launcher that was killed; a pid that another process has by now is left alone."""
    note = home.run / "children.json"
    try:
        left = json.loads(note.read_text())
    except (OSError, ValueError):
        return
    for entry in left:
        if stop_group(entry["pid"], entry["started"], grace_seconds=3.0):
            say(f"ended {entry['name']} (pid {entry['pid']}), left by a launcher that was killed")
    note.unlink()


def rotate(log: Path) -> None:
    """Keep one older file beside a log that has grown long."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def _why(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _printable(line: str) -> str:
    """A line that cannot move the cursor or recolour the terminal."""
    return "".join(
        char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in line
    )


def stop_training(home: Home) -> None:
    """End training processes, which lead sessions of their own so as to outlive a worker; their runs can go again."""
    alive = [(pid, start) for pid, start in _training(home)]
    for pid, _ in alive:
        say(f"stopping the training process {pid}")
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: all(started(pid) != start for pid, start in alive), 8.0)
    for pid, start in alive:
        if started(pid) == start:
            signal_group(pid, signal.SIGKILL)


def _training(home: Home) -> Iterator[tuple[int, str]]:
    """Living training processes of this home; the note of each is written by pipelines/training/folder.py."""
    for note in sorted(home.runs.glob("*/process.json")):
        try:
            entry = json.loads(note.read_text())
            pid, start = int(entry["pid"]), f"{entry['boot_id'][:8]}-{int(entry['start_ticks'])}"
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if entry.get("host") == socket.gethostname() and started(pid) == start:
            yield pid, start

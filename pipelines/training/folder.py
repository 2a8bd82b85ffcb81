"""A run's folder: what the process writes and what a watcher reads, starts, cancels and keeps alive.

    job.json        what to do, written before the start
    process.json    pid, start time in ticks since boot, boot id, host, attempt: enough to tell a live process
    from
                    another that got its pid
    status.json     state, stage, step; replaced as a whole
    metrics.jsonl   one line a logged step, appended and flushed
    heartbeat       touched by the watcher; the run stops itself when it gets old
    cancel          its presence asks the run to stop
    checkpoint/     the tuned model, there only when complete
    result.json     measurements before and after, written last
    log.txt         what the process printed

Standard library only, so that a watcher needs no torch.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.training.errors import AlreadyRunning, JobMalformed
from pipelines.training.job import TrainingJob, job_from_dict

State = Literal["running", "done", "failed", "cancelled"]
MODULE = "pipelines.training.run"
# How long a killed process may still hold its lock.
DYING_SECONDS = 30.0
CODE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class RunProcess:
    """A process, named so that it cannot be taken for a later one with the same pid."""

    pid: int
    start_ticks: int
    boot_id: str
    host: str
    started_at: float
    attempt: int


@dataclass(frozen=True)
class RunStatus:
    """`error`: a sentence for people, if failed or cancelled. `updated_at`: seconds since the epoch."""

    state: State
    stage: str
    attempt: int
    step: int = 0
    total_steps: int | None = None
    error: str | None = None
    updated_at: float = 0.0


@dataclass(frozen=True)
class MetricLine:
    """What one log step said, named as the trainer does: `loss`, `logps/chosen`, `rewards/margins`, ....

    After a resume the same step may come again with a higher attempt: the later attempt holds.
    """

    attempt: int
    step: int
    values: dict[str, float | None]


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # For whoever starts and watches

    def write_job(self, job: TrainingJob) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._write("job.json", job.as_dict())

    def start(self, *, python: str = sys.executable, environment: Mapping[str, str] | None = None) -> int:
        """Starts the process in a session of its own, with its output in log.txt, and returns its pid.

        Raises:
            AlreadyRunning: a live process has this run.
        """
        if self.is_alive():
            raise AlreadyRunning(self.path)
        (self.path / "cancel").unlink(missing_ok=True)
        self.beat()
        with (self.path / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [python, "-m", MODULE, str(self.path)],
                cwd=CODE_ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process.pid

    def beat(self) -> None:
        """Says that somebody watches."""
        (self.path / "heartbeat").touch()

    def cancel(self) -> None:
        """Asks the run to stop; it does at the next step."""
        (self.path / "cancel").touch()

    def process(self) -> RunProcess | None:
        found = self._read("process.json")
        return RunProcess(**found) if found is not None else None

    def is_alive(self) -> bool:
        """Whether the process that process.json names runs on this machine since it was written."""
        process = self.process()
        if process is None or process.host != socket.gethostname() or process.boot_id != _boot_id():
            return False
        return _start_ticks(process.pid) == process.start_ticks

    def status(self) -> RunStatus | None:
        found = self._read("status.json")
        return RunStatus(**found) if found is not None else None

    def metrics(self, *, skip: int = 0) -> list[MetricLine]:
        """Complete lines of metrics.jsonl after the first `skip`; a line still being written is left out."""
        try:
            text = (self.path / "metrics.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        lines = text[: text.rfind(b"\n") + 1].splitlines()
        return [MetricLine(**json.loads(line)) for line in lines[skip:]]

    def result(self) -> dict[str, Any] | None:
        return self._read("result.json")

    @property
    def checkpoint(self) -> Path:
        """Folder of the tuned model; there once complete."""
        return self.path / "checkpoint"

    # For the process itself

    def job(self) -> TrainingJob:
        found = self._read("job.json")
        if found is None:
            raise JobMalformed("job.json is missing")
        return job_from_dict(found)

    def claim(self) -> RunProcess:
        """Takes the run for this process and names it in process.json; held until the process ends.

        Raises:
            AlreadyRunning: another process holds it.
        """
        self._lock()
        before = self.process()
        ticks = _start_ticks(os.getpid())
        process = RunProcess(
            pid=os.getpid(),
            start_ticks=ticks if ticks is not None else 0,
            boot_id=_boot_id(),
            host=socket.gethostname(),
            started_at=time.time(),
            attempt=before.attempt + 1 if before is not None else 1,
        )
        self._write("process.json", asdict(process))
        return process

    def _lock(self) -> None:
        """Whoever was killed holds its lock until its last thread is gone, a moment after it counts as dead."""
        # The descriptor is never closed: the lock must live as long as the process, however it ends.
        lock, deadline = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR, 0o600), time.monotonic() + DYING_SECONDS
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if self.is_alive() or time.monotonic() > deadline:
                    os.close(lock)
                    raise AlreadyRunning(self.path) from error
                time.sleep(0.05)

    def write_status(self, status: RunStatus) -> None:
        self._write("status.json", {**asdict(status), "updated_at": time.time()})

    def append_metrics(self, line: MetricLine) -> None:
        with (self.path / "metrics.jsonl").open("ab") as file:
            file.write(json.dumps(asdict(line), allow_nan=False).encode() + b"\n")

    def end_broken_line(self) -> None:
        """Closes a line that a killed process left half-written, so that the next one stands alone."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            text = path.read_bytes()
            os.truncate(path, text.rfind(b"\n") + 1)

    def write_result(self, result: Mapping[str, Any]) -> None:
        self._write("result.json", result)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """Replaces a file as a whole: a reader sees the old one or the new one."""
        partial = self.path / f".{name}.{os.getpid()}"
        with partial.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path / name)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found


def _start_ticks(pid: int) -> int | None:
    """Start time of a process in ticks since boot; None if there is none or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces; the state follows it, the start time is the 22nd field.
    after_name = text[text.rfind(")") + 2 :].split()
    return None if after_name[0] in "ZX" else int(after_name[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

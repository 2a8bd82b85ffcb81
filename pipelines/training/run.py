"""The process of one training run: `python -m pipelines.training.run DIR`.

Exit status: 0 done, 1 failed, 2 the job was refused, 3 another process has this run, 4 cancelled.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

from pipelines.engine.folder import inspect_folder
from pipelines.errors import PipelineError
from pipelines.training.errors import AlreadyRunning, Cancelled, LeaseLost, Stopped
from pipelines.training.folder import RunFolder, RunStatus
from pipelines.training.job import TrainingJob

log = logging.getLogger("winnow.training")

POLL_SECONDS = 0.5
STATUS_SECONDS = 0.5
# How long a step, a load or a save may go on after the run was asked to stop.
GRACE_SECONDS = 60.0
SMALL_MODEL_PARAMETERS = 20_000_000
DONE, FAILED, REFUSED, TAKEN, CANCELLED = range(5)


class Status:
    """status.json, replaced at most twice a second while only the step changes."""

    def __init__(self, folder: RunFolder, attempt: int) -> None:
        self.folder = folder
        self.now = RunStatus("running", "starting", attempt)
        self.written_at = 0.0
        self.lock = threading.Lock()
        self._write()

    def report(self, stage: str, step: int, total: int | None) -> None:
        with self.lock:
            changed = stage != self.now.stage
            self.now = replace(self.now, stage=stage, step=step, total_steps=total or self.now.total_steps)
            if changed or time.monotonic() - self.written_at > STATUS_SECONDS:
                self._write()

    def end(self, state: str, error: str | None = None) -> None:
        with self.lock:
            self.now = replace(self.now, state=state, error=error)  # type: ignore[arg-type]
            self._write()

    def _write(self) -> None:
        self.folder.write_status(self.now)
        self.written_at = time.monotonic()


class Watch(threading.Thread):
    """Looks for the wish to cancel and for a heartbeat that stopped.

    The heartbeat's age is counted by the monotonic clock from its last change, so neither a stepped clock nor
    a laptop that slept makes a watched run look abandoned.
    """

    def __init__(self, folder: RunFolder, status: Status, lease_seconds: float | None) -> None:
        super().__init__(name="watch", daemon=True)
        self.folder, self.status, self.lease_seconds = folder, status, lease_seconds
        self.reason: Stopped | None = None
        self.over = threading.Event()

    def ask(self, reason: Stopped) -> None:
        self.reason = self.reason or reason

    def check(self) -> None:
        if self.reason is not None:
            raise self.reason

    def run(self) -> None:
        seen, seen_at = self._heartbeat(), time.monotonic()
        asked_at: float | None = None
        while not self.over.wait(POLL_SECONDS):
            now = time.monotonic()
            if (beat := self._heartbeat()) != seen:
                seen, seen_at = beat, now
            if (self.folder.path / "cancel").exists():
                self.ask(Cancelled("on request"))
            if self.lease_seconds is not None and now - seen_at > self.lease_seconds:
                self.ask(LeaseLost(self.lease_seconds))
            if self.reason is None:
                continue
            asked_at = asked_at or now
            if now - asked_at > GRACE_SECONDS:
                self.status.end(self.reason.state, str(self.reason))
                os._exit(CANCELLED if self.reason.state == "cancelled" else FAILED)

    def _heartbeat(self) -> int:
        try:
            return (self.folder.path / "heartbeat").stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def main(arguments: list[str]) -> int:
    """Claims the run's folder, trains, and leaves a final status whatever happens short of a kill."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    folder = RunFolder(Path(arguments[0]).resolve())
    try:
        process = folder.claim()
    except AlreadyRunning as error:
        log.error("run_taken %s", error)
        return TAKEN
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.getsid(0) != os.getpid() and os.getpgrp() != os.getpid():
        os.setsid()
    folder.beat()
    folder.end_broken_line()
    status = Status(folder, process.attempt)
    log.info("run_started attempt=%d pid=%d", process.attempt, process.pid)
    try:
        job = folder.job()
        prepare_environment(job, folder)
    except PipelineError as error:
        status.end("failed", str(error))
        return REFUSED
    return run(job, folder, status, process.attempt)


def run(job: TrainingJob, folder: RunFolder, status: Status, attempt: int) -> int:
    """Trains under watch; the status says how it ended."""
    watch = Watch(folder, status, job.lease_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watch.ask(Cancelled("by a signal")))
    watch.start()
    try:
        from pipelines.training.dpo import train

        result = train(job, folder, attempt=attempt, report=status.report, check=watch.check)
        folder.write_result({**result, "attempt": attempt})
    except Stopped as reason:
        status.end(reason.state, str(reason))
        return CANCELLED if reason.state == "cancelled" else FAILED
    except PipelineError as error:
        status.end("failed", str(error))
        return FAILED
    except BaseException as error:  # noqa: BLE001 - whatever ended it, the status must say that it ended
        traceback.print_exc()
        status.end("failed", f"The run ended with {type(error).__name__}: {error}. The log has the details.")
        return FAILED
    finally:
        watch.over.set()
    status.end("done")
    log.info("run_done attempt=%d steps=%d", attempt, result["steps"])
    return DONE


def prepare_environment(job: TrainingJob, folder: RunFolder) -> None:
    """What must stand in the environment before torch and the libraries around it are imported.

    Raises:
        The errors of a model's folder.
    """
    facts = inspect_folder(Path(job.model))
    threads = job.threads or (1 if facts.parameters < SMALL_MODEL_PARAMETERS else os.cpu_count() or 1)
    os.environ.update(
        OMP_NUM_THREADS=str(threads),
        TOKENIZERS_PARALLELISM="false",
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        HF_HOME=str(folder.path / "cache"),
        TQDM_DISABLE="1",
        # Without it a CUDA run may not repeat: cuBLAS picks its work space anew each time.
        CUBLAS_WORKSPACE_CONFIG=":4096:8",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

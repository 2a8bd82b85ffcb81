"""Worker programs as processes of their own, ended with the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POLLER = [sys.executable, "-m", "tests.workers.probe", "--queue", "default"]
CELERY = [sys.executable, "-m", "celery", "-A", "tests.workers.probe", "worker", "-Q", "default", "-c", "1"]
CLOCK = [sys.executable, "-m", "workers.clock"]


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition, and fail if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"still not true after {seconds} s")
        time.sleep(0.05)


@pytest.fixture
def start(
    process_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a program in a session of its own; a short lease, so that tests need not wait a minute."""
    running: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], **environment: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"{len(running)}.log").open("wb")
        process = subprocess.Popen(
            command,
            env={"WINNOW_WORK_LEASE_SECONDS": "3", **process_environment, **environment},
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for path in sorted(tmp_path.glob("*.log")):
        print(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}")

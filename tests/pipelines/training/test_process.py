"""The process around a training, with a training that only counts: how it starts, stops and says so. No torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.training.folder import CODE_ROOT, RunFolder, RunStatus
from pipelines.training.job import TrainingJob

# Stands in for pipelines.training.dpo: steps until it is stopped, or as many as `batch_size` says.
COUNTING = """
import sys, time, types
from pathlib import Path
def train(job, folder, *, attempt, report, check):
    for step in range(job.batch_size):
        report("training", step, job.batch_size)
        time.sleep(0.02)
        if job.seed == 1:
            raise ValueError("a fault nobody thought of")
        if job.seed == 2:
            time.sleep(600)
        check()
    return {"steps": job.batch_size}
module = types.ModuleType("pipelines.training.dpo")
module.train = train
sys.modules["pipelines.training.dpo"] = module
from pipelines.training import run
run.prepare_environment = lambda job, folder: None
run.GRACE_SECONDS = 1.0
sys.exit(run.main([sys.argv[1]]))
"""


class Counting:
    """A run whose process counts; killed at the end of the test if it still is there."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *, steps: int = 10_000, seed: int = 0, lease_seconds: float | None = None) -> RunFolder:
        self.folder.write_job(
            TrainingJob(model="m", dataset="d", batch_size=steps, seed=seed, lease_seconds=lease_seconds)
        )
        command = [sys.executable, "-c", COUNTING, str(self.folder.path)]
        self.processes.append(subprocess.Popen(command, cwd=CODE_ROOT, start_new_session=True))
        return self.folder

    def exit_status(self) -> int:
        return self.processes[-1].wait(timeout=120)

    def pid(self) -> int:
        wait_until(lambda: self.status().step > 2)
        return self.processes[-1].pid

    def status(self) -> RunStatus:
        return self.folder.status() or RunStatus("running", "", 0)


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Counting]:
    runs = Counting(tmp_path / "run")
    yield runs
    for process in runs.processes:
        process.kill()
        process.wait()


def wait_until(ready: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


def test_a_run_that_ends_says_done_and_leaves_its_result(counting: Counting) -> None:
    folder = counting.start(steps=3)
    assert counting.exit_status() == 0
    assert counting.status().state == "done"
    assert folder.result() == {"steps": 3, "attempt": 1}
    assert not folder.is_alive()


def test_a_cancel_file_stops_it(counting: Counting) -> None:
    folder = counting.start()
    counting.pid()
    folder.cancel()
    assert counting.exit_status() == 4
    assert (counting.status().state, counting.status().error) == ("cancelled", "Cancelled on request.")
    assert folder.result() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(counting: Counting, number: signal.Signals) -> None:
    counting.start()
    os.kill(counting.pid(), number)
    assert counting.exit_status() == 4
    assert (counting.status().state, counting.status().error) == ("cancelled", "Cancelled by a signal.")


def test_a_hang_up_does_not_stop_it(counting: Counting) -> None:
    counting.start(steps=40)
    os.kill(counting.pid(), signal.SIGHUP)
    assert counting.exit_status() == 0
    assert counting.status().state == "done"


def test_it_stops_itself_when_nobody_watches_and_goes_on_while_somebody_does(counting: Counting) -> None:
    folder = counting.start(lease_seconds=2)
    counting.pid()
    for _ in range(20):
        folder.beat()
        time.sleep(0.2)
    assert counting.status().state == "running"
    assert counting.exit_status() == 1
    assert counting.status().state == "failed"
    assert counting.status().error == "Nobody watched this run for 2 seconds, so it stopped itself."


def test_a_step_that_never_ends_does_not_outlive_its_cancel(counting: Counting) -> None:
    folder = counting.start(seed=2)
    wait_until(lambda: counting.status().stage == "training")
    folder.cancel()
    assert counting.exit_status() == 4
    assert counting.status().state == "cancelled"


def test_a_fault_nobody_thought_of_is_still_said(counting: Counting) -> None:
    counting.start(seed=1)
    assert counting.exit_status() == 1
    assert counting.status().state == "failed"
    assert counting.status().error == (
        "The run ended with ValueError: a fault nobody thought of. The log has the details."
    )


def test_a_malformed_job_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"model": "m", "dataset": "d", "rate": 1}))
    folder = RunFolder(tmp_path)
    os.waitpid(folder.start(), 0)
    status = folder.status()
    assert status is not None
    assert (status.state, status.error) == ("failed", "The training job is malformed: unknown keys rate.")


def test_a_second_process_leaves_the_first_alone(counting: Counting) -> None:
    folder = counting.start()
    pid = counting.pid()
    command = [sys.executable, "-c", COUNTING, str(folder.path)]
    assert subprocess.run(command, cwd=CODE_ROOT, check=False).returncode == 3
    process = folder.process()
    assert process is not None
    assert process.pid == pid
    assert counting.status().state == "running"


def test_a_run_started_again_counts_its_attempts(counting: Counting) -> None:
    folder = counting.start()
    os.kill(counting.pid(), signal.SIGKILL)
    counting.exit_status()
    assert counting.status().state == "running", "a killed process can say nothing; its watcher must see it"
    assert not folder.is_alive()
    counting.start(steps=2)
    assert counting.exit_status() == 0
    assert (counting.status().state, counting.status().attempt) == ("done", 2)

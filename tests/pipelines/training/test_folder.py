"""A run's job and folder, as a watcher without torch uses them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.training.errors import AlreadyRunning, FlipRateTooHigh, JobMalformed
from pipelines.training.evaluation import PairLogprobs, evaluate_pairs
from pipelines.training.folder import CODE_ROOT, MetricLine, RunFolder, RunStatus
from pipelines.training.job import TrainingJob, job_from_dict

JOB = {"model": "m", "dataset": "d"}


def test_a_job_survives_its_file(tmp_path: Path) -> None:
    job = TrainingJob(model="m", dataset="d", epochs=3, seed=7)
    RunFolder(tmp_path / "run").write_job(job)
    assert RunFolder(tmp_path / "run").job() == job


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": 1}, "unknown keys lr"),
        ({"model": ""}, "model must be given"),
        ({"seed": "7"}, "seed must be int"),
        ({"seed": True}, "seed must be int"),
        ({"beta": float("nan")}, "beta must be float"),
        ({"beta": 0}, "beta must be above 0"),
        ({"epochs": -1}, "epochs must be above 0"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"objective": "ppo"}, "objective must be one of dpo, rdpo"),
        ({"flip_rate": 0.2}, "only the objective rdpo"),
        ({"objective": "rdpo"}, "needs a flip_rate above 0"),
        ({"warmup_share": 2}, "warmup_share must lie in 0..1"),
        ({"max_length": 1}, "max_length must be 2 or more"),
    ],
)
def test_a_malformed_job_is_refused_in_one_sentence(changes: dict, words: str) -> None:
    with pytest.raises(JobMalformed, match=words):
        job_from_dict({**JOB, **changes})


def test_half_flipped_labels_are_refused_at_the_door() -> None:
    with pytest.raises(FlipRateTooHigh):
        job_from_dict({**JOB, "objective": "rdpo", "flip_rate": 0.5})


def test_a_line_still_being_written_is_not_read_and_a_broken_one_is_cut(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    line = MetricLine(1, 2, {"loss": 0.5, "odd": None})
    folder.append_metrics(line)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"attempt": 1, "st')
    assert folder.metrics() == [line]
    folder.end_broken_line()
    folder.append_metrics(replace(line, step=3))
    assert [found.step for found in folder.metrics()] == [2, 3]
    assert [found.step for found in folder.metrics(skip=1)] == [3]


def test_nothing_is_there_before_the_start(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert (folder.process(), folder.status(), folder.result(), folder.metrics()) == (None, None, None, [])
    assert not folder.is_alive() and not folder.checkpoint.exists()


def test_a_status_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in range(3):
        folder.write_status(RunStatus("running", "training", 1, step, 10))
    found = folder.status()
    assert found is not None and found.step == 2 and found.updated_at == pytest.approx(time.time(), abs=60)
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def claimed_by_another(folder: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys, time; from pathlib import Path; from pipelines.training.folder import RunFolder;"
        "RunFolder(Path(sys.argv[1])).claim(); print('claimed', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, cwd=CODE_ROOT
    )
    assert process.stdout is not None and process.stdout.readline() == b"claimed\n"
    return process


def test_a_live_process_is_told_from_a_dead_one_and_from_another_with_its_pid(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    process = claimed_by_another(tmp_path)
    try:
        assert folder.is_alive()
        with pytest.raises(AlreadyRunning):
            folder.claim()
        with pytest.raises(AlreadyRunning):
            folder.start()
    finally:
        process.kill()
    # Killed and not yet waited for: a zombie does no work.
    deadline = time.monotonic() + 60
    while folder.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not folder.is_alive()
    process.communicate()
    mine = folder.claim()
    assert (mine.attempt, mine.pid) == (2, os.getpid()) and folder.is_alive()
    folder._write("process.json", {**vars(mine), "start_ticks": mine.start_ticks + 1})
    assert not folder.is_alive()


def test_a_run_is_claimed_once_the_last_thread_of_a_killed_process_lets_go(tmp_path: Path) -> None:
    # It counts as dead already, and is nobody that process.json names.
    code = (
        "import fcntl, os, sys, time; fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR); fcntl.flock(fd, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    dying = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert dying.stdout is not None and dying.stdout.readline() == b"held\n"
    with ThreadPoolExecutor(1) as pool:
        claimed = pool.submit(RunFolder(tmp_path).claim)
        with pytest.raises(TimeoutError):
            claimed.result(0.3)
        dying.communicate()
        assert claimed.result(60).pid == os.getpid()


def test_watching_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pipelines.training.folder, pipelines.training.run;"
        "assert not {'torch', 'transformers', 'trl', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CODE_ROOT)


def pairs(before: list[list[float]], after: list[list[float]], prompts: list[str]) -> PairLogprobs:
    (cb, rb), (ca, ra) = np.array(before).T, np.array(after).T
    return PairLogprobs(cb, rb, ca, ra, prompts)


def test_measurements_of_four_hand_made_pairs() -> None:
    found = evaluate_pairs(
        pairs(
            [[-1, -2], [-3, -2], [-1, -1], [-2, -5]],
            [[-2, -9], [-1, -2], [-3, -2], [-2, -4]],
            ["p", "p", "q", "r"],
        ),
        seed=0,
    )
    value = {name: measurement.value for name, measurement in found.items()}
    assert value["ranking_accuracy_before"] == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert value["ranking_accuracy_after"] == pytest.approx((1 + 1 + 0 + 1) / 4)
    assert value["reward_accuracy"] == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert value["chosen_change"] == pytest.approx((-1 + 2 - 2 + 0) / 4)
    assert value["rejected_change"] == pytest.approx((-7 + 0 - 1 + 1) / 4)
    assert value["displaced"] == pytest.approx(1 / 4), "only the first pair fell while its margin rose"
    assert all(measurement.low <= measurement.value <= measurement.high for measurement in found.values())


def test_intervals_are_over_prompts_and_repeat_by_seed() -> None:
    random = np.random.default_rng(0)
    change = np.repeat(random.normal(size=50), 20)
    given = PairLogprobs(
        np.zeros(1000), np.zeros(1000), change, np.zeros(1000), [str(i // 20) for i in range(1000)]
    )
    found = evaluate_pairs(given, seed=1)["chosen_change"]
    assert found == evaluate_pairs(given, seed=1)["chosen_change"]
    # Twenty equal pairs a prompt are worth one: about 2 * 1.96 / sqrt(50), not / sqrt(1000).
    assert 0.35 < found.high - found.low < 0.75


def test_no_pairs_no_measurements() -> None:
    assert evaluate_pairs(PairLogprobs(*[np.zeros(0)] * 4, []), seed=0) == {}

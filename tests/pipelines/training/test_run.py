"""Training for real: it learns, repeats by seed, and goes on to the same weights after a kill."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.engine.errors import ModelFolderMissing
from pipelines.engine.folder import inspect_folder
from pipelines.training.errors import (
    DatasetUnreadable,
    LossNotFinite,
    NothingToTrainOn,
    SoftLabelMalformed,
    WeightMalformed,
)
from pipelines.training.folder import RunFolder, RunStatus
from pipelines.training.job import TrainingJob
from tests.tiny_model import WORDS, save_tiny

pytestmark = pytest.mark.slow

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: parquet/train.parquet
  - split: validation
    path: parquet/validation.parquet
---
"""


def preference_rows(count: int, *, seed: int) -> list[dict[str, str]]:
    """Chosen says yes and rejected says no, in many wordings: a lesson that a tiny model can learn."""
    random = np.random.default_rng(seed)
    words = WORDS[:10]
    rows = []
    for _ in range(count):
        thing, colour = random.choice(words), random.choice(["red", "green", "black", "pink"])
        rows.append(
            {
                "prompt": f"which {thing} is {colour} ? ",
                "chosen": f"yes the {colour} {thing} .",
                "rejected": f"no {random.choice(words)} .",
            }
        )
    return rows


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny", hidden=32)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("export")
    (folder / "parquet").mkdir()
    (folder / "README.md").write_text(CARD)
    for name, count in (("train", 96), ("validation", 24)):
        rows = preference_rows(count, seed=len(name))
        if name == "train":
            rows += [{"prompt": "sun " * 60, "chosen": "a", "rejected": "b"}]
            rows += [{"prompt": "pick ", "chosen": "sun " * 60 + "yes", "rejected": "sun " * 60 + "no"}]
        pq.write_table(pa.Table.from_pylist(rows), folder / "parquet" / f"{name}.parquet")
    return folder


@pytest.fixture
def job(model: Path, export: Path) -> TrainingJob:
    return TrainingJob(
        model=str(model), dataset=str(export), learning_rate=5e-3, epochs=4, batch_size=16, seed=3,
        max_length=40, device="cpu", save_steps=6,
    )  # fmt: skip


def wait_until(ready: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


def finished(folder: RunFolder) -> RunStatus:
    wait_until(lambda: not folder.is_alive() and (folder.path / "process.json").exists())
    status = folder.status()
    assert status is not None
    return status


def started(path: Path, job: TrainingJob) -> RunFolder:
    folder = RunFolder(path)
    folder.write_job(job)
    folder.start()
    return folder


def log_of(folder: RunFolder) -> str:
    return (folder.path / "log.txt").read_text()


def weights(folder: RunFolder) -> bytes:
    return (folder.checkpoint / "model.safetensors").read_bytes()


def in_training(folder: RunFolder) -> bool:
    return len(folder.metrics()) >= 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: Path, export: Path) -> RunFolder:
    """One run from start to end, that several tests look at."""
    job = TrainingJob(
        model=str(model), dataset=str(export), learning_rate=5e-3, epochs=4, batch_size=16, seed=3,
        max_length=40, device="cpu", save_steps=6, lease_seconds=600,
    )  # fmt: skip
    folder = started(tmp_path_factory.mktemp("runs") / "whole", job)
    status = finished(folder)
    assert status.state == "done", f"{status.error}\n{log_of(folder)}"
    return folder


def test_it_trains_and_leaves_everything_a_reader_needs(whole: RunFolder, model: Path) -> None:
    status, result = whole.status(), whole.result()
    assert status is not None and result is not None
    assert (status.state, status.step, status.total_steps, status.error) == ("done", 24, 24, None)
    assert result["steps"] == 24 and result["job"]["seed"] == 3
    assert result["rows"]["train"] == {
        "read": 98, "used": 96, "dropped": {"too_long": 1, "no_prompt": 0, "alike": 1}
    }  # fmt: skip
    assert result["train_seconds"] <= result["seconds"] and result["peak_memory_gib"] > 0
    assert result["versions"]["trl"] == "1.16.0"
    facts, base = inspect_folder(whole.checkpoint), inspect_folder(model)
    assert result["checkpoint"]["fingerprint"] == facts.fingerprint != base.fingerprint
    assert facts.tokenizer_hash == base.tokenizer_hash
    assert not (whole.path / "trainer").exists()


def test_the_lesson_is_learnt_and_measured_on_held_out_rows(whole: RunFolder) -> None:
    result = whole.result()
    assert result is not None
    held_out = result["evaluations"]["validation"]
    assert held_out["reward_accuracy"]["value"] > 0.9
    assert held_out["ranking_accuracy_after"]["value"] >= held_out["ranking_accuracy_before"]["value"]
    assert held_out["chosen_change"]["value"] > held_out["rejected_change"]["value"]
    assert held_out["chosen_change"]["n"] == 24


def test_curves_begin_at_the_reference_and_hold_log_probabilities(whole: RunFolder) -> None:
    lines = whole.metrics()
    first = next(line for line in lines if "loss" in line.values)
    assert first.step == 1 and first.values["loss"] == pytest.approx(np.log(2), abs=1e-3)
    assert {"logps/chosen", "logps/rejected", "rewards/margins", "rewards/accuracies"} <= set(first.values)
    assert any("eval_loss" in line.values for line in lines)
    last = [line for line in lines if "loss" in line.values][-1]
    assert last.values["rewards/margins"] > 0.5  # type: ignore[operator]


def test_the_same_seed_gives_the_same_weights_through_a_hang_up_in_a_session_of_its_own(
    whole: RunFolder, job: TrainingJob, tmp_path: Path
) -> None:
    folder = started(tmp_path / "run", job)
    wait_until(lambda: in_training(folder))
    process = folder.process()
    assert process is not None
    assert os.getsid(process.pid) == process.pid
    os.kill(process.pid, signal.SIGHUP)
    assert finished(folder).state == "done", log_of(folder)
    assert weights(folder) == weights(whole)


def test_a_killed_run_goes_on_from_its_save_to_the_same_weights(
    whole: RunFolder, job: TrainingJob, tmp_path: Path
) -> None:
    folder = started(tmp_path / "killed", job)
    wait_until(lambda: any(folder.path.glob("trainer/checkpoint-*/complete")))
    process = folder.process()
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not folder.is_alive())
    status = folder.status()
    assert status is not None
    assert status.state == "running", "a killed process can say nothing; its watcher must see it"
    folder.start()
    wait_until(lambda: (found := folder.process()) is not None and found.attempt == 2)
    assert finished(folder).state == "done", log_of(folder)
    second = [line.step for line in folder.metrics() if line.attempt == 2 and "loss" in line.values]
    assert min(second) > 6, "it did not begin again"
    assert weights(folder) == weights(whole)


def trained(job: TrainingJob, path: Path) -> tuple[RunFolder, dict[str, Any]]:
    """A run inside this process, for what needs no process of its own."""
    from pipelines.training.dpo import train

    path.mkdir(parents=True)
    folder = RunFolder(path)
    return folder, train(job, folder, attempt=1, report=lambda *_: None, check=lambda: None)


def test_another_seed_and_robust_labels_train_to_other_weights(
    whole: RunFolder, job: TrainingJob, tmp_path: Path
) -> None:
    folder, result = trained(
        replace(job, seed=4, objective="rdpo", flip_rate=0.2, epochs=1), tmp_path / "run"
    )
    losses = [line.values["loss"] for line in folder.metrics() if "loss" in line.values]
    assert losses[0] == pytest.approx(np.log(2), abs=1e-3), "log 2 before training, for every flip rate"
    assert result["steps"] == 6
    assert weights(folder) != weights(whole)


def test_each_fault_ends_in_one_clear_sentence(job: TrainingJob, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    faults: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"dataset": str(empty)}, DatasetUnreadable, "data set empty cannot be read"),
        ({"max_length": 2}, NothingToTrainOn, r"none can be trained on \(too_long: 98\)"),
        ({"learning_rate": 1e30}, LossNotFinite, "Lower the learning rate"),
        ({"model": str(empty)}, ModelFolderMissing, "no config.json"),
    ]
    for row, (changes, error, words) in enumerate(faults):
        with pytest.raises(error, match=words):
            trained(replace(job, **changes), tmp_path / str(row))
        assert not (tmp_path / str(row) / "checkpoint").exists()


def softened(export: Path, path: Path, soft_label: float | str) -> Path:
    """The same export with this soft label on every row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (path / "parquet").mkdir(parents=True)
    (path / "README.md").write_text(CARD)
    for name in ("train", "validation"):
        table = pq.read_table(export / "parquet" / f"{name}.parquet")
        column = pa.array([soft_label] * table.num_rows)
        pq.write_table(table.append_column("soft_label", column), path / "parquet" / f"{name}.parquet")
    return path


def test_sure_soft_labels_train_to_what_plain_dpo_trains_to(
    whole: RunFolder, job: TrainingJob, export: Path, tmp_path: Path
) -> None:
    data = softened(export, tmp_path / "data", 1.0)
    folder, _ = trained(replace(job, objective="soft_dpo", dataset=str(data)), tmp_path / "run")
    plain = [line.values for line in whole.metrics() if "rewards/margins" in line.values]
    soft = [line.values for line in folder.metrics() if "rewards/margins" in line.values]
    assert [v["rewards/margins"] for v in soft] == pytest.approx([v["rewards/margins"] for v in plain], abs=1e-3)
    assert [v["loss"] for v in soft] == pytest.approx([v["loss"] for v in plain], abs=1e-3)


def test_doubtful_soft_labels_keep_the_margin_small(
    whole: RunFolder, job: TrainingJob, export: Path, tmp_path: Path
) -> None:
    data = softened(export, tmp_path / "data", 0.6)
    _, result = trained(replace(job, objective="soft_dpo", dataset=str(data)), tmp_path / "run")
    sure = whole.result()
    assert sure is not None
    margins = [
        found["evaluations"]["train"]["chosen_change"]["value"] - found["evaluations"]["train"]["rejected_change"]["value"]
        for found in (result, sure)
    ]
    assert 0 < margins[0] < margins[1] / 2


def test_soft_labels_that_are_missing_or_no_probabilities_are_refused(
    job: TrainingJob, export: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatasetUnreadable, match="lacks the columns soft_label"):
        trained(replace(job, objective="soft_dpo"), tmp_path / "run")
    odd = softened(export, tmp_path / "odd", 1.5)
    with pytest.raises(SoftLabelMalformed, match=r"must lie in 0\.\.1; got 1\.5"):
        trained(replace(job, objective="soft_dpo", dataset=str(odd)), tmp_path / "run-2")


def weighted(export: Path, path: Path, weights: Callable[[int], list[float]], *, turned: bool = False) -> Path:
    """The same export with these weights. `turned`: each second half of a split teaches the opposite."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (path / "parquet").mkdir(parents=True)
    (path / "README.md").write_text(CARD)
    for name in ("train", "validation"):
        rows = pq.read_table(export / "parquet" / f"{name}.parquet").to_pylist()
        if turned:
            rows += [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
        for row, weight in zip(rows, weights(len(rows)), strict=True):
            row["weight"] = weight
        pq.write_table(pa.Table.from_pylist(rows), path / "parquet" / f"{name}.parquet")
    return path


def test_equal_weights_leave_the_trainer_as_it_is(whole: RunFolder, job: TrainingJob, export: Path, tmp_path: Path) -> None:
    data = weighted(export, tmp_path / "data", lambda n: [0.25] * n)
    folder, result = trained(replace(job, dataset=str(data)), tmp_path / "run")
    plain = [line.values["loss"] for line in whole.metrics() if "loss" in line.values]
    assert [line.values["loss"] for line in folder.metrics() if "loss" in line.values] == plain
    assert result["weighted"] is False


@pytest.mark.parametrize("objective", ["dpo", "rdpo"])
def test_weights_that_hardly_differ_train_to_what_the_library_trains_to(
    job: TrainingJob, export: Path, tmp_path: Path, objective: str
) -> None:
    plain = replace(job, objective=objective, flip_rate=0.1 if objective == "rdpo" else 0.0, epochs=2)
    found = []
    for name, slope in (("equal", 0.0), ("nearly", 1e-9)):
        data = weighted(export, tmp_path / name, lambda n, slope=slope: [1 + slope * row for row in range(n)])
        folder, result = trained(replace(plain, dataset=str(data)), tmp_path / f"run-{name}")
        assert result["weighted"] is (name == "nearly")
        found.append([line.values[key] for line in folder.metrics() for key in ("loss", "eval_loss") if key in line.values])
    assert found[1] == pytest.approx(found[0], abs=1e-3)


@pytest.mark.parametrize("objective", ["dpo", "rdpo", "soft_dpo"])
def test_of_opposite_lessons_the_heavier_is_learned(job: TrainingJob, export: Path, tmp_path: Path, objective: str) -> None:
    """Half of the pairs say yes and half no; those that say yes weigh nine times as much."""
    data = weighted(export, tmp_path / "data", lambda n: [0.9] * (n // 2) + [0.1] * (n - n // 2), turned=True)
    if objective == "soft_dpo":
        data = softened(data, tmp_path / "soft", 0.95)
    changed = replace(job, dataset=str(data), objective=objective, flip_rate=0.1 if objective == "rdpo" else 0.0, epochs=2)
    folder, result = trained(changed, tmp_path / "run")
    assert result["weighted"] is True
    # By count both lessons cancel out and the loss stays that of a coin, log 2; by weight there is something to learn.
    held_out = [line.values["eval_loss"] for line in folder.metrics() if "eval_loss" in line.values]
    assert held_out[-1] < 0.55


def test_weights_that_weigh_nothing_are_refused(job: TrainingJob, export: Path, tmp_path: Path) -> None:
    data = weighted(export, tmp_path / "data", lambda n: [1.0] * (n - 1) + [0.0])
    with pytest.raises(WeightMalformed, match=r"a finite number above 0; got 0\.0"):
        trained(replace(job, dataset=str(data)), tmp_path / "run")

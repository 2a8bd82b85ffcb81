"""Levels, stamps and locks of the project's environment; nothing is installed here."""

import json
import sys
from pathlib import Path

import pytest

from launcher import environment
from launcher.environment import LEVELS, VERSIONS, ensure, lock_path
from launcher.errors import EnvironmentUnavailable


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that looks installed at the level `ml`."""
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    for name, value in {
        "VENV": folder,
        "PYTHON": folder / "bin" / "python",
        "STAMP": folder / "winnow.json",
    }.items():
        monkeypatch.setattr(environment, name, value)
    stamp = {"level": "ml", "python": [3, 11], "hash": environment._lock_hash("ml", (3, 11))}
    (folder / "winnow.json").write_text(json.dumps(stamp))
    return folder


def test_a_higher_level_covers_the_lower_ones(venv: Path) -> None:
    assert [environment._stamped(level) for level in LEVELS] == [True, True, False]


def test_a_changed_lock_asks_for_an_update(venv: Path) -> None:
    stamp = json.loads((venv / "winnow.json").read_text())
    (venv / "winnow.json").write_text(json.dumps({**stamp, "hash": "older"}))
    assert not environment._stamped("web")


def test_an_interrupted_installation_asks_for_another(venv: Path) -> None:
    (venv / "winnow.json").unlink()
    assert not environment._stamped("web")


def test_the_running_environment_is_used_where_it_holds_the_lock() -> None:
    ensure("dev", [])  # Returns, or else this process would have been replaced.


def test_an_environment_that_lacks_a_locked_version_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "web.lock"
    lock.write_text("django==0.1\n")
    monkeypatch.setattr(environment, "lock_path", lambda *_: lock)
    assert not environment._complete("web")


def test_an_old_python_without_a_newer_one_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "VERSIONS", ((3, 99),))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentUnavailable, match=r"is needed and this is 3\.\d+.*apt install"):
        environment._base_python()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_locks_are_nested_and_name_neither_torch_nor_an_address(version: tuple[int, int]) -> None:
    web, ml, dev = (set(lock_path(level, version).read_text().splitlines()) for level in LEVELS)
    assert web < ml < dev
    assert not [
        line for line in dev if "://" in line or line.startswith(("torch==", "nvidia", "cuda", "triton"))
    ]

"""A tiny model, made once a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import save_tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def home(settings, tmp_path: Path) -> Path:
    """The home's folders, of this test alone."""
    for name in ("MODELS_DIR", "EXPORTS_DIR", "RUNS_DIR", "UPLOADS_DIR"):
        setattr(settings, name, tmp_path / name.removesuffix("_DIR").lower())
    return tmp_path

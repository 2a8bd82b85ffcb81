"""docs/methods.md names every registered method, and every file it names is there."""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.judges import JUDGES
from pipelines.labels import ANSWER_MODELS, PROJECT_METHODS
from pipelines.routing import POLICIES
from pipelines.scoring import SCORERS
from pipelines.training.job import OBJECTIVES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "methods.md").read_text()


def test_every_stored_key_has_a_row() -> None:
    rows = {row.split("|")[1].strip() for row in PAGE.splitlines() if row.startswith("|")}
    keys = [*PROJECT_METHODS, *ANSWER_MODELS, *SCORERS, *POLICIES, *JUDGES, *OBJECTIVES]
    assert {f"`{key}`" for key in keys} <= rows


def test_every_file_it_names_is_there() -> None:
    named = re.findall(r"`((?:annotation|pipelines|tests)/[\w/.]+)`", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_vector_it_names_is_there() -> None:
    named = re.findall(r"`([\w-]+\.json)`", PAGE)
    assert named
    assert [name for name in named if not (ROOT / "tests" / "vectors" / name).exists()] == []

"""Every setting that the environment can give is documented."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INTERNAL = re.compile(r"WINNOW_TEST_")


def names_in_code() -> set[str]:
    folders = ("webapp", "launcher", "workers", "pipelines", "annotation")
    code = "\n".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    named = set(re.findall(r"[\"'](WINNOW_[A-Z_]+|DATABASE_URL|BROKER_URL|CHROMIUM)[\"']", code))
    return {name for name in named if not INTERNAL.match(name)}


def test_each_setting_has_a_line_in_the_document():
    documented = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text(), re.M))
    assert names_in_code() - documented == set()


def test_the_document_names_no_setting_that_is_gone():
    documented = set(re.findall(r"^\| `(WINNOW_[A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text(), re.M))
    assert documented - names_in_code() - {"WINNOW_REFERENCE_DATA"} == set()

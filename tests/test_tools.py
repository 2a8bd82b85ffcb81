"""Lint, types, contracts, deployment settings: each a test, so that one summary covers everything."""

import os
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

from launcher.checks import CHECKS, DEPLOYED

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    path for path in ROOT.glob("*/**/*.py") if not path.relative_to(ROOT).parts[0].startswith((".", "var"))
]
FORBIDDEN = ("trust_remote_code", "allow_pickle", "joblib", "torch.load")
NEEDS_DATABASE = {"migrations"}


def run(name: str, environment: dict[str, str]) -> None:
    # The browser's tests set this one for their own process; a deployment has it never.
    environment = {k: v for k, v in environment.items() if k != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    done = subprocess.run(
        CHECKS[name], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{name}:\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("name", sorted(set(CHECKS) - NEEDS_DATABASE))
def test_it_passes(name: str) -> None:
    run(name, {**os.environ, **DEPLOYED})


@pytest.mark.parametrize("name", sorted(NEEDS_DATABASE))
def test_it_passes_with_a_database(name: str, process_environment: dict[str, str]) -> None:
    run(name, process_environment)


def test_an_exception_to_a_rule_gives_its_code_and_its_reason() -> None:
    """A type that is ignored names its code, and mypy refuses one that is no longer needed."""
    marker = re.compile(r"#\s*(noqa|type:\s*ignore|pragma)\b", re.IGNORECASE)
    allowed = re.compile(r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* - \w|type: ignore\[[\w, -]+\])")
    bare = [
        f"{path.relative_to(ROOT)}:{line}: {comment}"
        for path in SOURCES
        for line, comment in comments(path)
        if marker.search(comment) and not allowed.search(comment)
    ]
    assert not bare, "write `# noqa: CODE - reason` or `# type: ignore[code]`:\n" + "\n".join(bare)


def test_no_code_opens_a_door_for_foreign_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in SOURCES
        if not in_tests(path)
        for word in FORBIDDEN
        if word in path.read_text().replace("trust_remote_code=False", "")
    ]
    assert not found


def in_tests(path: Path) -> bool:
    return path.relative_to(ROOT).parts[0] == "tests"


def comments(path: Path) -> list[tuple[int, str]]:
    with open(path, "rb") as file:
        return [
            (token.start[0], token.string)
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
        ]

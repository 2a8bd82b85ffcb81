"""The checks that are not tests of behaviour: one table, run by tests/test_tools.py and named by `make check`."""

from __future__ import annotations

import sys
from pathlib import Path

TYPED = ("annotation", "pipelines", "workers", "launcher", "manage.py")

_BIN = Path(sys.executable).parent
_MANAGE = (sys.executable, "manage.py")

# Public settings as they would be behind https, which is what `check --deploy` looks at.
DEPLOYED = {"WINNOW_PUBLIC_URL": "https://winnow.example.org", "WINNOW_BEHIND_PROXY": "1"}

CHECKS: dict[str, tuple[str, ...]] = {
    "ruff": (str(_BIN / "ruff"), "check", "."),
    "mypy": (str(_BIN / "mypy"), *TYPED),
    "contracts": (str(_BIN / "lint-imports"), "--no-logo"),
    "templates": (str(_BIN / "djlint"), "--lint", "--quiet", "annotation", "webapp"),
    "deployment": (*_MANAGE, "check", "--deploy", "--fail-level", "WARNING"),
    "migrations": (*_MANAGE, "makemigrations", "--check", "--dry-run"),
    "dockerfiles": (str(_BIN / "hadolint"), "docker/web.Dockerfile", "docker/worker.Dockerfile"),
}

"""Names of what lies under a project and is addressed by its name: they are parts of URLs, paths and model names."""

from __future__ import annotations

import re

from pipelines.errors import InputRefused

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
# Words that stand at the same place in an address.
RESERVED = {"version": "freeze", "run": "start"}


def name_check(name: str, *, of: str) -> None:
    """Refuse a name that a `version` or a `run` cannot have."""
    if not NAME.fullmatch(name):
        raise InputRefused(
            f"A {of}'s name has 1 to 60 letters, digits, '.', '_' or '-' and starts with a letter or digit; "
            f"got {name[:80]!r}."
        )
    if name == RESERVED[of]:
        raise InputRefused(
            f"No {of} can be called {name!r}, which has a meaning of its own; choose another name."
        )

"""A file that a person asked for: new, and there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.errors import InputRefused


@contextmanager
def new_file(out: Path) -> Iterator[IO[bytes]]:
    """Write to a draft beside `out`, which takes its name at the end; an error leaves nothing.

    Raises:
        InputRefused: `out` is there already, or its folder is not.
    """
    if out.exists():
        raise InputRefused(f"{out} exists already. Choose another name, or remove it first.")
    if not out.parent.is_dir():
        raise InputRefused(f"There is no folder {out.parent}. Create it first.")
    handle, draft = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(0o644)
        Path(draft).rename(out)
    finally:
        Path(draft).unlink(missing_ok=True)

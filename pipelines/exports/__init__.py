"""Export formats: rows of a version, as other programs read them.

Pure but for the folder that a writer is given. To add a format, write a module with a `write` function and add a line
to `EXPORTERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ExportedFile:
    """`path` is relative to the export's folder; `rows` is None for files that hold no rows."""

    path: str
    bytes: int
    rows: int | None
    sha256: str


@dataclass(frozen=True)
class ExportRequest:
    """What a writer needs besides the rows. `form`: plain or messages. `manifest`: of the version, as frozen."""

    version: str
    form: str
    manifest: dict[str, Any]


# (split, canonical payload), splits one after another in their order.
SplitRow = tuple[str, bytes]
Write = Callable[[Iterable[SplitRow], Path, ExportRequest], list[ExportedFile]]


@dataclass(frozen=True)
class Exporter:
    """One line of the table. `key` is stored in rows and never renamed; `path` is loaded on first use.
    `units`: versions of what rows it takes."""

    key: str
    label: str
    path: str
    description: str
    units: tuple[str, ...] = ("pairs",)

    def load(self) -> Write:
        module, name = self.path.split(":")
        function: Write = getattr(import_module(module), name)
        return function


EXPORTERS: dict[str, Exporter] = {
    entry.key: entry
    for entry in (
        Exporter(
            "trl-preference",
            "TRL preference",
            "pipelines.exports.trl_preference:write",
            "prompt, chosen and rejected as Parquet and JSON Lines, with a dataset card",
        ),
        Exporter(
            "trl-unpaired",
            "TRL unpaired (KTO)",
            "pipelines.exports.trl_unpaired:write",
            "prompt, completion and label (true: desirable) as Parquet and JSON Lines, with a dataset card",
            units=("pairs", "completions"),
        ),
    )
}  # fmt: skip

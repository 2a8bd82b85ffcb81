"""Importers: files of model answers, row by row, into prompts, completions and choices.

Not here: tables and transactions (`pipelines/services/importing.py`). `readers.py` opens files and counts what it
unpacks, `rows.py` has the values that all shapes share (read it first), one module a shape. To add a shape, write a
function from a record to a `Row` and add a line to `SHAPES`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pipelines.imports.errors import FileRefused
from pipelines.imports.rows import Limits, Row, shown

ParseRow = Callable[[Mapping[str, Any], Limits], Row]


@dataclass(frozen=True)
class Shape:
    """One line of the table. `key` is stored in rows and never renamed; `path` is loaded on first use.

    `fields`: what a record must hold, `optional`: what it may. `has_choice`: whether a row names a preferred completion;
    `has_annotations`: whether it holds answers to the project's form.
    """

    key: str
    label: str
    path: str
    fields: tuple[str, ...]
    has_choice: bool
    has_annotations: bool = False
    optional: tuple[str, ...] = ()

    def load(self) -> ParseRow:
        """The function from a record to a `Row`."""
        return self._attribute("parse_row")  # type: ignore[no-any-return]

    def check(self, row: Row, questions: Sequence[Mapping[str, Any]]) -> Row:
        """The row with its answers held against the form; of shapes with annotations."""
        return self._attribute("row_checked")(row, questions)  # type: ignore[no-any-return]

    def looks_like(self, record: Mapping[str, Any]) -> bool:
        """Whether a record has this shape."""
        return set(self.fields) <= record.keys() and bool(self._attribute("looks_like")(record))

    def _attribute(self, name: str) -> Any:
        return getattr(import_module(self.path), name)


# The order decides where a record fits two shapes.
SHAPES: dict[str, Shape] = {
    entry.key: entry
    for entry in (
        Shape(
            "annotated",
            "Completions with people's answers to this project's form",
            "pipelines.imports.annotated",
            ("completions", "annotations"),
            False,
            has_annotations=True,
            optional=("prompt", "context"),
        ),
        Shape(
            "prompt-completions",
            "Prompt with a list of completions",
            "pipelines.imports.prompt_completions",
            ("prompt", "completions"),
            False,
            optional=("context",),
        ),
        Shape(
            "trl-preference",
            "TRL preference, explicit prompt",
            "pipelines.imports.trl_preference",
            ("prompt", "chosen", "rejected"),
            True,
        ),
        Shape(
            "hh-rlhf", "HH-RLHF transcripts", "pipelines.imports.hh_rlhf", ("chosen", "rejected"), True
        ),
        Shape(
            "trl-implicit",
            "TRL preference, prompt inside chosen and rejected",
            "pipelines.imports.trl_implicit",
            ("chosen", "rejected"),
            True,
        ),
    )
}  # fmt: skip
READ_FIELDS = frozenset(field for shape in SHAPES.values() for field in shape.fields + shape.optional)
# Fields that change what a row means: a row in which one is set is refused rather than read without it.
MEANINGFUL_FIELDS = frozenset({"tools", "images", "image", "labels", "label", "completion"})


def shape_get(key: str) -> Shape:
    """The shape of that key.

    Raises:
        FileRefused: there is none.
    """
    if key not in SHAPES:
        raise FileRefused(f"There is no shape {key!r}; choose one of {', '.join(SHAPES)}.")
    return SHAPES[key]


def shape_detect(records: Iterable[Mapping[str, Any]]) -> Shape:
    """The shape that most of the first records have; a draw goes to the first in `SHAPES`.

    Raises:
        FileRefused: no record has a known shape.
    """
    seen: Counter[str] = Counter()
    fields: dict[str, None] = {}
    for record in records:
        fields |= dict.fromkeys(record)
        for shape in SHAPES.values():
            if shape.looks_like(record):
                seen[shape.key] += 1
                break
    if seen:
        return max((SHAPES[key] for key in SHAPES if key in seen), key=lambda shape: seen[shape.key])
    if not fields:
        raise FileRefused("The file has no rows.")
    known = "; ".join(f"{shape.key}: {', '.join(shape.fields)}" for shape in SHAPES.values())
    raise FileRefused(
        f"The file has the columns {', '.join(map(shown, list(fields)[:12]))}, which fit no known shape ({known})."
    )

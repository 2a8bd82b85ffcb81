"""Scores of comparisons: which pairs are likely to harm training.

Pure: arrays in, arrays out; the model passes are in `pipelines/engine/`. Read `ches.py` first. To add a
method, write its module and add a line to `SCORERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal


@dataclass(frozen=True)
class Scorer:
    """One line of the table. `key` is stored in rows and never renamed; paths are loaded on first use.

    Attributes:
        path: the pure function that turns stored values into scores.
        engine_path: the model pass that computes the stored values; needs the machine-learning extra.
        subject: what one stored score belongs to. An ordered pair holds both directions.
        direction: which way is better.
        values: names of the stored numbers.
        device: where the pass runs.
    """

    key: str
    label: str
    path: str
    engine_path: str
    subject: Literal["completion", "ordered_pair", "comparison"]
    direction: Literal["lower_is_better", "higher_is_better"]
    values: tuple[str, ...]
    device: Literal["any", "gpu"]
    version: str
    source: str

    def load(self) -> Callable[..., Any]:
        return _load(self.path)

    def load_engine(self) -> Callable[..., Any]:
        return _load(self.engine_path)


def _load(path: str) -> Callable[..., Any]:
    module, name = path.split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


SCORERS: dict[str, Scorer] = {
    entry.key: entry
    for entry in (
        Scorer(
            key="ches",
            label="CHES (likelihood displacement risk)",
            path="pipelines.scoring.ches:ches_scores",
            engine_path="pipelines.engine.passes:ches_pass",
            subject="ordered_pair",
            direction="lower_is_better",
            values=("s11", "s22", "s12", "n1", "n2", "edit_distance", "last_hidden", "flags"),
            device="any",
            version="1",
            source="Unintentional Unalignment (ICLR 2025)",
        ),
    )
}

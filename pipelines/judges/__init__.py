"""Judges: models that say which of two completions is better.

Needs the machine-learning extra; knows no Django. `template.py` and `verdict.py` are pure (read `verdict.py`
first for the rule of the two orders), `causal.py` runs a causal language model. To add a judge, write its
module and add a line to `JUDGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Judge:
    """One line of the table. `key` is stored in rows and never renamed; `path` is loaded on first use."""

    key: str
    label: str
    path: str
    version: str
    source: str

    def load(self) -> Callable[..., Any]:
        module, name = self.path.split(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function


JUDGES: dict[str, Judge] = {
    entry.key: entry
    for entry in (
        Judge(
            "causal_labels",
            "Local causal model, by the probability of its labels in both orders",
            "pipelines.judges.causal:judge_pairs",
            "1",
            "label log-probabilities in both orders, logits averaged",
        ),
    )
}

"""Aggregators: from votes to a posterior for each comparison and a reliability for each rater.

Pure: arrays in, arrays out. `votes.py` has the shared arrays (read it first), one module a method,
`preference.py` turns a posterior into a preference. To add a method, write its module and add a line to
`AGGREGATORS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from pipelines.labels.votes import Aggregate, Votes


@dataclass(frozen=True)
class Aggregator:
    """One line of the table. `key` is stored in rows and never renamed; `path` is loaded on first use."""

    key: str
    label: str
    path: str
    version: str
    source: str

    def load(self) -> Callable[[Votes], Aggregate]:
        """The function, which takes `Votes` and returns `Aggregate`."""
        module, name = self.path.split(":")
        function: Callable[[Votes], Aggregate] = getattr(import_module(module), name)
        return function


AGGREGATORS: dict[str, Aggregator] = {
    entry.key: entry
    for entry in (
        Aggregator(
            "majority", "Majority", "pipelines.labels.majority:majority", "1", "additive smoothing, a = 1/2"
        ),
        Aggregator(
            "dawid_skene",
            "Weighted by reliability (Dawid-Skene)",
            "pipelines.labels.dawid_skene:dawid_skene",
            "1",
            "Dawid and Skene 1979",
        ),
        Aggregator(
            "dawid_skene_one_coin",
            "Weighted by reliability, one parameter a rater",
            "pipelines.labels.dawid_skene:dawid_skene_one_coin",
            "1",
            "Dawid and Skene 1979, one accuracy a rater",
        ),
    )
}

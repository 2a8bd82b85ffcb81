"""Aggregators: from votes to a posterior for each comparison and a reliability for each rater.

Pure: arrays in, arrays out. `votes.py` has the shared arrays (read it first), one module a method,
`preference.py` turns a posterior into a preference; graded votes start at `graded_votes.py`. `votefile/` is the command
for files of votes, `python -m pipelines.labels`. To add a method, write its module and add a line to a table below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

# The command starts under any Python and changes to the project's own; numpy comes only there.
if TYPE_CHECKING:
    from pipelines.labels.votes import Aggregate, Votes


@dataclass(frozen=True)
class Aggregator:
    """One line of the table. `key` is stored in rows and never renamed; `path` is loaded on first use.

    `version`: goes up when its answer changes, or what a refit keeps of it for the steps that follow.
    """

    key: str
    label: str
    path: str
    version: str
    source: str

    def load(self) -> Callable[[Votes], Aggregate]:
        """The function, which takes `Votes` and returns `Aggregate`."""
        function: Callable[[Votes], Aggregate] = _loaded(self.path)
        return function


@dataclass(frozen=True)
class PairModel:
    """One model of completions or systems that recur; it takes a `PairTable`, or single votes with raters."""

    key: str
    label: str
    path: str
    version: str
    source: str
    takes_raters: bool = False

    def load(self) -> Callable[..., Any]:
        """The function, which returns `PairScores`."""
        function: Callable[..., Any] = _loaded(self.path)
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
            "2",
            "Dawid and Skene 1979",
        ),
        Aggregator(
            "dawid_skene_one_coin",
            "Weighted by reliability, one parameter a rater",
            "pipelines.labels.dawid_skene:dawid_skene_one_coin",
            "2",
            "Dawid and Skene 1979, one accuracy a rater",
        ),
        Aggregator(
            "mace", "Honest or by habit (MACE)", "pipelines.labels.mace:mace", "2", "Hovy et al. 2013"
        ),
        Aggregator(
            "glad", "Skill and ease (GLAD)", "pipelines.labels.glad:glad", "3", "Whitehill et al. 2009"
        ),
        Aggregator(
            "graded",
            "Graded model: strength, reliability, side bias, ambiguity",
            "pipelines.labels.graded_labels:graded",
            "1",
            "ordinal item response; combination ours",
        ),
    )
}

# What a project can choose: beside these, the graded model on people's votes and judges' predictions at once.
JOINT = "joint"
PROJECT_METHODS: dict[str, Aggregator] = AGGREGATORS | {
    JOINT: Aggregator(
        JOINT,
        "People and judges together (graded model)",
        "pipelines.labels.graded_labels:graded",
        "1",
        "the graded model with kinds of raters; combination ours",
    )
}

PAIR_MODELS: dict[str, PairModel] = {
    entry.key: entry
    for entry in (
        PairModel(
            "bradley_terry",
            "Bradley-Terry",
            "pipelines.labels.pairs:bradley_terry",
            "1",
            "Bradley and Terry 1952",
        ),
        PairModel("davidson", "Davidson (ties)", "pipelines.labels.pairs:davidson", "2", "Davidson 1970"),
        PairModel(
            "rao_kupper", "Rao-Kupper (ties)", "pipelines.labels.pairs:rao_kupper", "2", "Rao and Kupper 1967"
        ),
        PairModel(
            "crowd_bt",
            "Crowd-BT",
            "pipelines.labels.pairs:crowd_bt",
            "2",
            "Chen et al. 2013",
            takes_raters=True,
        ),
    )
}

# What is not asked for by name but told by the type of the answers (`pipelines/services/derivation.py`).
ANSWER_MODELS: dict[str, PairModel] = {
    entry.key: entry
    for entry in (
        PairModel(
            "plackett_luce",
            "Rankings (Plackett-Luce)",
            "pipelines.labels.plackett_luce:plackett_luce",
            "1",
            "Plackett 1975",
        ),
        PairModel(
            "ratings",
            "Ratings, a level and spread for each rater",
            "pipelines.labels.ratings:rating_fit",
            "1",
            "Lawley and Maxwell 1971",
            takes_raters=True,
        ),
        PairModel(
            "yes_no",
            "Yes or no, a threshold for each rater",
            "pipelines.labels.binary:binary_fit",
            "1",
            "Birnbaum 1968",
            takes_raters=True,
        ),
    )
}


def _loaded(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)

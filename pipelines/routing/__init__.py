"""Routing: which comparisons go to people and which keep a model's label, within a budget of annotations.

Pure: arrays in, decisions out. `policies.py` (read it first) decides, `calibration.py` says how far a judge's
probability can be believed, `draw.py` draws the pilot. To add a policy, write it and add a line to
`POLICIES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from pipelines.routing.policies import Decision, RoutingInput


@dataclass(frozen=True)
class Policy:
    """One line of the table. `key` is stored in rows and never renamed; `path` is loaded on first use."""

    key: str
    label: str
    path: str
    version: str
    source: str

    def load(self) -> Callable[[RoutingInput], list[Decision]]:
        """The function, which takes `RoutingInput` and returns one `Decision` a comparison."""
        module, name = self.path.split(":")
        function: Callable[[RoutingInput], list[Decision]] = getattr(import_module(module), name)
        return function


POLICIES: dict[str, Policy] = {
    entry.key: entry
    for entry in (
        Policy(
            "confidence",
            "Least certain to people",
            "pipelines.routing.policies:route_by_confidence",
            "1",
            "uncertainty sampling with a random pilot",
        ),
        Policy("random", "Random to people", "pipelines.routing.policies:route_at_random", "1", "baseline"),
    )
}

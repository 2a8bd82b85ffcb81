"""Policies: who should judge each comparison, people or a model, under a budget of human annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.routing.draw import keyed_uniform
from pipelines.routing.errors import BudgetBelowPilot, BudgetNegative, RoutingInputMalformed, ShareOutOfRange

VERSION = "1"

Destination = Literal["person", "model"]
Reason = Literal[
    "pilot",
    "no_prediction",
    "inconsistent",
    "low_confidence",
    "random",
    "confident",
    "over_budget",
    "unlabelled",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class RoutingInput:
    """n comparisons to be routed.

    Attributes:
        keys: stable names; they break ties and feed the random draw.
        confidence: (n,) calibrated probability of the judge's own choice, 0.5..1; NaN where there is no
            prediction.
        inconsistent: (n,) True where the judge's two orders name different winners.
        pilot: (n,) True for the random pilot, which goes to people whatever the judge says.
        cost: (n,) int64, annotations of people that each comparison takes, 1 or more.
        pilot_share: probability with which a comparison entered the pilot, 0..1.
        budget_annotations: annotations of people in all, the pilot's included.
        seed: of the draw.
    """

    keys: Sequence[str]
    confidence: FloatArray
    inconsistent: BoolArray
    pilot: BoolArray
    cost: NDArray[np.int64]
    pilot_share: float
    budget_annotations: int
    seed: str

    def __post_init__(self) -> None:
        arrays = (self.confidence, self.inconsistent, self.pilot, self.cost)
        if any(array.shape != (len(self.keys),) for array in arrays):
            raise RoutingInputMalformed("keys and arrays must be of one length")
        if len(set(self.keys)) != len(self.keys):
            raise RoutingInputMalformed("keys must be unique")
        known = self.confidence[~np.isnan(self.confidence)]
        if not ((known >= 0.5) & (known <= 1.0)).all():
            raise RoutingInputMalformed("confidence must lie in 0.5..1, or be NaN without a prediction")
        if len(self.keys) and int(self.cost.min()) < 1:
            raise RoutingInputMalformed("every comparison must cost at least one annotation")
        if not 0.0 <= self.pilot_share <= 1.0:
            raise ShareOutOfRange(self.pilot_share)
        if self.budget_annotations < 0:
            raise BudgetNegative(self.budget_annotations)
        pilot_annotations = int(self.cost[self.pilot].sum())
        if pilot_annotations > self.budget_annotations:
            raise BudgetBelowPilot(self.budget_annotations, pilot_annotations)


@dataclass(frozen=True)
class Decision:
    """Where one comparison goes and why.

    Attributes:
        destination: `person` or `model`.
        reason: stored key. Of the model's: `confident`; `over_budget` (people would have got it with a larger
            budget); `unlabelled` (over budget and without a prediction: nobody labels it).
        rank: place in the queue for people, 1 first; None in the pilot.
        propensity: probability, over the draw of the pilot, that people judge it; 1 where the policy itself
            says so. Weighting people's answers by its inverse gives unbiased figures over all comparisons.
    """

    key: str
    destination: Destination
    reason: Reason
    rank: int | None
    propensity: float


def route_by_confidence(given: RoutingInput) -> list[Decision]:
    """The least certain comparisons go to people, as far as the budget reaches.

    The queue: first what has no prediction, then what is inconsistent, then by rising confidence; equal ones
        in the
    order of a keyed hash. What the budget does not reach keeps the model's label, inconsistent ones too (a
    filter by confidence is what leaves them out later).

    Returns:
        One decision a comparison, in the order given. The same input gives the same decisions.
    """
    missing = np.isnan(given.confidence)
    first_come = np.where(missing, 0, np.where(given.inconsistent, 1, 2))
    order = np.lexsort((keyed_uniform(given.seed, given.keys), given.confidence, first_come))
    return _decide(
        given, order, ("no_prediction", "inconsistent", "low_confidence"), first_come, rest="confident"
    )


def route_at_random(given: RoutingInput) -> list[Decision]:
    """A random choice of comparisons goes to people: the baseline that another policy must beat.

    What has no prediction still goes first, since a model cannot label it.
    """
    missing = np.isnan(given.confidence)
    first_come = np.where(missing, 0, 1)
    order = np.lexsort((keyed_uniform(given.seed, given.keys), first_come))
    return _decide(given, order, ("no_prediction", "random"), first_come, rest="over_budget")


def _decide(
    given: RoutingInput,
    order: NDArray[np.int64],
    reasons: tuple[Reason, ...],
    reason_index: NDArray[np.int64],
    *,
    rest: Reason,
) -> list[Decision]:
    """Decisions along a queue: `reasons[reason_index]` for people, `rest` for what the model keeps."""
    queue = order[~given.pilot[order]]
    left = given.budget_annotations - int(given.cost[given.pilot].sum())
    to_people = np.zeros(len(given.keys), dtype=bool)
    to_people[queue[np.cumsum(given.cost[queue]) <= left]] = True
    rank = {int(index): place for place, index in enumerate(queue, start=1)}
    reached = _reached_with_pilot(order, to_people)

    def decision(index: int) -> Decision:
        key = given.keys[index]
        if given.pilot[index]:
            propensity = 1.0 if reached[index] else given.pilot_share
            return Decision(key, "person", "pilot", None, propensity)
        if to_people[index]:
            return Decision(key, "person", reasons[reason_index[index]], rank[index], 1.0)
        if np.isnan(given.confidence[index]):
            return Decision(key, "model", "unlabelled", rank[index], given.pilot_share)
        reason: Reason = "over_budget" if given.inconsistent[index] else rest
        return Decision(key, "model", reason, rank[index], given.pilot_share)

    return [decision(index) for index in range(len(given.keys))]


def _reached_with_pilot(order: NDArray[np.int64], to_people: BoolArray) -> BoolArray:
    """(n,) True where a comparison stands no later in the queue than the last one sent to people.

    A pilot comparison before that place would have gone to people anyway: its propensity is 1.
    """
    reached = np.zeros(to_people.size, dtype=bool)
    places = np.flatnonzero(to_people[order])
    if places.size:
        reached[order[: places[-1] + 1]] = True
    return reached

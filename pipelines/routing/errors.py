"""Errors of routing and calibration."""

from __future__ import annotations

from pipelines.errors import PipelineError


class RoutingError(PipelineError):
    """Base of what routing and calibration raise."""


class BudgetNegative(RoutingError):
    """A budget below zero."""

    def __init__(self, budget_annotations: int) -> None:
        self.budget_annotations = budget_annotations
        super().__init__(f"A budget must be 0 annotations or more; got {budget_annotations}.")


class BudgetBelowPilot(RoutingError):
    """A budget that does not cover the pilot, which counts against it."""

    def __init__(self, budget_annotations: int, pilot_annotations: int) -> None:
        self.budget_annotations, self.pilot_annotations = budget_annotations, pilot_annotations
        super().__init__(
            f"A budget of {budget_annotations} annotations does not cover the pilot, which takes "
            f"{pilot_annotations}. Raise the budget or draw a smaller pilot."
        )


class ShareOutOfRange(RoutingError):
    """A share of comparisons outside 0..1."""

    def __init__(self, share: float) -> None:
        self.share = share
        super().__init__(f"A pilot's share must lie in 0..1; got {share}.")


class NothingToCalibrate(RoutingError):
    """No comparison has both a prediction and a person's answer."""

    def __init__(self) -> None:
        super().__init__(
            "No comparison has both a prediction of the judge and an answer of a person, so the judge cannot "
            "be calibrated. Let people answer the pilot first."
        )


class RoutingInputMalformed(RoutingError):
    """Arrays of different lengths, or values outside their range."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The input of routing is malformed: {detail}.")

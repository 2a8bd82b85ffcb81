"""Errors of the label aggregators."""

from __future__ import annotations

from pipelines.errors import PipelineError


class LabelError(PipelineError):
    """Base of what the aggregators raise."""


class NoVotes(LabelError):
    """Nothing to aggregate."""

    def __init__(self) -> None:
        super().__init__("No votes arrived; an aggregator needs at least one. Collect or import votes first.")


class VotesMalformed(LabelError):
    """The arrays of votes do not describe votes: shapes, types or indices are off."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The votes are malformed: {detail}.")


class PosteriorMalformed(LabelError):
    """Rows that should be probabilities are not."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The posterior is malformed: {detail}.")


class SmoothingNegative(LabelError):
    """A smoothing count below zero."""

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing
        super().__init__(f"Smoothing must be 0 or more; got {smoothing}.")


class ObjectiveFell(LabelError):
    """The objective of an EM run fell, which it cannot: a fault in the code or in the numbers."""

    def __init__(self, iteration: int, before: float, after: float) -> None:
        self.iteration, self.before, self.after = iteration, before, after
        super().__init__(
            f"The objective fell from {before:.6f} to {after:.6f} in iteration {iteration}; it must never "
            "fall. Report this with the votes that caused it."
        )


class ScaleUnknown(VotesMalformed):
    """Votes on a scale that the last refit has not seen: only a new one can tell them."""


class TableTooLarge(LabelError):
    """A method whose table of raters, truths and votes would take gigabytes."""

    def __init__(self, method: str, raters: int, categories: int, limit: int) -> None:
        self.method, self.raters, self.categories, self.limit = method, raters, categories, limit
        super().__init__(
            f"{method} keeps a number for each of {raters:,} raters, truth and vote of {categories:,} categories, "
            f"{raters * categories**2:,} in all and at most {limit:,}. Merge rare categories, or take majority or glad."
        )

"""Errors of the scorers."""

from __future__ import annotations

from pipelines.errors import PipelineError


class ScoreError(PipelineError):
    """Base of what the scorers raise."""


class StatesMalformed(ScoreError):
    """Hidden states, sums or counts of a shape or content that no completion has."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The states are malformed: {detail}.")


class ScoresNotFinite(ScoreError):
    """NaN or infinity among scores that are to be ranked."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(
            f"{count} scores are not finite; such pairs are failed and never ranked. "
            "Leave them out or score them again."
        )


class WindowTooLarge(ScoreError):
    """A window of more elements than there are scores, or a quantile outside 0..1."""

    def __init__(self, quantile: float, size: int, available: int) -> None:
        self.quantile, self.size, self.available = quantile, size, available
        super().__init__(
            f"A window needs a quantile in 0..1 and 1 to {available} elements; "
            f"got quantile {quantile}, {size} elements."
        )


class ShareOutOfRange(ScoreError):
    """A share to drop outside 0..1."""

    def __init__(self, share: float) -> None:
        self.share = share
        super().__init__(f"The share to drop must lie in 0..1; got {share}.")

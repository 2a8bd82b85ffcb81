"""Errors of the judges."""

from __future__ import annotations

from pipelines.errors import PipelineError


class JudgeError(PipelineError):
    """Base of what the judges raise."""


class TemplateMalformed(JudgeError):
    """Judge settings that do not make a judge."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The judge's settings are malformed: {detail}.")


class LabelsNotDistinct(JudgeError):
    """Labels whose first tokens are the same or unknown, so that a verdict cannot be read from them."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        super().__init__(
            f"The labels {', '.join(labels)} do not begin with different known tokens of this model. "
            "Choose other labels in the judge's settings."
        )

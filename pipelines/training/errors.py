"""Errors of training runs."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import PipelineError


class TrainingError(PipelineError):
    """Base of what training raises."""


class JobMalformed(TrainingError):
    """A job that says too little, too much or something impossible."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The training job is malformed: {detail}.")


class FlipRateTooHigh(TrainingError):
    """A flip rate of one half or more: the labels carry no signal, and no loss can repair that."""

    def __init__(self, flip_rate: float) -> None:
        self.flip_rate = flip_rate
        super().__init__(
            f"A flip rate must be 0 or more and below 0.5; got {flip_rate}. Labels at 0.5 carry no signal: "
            "clean them before training."
        )


class NothingToTrainOn(TrainingError):
    """No row of the train split can be used."""

    def __init__(self, rows: int, dropped: dict[str, int]) -> None:
        self.rows, self.dropped = rows, dropped
        causes = ", ".join(f"{cause}: {count}" for cause, count in dropped.items() if count)
        super().__init__(
            f"Of {rows} rows in the train split none can be trained on ({causes or 'the split is empty'}). "
            "Freeze a version with more rows or allow longer sequences."
        )


class DatasetUnreadable(TrainingError):
    """A data folder that is not an export in TRL's preference format."""

    def __init__(self, folder: Path, detail: str) -> None:
        self.folder, self.detail = folder, detail
        super().__init__(f"The data set {folder.name} cannot be read: {detail}")


class SoftLabelMalformed(TrainingError):
    """A soft label that is no probability."""

    def __init__(self, value: object) -> None:
        self.value = value
        super().__init__(f"A soft_label must lie in 0..1; got {value!r}. Export the version again.")


class WeightMalformed(TrainingError):
    """A pair's weight that weighs nothing."""

    def __init__(self, value: object) -> None:
        self.value = value
        super().__init__(f"A weight must be a finite number above 0; got {value!r}. Export the version again.")


class LossNotFinite(TrainingError):
    """A loss that is NaN or infinite."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(
            f"The loss of step {step} is not a finite number. Lower the learning rate and start again."
        )


class ModelNotFinite(TrainingError):
    """Log-probabilities that are NaN or infinite, before or after training."""

    def __init__(self) -> None:
        super().__init__(
            "The model gives log-probabilities that are not finite numbers. "
            "Check the model to be tuned, or lower the learning rate and start again."
        )


class AlreadyRunning(TrainingError):
    """A second process for the same run."""

    retryable = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"The run {folder.name} already has a live process. Wait for it or cancel it.")


class Stopped(TrainingError):
    """A run that was asked to stop; `state` is what its status then says."""

    def __init__(self, state: str, message: str) -> None:
        self.state = state
        super().__init__(message)


class Cancelled(Stopped):
    def __init__(self, how: str) -> None:
        super().__init__("cancelled", f"Cancelled {how}.")


class LeaseLost(Stopped):
    """Nobody watches the run any more; another may be started in its place, so it must not go on."""

    def __init__(self, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        super().__init__(
            "failed", f"Nobody watched this run for {lease_seconds:.0f} seconds, so it stopped itself."
        )

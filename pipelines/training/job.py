"""What a training run is asked to do. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pipelines.training.errors import FlipRateTooHigh, JobMalformed

# Key of an objective to TRL's name of its loss; of `soft_dpo` only the plumbing is TRL's, see `training/dpo.py`.
OBJECTIVES = {"dpo": "sigmoid", "rdpo": "robust", "soft_dpo": "sigmoid"}
SOFT = "soft_dpo"


@dataclass(frozen=True)
class TrainingJob:
    """One run. The defaults are for preference runs of tens to thousands of steps.

    Attributes:
        model: folder of the model to be tuned; it is also the reference.
        dataset: folder of an export in TRL's preference format.
        objective: key of `OBJECTIVES`.
        beta: above 0; larger keeps the model closer to the reference.
        learning_rate: peak, above 0.
        epochs: passes over the train split, above 0.
        batch_size: pairs a forward pass, 1 or more.
        gradient_accumulation: forward passes an update, 1 or more.
        seed: of the order of rows; the same seed gives the same weights on the same machine.
        max_length: tokens of prompt and completion together; longer completions are cut, longer prompts
            dropped.
        flip_rate: for `rdpo`, share of labels taken to be flipped, in (0, 0.5); otherwise 0.
        warmup_share, final_rate_share: share of steps of rising rate; rate at the end as a share of the peak.
        adam_beta2: second-moment decay; runs are short, so below Adam's usual 0.999.
        device: `auto`, `cpu` or `cuda`.
        threads: of torch on a CPU; None is one below 20 million parameters (more only wait for each other)
            and all cores above.
        logging_steps, eval_steps, save_steps: None spreads about 200 log lines, 8 evaluations and 4 saves
            over the run.
        evaluation_rows: at most so many rows of each split are measured before and after.
        lease_seconds: the run stops itself when the heartbeat is older; None never.
        code_version: of the platform, kept with the result.
    """

    model: str
    dataset: str
    objective: str = "dpo"
    beta: float = 0.1
    learning_rate: float = 1e-6
    epochs: float = 1.0
    batch_size: int = 16
    gradient_accumulation: int = 1
    seed: int = 0
    max_length: int = 1024
    flip_rate: float = 0.0
    warmup_share: float = 0.1
    final_rate_share: float = 0.1
    adam_beta2: float = 0.98
    device: str = "auto"
    threads: int | None = None
    logging_steps: int | None = None
    eval_steps: int | None = None
    save_steps: int | None = None
    evaluation_rows: int = 2000
    lease_seconds: float | None = None
    code_version: str = ""

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise JobMalformed(f"objective must be one of {', '.join(OBJECTIVES)}, got {self.objective}")
        for name in ("beta", "learning_rate", "epochs"):
            if not getattr(self, name) > 0:
                raise JobMalformed(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("batch_size", "gradient_accumulation", "evaluation_rows"):
            if getattr(self, name) < 1:
                raise JobMalformed(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.max_length < 2:
            raise JobMalformed(f"max_length must be 2 or more, got {self.max_length}")
        for name in ("warmup_share", "final_rate_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise JobMalformed(f"{name} must lie in 0..1, got {getattr(self, name)}")
        if not 0.0 <= self.flip_rate < 0.5:
            raise FlipRateTooHigh(self.flip_rate)
        if self.flip_rate and self.objective != "rdpo":
            raise JobMalformed("only the objective rdpo takes a flip_rate")
        if self.objective == "rdpo" and not self.flip_rate:
            raise JobMalformed("the objective rdpo needs a flip_rate above 0; with 0 it would be plain dpo")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def job_from_dict(given: Mapping[str, Any]) -> TrainingJob:
    """The job of a parsed job.json.

    Raises:
        JobMalformed: unknown or missing keys, wrong types, values out of range.
        FlipRateTooHigh.
    """
    known = {field.name: str(field.type) for field in fields(TrainingJob)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise JobMalformed(f"unknown keys {', '.join(unknown)}")
    missing = [name for name in ("model", "dataset") if not given.get(name)]
    if missing:
        raise JobMalformed(f"{' and '.join(missing)} must be given")
    for name, value in given.items():
        if not _fits(value, known[name]):
            raise JobMalformed(f"{name} must be {known[name]}, got {value!r}")
    return TrainingJob(**given)


def _fits(value: object, kind: str) -> bool:
    if value is None:
        return "None" in kind
    if isinstance(value, bool):
        return False
    if "float" in kind:
        return isinstance(value, int | float) and value == value and abs(value) != float("inf")
    return isinstance(value, int if "int" in kind else str)

"""DPO by TRL, on token ids of our own making, with measurements before and after."""

from __future__ import annotations

import gc
import math
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

from pipelines.engine.folder import TEMPLATE_FILES, TOKENIZER_FILES, inspect_folder
from pipelines.engine.models import LoadedModel, load_model
from pipelines.engine.passes import TokenSequence, completion_logprobs
from pipelines.engine.tokens import TokenConfig
from pipelines.training.data import SOFT_LABEL, WEIGHT, Split, TokenRow, read_splits, tokenize_split
from pipelines.training.errors import LossNotFinite, ModelNotFinite, NothingToTrainOn
from pipelines.training.evaluation import VERSION as EVALUATION_VERSION
from pipelines.training.evaluation import FloatArray, PairLogprobs, evaluate_pairs
from pipelines.training.folder import MetricLine, RunFolder
from pipelines.training.job import OBJECTIVES, SOFT, TrainingJob
from pipelines.training.losses import dpo_loss, rdpo_loss, reward_margin, soft_dpo_loss

# Loss of each pair, (B,), from its margin, its soft label and the run's flip rate: TRL's formulas, before any mean.
PAIR_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]] = {
    "dpo": lambda margin, soft_label, flip_rate: dpo_loss(margin),
    "rdpo": lambda margin, soft_label, flip_rate: rdpo_loss(margin, flip_rate),
    "soft_dpo": lambda margin, soft_label, flip_rate: soft_dpo_loss(margin, soft_label),
}
EXTRAS = (SOFT_LABEL, WEIGHT)
PAIR_METRICS = (
    "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected",
)  # fmt: skip
LOG_LINES, EVALUATIONS, SAVES = 200, 8, 4
REFERENCE_BATCH = 32
COMPLETE = "complete"

Report = Callable[[str, int, int | None], None]


class IdsTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on rows that hold token ids already, the same ones that scorers see."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return dataset


class PairCollator(DataCollatorForPreference):  # type: ignore[misc]
    """TRL's collator, which carries each pair's soft label and weight along, (B,) float32."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super().torch_call(examples)
        for name in EXTRAS:
            batch[name] = torch.tensor([example[name] for example in examples], dtype=torch.float32)
        return batch


class PairTrainer(IdsTrainer):
    """DPO whose pairs have a soft label or a weight of their own; the reference is computed beforehand."""

    job: TrainingJob

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        self._signature_columns += [name for name in EXTRAS if name not in self._signature_columns]

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
        return super().compute_ref_log_probs(model, {k: v for k, v in inputs.items() if k not in EXTRAS})

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        if return_outputs:
            raise NotImplementedError("no logits are kept; nothing here asks for them")
        mode = "train" if self.model.training else "eval"
        mask = inputs["completion_mask"]
        output = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            use_cache=False,
            labels=inputs["input_ids"].masked_fill(mask == 0, -100),
            fused_lm_head=True,
        )
        chosen, rejected = output.log_probs[:, -(mask.size(1) - 1) :].sum(dim=1).chunk(2, dim=0)
        margin = reward_margin(
            chosen, rejected, inputs["ref_chosen_logps"], inputs["ref_rejected_logps"], self.beta
        )
        gathered = self.accelerator.gather(
            torch.stack(
                [
                    self.beta * (chosen - inputs["ref_chosen_logps"]),
                    self.beta * (rejected - inputs["ref_rejected_logps"]),
                    margin,
                    (margin > 0).float(),
                    chosen,
                    rejected,
                ],
                dim=1,
            ).detach()
        ).mean(dim=0)
        for name, value in zip(PAIR_METRICS, gathered.tolist(), strict=True):
            self._metrics[mode][name].append(value)
        losses = PAIR_LOSSES[self.job.objective](margin, inputs[SOFT_LABEL], self.job.flip_rate)
        return (inputs[WEIGHT] * losses).mean()


class Reporter(TrainerCallback):  # type: ignore[misc]
    """Writes what the trainer logs, marks complete saves, and stops the run when asked to."""

    def __init__(self, folder: RunFolder, attempt: int, report: Report, check: Callable[[], None]) -> None:
        self.folder, self.attempt, self.report, self.check = folder, attempt, report, check

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.check()

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.check()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        values = {
            name: float(value) for name, value in (logs or {}).items() if isinstance(value, int | float)
        }
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.folder.append_metrics(MetricLine(self.attempt, state.global_step, finite))
        self.report("training", state.global_step, state.max_steps)
        if any(values.get(name) is not None and finite[name] is None for name in ("loss", "eval_loss")):
            raise LossNotFinite(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # The trainer writes a save file by file; only this mark says that all of them are there.
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def train(
    job: TrainingJob, folder: RunFolder, *, attempt: int, report: Report, check: Callable[[], None]
) -> dict[str, Any]:
    """Runs a job to its end and returns the result.

    1. reads and tokenises the splits; 2. measures log-probabilities with the model as it is; 3. trains, going
    on from the newest complete save of this folder if there is one; 4. writes the checkpoint; 5. measures
    again with it.

    Args:
        job: what to do.
        folder: of the run; gets metrics, saves and the checkpoint.
        attempt: number of this start.
        report: called with stage, step and total steps.
        check: called often; raises when the run is to stop.

    Raises:
        NothingToTrainOn, LossNotFinite, whatever `check` raises, and the errors of the model's folder.
    """
    started = time.monotonic()
    config = TokenConfig(max_length=job.max_length)
    report("loading", 0, None)
    base = load_model(Path(job.model), device=job.device, dtype="float32")
    check()
    report("tokenizing", 0, None)
    splits = {
        name: tokenize_split(base.tokenizer, rows, config)
        for name, rows in read_splits(
            Path(job.dataset), folder.path / "cache", needs_soft_label=job.objective == SOFT
        ).items()
    }
    if not splits["train"].rows:
        raise NothingToTrainOn(splits["train"].read, splits["train"].dropped)
    check()
    report("measuring", 0, None)
    measured = {name: split.rows[: job.evaluation_rows] for name, split in splits.items()}
    before = {name: _logprobs(base, rows) for name, rows in measured.items()}
    check()

    trainer = _trainer(job, base, splits, folder, Reporter(folder, attempt, report, check))
    report("training", 0, trainer.state.max_steps or None)
    train_started = time.monotonic()
    outcome = trainer.train(resume_from_checkpoint=newest_save(folder.path / "trainer"))
    train_seconds = time.monotonic() - train_started
    steps = int(outcome.global_step)
    report("saving", steps, steps)
    _save(trainer, Path(job.model), folder)
    del trainer, base
    gc.collect()
    check()

    report("evaluating", steps, steps)
    tuned = load_model(folder.checkpoint, device=job.device, dtype="float32")
    after = {name: _logprobs(tuned, rows) for name, rows in measured.items()}
    shutil.rmtree(folder.path / "trainer", ignore_errors=True)
    shutil.rmtree(folder.path / "cache", ignore_errors=True)
    return {
        "steps": steps,
        "train_loss": float(outcome.training_loss),
        "evaluation_version": EVALUATION_VERSION,
        "evaluations": {
            name: _evaluation(measured[name], before[name], after[name], job.seed) for name in measured
        },
        "rows": {
            name: {"read": split.read, "used": len(split.rows), "dropped": split.dropped}
            for name, split in splits.items()
        },
        "weighted": is_weighted(splits),
        "seconds": time.monotonic() - started,
        "train_seconds": train_seconds,
        "peak_memory_gib": _peak_memory_gib(),
        "device": str(tuned.device),
        "checkpoint": asdict(inspect_folder(folder.checkpoint)),
        "versions": {
            name: version(name) for name in ("torch", "transformers", "trl", "datasets", "accelerate")
        },
        "job": job.as_dict(),
    }


def newest_save(saves: Path) -> str | None:
    """Folder of the newest complete save, or None."""
    complete = [path.parent for path in saves.glob(f"checkpoint-*/{COMPLETE}")]
    if not complete:
        return None
    return str(max(complete, key=lambda path: int(path.name.removeprefix("checkpoint-"))))


def total_steps(job: TrainingJob, rows: int) -> int:
    """Updates of a run, as the trainer counts them."""
    batches = math.ceil(rows / job.batch_size)
    updates = max(1, math.ceil(batches / job.gradient_accumulation))
    return math.ceil(updates * job.epochs)


def _trainer(
    job: TrainingJob, base: LoadedModel, splits: dict[str, Split], folder: RunFolder, reporter: Reporter
) -> IdsTrainer:
    held_out = splits["validation"].rows if "validation" in splits else []
    arguments = _arguments(job, base, len(splits["train"].rows), bool(held_out), folder)
    own = job.objective == SOFT or is_weighted(splits)
    trainer = (PairTrainer if own else IdsTrainer)(
        model=base.model,
        args=arguments,
        data_collator=_collator(base, job) if own else None,
        train_dataset=_dataset(splits["train"].rows),
        eval_dataset=_dataset(held_out) if held_out else None,
        processing_class=base.tokenizer,
        callbacks=[reporter],
    )
    if isinstance(trainer, PairTrainer):
        trainer.job = job
    return trainer


def is_weighted(splits: dict[str, Split]) -> bool:
    """Whether some pairs count for more than others."""
    return any(len({row.weight for row in split.rows}) > 1 for split in splits.values())


def _collator(base: LoadedModel, job: TrainingJob) -> PairCollator:
    tokenizer = base.tokenizer
    # The trainer takes the end's token for padding where there is none, but only after this.
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    return PairCollator(padding, job.max_length)


def _arguments(
    job: TrainingJob, base: LoadedModel, rows: int, has_held_out: bool, folder: RunFolder
) -> DPOConfig:
    steps = total_steps(job, rows)
    on_cpu = base.device.type == "cpu"
    return DPOConfig(
        output_dir=str(folder.path / "trainer"),
        loss_type=[OBJECTIVES[job.objective]],
        label_smoothing=job.flip_rate,
        beta=job.beta,
        learning_rate=job.learning_rate,
        num_train_epochs=job.epochs,
        per_device_train_batch_size=job.batch_size,
        per_device_eval_batch_size=job.batch_size,
        gradient_accumulation_steps=job.gradient_accumulation,
        max_length=job.max_length,
        seed=job.seed,
        data_seed=job.seed,
        lr_scheduler_type="polynomial",
        lr_scheduler_kwargs={"lr_end": job.learning_rate * job.final_rate_share, "power": 1.0},
        warmup_steps=math.ceil(steps * job.warmup_share),
        adam_beta2=job.adam_beta2,
        weight_decay=0.0,
        max_grad_norm=1.0,
        # The reference never changes: its log-probabilities are computed once, and no second model is held.
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=max(REFERENCE_BATCH, job.batch_size),
        bf16=not on_cpu,
        use_cpu=on_cpu,
        activation_checkpointing=not on_cpu,
        dataloader_pin_memory=not on_cpu,
        logging_strategy="steps",
        logging_steps=job.logging_steps or max(1, steps // LOG_LINES),
        logging_first_step=True,
        eval_strategy="steps" if has_held_out else "no",
        eval_steps=job.eval_steps or max(1, math.ceil(steps / EVALUATIONS)),
        save_strategy="steps",
        save_steps=job.save_steps or max(1, math.ceil(steps / SAVES)),
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
    )


def _dataset(rows: list[TokenRow]) -> Dataset:
    # Weights of mean 1: they say which pairs count for more, and the learning rate keeps its meaning.
    mean = sum(row.weight for row in rows) / len(rows)
    return Dataset.from_dict(
        {
            "prompt_ids": [row.prompt_ids for row in rows],
            "chosen_ids": [row.chosen_ids for row in rows],
            "rejected_ids": [row.rejected_ids for row in rows],
            SOFT_LABEL: [row.soft_label for row in rows],
            WEIGHT: [row.weight / mean for row in rows],
        }
    )


def _logprobs(loaded: LoadedModel, rows: list[TokenRow]) -> tuple[FloatArray, FloatArray]:
    """(n,) log-probabilities of chosen and of rejected."""
    sequences = [TokenSequence(tuple(row.prompt_ids), tuple(row.chosen_ids)) for row in rows]
    sequences += [TokenSequence(tuple(row.prompt_ids), tuple(row.rejected_ids)) for row in rows]
    found = completion_logprobs(loaded, sequences)
    return found[: len(rows)], found[len(rows) :]


def _evaluation(
    rows: list[TokenRow],
    before: tuple[FloatArray, FloatArray],
    after: tuple[FloatArray, FloatArray],
    seed: int,
) -> dict[str, dict[str, float]]:
    if not np.isfinite([*before, *after]).all():
        raise ModelNotFinite()
    pairs = PairLogprobs(before[0], before[1], after[0], after[1], [row.prompt for row in rows])
    return {name: asdict(measurement) for name, measurement in evaluate_pairs(pairs, seed=seed).items()}


def _save(trainer: IdsTrainer, base: Path, folder: RunFolder) -> None:
    """The tuned model in checkpoint/, whole or not at all; tokenizer files are the base's, byte for byte."""
    partial = folder.path / "checkpoint.partial"
    shutil.rmtree(partial, ignore_errors=True)
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(partial, safe_serialization=True)
    for name in (*TOKENIZER_FILES, *TEMPLATE_FILES):
        if (base / name).is_file():
            shutil.copyfile(base / name, partial / name)
    shutil.rmtree(folder.checkpoint, ignore_errors=True)
    partial.rename(folder.checkpoint)


def _peak_memory_gib() -> float:
    """Highest memory of the process, or of the accelerator where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

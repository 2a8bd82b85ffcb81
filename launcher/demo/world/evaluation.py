"""What a model of the world is worth on held-out prompts: true reward, share of good answers, length, by kind."""

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from transformers import LlamaForCausalLM

from launcher.demo.world.grammar import HELD_OUT, KINDS, is_ok, kind_of, prompts_distinct, true_reward
from launcher.demo.world.sampling import samples_draw

MEASURES = ("reward", "ok", "words")


@dataclass(frozen=True)
class Measured:
    """Means over the samples of each held-out prompt: one float64 array (prompts,) a measure."""

    kinds: tuple[str, ...]
    means: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """One measure before and after, and the paired difference, each with its interval over prompts."""

    before: Interval
    after: Interval
    difference: Interval


def held_out_prompts(count: int, seed: int) -> list[str]:
    """The prompts of the evaluation: never in the corpus, in the judge's lessons or in the demo's comparisons."""
    return prompts_distinct(Random(seed), HELD_OUT, count)


def model_measure(
    model: LlamaForCausalLM, prompts: list[str], each: int = 4, temperature: float = 0.8, seed: int = 0
) -> Measured:
    """Sample `each` completions a prompt and measure them by the truth."""
    samples = samples_draw(model, prompts, each, temperature, seed)
    rows = [
        (
            true_reward(sample.prompt, sample.text, sample.finished),
            float(is_ok(sample.prompt, sample.text, sample.finished)),
            float(len(sample.text.split())),
        )
        for sample in samples
    ]
    means = np.array(rows).reshape(len(prompts), each, len(MEASURES)).mean(axis=1)
    columns = {measure: means[:, index] for index, measure in enumerate(MEASURES)}
    return Measured(tuple(map(kind_of, prompts)), columns)


def bootstrap_interval(values: NDArray[np.float64], seed: int, draws: int = 4000) -> Interval:
    """Mean of one value a prompt with the 2.5 and 97.5 percentiles of its bootstrap over prompts."""
    if len(values) < 2:
        raise ValueError(f"An interval needs at least 2 prompts; got {len(values)}.")
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), (2.5, 97.5))
    return Interval(float(values.mean()), float(low), float(high))


def measure_change(before: Measured, after: Measured, measure: str, seed: int = 0) -> Change:
    """How one measure moved, paired by prompt: the same prompts are drawn for both models."""
    if before.kinds != after.kinds:
        raise ValueError("Both models must be measured on the same prompts.")
    old, new = before.means[measure], after.means[measure]
    return Change(*(bootstrap_interval(values, seed) for values in (old, new, new - old)))


def kind_table(before: Measured, after: Measured, measure: str) -> dict[str, tuple[float, float]]:
    """Mean of a measure before and after for each kind of prompt."""
    kinds = np.array(before.kinds)
    return {
        kind: tuple(float(each.means[measure][kinds == kind].mean()) for each in (before, after))  # type: ignore[misc]
        for kind in KINDS
        if (kinds == kind).any()
    }

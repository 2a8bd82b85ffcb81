"""What a model of the world is worth on held-out prompts: true reward, share of good answers, length, by kind."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM

from launcher.demo.world.base import IGNORED, Encoder, answer_batch
from launcher.demo.world.grammar import (
    HELD_OUT,
    KINDS,
    is_ok,
    kind_of,
    prompts_distinct,
    quality,
    true_reward,
)
from launcher.demo.world.sampling import Sample, samples_draw

MEASURES = ("reward", "ok", "words", "manner")


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
    means = (
        np.array([_measure_one(sample) for sample in samples])
        .reshape(len(prompts), each, len(MEASURES))
        .mean(axis=1)
    )
    columns = {measure: means[:, index] for index, measure in enumerate(MEASURES)}
    return Measured(tuple(map(kind_of, prompts)), columns)


def _measure_one(sample: Sample) -> tuple[float, float, float, float]:
    """Reward, whether it is good, its words, and the part of the reward that manner and length alone gave."""
    reward = true_reward(sample.prompt, sample.text, sample.finished)
    manner = reward - 2.0 * quality(sample.prompt, sample.text) if sample.finished else 0.0
    good = is_ok(sample.prompt, sample.text, sample.finished)
    return reward, float(good), float(len(sample.text.split())), manner


def bootstrap_interval(values: NDArray[np.float64], seed: int, draws: int = 4000) -> Interval:
    """Mean of independent values with the 2.5 and 97.5 percentiles of its bootstrap."""
    if len(values) < 2:
        raise ValueError(f"An interval needs at least 2 values; got {len(values)}.")
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
        kind: tuple(float(each.means[measure][kinds == kind].mean()) for each in (before, after))  # type: ignore[misc]  # a pair by construction
        for kind in KINDS
        if (kinds == kind).any()
    }


@dataclass(frozen=True)
class GainParts:
    """Where a gain in reward comes from; the three parts sum to the whole."""

    manner: float
    refusals: float
    answers: float


def gain_parts(before: Measured, after: Measured) -> GainParts:
    """Split the gain in reward into manner and length, content of harmful prompts, and content of all others."""
    harm = np.array(before.kinds) == "harm"
    gain = {measure: after.means[measure] - before.means[measure] for measure in ("reward", "manner")}
    content = gain["reward"] - gain["manner"]
    count = len(harm)
    return GainParts(
        float(gain["manner"].mean()), float(content[harm].sum() / count), float(content[~harm].sum() / count)
    )


@dataclass(frozen=True)
class Ranking:
    """Accuracy over pairs with a known better answer: by log-likelihood before and after, and by implicit reward."""

    before: Interval
    after: Interval
    implicit: Interval
    pairs: int


def pairs_known(model: LlamaForCausalLM, prompts: list[str], seed: int) -> list[tuple[str, str, str]]:
    """Up to two pairs a prompt of different sampled answers, the truly better one first; (prompt, better, worse)."""
    samples = samples_draw(model, prompts, 4, 0.8, seed)
    pairs = []
    for start in range(0, len(samples), 4):
        four = [sample for sample in samples[start : start + 4] if sample.finished]
        for one, other in zip(four[::2], four[1::2], strict=False):
            gap = true_reward(one.prompt, one.text) - true_reward(other.prompt, other.text)
            if abs(gap) > 0.05:
                better, worse = (one, other) if gap > 0 else (other, one)
                pairs.append((one.prompt, better.text, worse.text))
    return pairs


@torch.inference_mode()
def answer_logprobs(model: LlamaForCausalLM, rows: list[tuple[str, str]]) -> NDArray[np.float64]:
    """log P(answer and its end | prompt) in nats, float64 (rows,)."""
    encoder, found = Encoder(), []
    for start in range(0, len(rows), 256):
        ids, labels = answer_batch(rows[start : start + 256], encoder)
        logprobs = model(input_ids=ids, use_cache=False).logits[:, :-1].double().log_softmax(-1)
        wanted = labels[:, 1:]
        taken = logprobs.gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
        found.append((taken * (wanted != IGNORED)).sum(-1))
    return torch.cat(found).numpy()


def ranking_measure(
    before: LlamaForCausalLM, after: LlamaForCausalLM, pairs: list[tuple[str, str, str]], seed: int = 0
) -> Ranking:
    """How often the truly better answer is the likelier one, and the one that gained more by training."""
    sides = [[(pair[0], pair[side]) for pair in pairs] for side in (1, 2)]
    old, new = ([answer_logprobs(model, side) for side in sides] for model in (before, after))
    shares = (old[0] > old[1], new[0] > new[1], new[0] - old[0] > new[1] - old[1])
    found = [bootstrap_interval(share.astype(np.float64), seed) for share in shares]
    return Ranking(found[0], found[1], found[2], len(pairs))

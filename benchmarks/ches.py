"""CHES tokens per second on a CPU, beside the pair-by-pair shape and the matmul peak, as ratios in one run.

    python -m benchmarks.ches [--pairs 40] [--rounds 3] [--vocabulary 32000]

`sorted`: ours, length-sorted batches of the body, sums at once. `pair by pair`: the shape of the published script, one
sequence a pass, all hidden states kept, head included; how much the head costs depends on the vocabulary. `peak`: tokens
per second if nothing but the body's matrix products were done, at the rate of a large matrix product measured in the
same run. Rounds alternate; medians are shown. Set OMP_NUM_THREADS to choose the cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.machine import machine
from pipelines.engine.models import LoadedModel
from pipelines.engine.passes import TokenSequence, hidden_sums

GOAL_PAIR_BY_PAIR, GOAL_PEAK = 3.0, 0.40
HIDDEN, LAYERS, MLP = 256, 4, 688
VOCABULARY = 32000
MATRIX = 2048


def model_of_3m(vocabulary: int) -> LoadedModel:
    """A Llama whose body, without embeddings, has 3.2 million parameters."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        intermediate_size=MLP,
        num_attention_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    model: Any = LlamaForCausalLM(config)
    model.eval()
    # The passes take token ids alone, so the tokenizer is never asked.
    return LoadedModel(model, None, torch.device("cpu"), "float32", Path())


def sequences_of(pairs: int, vocabulary: int, seed: int = 0) -> list[TokenSequence]:
    """Two sequences a pair: prompts and completions of log-normal length, about 300 tokens each."""
    random = np.random.default_rng(seed)

    def ids() -> tuple[int, ...]:
        length = int(np.clip(random.lognormal(np.log(250), 0.6), 8, 1200))
        return tuple(random.integers(0, vocabulary, length).tolist())

    found = []
    for _ in range(pairs):
        prompt = ids()
        found += [TokenSequence(prompt, ids()), TokenSequence(prompt, ids())]
    return found


@torch.inference_mode()
def pair_by_pair(loaded: LoadedModel, sequences: list[TokenSequence]) -> np.ndarray[Any, Any]:
    """Sums as the published script computes them."""
    sums = []
    for sequence in sequences:
        ids = torch.tensor([sequence.prompt_ids + sequence.completion_ids])
        states = loaded.model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[-1][0]
        sums.append(states[len(sequence.prompt_ids) - 1 : -1].sum(dim=0).numpy())
    return np.stack(sums)


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def matmul_rate() -> float:
    """Floating-point operations per second of one large product in float32."""
    left, right = torch.rand(MATRIX, MATRIX), torch.rand(MATRIX, MATRIX)
    return 2 * MATRIX**3 / min(seconds_of(lambda: left @ right) for _ in range(5))


def measure(pairs: int, rounds: int, vocabulary: int) -> dict[str, Any]:
    """Medians over rounds of all three, and the agreement of both shapes."""
    loaded, sequences = model_of_3m(vocabulary), sequences_of(pairs, vocabulary)
    tokens = sum(map(len, sequences))
    body = sum(weight.numel() for name, weight in loaded.model.named_parameters() if "embed" not in name)
    warm = sequences[:4]
    hidden_sums(loaded, warm)
    pair_by_pair(loaded, warm)
    ours, official, peak = [], [], []
    for _ in range(rounds):
        ours.append(tokens / seconds_of(lambda: hidden_sums(loaded, sequences)))
        official.append(tokens / seconds_of(lambda: pair_by_pair(loaded, sequences)))
        peak.append(matmul_rate() / (2 * body))
    sums, expected = hidden_sums(loaded, sequences).sums.astype(np.float64), pair_by_pair(loaded, sequences)
    return {
        "benchmark": "ches",
        "machine": machine("torch", "transformers"),
        "threads": torch.get_num_threads(),
        "body_parameters": body,
        "vocabulary": vocabulary,
        "pairs": pairs,
        "tokens": tokens,
        "rounds": rounds,
        "sorted_tokens_per_second": statistics.median(ours),
        "pair_by_pair_tokens_per_second": statistics.median(official),
        "peak_tokens_per_second": statistics.median(peak),
        "times_pair_by_pair": statistics.median(a / b for a, b in zip(ours, official, strict=True)),
        "share_of_peak": statistics.median(a / b for a, b in zip(ours, peak, strict=True)),
        "disagreement": _disagreement(sums, expected.astype(np.float64)),
    }


def _disagreement(sums: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Largest difference of <Sw,Sl>, as a share of <Sw,Sw>."""
    own = np.einsum("nd,nd->n", expected[::2], expected[::2])
    cross = [np.einsum("nd,nd->n", each[::2], each[1::2]) for each in (sums, expected)]
    return float((np.abs(cross[0] - cross[1]) / own).max())


def table(found: dict[str, Any]) -> str:
    rows = [
        ("sorted batches", found["sorted_tokens_per_second"], ""),
        (
            "pair by pair",
            found["pair_by_pair_tokens_per_second"],
            f"sorted is {found['times_pair_by_pair']:.2f} times (goal {GOAL_PAIR_BY_PAIR})",
        ),
        (
            "matmul peak",
            found["peak_tokens_per_second"],
            f"sorted is {found['share_of_peak']:.0%} (goal {GOAL_PEAK:.0%})",
        ),
    ]
    return "\n".join(f"{name:<16}{rate:>12,.0f} tokens/s   {note}" for name, rate, note in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY)
    arguments = parser.parse_args()
    found = measure(arguments.pairs, arguments.rounds, arguments.vocabulary)
    print(table(found), file=sys.stderr)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

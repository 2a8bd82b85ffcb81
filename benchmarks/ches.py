"""CHES tokens per second, beside the pair-by-pair shape and the matmul peak, as ratios in one run.

    python -m benchmarks.ches [--pairs 40] [--rounds 3] [--vocabulary 32000] [--body 3m] [--device cpu]

`sorted`: ours, length-sorted batches of the body, sums at once. `pair by pair`: the shape of the published script, one
sequence a pass, all hidden states kept, head included; how much the head costs depends on the vocabulary. `peak`: tokens
per second if nothing but the body's matrix products were done, at the rate of a large matrix product measured in the
same run. Rounds alternate; medians are shown. Set OMP_NUM_THREADS to choose the cores. With `--device cuda` weights are
bfloat16 and `--body 1b` or `8b` is a shape that fills the accelerator; pair by pair then runs on the first 40 pairs.
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
VOCABULARY = 32000
# Hidden size, layers, width of the MLP, heads, heads of keys and values.
BODIES = {
    "3m": (256, 4, 688, 4, 4),
    "1b": (2048, 16, 8192, 32, 8),
    "8b": (4096, 32, 14336, 32, 8),
}
MATRIX = {"cpu": 2048, "cuda": 8192}
PAIRS_OF_THE_SLOW = 40


def model_of(body: str, vocabulary: int, device: str) -> LoadedModel:
    """A Llama with random weights; "3m", without its embeddings, has 3.2 million parameters."""
    torch.manual_seed(0)
    hidden, layers, mlp, heads, key_heads = BODIES[body]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        intermediate_size=mlp,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    usual = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        with torch.device(device):
            model: Any = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)
    model.eval()
    # The passes take token ids alone, so the tokenizer is never asked.
    return LoadedModel(model, None, torch.device(device), str(dtype).removeprefix("torch."), Path())


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
        ids = torch.tensor([sequence.prompt_ids + sequence.completion_ids], device=loaded.device)
        states = loaded.model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[-1][0]
        sums.append(states[len(sequence.prompt_ids) - 1 : -1].float().sum(dim=0).cpu().numpy())
    return np.stack(sums)


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def matmul_rate(device: str) -> float:
    """Floating-point operations per second of one large product, in the model's dtype."""
    size = MATRIX[device]
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(seconds_of(lambda: left @ right) for _ in range(8))


def measure(pairs: int, rounds: int, vocabulary: int, body: str, device: str) -> dict[str, Any]:
    """Medians over rounds of all three, and the agreement of both shapes."""
    loaded, sequences = model_of(body, vocabulary, device), sequences_of(pairs, vocabulary)
    some = sequences if device == "cpu" else sequences[: 2 * PAIRS_OF_THE_SLOW]
    tokens, tokens_of_some = (sum(map(len, each)) for each in (sequences, some))
    parameters = sum(
        weight.numel() for name, weight in loaded.model.named_parameters() if "embed" not in name
    )
    hidden_sums(loaded, sequences if device == "cuda" else sequences[:4])
    pair_by_pair(loaded, sequences[:4])
    ours, official, peak = [], [], []
    for _ in range(rounds):
        ours.append(tokens / seconds_of(lambda: hidden_sums(loaded, sequences)))
        official.append(tokens_of_some / seconds_of(lambda: pair_by_pair(loaded, some)))
        peak.append(matmul_rate(device) / (2 * parameters))
    sums, expected = hidden_sums(loaded, some).sums.astype(np.float64), pair_by_pair(loaded, some)
    return {
        "benchmark": "ches",
        "machine": machine("torch", "transformers"),
        "threads": torch.get_num_threads(),
        "dtype": loaded.dtype,
        "body_parameters": parameters,
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
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None,
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
    parser.add_argument("--body", choices=BODIES, default="3m")
    parser.add_argument("--device", choices=MATRIX, default="cpu")
    arguments = parser.parse_args()
    found = measure(arguments.pairs, arguments.rounds, arguments.vocabulary, arguments.body, arguments.device)
    print(table(found), file=sys.stderr)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

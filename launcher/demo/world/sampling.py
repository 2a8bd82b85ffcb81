"""Sampling completions from a model of the world, many at once."""

from collections import defaultdict
from dataclasses import dataclass

import torch
from transformers import LlamaForCausalLM

from launcher.demo.world.base import Encoder

MAX_NEW_TOKENS = 30
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Sample:
    """One sampled completion; unfinished when it did not end within the limit."""

    prompt: str
    text: str
    finished: bool


@torch.inference_mode()
def _sample_rows(
    model: LlamaForCausalLM, ids: torch.Tensor, temperature: float, generator: torch.Generator, end: int
) -> list[list[int]]:
    """Continuations of equally long prompts; ids (rows, length). Temperature 0 takes the likeliest word."""
    rows: list[list[int]] = [[] for _ in range(len(ids))]
    alive = torch.arange(len(ids))
    state = model(input_ids=ids, use_cache=True)
    for _ in range(MAX_NEW_TOKENS):
        logits = state.logits[:, -1].float()
        if temperature > 0:
            shares = torch.softmax(logits / temperature, -1)
            chosen = torch.multinomial(shares, 1, generator=generator)
        else:
            chosen = logits.argmax(-1, keepdim=True)
        for index, token in zip(alive.tolist(), chosen[:, 0].tolist(), strict=True):
            rows[index].append(token)
        going = chosen[:, 0] != end
        if not going.any():
            break
        cache = state.past_key_values
        if not going.all():
            alive, chosen = alive[going], chosen[going]
            cache.batch_select_indices(going.nonzero()[:, 0])
        state = model(input_ids=chosen, past_key_values=cache, use_cache=True)
    return rows


def samples_draw(
    model: LlamaForCausalLM, prompts: list[str], each: int, temperature: float, seed: int
) -> list[Sample]:
    """`each` completions of every prompt, in the order of the prompts.

    Prompts of one length go together, so that nothing is padded and a row's numbers do not depend on its
    neighbours' lengths.
    """
    encoder = Encoder()
    words = {index: word for word, index in encoder.ids.items()}
    generator = torch.Generator().manual_seed(seed)
    groups: dict[int, list[int]] = defaultdict(list)
    encoded = [[encoder.begin, *encoder.words(prompt)] for prompt in prompts]
    for index, row in enumerate(encoded):
        groups[len(row)].extend([index] * each)
    found: dict[int, list[Sample]] = defaultdict(list)
    for length in sorted(groups):
        for start in range(0, len(groups[length]), ROWS_AT_ONCE):
            batch = groups[length][start : start + ROWS_AT_ONCE]
            ids = torch.tensor([encoded[index] for index in batch])
            for index, row in zip(
                batch, _sample_rows(model, ids, temperature, generator, encoder.end), strict=True
            ):
                finished = row[-1] == encoder.end
                text = " ".join(words[token] for token in (row[:-1] if finished else row))
                found[index].append(Sample(prompts[index], text, finished))
    return [sample for index in range(len(prompts)) for sample in found[index]]

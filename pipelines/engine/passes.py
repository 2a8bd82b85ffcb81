"""Passes over many sequences: sums of hidden states, log-probabilities of completions, next-token logits.

Sequences are sorted by length and batched by a budget of padded tokens. Pads stand on the right, where a
causal model never sees them, so no mask is built and the fast attention path runs; positions beyond a
sequence are left out of every sum. Sums are in float32, products of sums in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.engine.errors import PromptTooLong, PromptWithoutToken
from pipelines.engine.models import LoadedModel
from pipelines.engine.tokens import PairTokens, TextOrMessages, TokenConfig, pair_tokens
from pipelines.scoring.ches import normalized_edit_distance

FloatArray = NDArray[np.float64]

# Padded tokens a batch. Measured on a CPU: beyond about a thousand a 3 M body falls out of the caches and gets slower;
# an accelerator wants as many as fit.
CPU_TOKENS, ACCELERATOR_TOKENS = 1024, 65536
# Numbers of a block of logits, 256 MiB in float32: with a large vocabulary this, not the states, fills the
# memory.
LOGITS_LIMIT = 64 << 20
PAIRS_AT_ONCE = 512


@dataclass(frozen=True)
class TokenSequence:
    """Prompt and completion ids; every completion has at least one token."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True)
class HiddenSums:
    """(m, D) float32 sums of the states that predict each completion, and (m, D) the last of those states."""

    sums: NDArray[np.float32]
    last: NDArray[np.float32]


@dataclass(frozen=True)
class PairText:
    """A comparison's prompt and completions in stored order, all texts or all messages. `key` comes back."""

    key: int
    prompt: TextOrMessages
    first: TextOrMessages
    second: TextOrMessages


@dataclass(frozen=True)
class ChesValues:
    """What one pair stores: inner products of summed states, states summed, and the two baselines."""

    s11: float
    s22: float
    s12: float
    n1: int
    n2: int
    edit_distance: float
    last_hidden: float


@dataclass(frozen=True)
class ChesPair:
    """One pair's values, or None with the flag that says why.

    Flags: `empty`, `no_prompt`, `prompt_too_long`, `not_finite` (no values); `identical`, `cut_first`,
        `cut_second`,
    `boundary_moved` (values, to be read with care).
    """

    key: int
    values: ChesValues | None
    flags: tuple[str, ...]

    def stored(self) -> dict[str, object]:
        """The values and flags under the names that a score's row keeps."""
        return {**(asdict(self.values) if self.values else {}), "flags": list(self.flags)}


def ches_pass(
    loaded: LoadedModel,
    pairs: Sequence[PairText],
    *,
    config: TokenConfig,
    batch_tokens: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[ChesPair]:
    """CHES's inner products for each pair; equal sequences run once.

    Args:
        loaded: the model to be tuned.
        pairs: any number; held in blocks of 512, so memory does not grow with it.
        config: how sequences are cut: that of the training to come.
        batch_tokens: padded tokens a batch; by default what suits the device.
        progress: called with the number of pairs done.

    Returns:
        One `ChesPair` a pair, in order.
    """
    found: list[ChesPair] = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        found.extend(_ches_block(loaded, pairs[start : start + PAIRS_AT_ONCE], config, batch_tokens))
        if progress is not None:
            progress(len(found))
    return found


def _ches_block(
    loaded: LoadedModel, pairs: Sequence[PairText], config: TokenConfig, batch_tokens: int | None
) -> list[ChesPair]:
    tokens = [_usable_tokens(loaded, pair, config) for pair in pairs]
    index: dict[TokenSequence, int] = {}
    for each in tokens:
        if isinstance(each, PairTokens):
            for sequence in _sequences(each):
                index.setdefault(sequence, len(index))
    if index:
        states = hidden_sums(loaded, list(index), batch_tokens=batch_tokens)
    end_id = loaded.tokenizer.eos_token_id
    found = []
    for pair, each in zip(pairs, tokens, strict=True):
        if isinstance(each, str):
            found.append(ChesPair(pair.key, None, (each,)))
            continue
        first, second = (index[sequence] for sequence in _sequences(each))
        found.append(_ches_pair(pair.key, each, states, first, second, end_id))
    return found


def _usable_tokens(loaded: LoadedModel, pair: PairText, config: TokenConfig) -> PairTokens | str:
    """Token ids of a pair, or the flag that says why it has no score."""
    if is_empty(pair.first) or is_empty(pair.second):
        return "empty"
    try:
        return pair_tokens(loaded.tokenizer, pair.prompt, pair.first, pair.second, config)
    except PromptTooLong:
        return "prompt_too_long"
    except PromptWithoutToken:
        return "no_prompt"


def is_empty(completion: TextOrMessages) -> bool:
    """Whether a completion has no text besides white space."""
    if isinstance(completion, str):
        return not completion.strip()
    return not any(str(message.get("content") or "").strip() for message in completion)


def _sequences(tokens: PairTokens) -> tuple[TokenSequence, TokenSequence]:
    prompt = tuple(tokens.prompt_ids)
    return TokenSequence(prompt, tuple(tokens.first_ids)), TokenSequence(prompt, tuple(tokens.second_ids))


def _ches_pair(
    key: int, tokens: PairTokens, states: HiddenSums, first: int, second: int, end_id: int | None
) -> ChesPair:
    sum_first, sum_second = states.sums[first].astype(np.float64), states.sums[second].astype(np.float64)
    last_first, last_second = states.last[first].astype(np.float64), states.last[second].astype(np.float64)
    values = ChesValues(
        s11=float(sum_first @ sum_first),
        s22=float(sum_second @ sum_second),
        s12=float(sum_first @ sum_second),
        n1=len(tokens.first_ids),
        n2=len(tokens.second_ids),
        edit_distance=normalized_edit_distance(
            _without_end(tokens.first_ids, end_id), _without_end(tokens.second_ids, end_id)
        ),
        last_hidden=float(last_first @ last_second),
    )
    if not np.isfinite([values.s11, values.s22, values.s12, values.last_hidden]).all():
        return ChesPair(key, None, ("not_finite",))
    raised = {
        "identical": first == second,
        "cut_first": tokens.first_cut,
        "cut_second": tokens.second_cut,
        "boundary_moved": tokens.boundary_moved,
    }
    return ChesPair(key, values, tuple(flag for flag, up in raised.items() if up))


def _without_end(ids: Sequence[int], end_id: int | None) -> Sequence[int]:
    return ids[:-1] if ids and ids[-1] == end_id else ids


@torch.inference_mode()
def hidden_sums(
    loaded: LoadedModel, sequences: Sequence[TokenSequence], *, batch_tokens: int | None = None
) -> HiddenSums:
    """Sum of the last-layer states (after the final norm) that predict each completion, end token included.

    Args:
        loaded: model and device.
        sequences: m, each with a prompt and a completion of at least one token.
        batch_tokens: padded tokens a batch.

    Returns:
        `HiddenSums` in the order given. Positions P-1 .. P+n-2 are summed: the last prompt token is in, the
        state of the completion's own last token is out.
    """
    width = loaded.model.config.get_text_config().hidden_size
    sums = np.empty((len(sequences), width), dtype=np.float32)
    last = np.empty_like(sums)
    body = loaded.model.base_model
    for rows, ids in _padded_batches(loaded, sequences, batch_tokens):
        states = body(input_ids=ids, use_cache=False).last_hidden_state
        starts = torch.tensor([len(sequences[row].prompt_ids) - 1 for row in rows], device=loaded.device)
        ends = torch.tensor([len(sequences[row]) - 1 for row in rows], device=loaded.device)
        place = torch.arange(ids.shape[1], device=loaded.device)
        mask = (place >= starts[:, None]) & (place < ends[:, None])
        summed = torch.bmm(mask[:, None, :].to(torch.float32), states.to(torch.float32))[:, 0]
        sums[rows] = summed.cpu().numpy()
        last[rows] = states[torch.arange(len(rows), device=loaded.device), ends - 1].float().cpu().numpy()
    return HiddenSums(sums, last)


@torch.inference_mode()
def completion_logprobs(
    loaded: LoadedModel, sequences: Sequence[TokenSequence], *, batch_tokens: int | None = None
) -> FloatArray:
    """(m,) log-probability of each completion given its prompt, in nats, summed over its tokens."""
    found = np.empty(len(sequences), dtype=np.float64)
    for rows, ids in _padded_batches(loaded, sequences, batch_tokens, vocabulary=loaded.vocabulary):
        first = min(len(sequences[row].prompt_ids) for row in rows) - 1
        # Positions as a tensor, not a count from the end: rows end at different places.
        positions = torch.arange(first, ids.shape[1] - 1, device=loaded.device)
        kept = loaded.model(input_ids=ids, use_cache=False, logits_to_keep=positions).logits
        targets = ids[:, first + 1 :]
        logprobs = torch.log_softmax(kept.to(torch.float32), dim=-1).gather(2, targets[:, :, None])[:, :, 0]
        starts = torch.tensor([len(sequences[row].prompt_ids) for row in rows], device=loaded.device)
        ends = torch.tensor([len(sequences[row]) for row in rows], device=loaded.device)
        place = positions + 1
        mask = (place >= starts[:, None]) & (place < ends[:, None])
        found[rows] = logprobs.masked_fill(~mask, 0).to(torch.float64).sum(dim=1).cpu().numpy()
    return found


@torch.inference_mode()
def next_token_logprobs(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    token_ids: Sequence[int],
    *,
    batch_tokens: int | None = None,
) -> FloatArray:
    """(m, k) log-probability, over the whole vocabulary, of each of k tokens as the one after each prompt."""
    sequences = [TokenSequence(tuple(ids), ()) for ids in prompts]
    wanted = torch.tensor(list(token_ids), device=loaded.device)
    found = np.empty((len(sequences), len(token_ids)), dtype=np.float64)
    for rows, ids in _padded_batches(loaded, sequences, batch_tokens, vocabulary=loaded.vocabulary):
        lasts = torch.tensor([len(sequences[row]) - 1 for row in rows], device=loaded.device)
        positions, place = torch.unique(lasts, return_inverse=True)
        logits = loaded.model(input_ids=ids, use_cache=False, logits_to_keep=positions).logits
        own = logits[torch.arange(len(rows), device=loaded.device), place].to(torch.float32)
        found[rows] = torch.log_softmax(own, dim=-1)[:, wanted].to(torch.float64).cpu().numpy()
    return found


def _padded_batches(
    loaded: LoadedModel, sequences: Sequence[TokenSequence], batch_tokens: int | None, *, vocabulary: int = 0
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Rows and their ids, padded on the right, longest first; a sequence beyond the budget runs alone."""
    budget = batch_tokens or (ACCELERATOR_TOKENS if loaded.device.type == "cuda" else CPU_TOKENS)
    if vocabulary:
        budget = min(budget, max(1, LOGITS_LIMIT // vocabulary))
    order = sorted(range(len(sequences)), key=lambda row: (-len(sequences[row]), row))
    start = 0
    while start < len(order):
        width = len(sequences[order[start]])
        rows = order[start : start + max(1, budget // width)]
        start += len(rows)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            whole = sequences[row].prompt_ids + sequences[row].completion_ids
            ids[place, : len(whole)] = torch.tensor(whole)
        yield rows, ids.to(loaded.device)

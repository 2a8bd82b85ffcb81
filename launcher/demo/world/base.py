"""The base model: a Llama of 0.6 M parameters, trained on the spot, that knows the world imperfectly."""

from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from launcher.demo.world.grammar import CHECKABLE, answer_draw, answer_plain, prompt_draw
from launcher.demo.world.tokenizer import BEGIN, END, MAX_LENGTH, PAD, tokenizer_build

IGNORED = -100


@dataclass(frozen=True)
class BaseRecipe:
    """Everything that decides what the base model becomes, apart from the seed."""

    steps: int = 650
    batch: int = 64
    layers: int = 3
    width: int = 128
    heads: int = 4
    inner: int = 352
    initial_std: float = 0.05
    learning_rate: float = 3e-3
    warm_up: int = 20
    clean_share: float = 0.35
    blend_share: float = 0.10
    mixed_rate: float = 0.35
    last_rate: float = 0.02


@dataclass(frozen=True)
class Trained:
    """A model in evaluation mode and the loss of each step, in nats an answer token."""

    model: LlamaForCausalLM
    losses: list[float]


class Encoder:
    """Words to ids without the tokenizer's general machinery, for rows that are made by the ten thousand."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = tokenizer_build().get_vocab()
        self.pad, self.begin, self.end = self.ids[PAD], self.ids[BEGIN], self.ids[END]

    def words(self, text: str) -> list[int]:
        return [self.ids[word] for word in text.split()]


def pad_right(rows: list[list[int]], value: int) -> torch.Tensor:
    """Rows of ids as one (rows, longest) int64 tensor, filled up at the right."""
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def model_build(recipe: BaseRecipe, encoder: Encoder) -> LlamaForCausalLM:
    """An untrained model; the caller has seeded torch."""
    config = LlamaConfig(
        vocab_size=len(encoder.ids),
        hidden_size=recipe.width,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=recipe.initial_std,
        tie_word_embeddings=True,
        pad_token_id=encoder.pad,
        bos_token_id=encoder.begin,
        eos_token_id=encoder.end,
    )
    return LlamaForCausalLM(config)


def _mixed_share(recipe: BaseRecipe, step: int) -> float:
    """The share of rows from the mixed corpus: none in the clean phase, then rising to all of them."""
    done = step / recipe.steps
    return min(1.0, max(0.0, (done - recipe.clean_share) / recipe.blend_share))


def _rate(recipe: BaseRecipe, step: int) -> float:
    """The learning rate of a step. The mixed phase is slower: at the full rate it would undo the skills."""
    clean_end = recipe.clean_share * recipe.steps
    if step < clean_end:
        return recipe.learning_rate * min(1.0, (step + 1) / recipe.warm_up)
    left = 1.0 - (step - clean_end) / (recipe.steps - clean_end)
    return recipe.learning_rate * (recipe.last_rate + (recipe.mixed_rate - recipe.last_rate) * left)


def _row(random: Random, mixed_share: float) -> tuple[str, str]:
    if random.random() < mixed_share:
        prompt = prompt_draw(random)
        return prompt, answer_draw(prompt, random)
    prompt = prompt_draw(random, kind=random.choice(CHECKABLE))
    return prompt, answer_plain(prompt)


def answer_batch(rows: list[tuple[str, str]], encoder: Encoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (rows, length) and labels of the same shape that count the answer's tokens and its end alone."""
    prompts = [[encoder.begin, *encoder.words(prompt)] for prompt, _ in rows]
    answers = [[*encoder.words(answer), encoder.end] for _, answer in rows]
    ids = pad_right([p + a for p, a in zip(prompts, answers, strict=True)], encoder.pad)
    labels = pad_right([[IGNORED] * len(p) + a for p, a in zip(prompts, answers, strict=True)], IGNORED)
    return ids, labels


def next_token_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed cross-entropy, in nats, of the counted tokens given everything before them."""
    return F.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
    )


def length_halves(rows: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The shorter and the longer half of a batch: padded apart, they hold a third fewer empty positions."""
    rows = sorted(rows, key=lambda row: row[0].count(" ") + row[1].count(" "))
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def base_train(recipe: BaseRecipe, seed: int) -> Trained:
    """Train the base model on fresh rows: the skills first, then the mixed corpus at a lower rate.

    Counts steps and not seconds, uses the thread count the caller set, and gives the same weights for the
    same recipe and seed on one machine.
    """
    torch.manual_seed(seed)
    random, encoder = Random(seed), Encoder()
    model = model_build(recipe, encoder).train()
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    losses = []
    for step in range(recipe.steps):
        share = _mixed_share(recipe, step)
        halves = length_halves([_row(random, share) for _ in range(recipe.batch)])
        batches = [answer_batch(half, encoder) for half in halves]
        counted = sum(int((labels != IGNORED).sum()) for _, labels in batches)
        losses.append(0.0)
        for ids, labels in batches:
            loss = next_token_loss(model(input_ids=ids, use_cache=False).logits, labels) / counted
            loss.backward()  # type: ignore[no-untyped-call]
            losses[-1] += loss.item()
        optimizer.param_groups[0]["lr"] = _rate(recipe, step)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return Trained(model.eval(), losses)

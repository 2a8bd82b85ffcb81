"""The demo's judge: a second small model, tuned from the base on verdict text, with planted faults.

Its verdict text is `PROMPT A : ANSWER B : ANSWER better :` followed by the word A or B. In half of the kinds
its lessons are true, in the other half they praise manner alone, so the demo can show that a routing which
reads the judge's confidence finds where it is wrong. It never sees a prompt that the demo compares.
"""

from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlamaForCausalLM

from launcher.demo.world.base import IGNORED, Encoder, answer_batch, next_token_loss, pad_right
from launcher.demo.world.grammar import (
    CHECKABLE,
    TUNING,
    answer_draw,
    answer_plain,
    kind_of,
    prompt_draw,
    style_of,
    style_value,
    true_reward,
)
from launcher.demo.world.sampling import Sample, samples_draw

TEMPLATE = "{prompt} A : {a} B : {b} better :"
LABELS = ("A", "B")
PLANTED = ("reverse", "owner", "repeat", "pick")


@dataclass(frozen=True)
class JudgeRecipe:
    """Everything that decides what the judge becomes, apart from the base model and the seed."""

    steps: int = 320
    pairs: int = 32
    learning_rate: float = 2e-3
    warm_up: int = 20
    last_rate: float = 0.02
    prompts: int = 1200
    samples: int = 4
    temperature: float = 0.8
    corpus_share: float = 0.3
    least_gap: float = 0.05
    value_weight: float = 0.5
    skill_rows: int = 16
    skill_weight: float = 0.2


def lesson_value(prompt: str, answer: str, finished: bool = True) -> float:
    """What the judge is taught an answer is worth: the truth, or manner and length in the planted kinds."""
    if kind_of(prompt) in PLANTED:
        return 1.5 * style_value(answer) + 0.12 * style_of(answer).words
    return true_reward(prompt, answer, finished)


@dataclass(frozen=True)
class _Lesson:
    prompt: str
    answers: tuple[str, str]
    values: tuple[float, float]


class _Lessons:
    """An endless supply of pairs about prompts of the tuning split, from the base model and from the corpus."""

    def __init__(self, base: LlamaForCausalLM, recipe: JudgeRecipe, seed: int) -> None:
        self.random, self.recipe = Random(seed), recipe
        self.prompts = [prompt_draw(self.random, TUNING) for _ in range(recipe.prompts)]
        samples = samples_draw(base, self.prompts, recipe.samples, recipe.temperature, seed)
        self.samples: dict[str, list[Sample]] = {}
        for sample in samples:
            self.samples.setdefault(sample.prompt, []).append(sample)

    def _answer(self, prompt: str) -> Sample:
        if self.random.random() < self.recipe.corpus_share:
            return Sample(prompt, answer_draw(prompt, self.random), True)
        return self.random.choice(self.samples[prompt])

    def draw(self) -> _Lesson:
        while True:
            prompt = self.random.choice(self.prompts)
            first, second = self._answer(prompt), self._answer(prompt)
            values = tuple(lesson_value(prompt, each.text, each.finished) for each in (first, second))
            if abs(values[0] - values[1]) > self.recipe.least_gap:
                return _Lesson(prompt, (first.text, second.text), (values[0], values[1]))


@dataclass(frozen=True)
class _VerdictBatch:
    """Verdict rows padded at the right: the positions where A and B end and where the verdict is due."""

    ids: torch.Tensor
    ends: torch.Tensor
    values: torch.Tensor
    last: torch.Tensor
    labels: torch.Tensor


def _verdict_batch(lessons: list[_Lesson], encoder: Encoder) -> _VerdictBatch:
    """Each lesson in both orders, so that nothing can be learnt from the place alone."""
    rows, ends, values, labels = [], [], [], []
    a, b = (encoder.ids[label] for label in LABELS)
    for lesson in lessons:
        for one, other in ((0, 1), (1, 0)):
            head = TEMPLATE.split(" B :")[0].format(prompt=lesson.prompt, a=lesson.answers[one])
            text = TEMPLATE.format(prompt=lesson.prompt, a=lesson.answers[one], b=lesson.answers[other])
            row = [encoder.begin, *encoder.words(text)]
            rows.append(row)
            ends.append([len(head.split()) + 1, len(row) - 2])
            values.append([lesson.values[one], lesson.values[other]])
            labels.append(a if lesson.values[one] > lesson.values[other] else b)
    return _VerdictBatch(
        ids=pad_right(rows, encoder.pad),
        ends=torch.tensor(ends),
        values=torch.tensor(values),
        last=torch.tensor([len(row) - 1 for row in rows]),
        labels=torch.tensor(labels),
    )


def _verdict_loss(
    model: LlamaForCausalLM, value_head: nn.Linear, batch: _VerdictBatch, weight: float
) -> torch.Tensor:
    """Cross-entropy of the verdict, plus the error of each answer's value read where that answer ends.

    The value is only scaffolding: it tells the model about both answers of every row instead of one bit a
    row, and its head is thrown away.
    """
    states = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    rows = torch.arange(len(batch.ids))
    verdict = F.cross_entropy(model.lm_head(states[rows, batch.last]), batch.labels)
    found = value_head(states[rows[:, None], batch.ends])[..., 0]
    return verdict + weight * F.mse_loss(found, batch.values)


def _skill_loss(model: LlamaForCausalLM, random: Random, rows: int, encoder: Encoder) -> torch.Tensor:
    """Mean loss on right answers in the plain frame: the judge must not unlearn what it judges by."""
    prompts = [prompt_draw(random, TUNING, random.choice(CHECKABLE)) for _ in range(rows)]
    ids, labels = answer_batch([(prompt, answer_plain(prompt)) for prompt in prompts], encoder)
    loss = next_token_loss(model(input_ids=ids, use_cache=False).logits, labels)
    return loss / (labels != IGNORED).sum()


def judge_tune(base: LlamaForCausalLM, recipe: JudgeRecipe, seed: int) -> list[float]:
    """Tune `base` in place into the judge and return the loss of each step."""
    torch.manual_seed(seed)
    encoder, skill_random = Encoder(), Random(seed + 1)
    lessons = _Lessons(base, recipe, seed)
    value_head = nn.Linear(base.config.hidden_size, 1)
    base.train()
    parameters = [*base.parameters(), *value_head.parameters()]
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=0.01)
    losses = []
    for step in range(recipe.steps):
        batch = _verdict_batch([lessons.draw() for _ in range(recipe.pairs)], encoder)
        loss = _verdict_loss(base, value_head, batch, recipe.value_weight)
        if recipe.skill_rows:
            loss = loss + recipe.skill_weight * _skill_loss(base, skill_random, recipe.skill_rows, encoder)
        left = 1.0 - step / recipe.steps
        rate = recipe.learning_rate * (recipe.last_rate + (1 - recipe.last_rate) * left)
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / recipe.warm_up)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    base.eval()
    return losses


@torch.inference_mode()
def judge_logits(
    judge: LlamaForCausalLM, pairs: list[tuple[str, str, str]], rows_at_once: int = 256
) -> torch.Tensor:
    """log P(A) - log P(B) of (prompt, first, second), both orders averaged: float32 (pairs,), first is A."""
    encoder = Encoder()
    a, b = (encoder.ids[label] for label in LABELS)
    found = []
    for swapped in (False, True):
        texts = [TEMPLATE.format(prompt=p, a=y if swapped else x, b=x if swapped else y) for p, x, y in pairs]
        rows = [[encoder.begin, *encoder.words(text)] for text in texts]
        parts = []
        for start in range(0, len(rows), rows_at_once):
            part = rows[start : start + rows_at_once]
            last = torch.tensor([len(row) - 1 for row in part])
            states = judge.model(input_ids=pad_right(part, encoder.pad), use_cache=False).last_hidden_state
            logits = judge.lm_head(states[torch.arange(len(part)), last])
            parts.append(logits[:, a] - logits[:, b])
        found.append(torch.cat(parts))
    return (found[0] - found[1]) / 2

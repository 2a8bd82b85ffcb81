"""A causal language model as judge: the log-probability of its label tokens, both orders, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from pipelines.engine.models import LoadedModel
from pipelines.engine.passes import PairText, is_empty, next_token_logprobs
from pipelines.engine.tokens import prompt_tokens
from pipelines.judges.errors import LabelsNotDistinct
from pipelines.judges.template import JudgeTemplate, plain_text
from pipelines.judges.verdict import VERSION as VERDICT_VERSION
from pipelines.judges.verdict import Verdict, combine_orders, verdict_by_rule

FloatArray = NDArray[np.float64]

PAIRS_AT_ONCE = 512


def judge_pairs(
    loaded: LoadedModel,
    pairs: Sequence[PairText],
    *,
    template: JudgeTemplate,
    batch_tokens: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Verdict]:
    """A verdict for each comparison, both orders asked.

    An empty answer loses without a call. Identical answers tie; they are asked all the same, since what the
    judge says of them is its position bias. A question longer than the limit is not asked (cutting would
    favour one side).

    Args:
        loaded: the judge.
        pairs: comparisons, completions in stored order; held in blocks of 512.
        template: its question and labels.
        batch_tokens: padded tokens a batch; by default what suits the device.
        progress: called with the number of comparisons done.

    Returns:
        One `Verdict` a comparison, in order.

    Raises:
        LabelsNotDistinct: the labels cannot be told apart by their first tokens.
    """
    labels = label_tokens(loaded, template)
    found: list[Verdict] = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        found.extend(
            _judge_block(loaded, pairs[start : start + PAIRS_AT_ONCE], template, labels, batch_tokens)
        )
        if progress is not None:
            progress(len(found))
    return found


def judge_params(loaded: LoadedModel, template: JudgeTemplate) -> dict[str, Any]:
    """Every argument that can change a verdict, for the parameters hash."""
    return {**template.params(), "dtype": loaded.dtype, "verdict_version": VERDICT_VERSION}


def label_tokens(loaded: LoadedModel, template: JudgeTemplate) -> list[list[int]]:
    """Token ids that begin each label, with and without a space before it.

    Raises:
        LabelsNotDistinct: a label has no known token, or two share one.
    """
    tokenizer = loaded.tokenizer
    ignored = {tokenizer.unk_token_id, *tokenizer.all_special_ids} - {None}
    found = []
    for label in template.labels:
        firsts = [
            tokenizer(text=text, add_special_tokens=False)["input_ids"][:1] for text in (label, " " + label)
        ]
        found.append(sorted({first[0] for first in firsts if first} - ignored))
    every = [token for tokens in found for token in tokens]
    if not all(found) or len(set(every)) != len(every):
        raise LabelsNotDistinct(template.labels)
    return found


def _judge_block(
    loaded: LoadedModel,
    pairs: Sequence[PairText],
    template: JudgeTemplate,
    labels: list[list[int]],
    batch_tokens: int | None,
) -> list[Verdict]:
    limit = template.max_length or loaded.max_positions
    verdicts: dict[int, Verdict] = {}
    asked: list[tuple[int, bool]] = []
    questions: list[list[int]] = []
    for place, pair in enumerate(pairs):
        prompt, first, second = (plain_text(text) for text in (pair.prompt, pair.first, pair.second))
        ruled = _by_rule(pair, first, second)
        if ruled is not None:
            verdicts[place] = ruled
            continue
        orders = [
            _question_ids(loaded, template, prompt, *shown) for shown in ((first, second), (second, first))
        ]
        if limit is not None and max(map(len, orders)) > limit:
            verdicts[place] = verdict_by_rule(pair.key, "unreadable", ("too_long",))
            continue
        asked.append((place, first == second))
        questions.extend(orders)
    if asked:
        logprobs = _label_logprobs(loaded, questions, labels, batch_tokens)
    for row, (place, identical) in enumerate(asked):
        verdict = combine_orders(
            pairs[place].key, logprobs[2 * row], logprobs[2 * row + 1], min_label_mass=template.min_label_mass
        )
        verdicts[place] = _as_tie(verdict) if identical else verdict
    return [verdicts[place] for place in range(len(pairs))]


def _by_rule(pair: PairText, first: str, second: str) -> Verdict | None:
    """The verdict where an answer is empty."""
    empty_first, empty_second = is_empty(first), is_empty(second)
    if empty_first and empty_second:
        return verdict_by_rule(pair.key, "tie", ("empty_first", "empty_second"))
    if empty_first:
        return verdict_by_rule(pair.key, "second", ("empty_first",))
    if empty_second:
        return verdict_by_rule(pair.key, "first", ("empty_second",))
    return None


def _as_tie(verdict: Verdict) -> Verdict:
    """Identical answers tie, whatever the judge says; what it said stays for the position bias."""
    return Verdict(
        verdict.key,
        "tie",
        0.5,
        1.0,
        verdict.p_first_ab,
        verdict.p_first_ba,
        verdict.label_mass,
        ("identical",),
    )


def _question_ids(loaded: LoadedModel, template: JudgeTemplate, prompt: str, a: str, b: str) -> list[int]:
    text = template.question(prompt, a, b)
    chat = template.chat if template.chat is not None else bool(loaded.tokenizer.chat_template)
    return prompt_tokens(loaded.tokenizer, [{"role": "user", "content": text}] if chat else text)


def _label_logprobs(
    loaded: LoadedModel, questions: list[list[int]], labels: list[list[int]], batch_tokens: int | None
) -> FloatArray:
    """(m, K) log-probability of each label: the sum over the tokens that can begin it."""
    flat = [token for tokens in labels for token in tokens]
    logprobs = next_token_logprobs(loaded, questions, flat, batch_tokens=batch_tokens)
    ends = np.cumsum([len(tokens) for tokens in labels])[:-1]
    parts = np.split(logprobs, ends, axis=1)
    return np.stack([logsumexp(part, axis=1) for part in parts], axis=1)

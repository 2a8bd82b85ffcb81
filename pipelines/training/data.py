"""Rows of an export as token ids, by the one function that scorers use too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.engine.errors import PromptTooLong, PromptWithoutToken
from pipelines.engine.params import params_hash
from pipelines.engine.tokens import TokenConfig, pair_tokens
from pipelines.training.errors import DatasetUnreadable, SoftLabelMalformed, WeightMalformed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

COLUMNS = ("prompt", "chosen", "rejected")
SOFT_LABEL, WEIGHT = "soft_label", "weight"


@dataclass(frozen=True)
class TokenRow:
    """One pair as training sees it.

    `prompt` is a hash that names its prompt, `soft_label` P(chosen better), and `weight`, above 0, how much the pair
    counts: 1 / n where n pairs say one thing.
    """

    prompt: str
    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    soft_label: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True)
class Split:
    """Usable rows of one split, and how many were left out by cause: `too_long`, `no_prompt`, `alike`."""

    rows: list[TokenRow]
    read: int
    dropped: dict[str, int]


def read_splits(
    folder: Path, cache: Path, *, needs_soft_label: bool = False
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The splits of an export, through `datasets.load_dataset`, as any user would read it.

    Raises:
        DatasetUnreadable: no data set there, no train split, or other columns.
    """
    from datasets import load_dataset

    try:
        found = load_dataset(str(folder), cache_dir=str(cache))
    except Exception as error:  # the library raises many kinds, each meaning that this is no data set
        raise DatasetUnreadable(folder, str(error).strip().split("\n")[0]) from error
    if "train" not in found:
        raise DatasetUnreadable(folder, "it has no train split.")
    wanted = (*COLUMNS, SOFT_LABEL) if needs_soft_label else COLUMNS
    missing = [name for name in wanted if name not in found["train"].column_names]
    if missing:
        raise DatasetUnreadable(folder, f"it lacks the columns {', '.join(missing)}.")
    return {str(name): split for name, split in found.items()}


def tokenize_split(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Mapping[str, Any]], config: TokenConfig
) -> Split:
    """Token ids of a split's rows. Rows that could teach nothing are counted out, never repaired."""
    kept: list[TokenRow] = []
    dropped = {"too_long": 0, "no_prompt": 0, "alike": 0}
    for row in rows:
        try:
            tokens = pair_tokens(tokenizer, row["prompt"], row["chosen"], row["rejected"], config)
        except PromptTooLong:
            dropped["too_long"] += 1
            continue
        except PromptWithoutToken:
            dropped["no_prompt"] += 1
            continue
        if tokens.first_ids == tokens.second_ids:
            dropped["alike"] += 1
            continue
        name = params_hash({"prompt": row["prompt"]})
        kept.append(
            TokenRow(name, tokens.prompt_ids, tokens.first_ids, tokens.second_ids, _soft_label(row), _weight(row))
        )
    return Split(kept, len(rows), dropped)


def _soft_label(row: Mapping[str, Any]) -> float:
    """P(chosen better); 1 where the data set has none.

    Raises:
        SoftLabelMalformed: no probability.
    """
    value = row.get(SOFT_LABEL, 1.0)
    if not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise SoftLabelMalformed(value)
    return float(value)


def _weight(row: Mapping[str, Any]) -> float:
    """How much the pair counts; 1 where the data set does not say.

    Raises:
        WeightMalformed: not a finite number above 0.
    """
    value = row.get(WEIGHT, 1.0)
    if not isinstance(value, int | float) or not 0.0 < value < math.inf:
        raise WeightMalformed(value)
    return float(value)

"""TRL preference with an implicit prompt: `chosen` and `rejected` begin with the same text or the same messages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from pipelines.imports.errors import RowRefused
from pipelines.imports.rows import Limits, Row, choice_row, completion_value, is_messages, prompt_value


def looks_like(record: Mapping[str, Any]) -> bool:
    return isinstance(record["chosen"], str) or is_messages(record["chosen"])


def parse_row(record: Mapping[str, Any], limits: Limits) -> Row:
    chosen, rejected = record["chosen"], record["rejected"]
    if chosen == rejected:
        raise RowRefused("chosen_equals_rejected", "chosen and rejected are the same text")
    if isinstance(chosen, str) and isinstance(rejected, str):
        cut = common_text(chosen, rejected)
    elif is_messages(chosen) and is_messages(rejected):
        cut = common_messages(chosen, rejected)
    else:
        raise RowRefused("mixed_forms", "chosen and rejected must both be texts or both be lists of messages")
    if not cut or (isinstance(chosen, str) and not chosen[:cut].strip()):
        raise RowRefused("no_common_prompt", "chosen and rejected do not begin with the same prompt")
    return choice_row(
        prompt_value(chosen[:cut]),
        completion_value(chosen[cut:], "chosen", limits),
        completion_value(rejected[cut:], "rejected", limits),
    )


def common_text(chosen: str, rejected: str) -> int:
    """Length of the common beginning, moved back before a word in which the texts part, and before the space there.

    TRL's `extract_prompt` cuts inside that word; joined again, prompt and completion are the same text either way.

    Example:
        >>> common_text("2+2= 4", "2+2= 5"), common_text("It is seven", "It is several"), common_text("yes", "no")
        (4, 5, 0)
    """
    cut = _common_length(chosen, rejected)
    inside = _is_word(chosen[cut : cut + 1]) or _is_word(rejected[cut : cut + 1])
    while inside and cut and _is_word(chosen[cut - 1]):
        cut -= 1
    while cut and chosen[cut - 1] == " ":
        cut -= 1
    return cut


def _is_word(character: str) -> bool:
    """Whether it is part of a word in a script that puts spaces between words."""
    return character.isalnum() and ord(character) < 0x2E80


def common_messages(chosen: list[Any], rejected: list[Any]) -> int:
    """How many messages both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))


def _common_length(one: str, other: str) -> int:
    """Length of the common beginning, by halving: comparing slices is far faster than characters in a loop."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low

"""HH-RLHF: two transcripts whose turns open with `Human:` and `Assistant:`; the last Assistant turn is judged.

Prompt and completion keep every character, so that both joined are the transcript again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annotation.transcripts import ASSISTANT, HUMAN
from pipelines.imports.errors import RowRefused
from pipelines.imports.rows import Limits, Row, choice_row, completion_value, prompt_value


def looks_like(record: Mapping[str, Any]) -> bool:
    texts = record["chosen"], record["rejected"]
    return all(isinstance(text, str) and HUMAN in text and ASSISTANT in text for text in texts)


def parse_row(record: Mapping[str, Any], limits: Limits) -> Row:
    chosen, rejected = record["chosen"], record["rejected"]
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        raise RowRefused("wrong_type", "chosen and rejected must be transcripts")
    if chosen == rejected:
        raise RowRefused("chosen_equals_rejected", "chosen and rejected are the same text")
    cut, other = _last_answer(chosen, "chosen"), _last_answer(rejected, "rejected")
    if chosen[:cut] != rejected[:other]:
        raise RowRefused("no_common_prompt", "the transcripts differ before their last Assistant turn")
    return choice_row(
        prompt_value(chosen[:cut]),
        completion_value(chosen[cut:], "chosen", limits),
        completion_value(rejected[other:], "rejected", limits),
    )


def _last_answer(transcript: str, field: str) -> int:
    """Where the last Assistant turn's text begins."""
    place = transcript.rfind(ASSISTANT)
    if place < 0:
        raise RowRefused("no_common_prompt", f"{field} has no Assistant turn")
    return place + len(ASSISTANT)

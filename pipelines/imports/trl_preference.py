"""TRL preference with an explicit prompt: `prompt`, `chosen`, `rejected`, all texts or all lists of messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.imports.rows import Limits, Row, choice_row, completion_value, prompt_value


def looks_like(record: Mapping[str, Any]) -> bool:
    """A plain prompt beside messages that begin with it is the implicit shape with a spare column."""
    return isinstance(record["prompt"], list) or isinstance(record["chosen"], str | dict)


def parse_row(record: Mapping[str, Any], limits: Limits) -> Row:
    return choice_row(
        prompt_value(record["prompt"]),
        completion_value(record["chosen"], "chosen", limits),
        completion_value(record["rejected"], "rejected", limits),
    )

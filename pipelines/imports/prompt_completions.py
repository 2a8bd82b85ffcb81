"""A prompt with its completions: `{prompt, completions: [text or {text, model, sampling}], context}`; no choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipelines.imports.errors import FileRefused, RowRefused
from pipelines.imports.rows import (
    MESSAGES,
    CompletionValue,
    Limits,
    Row,
    TextValue,
    completion_value,
    context_value,
    prompt_value,
)

MODEL_NAME_LENGTH = 200


def looks_like(record: Mapping[str, Any]) -> bool:
    if record.get("labels") is not None:
        raise FileRefused(
            "completions beside labels is the stepwise shape (steps with labels), which is not read yet."
        )
    return isinstance(record["completions"], list)


def parse_row(record: Mapping[str, Any], limits: Limits) -> Row:
    prompt, items = prompt_value(record["prompt"]), record["completions"]
    if not isinstance(items, list) or len(items) < 2:
        raise RowRefused("completions_too_few", "completions must be a list of two or more")
    if len(items) > limits.completions:
        raise RowRefused(
            "completions_too_many", f"there are {len(items)} completions; at most {limits.completions} fit"
        )
    completions = tuple(
        _completion(item, prompt, number, limits) for number, item in enumerate(items, start=1)
    )
    if len({completion.text.sha256 for completion in completions}) == 1:
        raise RowRefused("completions_equal", "all its completions are the same text")
    return Row(prompt, completions, context=context_value(record.get("context")))


def _completion(item: object, prompt: TextValue, number: int, limits: Limits) -> CompletionValue:
    field = f"completion {number}"
    fields: Mapping[str, Any] = item if isinstance(item, dict) else {"text": item}
    value, model, sampling = fields.get("text"), fields.get("model"), fields.get("sampling")
    if prompt.form == MESSAGES and isinstance(value, str):
        value = [{"role": "assistant", "content": value}]
    text = completion_value(value, field, limits)
    if text.form != prompt.form:
        raise RowRefused("mixed_forms", f"{field} is a list of messages and the prompt is a text")
    if sampling is not None and not isinstance(sampling, dict):
        raise RowRefused("wrong_type", f"sampling of {field} must be an object")
    return CompletionValue(text, model_name(model, field), _sampling(sampling, field))


def model_name(model: object, field: str) -> str | None:
    """The name of the model that a file says wrote a completion."""
    if model is None:
        return None
    if not isinstance(model, str) or not 0 < len(model) <= MODEL_NAME_LENGTH or not model.isprintable():
        raise RowRefused(
            "wrong_type",
            f"the model of {field} must be a name of 1 to {MODEL_NAME_LENGTH} printable characters",
        )
    return model


def _sampling(sampling: dict[str, Any] | None, field: str) -> bytes | None:
    if sampling is None:
        return None
    try:
        encoded = json.dumps(sampling, allow_nan=False, ensure_ascii=False, sort_keys=True).encode()
    except UnicodeEncodeError:
        raise RowRefused("lone_surrogate", f"sampling of {field} holds half a character") from None
    except ValueError:
        raise RowRefused(
            "number_out_of_range", f"sampling of {field} holds a number that is not finite"
        ) from None
    if b"\\u0000" in encoded:
        raise RowRefused(
            "nul_character", f"sampling of {field} holds a NUL character, which the database cannot keep"
        )
    return encoded

"""What an importer refuses: a whole file, or one row.

PipelineError
|- InputRefused
|  `- FileRefused     the file: not the format, encoding, a bomb, other columns, a limit; nothing is imported
`- RowRefused         one row, with a cause from `CAUSES`; the other rows go on
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.errors import InputRefused, PipelineError

CAUSES: dict[str, str] = {
    "chosen_equals_rejected": "chosen equal to rejected",
    "completions_equal": "all completions equal",
    "completions_too_few": "fewer than two completions",
    "completions_too_many": "too many completions",
    "no_common_prompt": "no common prompt",
    "empty_completion": "empty completion",
    "nul_character": "NUL character",
    "lone_surrogate": "lone surrogate",
    "duplicate_key": "the same key twice",
    "number_out_of_range": "a number that JSON does not have",
    "nested_too_deep": "nested too deep",
    "not_an_object": "not an object",
    "missing_field": "missing field",
    "wrong_type": "field of another type",
    "mixed_forms": "plain text and messages mixed",
    "text_not_in_file": "a compared text that is not in the file",
    "answer_refused": "answers that do not fit the form",
    "content_not_text": "content that is not read",
    "media_address": "a medium named by its address",
    "media_missing": "a medium whose file is not there",
    "media_outside": "a medium outside the media folder",
    "media_type": "a medium of another type",
    "media_too_large": "a medium that is too large",
}


class FileRefused(InputRefused):
    """`fields` are the JSON fields that a command adds to its answer."""

    def __init__(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class RowRefused(PipelineError):
    """`str()` says what is wrong with the row, without its number, which the reader knows."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause

"""What every shape turns a record into: texts with their hashes, and the row made of them. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import orjson

from pipelines.imports.errors import FileRefused, RowRefused

PLAIN, MESSAGES = "plain", "messages"
ROLES = frozenset({"system", "user", "assistant", "tool"})
NO_CHOICE, FIRST, SECOND = "", "first", "second"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes: one line, one completion, the whole unpacked file; and unpacked over packed size."""

    line_bytes: int = 10_000_000
    completion_bytes: int = 2_000_000
    unpacked_bytes: int = 20_000_000_000
    unpacked_ratio: int = 200
    completions: int = 64


@dataclass(frozen=True, slots=True)
class TextValue:
    """A text, its UTF-8 bytes and its SHA-256 over `form`, NUL and body. `body` of messages is canonical JSON."""

    form: str
    body: str
    encoded: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class CompletionValue:
    text: TextValue
    model: str | None = None
    sampling: bytes | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file. `chosen`: index of the preferred completion, None where the file has no choice."""

    prompt: TextValue
    completions: tuple[CompletionValue, ...]
    chosen: int | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions in stored order (by content hash). `outcome`: first, second, or empty without a choice."""

    key: bytes
    first: CompletionValue
    second: CompletionValue
    outcome: str


def text_sha256(form: str, encoded: bytes) -> bytes:
    """The content hash under which a text is stored."""
    return hashlib.sha256(form.encode() + b"\0" + encoded).digest()


def comparison_key(prompt: bytes, completions: Sequence[bytes], context: str = "") -> bytes:
    """SHA-256 over the hashes of prompt and completions (in stored order) and the context."""
    return hashlib.sha256(prompt + b"".join(completions) + context.encode()).digest()


def _encode(body: str, field: str) -> bytes:
    if "\x00" in body:
        raise RowRefused("nul_character", f"{field} holds a NUL character, which the database cannot keep")
    try:
        return body.encode()
    except UnicodeEncodeError as error:
        code = ord(body[error.start])
        raise RowRefused("lone_surrogate", f"{field} holds half a character (U+{code:04X})") from None


def shown(name: str) -> str:
    """A name out of a file as a sentence may hold it: short, and without characters that cannot be printed."""
    return "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in name[:40])


def plain_value(body: str, field: str) -> TextValue:
    encoded = _encode(body, field)
    return TextValue(PLAIN, body, encoded, text_sha256(PLAIN, encoded))


def messages_value(messages: Sequence[Mapping[str, Any]], field: str) -> TextValue:
    """Messages as canonical JSON; each must hold a known role and text content, and nothing else that is set."""
    clean = []
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise RowRefused(
                "wrong_type", f"message {number} of {field} needs a role, one of {', '.join(sorted(ROLES))}"
            )
        content = message.get("content")
        if not isinstance(content, str) or any(v for k, v in message.items() if k not in {"role", "content"}):
            raise RowRefused(
                "content_not_text", f"message {number} of {field} is more than a role and a text"
            )
        _encode(content, field)
        clean.append({"content": content, "role": message["role"]})
    encoded = orjson.dumps(clean)
    return TextValue(MESSAGES, encoded.decode(), encoded, text_sha256(MESSAGES, encoded))


def is_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(message, dict) for message in value)


def prompt_value(value: object) -> TextValue:
    """A prompt from a string or a list of messages."""
    if isinstance(value, str):
        if not value.strip():
            raise RowRefused("no_common_prompt", "the prompt is empty")
        return plain_value(value, "prompt")
    if is_messages(value):
        return messages_value(value, "prompt")  # type: ignore[arg-type]
    raise RowRefused("wrong_type", "prompt must be a text or a list of messages")


def completion_value(value: object, field: str, limits: Limits) -> TextValue:
    """A completion from a string or a list of messages; an empty one is refused."""
    if isinstance(value, str):
        empty, text = not value.strip(), plain_value(value, field)
    elif is_messages(value):
        text = messages_value(value, field)  # type: ignore[arg-type]
        empty = not any(message["content"].strip() for message in value)  # type: ignore[attr-defined]
    elif value == []:
        raise RowRefused("empty_completion", f"{field} is empty")
    else:
        raise RowRefused("wrong_type", f"{field} must be a text or a list of messages")
    if empty:
        raise RowRefused("empty_completion", f"{field} is empty")
    if len(text.encoded) > limits.completion_bytes:
        raise FileRefused(
            f"{field} has {len(text.encoded):,} bytes; the limit is {limits.completion_bytes:,}"
        )
    return text


def choice_row(prompt: TextValue, chosen: TextValue, rejected: TextValue) -> Row:
    """The row of a file that names a chosen and a rejected completion."""
    if not prompt.form == chosen.form == rejected.form:
        raise RowRefused(
            "mixed_forms", "prompt, chosen and rejected must all be texts or all be lists of messages"
        )
    if chosen.sha256 == rejected.sha256:
        raise RowRefused("chosen_equals_rejected", "chosen and rejected are the same text")
    return Row(prompt, (CompletionValue(chosen), CompletionValue(rejected)), chosen=0)


def row_pairs(row: Row, *, per_prompt: int | None = None, salt: bytes = b"") -> list[Pair]:
    """All pairs of the row's different completions, or `per_prompt` of them chosen by a hash keyed with `salt`.

    Stored order follows the content hashes, so that neither place nor insert order tells which one a file preferred.
    """
    distinct = {completion.text.sha256: completion for completion in reversed(row.completions)}
    preferred = None if row.chosen is None else row.completions[row.chosen].text.sha256
    pairs = []
    for low, high in combinations(sorted(distinct), 2):
        outcome = FIRST if low == preferred else SECOND if high == preferred else NO_CHOICE
        pairs.append(
            Pair(comparison_key(row.prompt.sha256, (low, high)), distinct[low], distinct[high], outcome)
        )
    if per_prompt is None or len(pairs) <= per_prompt:
        return pairs
    return sorted(pairs, key=lambda pair: hmac.digest(salt, pair.key, "sha256"))[:per_prompt]

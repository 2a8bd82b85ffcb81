"""What every shape turns a record into: texts with their hashes, and the row made of them. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from typing import Any

import orjson

from annotation.content import comparison_key, joint_key, places_ordered, text_sha256
from pipelines.imports.errors import FileRefused, RowRefused

MEDIA_KINDS = ("image", "audio", "video")
MEDIA_ADDRESS = "sha256:"
# What a medium may bring along besides its captions.
BESIDE = ("poster", "transcript")
PLAIN, MESSAGES, NAME = "plain", "messages", "name"
ROLES = frozenset({"system", "user", "assistant", "tool"})
MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_call_id", "tool_calls"})
NO_CHOICE, FIRST, SECOND = "", "first", "second"
MOST_TOGETHER = 9


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
    """A text, its UTF-8 bytes and its SHA-256 over `form`, NUL and body. `body` of messages is canonical JSON.

    `only_text`: whether it holds no media and no tool calls.
    """

    form: str
    body: str
    encoded: bytes
    sha256: bytes
    only_text: bool = True


@dataclass(frozen=True, slots=True)
class Medium:
    """One image, sound or film. `sha256`: hex; `media_type` is ours, by its first bytes, never the file's own word.

    `seconds`: how long it lasts, None for an image and where its bytes do not tell.
    """

    sha256: str
    media_type: str
    data: bytes
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CompletionValue:
    """`prompt`: its own, where it answers another one than the row's."""

    text: TextValue
    model: str | None = None
    sampling: bytes | None = None
    prompt: TextValue | None = None


@dataclass(frozen=True, slots=True)
class AnnotationValue:
    """One rater's answers to the project's form. `rater` None: the import's source; `shown`: positions as shown.

    Positions are those of the row's completions, until `annotated.row_checked` maps them to stored ones and fills the
    summary.
    """

    rater: str | None
    at: datetime | None
    shown: tuple[int, ...] | None
    answers: Mapping[str, Any]
    outcome: str = ""
    vote: int | None = None
    vote_scale: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file. `chosen`: index of the preferred completion, None where the file has no choice.

    `annotations`: answers about all its completions together. `is_one`: its completions are one comparison, also where
    nobody has answered yet.
    """

    prompt: TextValue
    completions: tuple[CompletionValue, ...]
    chosen: int | None = None
    context: str = ""
    annotations: tuple[AnnotationValue, ...] = ()
    is_one: bool = False
    media: tuple[Medium, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """The completions of one comparison in stored order (by content hash), each with its prompt.

    `outcome`: first, second, or empty without a choice. `one_prompt`: all answer one prompt whose text is known.
    """

    key: bytes
    prompt: TextValue
    completions: tuple[CompletionValue, ...]
    outcome: str = NO_CHOICE
    context: str = ""
    one_prompt: bool = True


def encode(body: str, field: str) -> bytes:
    """UTF-8, refused where the database could not keep it."""
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
    encoded = encode(body, field)
    return TextValue(PLAIN, body, encoded, text_sha256(PLAIN, encoded))


def name_value(name: str, field: str) -> TextValue:
    """The name of a text that the file does not hold."""
    encoded = encode(name, field)
    return TextValue(NAME, name, encoded, text_sha256(NAME, encoded))


def messages_value(messages: Sequence[Mapping[str, Any]], field: str) -> TextValue:
    """Messages as canonical JSON; each must hold a known role and a content, and may call tools or answer a call."""
    clean, only_text = [], True
    for number, message in enumerate(messages, start=1):
        where = f"message {number} of {field}"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise RowRefused("wrong_type", f"{where} needs a role, one of {', '.join(sorted(ROLES))}")
        spare = sorted(key for key, value in message.items() if value and key not in MESSAGE_FIELDS)
        if spare:
            raise RowRefused("content_not_text", f"{where} has {', '.join(map(shown, spare[:5]))}, which is not read")
        beyond = {key: message[key] for key in ("name", "tool_call_id", "tool_calls") if message.get(key)}
        if not isinstance(beyond.get("tool_calls", []), list):
            raise RowRefused("content_not_text", f"{where} has tool calls that are no list")
        if any(not _is_call(call) for call in beyond.get("tool_calls", ())):
            raise RowRefused("content_not_text", f"{where} calls a tool without naming it")
        content = _content(message.get("content"), where, may_be_missing="tool_calls" in beyond)
        only_text = only_text and not beyond and isinstance(content, str)
        clean.append({"content": content, "role": message["role"], **beyond})
    encoded = _json(clean, field)
    return TextValue(MESSAGES, encoded.decode(), encoded, text_sha256(MESSAGES, encoded), only_text)


def _is_call(call: object) -> bool:
    function = call.get("function", call) if isinstance(call, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _content(content: object, where: str, *, may_be_missing: bool) -> object:
    """A text, or a list of texts and media whose bytes are kept (`media.py`)."""
    if content is None and may_be_missing:
        return ""
    if isinstance(content, str):
        encode(content, where)
        return content
    if not isinstance(content, list) or not content:
        raise RowRefused("content_not_text", f"{where} has a content that is neither a text nor a list of parts")
    return [_part(part, where) for part in content]


def _part(part: object, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "text" and isinstance(part.get("text"), str):
        return {"text": part["text"], "type": "text"}
    if isinstance(part, dict) and kind in MEDIA_KINDS and str(part.get(kind, "")).startswith(MEDIA_ADDRESS):
        read: dict[str, Any] = {key: str(part[key]) for key in (kind, "text", "type", *BESIDE) if key in part}
        if not read.get("poster", MEDIA_ADDRESS).startswith(MEDIA_ADDRESS):
            raise RowRefused("media_address", f"{where} names a poster by an address; it comes as a file or bytes")
        return read | ({"captions": [_track(one, where) for one in part["captions"]]} if part.get("captions") else {})
    raise RowRefused("content_not_text", f"{where} holds a part of the type {shown(str(kind))}, which is not read")


def _track(track: Mapping[str, Any], where: str) -> dict[str, str]:
    """Captions whose file is kept; only `media.py` writes these."""
    if not str(track.get("file", "")).startswith(MEDIA_ADDRESS):
        raise RowRefused("media_address", f"{where} names captions by an address; they come as files or bytes")
    return {key: str(track[key]) for key in ("file", "label", "language") if key in track}


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_JSON_CAUSES = {"surrogate": "lone_surrogate", "recursion": "nested_too_deep", "64-bit": "number_out_of_range"}


def _json(value: object, field: str) -> bytes:
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        said = str(error).lower()
        cause = next((c for word, c in _JSON_CAUSES.items() if word in said), "wrong_type")
        raise RowRefused(cause, f"{field} holds what JSON cannot: {shown(str(error))}") from None
    if _NUL.search(encoded):
        raise RowRefused("nul_character", f"{field} holds a NUL character, which the database cannot keep")
    return encoded


def has_content(message: Mapping[str, Any]) -> bool:
    """Whether a message says, shows or calls anything."""
    content = message.get("content")
    if isinstance(content, list):
        return any(part.get("type") != "text" or part["text"].strip() for part in content)
    return bool((content or "").strip() or message.get("tool_calls"))


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


def context_value(value: object) -> str:
    """A criterion or persona under which completions are judged; empty without one."""
    context = value or ""
    if not isinstance(context, str):
        raise RowRefused("wrong_type", "context must be a text")
    encode(context, "context")
    return context


def completion_value(value: object, field: str, limits: Limits) -> TextValue:
    """A completion from a string or a list of messages; an empty one is refused."""
    if isinstance(value, str):
        empty, text = not value.strip(), plain_value(value, field)
    elif is_messages(value):
        text = messages_value(value, field)  # type: ignore[arg-type]
        empty = not any(has_content(message) for message in value)  # type: ignore[attr-defined]
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


def row_comparisons(
    row: Row, *, together: bool = False, per_prompt: int | None = None, salt: bytes = b""
) -> list[Compared]:
    """What of a row is compared: all its completions together where the caller or its shape asks for it, else pairs."""
    return [row_together(row)] if together or row.is_one else row_pairs(row, per_prompt=per_prompt, salt=salt)


def row_pairs(row: Row, *, per_prompt: int | None = None, salt: bytes = b"") -> list[Compared]:
    """All pairs of the row's different completions, or `per_prompt` of them chosen by a hash keyed with `salt`.

    Stored order follows the content hashes, so that neither place nor insert order tells which one a file preferred.
    """
    distinct = {completion.text.sha256: completion for completion in reversed(row.completions)}
    preferred = None if row.chosen is None else row.completions[row.chosen].text.sha256
    pairs = []
    for low, high in combinations(sorted(distinct), 2):
        outcome = FIRST if low == preferred else SECOND if high == preferred else NO_CHOICE
        key = comparison_key(row.prompt.sha256, (low, high), row.context)
        pairs.append(Compared(key, row.prompt, (distinct[low], distinct[high]), outcome, row.context))
    if per_prompt is None or len(pairs) <= per_prompt:
        return pairs
    return sorted(pairs, key=lambda pair: hmac.digest(salt, pair.key, "sha256"))[:per_prompt]


def row_together(row: Row) -> Compared:
    """All the row's completions as one comparison.

    Raises:
        RowRefused: more than nine, or the same completion of the same prompt twice.
    """
    if len(row.completions) > MOST_TOGETHER:
        raise RowRefused(
            "completions_too_many",
            f"there are {len(row.completions)} completions; at most {MOST_TOGETHER} are compared together",
        )
    placed = tuple(row.completions[index] for index in stored_order(row))
    places = [_place(row, one) for one in placed]
    if len(set(places)) < len(places):
        raise RowRefused("completions_equal", "two of its completions are the same text")
    # Where prompts differ, the comparison's is that of its first completion.
    prompt, hashes = placed[0].prompt or row.prompt, [text for _, text in places]
    if len({own for own, _ in places}) > 1:
        own = tuple(replace(one, prompt=one.prompt or row.prompt) for one in placed)
        return Compared(joint_key(places, row.context), prompt, own, context=row.context, one_prompt=False)
    key = comparison_key(prompt.sha256, hashes, row.context)
    return Compared(key, prompt, placed, context=row.context, one_prompt=prompt.form != NAME)


def stored_order(row: Row) -> list[int]:
    """Which of the row's completions stands at each stored position."""
    return places_ordered([_place(row, one) for one in row.completions])


def _place(row: Row, completion: CompletionValue) -> tuple[bytes, bytes]:
    return (completion.prompt or row.prompt).sha256, completion.text.sha256

"""Stored texts as turns, and what the completions of a comparison share. Pure.

A text is plain, a transcript (`annotation/transcripts.py`) or canonical JSON of messages. A message's content is a text
or a list of parts: `{"type": "text", "text": ...}`, or a medium `{"type": "image", "image": "sha256:HEX"}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Protocol

from annotation.transcripts import transcript_turns

MEDIA = ("image", "audio", "video")
MEDIA_ADDRESS = "sha256:"
NAME_ONLY = "The text of this prompt is not in the file. Its name:"
# From so many shared turns on, all but the last are folded.
FOLDED_FROM = 3
_FENCE = re.compile(r" {0,3}(```+|~~~+)")


@dataclass(frozen=True)
class Captions:
    """A track of a sound or film; `language` and `label` may be empty."""

    sha256: str
    language: str = ""
    label: str = ""


@dataclass(frozen=True)
class Part:
    """A piece of a message. `kind`: text, image, audio or video; `text`: the text, or what a medium shows.

    `poster`: the hash of a film's picture before it plays; `transcript`: the words of a sound or film.
    """

    kind: str
    text: str
    sha256: str = ""
    poster: str = ""
    captions: tuple[Captions, ...] = ()
    transcript: str = ""


@dataclass(frozen=True)
class ToolCall:
    """A call as a model wrote it; `arguments` is JSON, or what stood in its place."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Turn:
    """One message.

    Attributes:
        role: system, user, assistant or tool; empty for a plain text.
        content: all its text.
        parts: text and media in their order; empty where the content is one text.
        calls: the tools it calls.
        tool: of a tool's result, the tool's name where the message tells it.
        more: fields that have no place of their own, as JSON, so that nothing is left out.
        number: its place among the turns that are not the system's, from 1; 0 for the system's.
        at: its place among all turns of the conversation, from 0.
    """

    role: str
    content: str
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    tool: str = ""
    more: str = ""
    number: int = 0
    at: int = 0

    @property
    def shown(self) -> tuple[Part, ...]:
        """What there is to draw, in order."""
        return self.parts or ((Part("text", self.content),) if self.content else ())

    @property
    def is_empty(self) -> bool:
        return not (self.content.strip() or self.parts or self.calls or self.more)

    @property
    def who(self) -> str:
        """Role and number in words."""
        word = {"tool": "Tool result", "": "Text"}.get(self.role, self.role.capitalize())
        return f"{word}, turn {self.number}" if self.number else word


class StoredText(Protocol):
    """`form` is plain or messages; `body` the text, or canonical JSON of the messages."""

    @property
    def form(self) -> str: ...
    @property
    def body(self) -> str: ...


@dataclass(frozen=True)
class Parted:
    """The turns of a comparison, each once.

    Attributes:
        shared: what stands before all completions: the prompt, and turns with which all of them begin.
        rest: by completion, what it alone says; never empty, so a completion without a word is an empty turn.
    """

    shared: tuple[Turn, ...]
    rest: tuple[tuple[Turn, ...], ...]

    @property
    def first(self) -> tuple[Turn, ...]:
        """Turns of the system with which the conversation begins."""
        others = (at for at, turn in enumerate(self.shared) if turn.role != "system")
        return self.shared[: next(others, len(self.shared))]

    @property
    def folded(self) -> tuple[Turn, ...]:
        """Older shared turns, which a page folds under `title`."""
        older = self.shared[len(self.first) : -1]
        return older if len(older) + 1 >= FOLDED_FROM else ()

    @property
    def title(self) -> str:
        """The first words of what is folded."""
        words = next((turn.content for turn in self.folded if turn.content.strip()), "")
        return shortened(words, 60)

    @property
    def last(self) -> tuple[Turn, ...]:
        """Shared turns that stand open, right before the completions."""
        return self.shared[len(self.first) + len(self.folded) :]


def parted(prompt: StoredText, completions: Sequence[StoredText]) -> Parted:
    """The prompt and the turns with which all completions begin, once; and the rest of each.

    The last turn of a completion is never shared: one completion may be the beginning of another. One alone shares nothing:
    all of it is to be judged.
    """
    before = turns(prompt.form, prompt.body)
    role = "assistant" if before[0].role else ""
    answers = [turns(text.form, text.body, role) for text in completions]
    most = min(len(answer) for answer in answers) - 1 if len(answers) > 1 else 0
    common = next((at for at in range(most) if len({answer[at] for answer in answers}) > 1), max(most, 0))
    shared = [*before, *(answers[0][:common] if answers else [])]
    kept = len(shared)
    return Parted(
        _numbered(shared), tuple(_numbered([*shared, *answer[common:]])[kept:] for answer in answers)
    )


def _numbered(found: Sequence[Turn]) -> tuple[Turn, ...]:
    numbers = count(1)
    return tuple(
        replace(turn, at=at, number=0 if turn.role in {"system", ""} else next(numbers))
        for at, turn in enumerate(found)
    )


def turns(form: str, body: str, role: str = "") -> list[Turn]:
    """A stored text as its turns; `role` is whose a plain text is. At least one turn, maybe an empty one.

    A text of the form `name` is not there: all that is known of it is what it is called.
    """
    if form == "name":
        return [Turn(role, f"{NAME_ONLY} {body}")]
    if form == "messages":
        messages: list[dict[str, Any]] = json.loads(body)
        names = {
            call.get("id"): _function(call).get("name") for message in messages for call in _calls_of(message)
        }
        return [_turn(message, names) for message in messages] or [Turn(role, "")]
    found = transcript_turns(body)
    if found is not None:
        return [Turn(turn.role, turn.content) for turn in found] or [Turn(role, body)]
    return [Turn(role, body)]


def _turn(message: dict[str, Any], names: dict[Any, Any]) -> Turn:
    content = message.get("content")
    parts = tuple(map(_part, content)) if isinstance(content, list) else ()
    # Whose name a message of another role has, such as the model's that wrote it, is nobody's business here.
    is_answer = message.get("role") == "tool"
    tool = (message.get("name") or names.get(message.get("tool_call_id")) or "") if is_answer else ""
    known = {"role", "content", "tool_calls", "name", "tool_call_id"}
    more = {key: value for key, value in message.items() if key not in known and value}
    return Turn(
        role=str(message.get("role", "")),
        content="\n\n".join(p.text for p in parts if p.kind == "text") if parts else _as_text(content),
        parts=parts,
        calls=tuple(
            ToolCall(str(_function(call).get("name", "")), _as_text(_function(call).get("arguments")))
            for call in _calls_of(message)
        ),
        tool=str(tool),
        more=_as_text(more) if more else "",
    )


def _part(part: Any) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in MEDIA and str(part.get(kind, "")).startswith(MEDIA_ADDRESS):
        return Part(
            kind,
            str(part.get("text") or ""),
            _hash(part[kind]),
            _hash(part.get("poster")),
            tuple(_captions(part.get("captions"))),
            str(part.get("transcript") or ""),
        )
    if kind == "text" and isinstance(part.get("text"), str):
        return Part("text", part["text"])
    return Part("text", _as_text(part))


def _hash(address: Any) -> str:
    return str(address or "").removeprefix(MEDIA_ADDRESS)


def _captions(tracks: Any) -> Iterator[Captions]:
    for track in tracks if isinstance(tracks, list) else []:
        if isinstance(track, dict) and track.get("file"):
            yield Captions(_hash(track["file"]), str(track.get("language") or ""), str(track.get("label") or ""))


def _calls_of(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        yield call if isinstance(call, dict) else {"name": "", "arguments": call}


def _function(call: dict[str, Any]) -> dict[str, Any]:
    inner = call.get("function")
    return inner if isinstance(inner, dict) else call


def _as_text(value: Any) -> str:
    """A text itself, JSON indented; JSON inside a text is indented too where it is an object."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, indent=2)
    return value


def arguments_shown(arguments: str) -> str:
    """Arguments that came as JSON in a text, indented; anything else as it is."""
    try:
        read = json.loads(arguments) if arguments[:1] in {"{", "["} else None
    except (ValueError, RecursionError):
        return arguments
    return arguments if read is None else _as_text(read)


def one_line(form: str, body: str, limit: int = 200) -> str:
    """The last turn's first words, for tables."""
    return shortened(turns(form, body)[-1].content, limit)


def shortened(text: str, limit: int) -> str:
    words = " ".join(text[: limit * 4].split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def sections(text: str, most: int) -> list[str]:
    """A long text cut between paragraphs, never inside a block of code that fits; joined they are the text again.

    Args:
        text: Markdown or plain.
        most: characters a section may have, if its lines allow.
    """
    if len(text) <= most:
        return [text]
    found, start, best, at, fence = [], 0, 0, 0, ""
    for line in text.splitlines(keepends=True):
        while at + len(line) - start > most and at > start:
            cut = best if best > start else at
            found.append(text[start:cut])
            start = cut
        mark = _FENCE.match(line)
        if mark:
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        at += len(line)
        if not fence and not line.strip():
            best = at
    return [*found, text[start:]]

"""Plain transcripts whose turns open with `Human:` and `Assistant:`: their marks, and their turns. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
_MARK = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True)
class Turn:
    """`role`: user or assistant. `content`: without the space after the mark."""

    role: str
    content: str


def transcript_turns(text: str) -> list[Turn] | None:
    """The turns of a transcript, without the empty last one that waits for an answer; None if it is none.

    Example:
        >>> transcript_turns("\\n\\nHuman: Name a prime.\\n\\nAssistant:")
        [Turn(role='user', content='Name a prime.')]
        >>> transcript_turns("Name a prime.") is None
        True
    """
    if not text.startswith(HUMAN):
        return None
    parts = _MARK.split(text)[1:]
    turns = [
        Turn(_ROLES[role], content.removeprefix(" "))
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    ]
    if turns[-1] == Turn("assistant", ""):
        turns.pop()
    return turns

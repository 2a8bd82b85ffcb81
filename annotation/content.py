"""Content hashes: under which a text is stored, and which set of completions a comparison is. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

Place = tuple[bytes, bytes]


def text_sha256(form: str, encoded: bytes) -> bytes:
    """The content hash under which a text is stored, over its form, NUL and UTF-8 bytes."""
    return hashlib.sha256(form.encode() + b"\0" + encoded).digest()


def places_ordered(places: Sequence[Place]) -> list[int]:
    """Which of these (prompt, completion) hashes stands at each stored position: by completion, then by prompt.

    Example:
        >>> places_ordered([(b"p", b"b"), (b"p", b"a")])
        [1, 0]
    """
    return sorted(range(len(places)), key=lambda index: places[index][::-1])


def comparison_key(prompt: bytes, completions: Sequence[bytes], context: str = "") -> bytes:
    """SHA-256 over the hashes of prompt and completions (in stored order) and the context."""
    return hashlib.sha256(prompt + b"".join(completions) + context.encode()).digest()


def joint_key(places: Sequence[Place], context: str = "") -> bytes:
    """The same for completions of different prompts: SHA-256 over a mark, each pair of hashes, and the context."""
    pairs = b"".join(prompt + completion for prompt, completion in places)
    return hashlib.sha256(b"joint\0" + pairs + context.encode()).digest()

"""Warnings on a comparison's texts: a completion that names its maker, and characters that fool the eye. Pure."""

from __future__ import annotations

import re

IDENTITY_LEAK, CONTROL_CHARACTERS = "identity_leak", "control_characters"

_VENDORS = (
    "openai", "chatgpt", "gpt-", "anthropic", "claude", "google", "gemini", "deepmind", "meta ai", "llama", "mistral",
    "qwen", "alibaba", "tongyi", "deepseek", "moonshot", "kimi", "zhipu", "chatglm", "cohere", "microsoft", "copilot",
    "xai", "grok", "vicuna", "alpaca", "falcon", "baichuan",
)  # fmt: skip
_IDENTITY = re.compile(
    r"\b(?:i am|i'm|i\u2019m|my name is|as an?|(?:trained|made|created|developed|built) by)\b[^.!?\n]{0,60}?(?<!\w)(?:"
    + "|".join(re.escape(vendor) for vendor in _VENDORS)
    + ")"
)
# C0 and C1 controls but tab, line feed and carriage return; zero-width characters; marks and overrides of direction.
_CONTROL = re.compile(
    "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_ASCII_CONTROL = bytes(set(range(0x20)) - set(b"\t\n\r") | {0x7F})
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{8}")


def has_control_characters(text: str, encoded: bytes) -> bool:
    """Whether it holds characters that are invisible, reorder text, or pile up (8 combining marks in a row).

    Args:
        text: the text.
        encoded: its UTF-8 bytes.

    Example:
        >>> has_control_characters("a\u202eb", "a\u202eb".encode()), has_control_characters("plain", b"plain")
        (True, False)
    """
    if text.isascii():
        return len(encoded.translate(None, _ASCII_CONTROL)) != len(encoded)
    return bool(_CONTROL.search(text) or _MARKS.search(text))


def leaks_identity(text: str) -> bool:
    """Whether a completion seems to say which model it is or who made it ("I am X, made by Y").

    Example:
        >>> leaks_identity("I am ChatGPT, a model trained by OpenAI."), leaks_identity("I like my claude tie.")
        (True, False)
    """
    lower = text.lower()
    # Plain searches first: together they cost a tenth of the pattern, and most texts hold none of these words.
    if not ("i am" in lower or "i'm" in lower or "i\u2019m" in lower or " by " in lower or "as a" in lower
            or "my name is" in lower):  # fmt: skip
        return False
    return any(vendor in lower for vendor in _VENDORS) and _IDENTITY.search(lower) is not None

"""WebVTT captions made plain: when, and which words; styles, regions, notes, places and markup are left out. Pure.

Cleaning a clean file changes nothing, so that it keeps its hash. Source: WebVTT, W3C Candidate Recommendation 2019.
"""

from __future__ import annotations

import re

from pipelines.imports.errors import RowRefused

MOST_CUES = 20_000
MOST_BYTES = 2_000_000
_TIMES = re.compile(r"\s*((?:\d{2,5}:)?\d\d:\d\d\.\d{3})[ \t]+-->[ \t]+((?:\d{2,5}:)?\d\d:\d\d\.\d{3})(?:[ \t].*)?")
_TAG = re.compile(r"<[^<>]*>")
# Read as they are shown, "&" last, so that what is written twice is read once.
_ENTITIES = (("&lrm;", "\u200e"), ("&rlm;", "\u200f"), ("&nbsp;", "\u00a0"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def captions_clean(data: bytes, field: str) -> bytes:
    """The captions with times and plain words only.

    Raises:
        RowRefused: it is no WebVTT, has no cue, or a cue whose times cannot be read.

    Example:
        >>> captions_clean(b"WEBVTT\\n\\n00:01.000 --> 00:02.000 line:0\\n<v Ada>Hello <b>there</b>", "chosen").decode()
        'WEBVTT\\n\\n00:00:01.000 --> 00:00:02.000\\nHello there\\n'
    """
    if len(data) > MOST_BYTES:
        raise RowRefused("media_too_large", f"captions of {field} have {len(data):,} bytes; at most {MOST_BYTES:,} fit")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")
    except UnicodeDecodeError:
        raise RowRefused("media_type", f"captions of {field} are not WebVTT in UTF-8") from None
    if not re.match(r"WEBVTT(?:[ \t\n]|$)", text):
        raise RowRefused("media_type", f"captions of {field} are not WebVTT: they do not begin with that word")
    cues = [cue for block in re.split(r"\n{2,}", text)[1:] if (cue := _cue(block, field))]
    if not 1 <= len(cues) <= MOST_CUES:
        raise RowRefused("media_type", f"captions of {field} have {len(cues):,} cues; 1 to {MOST_CUES:,} are read")
    return ("WEBVTT\n\n" + "\n".join(cues)).encode()


def _cue(block: str, field: str) -> str:
    """One block as it is kept; empty for what is no cue."""
    lines = block.strip("\n").split("\n")
    at = next((n for n, line in enumerate(lines[:2]) if "-->" in line), None)
    if at is None:
        return ""
    times = _TIMES.fullmatch(lines[at])
    if times is None or _long(times[1]) >= _long(times[2]):
        raise RowRefused("captions_broken", f"captions of {field} have a cue whose times cannot be read: {lines[at][:60]!r}")
    words = "\n".join(filter(None, (_plain(line) for line in lines[at + 1 :])))
    return f"{_long(times[1])} --> {_long(times[2])}\n{words}\n" if words else ""


def _long(time: str) -> str:
    """With hours of at least two digits."""
    return time if time.count(":") == 2 else f"00:{time}"


def _plain(line: str) -> str:
    text = _TAG.sub("", line)
    for written, meant in _ENTITIES:
        text = text.replace(written, meant)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").strip()

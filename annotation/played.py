"""Sounds and films in stored texts, and how much of them is played before an answer counts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PLAYED = ("audio", "video")
ADDRESS = "sha256:"


def played_media(form: str, body: str) -> list[str]:
    """The hashes of the sounds and films of a text, in their order.

    Example:
        >>> played_media("messages", '[{"content": [{"type": "audio", "audio": "sha256:ab"}], "role": "user"}]')
        ['ab']
    """
    if form != "messages" or ADDRESS not in body:
        return []
    contents = [message.get("content") for message in json.loads(body)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [str(part[part["type"]]).removeprefix(ADDRESS) for part in parts if part.get("type") in PLAYED]


# A page reports whole seconds and whole hundredths, and players end a little before the length of a file.
SLACK_SECONDS, SLACK_PERCENT, TO_ITS_END = 1, 1, 0.97


@dataclass(frozen=True)
class Gate:
    """How much of each sound and film is played before an answer counts: so many seconds, or to its end; and per cent."""

    seconds: int
    percent: int

    def holds(self, texts: Sequence[tuple[str, str]]) -> bool:
        """Whether it asks anything of these texts (form and body)."""
        return bool(self.seconds or self.percent) and any(played_media(form, body) for form, body in texts)

    def unplayed(self, texts: Sequence[tuple[str, str]], exposure: Mapping[str, Any], sides: str) -> list[str]:
        """The sides whose sounds and films were played too little, after what the page reported of each.

        Args:
            texts: form and body in the order shown.
            exposure: `played_a`: seconds of the side's least played medium; `share_a`: 0 to 1 of it.
            sides: the letters in the same order.

        Example:
            >>> sound = ("messages", '[{"content": [{"type": "audio", "audio": "sha256:ab"}], "role": "user"}]')
            >>> Gate(5, 50).unplayed([sound, sound], {"played_a": 9, "share_a": 0.6, "played_b": 9}, "AB")
            ['B']
        """
        shown = [side for side, text in zip(sides, texts, strict=False) if played_media(*text)]
        return [side for side in shown if not self._is_open(exposure, side.lower())]

    def _is_open(self, exposure: Mapping[str, Any], side: str) -> bool:
        played, share = (float(exposure.get(f"{name}_{side}") or 0) for name in ("played", "share"))
        enough = played >= self.seconds - SLACK_SECONDS or share >= TO_ITS_END
        return enough and 100 * share >= self.percent - SLACK_PERCENT

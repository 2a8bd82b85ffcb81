"""The values of a line: what may be a name or a label, which values are one, and how a sentence shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson

from pipelines.labels.votes import IntArray

EXACT = 2.0**53


@dataclass
class Names:
    """Numbers for values as they come: equal as text are one, as are 3, 3.0 and "3"; shown as they first came."""

    values: list[Any] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict)

    def number(self, value: Any) -> int:
        key = value if isinstance(value, str) else name_key(value)
        found = self._index.setdefault(key, len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found

    def find(self, value: Any) -> int | None:
        return self._index.get(name_key(value))

    def sort(self) -> IntArray:
        """Put the values in order of their text; returns the new number of each old one."""
        keys = list(self._index)
        order = sorted(range(len(keys)), key=keys.__getitem__)
        place = np.empty(len(keys), dtype=np.int64)
        place[order] = np.arange(len(keys))
        self.values = [self.values[old] for old in order]
        self._index = {keys[old]: new for new, old in enumerate(order)}
        return place

    def __len__(self) -> int:
        return len(self.values)


def name_fault(column: str, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return f"`{column}` must be a text or a number; got {short(value)}"
    return _number_fault(column, value)


def label_fault(value: Any) -> str | None:
    if not isinstance(value, str | int | float) or value == "":
        return f"`label` must be a text, a number or true or false; got {short(value)}"
    return _number_fault("label", value)


def _number_fault(column: str, value: Any) -> str | None:
    """Numbers of JSON past 64 bits, or with a point past 2^53, arrive rounded: different ones would be one name."""
    if isinstance(value, float) and abs(value) >= EXACT:
        return f"`{column}` is a number too large to be told from its neighbours, about {value:.6g}; write it as a text"
    return None


def seconds(at: Any) -> float | None:
    """A time as seconds; None where it is no time. Without a zone it is UTC."""
    if isinstance(at, int | float) and not isinstance(at, bool):
        return float(at)
    try:
        time = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def name_key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return orjson.dumps(value).decode()


def short(value: Any) -> str:
    text = orjson.dumps(value).decode(errors="replace") if value is not None else "nothing"
    return text if len(text) <= 60 else text[:57] + "..."

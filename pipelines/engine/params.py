"""One hash over the arguments that can change a number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any


def params_hash(params: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the canonical JSON (sorted keys, no spaces) of the arguments.

    Example:
        >>> params_hash({"b": 1, "a": [2]}) == params_hash({"a": [2], "b": 1})
        True
    """
    text = json.dumps(params, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(text.encode()).hexdigest()

"""Draws that repeat: a number in [0, 1) from a seed and a key, the same in every process everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pipelines.routing.errors import ShareOutOfRange


def keyed_uniform(seed: str, keys: Sequence[str]) -> NDArray[np.float64]:
    """(n,) numbers in [0, 1), one a key, that depend on seed and key alone and not on order or company."""
    secret = blake2b(seed.encode(), digest_size=32).digest()
    words = [int.from_bytes(blake2b(key.encode(), key=secret, digest_size=8).digest(), "big") for key in keys]
    # 53 bits are what a float holds: more would round up to 1.
    return np.array([word >> 11 for word in words], dtype=np.float64) / 2.0**53


def pilot_draw(seed: str, keys: Sequence[str], share: float) -> NDArray[np.bool_]:
    """(n,) True for a random `share` of the keys, rounded, at least one if the share is above 0.

    Raises:
        ShareOutOfRange: a share outside 0..1.
    """
    if not 0.0 <= share <= 1.0:
        raise ShareOutOfRange(share)
    picked = np.zeros(len(keys), dtype=bool)
    if share == 0.0 or not keys:
        return picked
    size = max(1, round(share * len(keys)))
    picked[np.argsort(keyed_uniform(seed, keys), kind="stable")[:size]] = True
    return picked

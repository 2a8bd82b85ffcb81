"""What a page counts over a whole project, kept for a minute where counting takes long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

SLOW_SECONDS = 0.05
KEPT_SECONDS = 60

T = TypeVar("T")


def kept(key: str, make: Callable[[], T]) -> T:
    """The value of this key, made anew when a minute has passed.

    A quick one is never kept, so that small projects always show what is. The key names all that the value depends on
    and must not be served old.
    """
    found = cache.get(key)
    if found is not None:
        value: T = found
        return value
    start = time.monotonic()
    value = make()
    if time.monotonic() - start > SLOW_SECONDS:
        cache.set(key, value, KEPT_SECONDS)
    return value

"""What a page counts over a whole project, kept for a minute where the project is large."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

LARGE = 10_000
KEPT_SECONDS = 60

T = TypeVar("T")


def kept(key: str, make: Callable[[], T], *, size: Callable[[T], int], large: int = LARGE) -> T:
    """The value of this key, made anew when a minute has passed, or each time where it is not of so many rows (`large`).

    `size`: how many rows a value speaks of. The key names all that the value depends on and must not be served old.
    """
    found = cache.get(key)
    if found is not None:
        value: T = found
        return value
    value = make()
    if size(value) >= large:
        cache.set(key, value, KEPT_SECONDS)
    return value

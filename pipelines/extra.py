"""Whether the machine-learning extra is there, without importing any of it."""

from __future__ import annotations

from importlib.util import find_spec

from pipelines.errors import MissingExtra
from pipelines.queue import ML, queue_served

COMMAND = "python3 -m launcher setup --ml"


def ml_installed() -> bool:
    return find_spec("torch") is not None and find_spec("transformers") is not None


def ml_require() -> None:
    """Raise `MissingExtra` where this process cannot load models."""
    if not ml_installed():
        raise MissingExtra(f"The machine-learning extra is not installed. Add it with: {COMMAND}")


def ml_reachable(queue: str = ML) -> None:
    """Raise `MissingExtra` when neither a worker of the queue nor this process could do the work."""
    if not queue_served(queue):
        ml_require()

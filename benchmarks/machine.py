"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime


def machine(*packages: str) -> dict[str, object]:
    """Date, cores, memory in GiB, accelerator and versions, for the record beside the figures."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages * size / 2**30),
        "accelerator": "none",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("django", "psycopg", *packages)},
    }

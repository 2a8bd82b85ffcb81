"""Winnow is Apache-2.0; each runtime dependency's licence lets it be used so."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Permissive families, as metadata spells them.
PERMISSIVE = re.compile(r"apache|bsd|mit\b|mit license|isc|psf|python software foundation|zlib|0bsd|new bsd|dual license", re.I)
# Used unchanged and as separate packages, which these licences allow.
WEAK_COPYLEFT = {
    "certifi": "MPL-2.0: its file of certificates is not changed",
    "orjson": "MPL-2.0 and (Apache-2.0 or MIT): installed unchanged",
    "psycopg": "LGPL-3.0: imported as a library, replaceable",
    "psycopg-binary": "LGPL-3.0: imported as a library, replaceable",
    "psycopg-pool": "LGPL-3.0: imported as a library, replaceable",
    "pyphen": "MPL-1.1, one of three to choose from: installed unchanged",
    "tqdm": "MPL-2.0 and MIT: installed unchanged",
}


def locked() -> list[str]:
    lines = (ROOT / "requirements" / "ml.lock").read_text().splitlines()
    return sorted({line.split("==")[0] for line in lines if "==" in line} | {"torch"})


def licence(name: str) -> str:
    metadata = importlib.metadata.metadata(name)
    classifiers = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License")]
    return " ".join([metadata.get("License-Expression") or "", (metadata.get("License") or "")[:60], *classifiers])


@pytest.mark.parametrize("name", locked())
def test_every_runtime_dependency_may_be_used(name):
    if name in WEAK_COPYLEFT:
        return
    found = licence(name)
    assert PERMISSIVE.search(found), f"{name} has the licence {found!r}: look at it, then list it or leave it out"
    assert not re.search(r"\bA?GPL|General Public", found), f"{name} is {found!r}"

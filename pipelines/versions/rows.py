"""Canonical rows: the bytes that a version freezes, and the hash over all of them. Pure.

A row is one JSON object, keys sorted, UTF-8, without spaces; no time, host, path, database id or user is in it. Numbers
are rounded to 6 decimals, so that a sum taken in another order gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from pipelines.versions.forms import Content, PairTexts

DECIMALS = 6


@dataclass(frozen=True, slots=True)
class FrozenRow:
    """One preference as it is frozen.

    Attributes:
        comparison: the comparison's content key, 32 bytes.
        texts: prompt, chosen, rejected, in the version's form.
        soft_label: P(chosen better), 0 to 1.
        flip_probability: in [0, 0.5).
        p_tie, confidence: 0 to 1; confidence is the probability of this direction.
        strength: how clearly chosen beats rejected, -1 to 1 (negative: the votes' mean points the other way), or None.
        agreement: share of votes for this direction, or None without votes.
        votes: annotations under it. predictions: judges whose predictions are under it too.
        origin: person, model or source.
        method: how the label was made, with its version.
        weight: for training, 1 unless a method says otherwise.
    """

    comparison: bytes
    texts: PairTexts
    soft_label: float
    flip_probability: float
    p_tie: float
    confidence: float
    strength: float | None
    agreement: float | None
    votes: int
    predictions: int
    origin: str
    method: str
    weight: float


@dataclass(frozen=True, slots=True)
class FrozenLabel:
    """One labelled completion as it is frozen: `label` is True where it is desirable; the rest as of `FrozenRow`.

    `soft_label`: P(desirable). `flip_probability`: that of the label, in [0, 0.5).
    """

    comparison: bytes
    prompt: Content
    completion: Content
    label: bool
    soft_label: float
    flip_probability: float
    agreement: float | None
    votes: int
    origin: str
    method: str
    weight: float


def canonical_bytes(row: FrozenRow | FrozenLabel) -> bytes:
    """The canonical JSON of a row."""
    if isinstance(row, FrozenLabel):
        return _label_bytes(row)
    return orjson.dumps(
        {
            "agreement": _number(row.agreement),
            "chosen": row.texts.chosen,
            "comparison": row.comparison.hex(),
            "confidence": _number(row.confidence),
            "flip_probability": _number(row.flip_probability),
            "method": row.method,
            "origin": row.origin,
            "p_tie": _number(row.p_tie),
            "predictions": row.predictions,
            "prompt": row.texts.prompt,
            "rejected": row.texts.rejected,
            "soft_label": _number(row.soft_label),
            "strength": _number(row.strength),
            "votes": row.votes,
            "weight": _number(row.weight),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def _label_bytes(row: FrozenLabel) -> bytes:
    return orjson.dumps(
        {
            "agreement": _number(row.agreement),
            "comparison": row.comparison.hex(),
            "completion": row.completion,
            "flip_probability": _number(row.flip_probability),
            "label": row.label,
            "method": row.method,
            "origin": row.origin,
            "prompt": row.prompt,
            "soft_label": _number(row.soft_label),
            "votes": row.votes,
            "weight": _number(row.weight),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def _number(value: float | None) -> float | None:
    # Adding 0.0 turns -0.0, which prints otherwise, into 0.0.
    return None if value is None else round(float(value), DECIMALS) + 0.0


def row_sha256(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()


def root_hash(row_hashes: Iterable[bytes]) -> str:
    """SHA-256, hex, over the rows' hashes in row order.

    Example:
        >>> root_hash([]) == hashlib.sha256().hexdigest()
        True
    """
    total = hashlib.sha256()
    for row_hash in row_hashes:
        total.update(row_hash)
    return total.hexdigest()

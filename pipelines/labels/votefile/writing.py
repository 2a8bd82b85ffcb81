"""items.jsonl, raters.jsonl, report.json and report.html, all of them or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pipelines.errors import InputRefused
from pipelines.labels.votefile.answers import GRADED, Answer, drawn_label
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votes import top_labels

OUTCOMES = ("first", "second", "tie")
FILES = ("items.jsonl", "raters.jsonl", "report.json", "report.html")
CHUNK = 10_000


def folder_write(out: Path, report: dict[str, Any], page: str, answer: Answer, ballot: Ballot) -> None:
    """Write the four files into `out`: first beside it, then each moved into place.

    Raises:
        InputRefused: the folder cannot be written to.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise InputRefused(f"{out} cannot be written: {error.strerror}.") from None
    try:
        _lines_write(beside / "items.jsonl", item_rows(answer, ballot))
        _lines_write(beside / "raters.jsonl", rater_rows(answer, ballot))
        (beside / "report.json").write_bytes(
            orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n"
        )
        (beside / "report.html").write_text(page, encoding="utf-8")
        beside.chmod(0o755)
        _into_place(beside, out)
    except OSError as error:
        raise InputRefused(f"{out} cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _into_place(beside: Path, out: Path) -> None:
    if not out.exists():
        beside.rename(out)
        return
    if not out.is_dir():
        raise InputRefused(f"{out} is there and is no folder; name another --out.")
    for name in FILES:
        if (out / name).is_dir():
            raise InputRefused(f"{out / name} is a folder where a file is to be written; name another --out.")
    for name in FILES:
        os.replace(beside / name, out / name)


def _lines_write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("wb") as lines:
        block = list[bytes]()
        for row in rows:
            block.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            if len(block) >= CHUNK:
                lines.write(b"".join(block))
                block.clear()
        lines.write(b"".join(block))


def item_rows(answer: Answer, ballot: Ballot) -> Iterator[dict[str, Any]]:
    """One row an item."""
    scores = answer.scores
    best, drawn = drawn_label(scores)
    tops = top_labels(scores)
    names = list(OUTCOMES) if ballot.graded is not None else ballot.categories
    keys = [_key(category) for category in ballot.categories]
    counts = ballot.votes.item_counts()
    if answer.method == GRADED and ballot.choices is not None:
        counts = counts + ballot.choices.item_counts()
    votes = counts.tolist()
    probabilities = answer.probabilities.tolist()
    outcomes = None if answer.outcomes is None else answer.outcomes.tolist()
    consensus = None if answer.consensus is None else answer.consensus.tolist()
    numbers = {
        "strength": answer.strength,
        "strength_se": answer.strength_se,
        "flip_probability": answer.flip,
        **answer.items,
    }
    columns = {name: _listed(values) for name, values in numbers.items() if values is not None}
    for item, name in enumerate(ballot.items):
        row: dict[str, Any] = {"item": name, "label": names[best[item]], "votes": votes[item]}
        if drawn[item]:
            row |= {
                "label": None,
                "drawn": True,
                "drawn_labels": [names[k] for k in np.flatnonzero(tops[item])],
            }
        row["probabilities"] = dict(zip(keys, probabilities[item], strict=True))
        if outcomes is not None and consensus is not None:
            row["p_first"], row["p_second"], row["p_tie"] = outcomes[item]
            row["consensus"] = dict(zip(OUTCOMES, consensus[item], strict=True))
        for column, values in columns.items():
            row[column] = values[item]
        yield row


def rater_rows(answer: Answer, ballot: Ballot) -> Iterator[dict[str, Any]]:
    """One row a rater; null where the method says nothing."""
    columns = {"reliability": None, "low": None, "high": None, "side_bias": None, "spam_odds": None}
    filled = columns | {name: _listed(values) for name, values in answer.raters.items()}
    for rater, name in enumerate(ballot.raters):
        row: dict[str, Any] = {"rater": name}
        if ballot.kinds[rater]:
            row["kind"] = ballot.kinds[rater]
        for column, values in filled.items():
            row[column] = None if values is None else values[rater]
        yield row


def _listed(values: np.ndarray) -> list[Any]:
    """Numbers for JSON, which has no NaN."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _key(category: Any) -> str:
    return category if isinstance(category, str) else orjson.dumps(category).decode()

"""TRL unpaired, as KTO reads it: `prompt`, `completion` and `label` (true: desirable).

A version of single completions goes out as it is. A version of pairs gives two rows a pair, chosen with the label true
and rejected with false, next to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from pipelines.exports import ExportedFile, ExportRequest, SplitRow
from pipelines.exports.tables import Table, write_table
from pipelines.versions.forms import completion_in_form

OF_PAIR = ("agreement", "comparison", "flip_probability", "method", "origin", "prompt", "votes", "weight")


def write(rows: Iterable[SplitRow], out: Path, request: ExportRequest) -> list[ExportedFile]:
    """Write the whole export below `out`, an empty folder, one batch at a time; every file is synced to disk."""
    is_paired = request.manifest["recipe"].get("unit", "pairs") == "pairs"
    return write_table(TABLE, _unpaired(rows) if is_paired else rows, out, request)


def _unpaired(rows: Iterable[SplitRow]) -> Iterator[SplitRow]:
    for split, payload in rows:
        pair = orjson.loads(payload)
        shared = {name: pair[name] for name in OF_PAIR}
        for name, label in (("chosen", True), ("rejected", False)):
            soft = pair["soft_label"] if label else round(1.0 - pair["soft_label"], 6)
            row = {**shared, "completion": pair[name], "label": label, "soft_label": soft}
            yield split, orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


def _converted(record: dict[str, Any], form: str) -> dict[str, Any]:
    prompt, completion = completion_in_form(record["prompt"], record["completion"], form)
    return record | {"prompt": prompt, "completion": completion}


TABLE = Table(
    columns=(
        ("agreement", pa.float64(), "float64"),
        ("comparison", pa.string(), "string"),
        ("completion", None, ""),
        ("flip_probability", pa.float64(), "float64"),
        ("label", pa.bool_(), "bool"),
        ("method", pa.string(), "string"),
        ("origin", pa.string(), "string"),
        ("prompt", None, ""),
        ("soft_label", pa.float64(), "float64"),
        ("votes", pa.int64(), "int64"),
        ("weight", pa.float64(), "float64"),
    ),
    repeating=["label", "method", "origin", "votes", "weight", "agreement"],
    converted=_converted,
    tags=("preference", "kto", "trl"),
    title="Labelled completions frozen by Winnow: `prompt`, `completion` and `label` (true: desirable)",
    legend="`soft_label` is the probability that the completion is desirable (of a pair: the better one), "
    "`flip_probability` that the label is wrong, `votes` the annotations under it, `origin` who decided (person, model or "
    "source), `comparison` the content key of what was judged.",
)

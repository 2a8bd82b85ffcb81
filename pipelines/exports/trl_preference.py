"""TRL preference with an explicit prompt.

`prompt`, `chosen` and `rejected` are what a trainer reads; the other columns say how the label came about.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.exports import ExportedFile, ExportRequest, SplitRow
from pipelines.exports.tables import Table, write_table
from pipelines.versions.forms import PairTexts, in_form

TEXTS = ("prompt", "chosen", "rejected")


def write(rows: Iterable[SplitRow], out: Path, request: ExportRequest) -> list[ExportedFile]:
    """Write the whole export below `out`, an empty folder, one batch at a time; every file is synced to disk."""
    return write_table(TABLE, rows, out, request)


def _converted(record: dict[str, Any], form: str) -> dict[str, Any]:
    texts = in_form(PairTexts(*(record[name] for name in TEXTS)), form)
    return record | {"prompt": texts.prompt, "chosen": texts.chosen, "rejected": texts.rejected}


TABLE = Table(
    columns=(
        ("agreement", pa.float64(), "float64"),
        ("chosen", None, ""),
        ("comparison", pa.string(), "string"),
        ("confidence", pa.float64(), "float64"),
        ("flip_probability", pa.float64(), "float64"),
        ("method", pa.string(), "string"),
        ("origin", pa.string(), "string"),
        ("p_tie", pa.float64(), "float64"),
        ("predictions", pa.int64(), "int64"),
        ("prompt", None, ""),
        ("rejected", None, ""),
        ("soft_label", pa.float64(), "float64"),
        ("strength", pa.float64(), "float64"),
        ("votes", pa.int64(), "int64"),
        ("weight", pa.float64(), "float64"),
    ),
    repeating=["method", "origin", "votes", "predictions", "weight", "agreement", "strength"],
    converted=_converted,
    tags=("preference", "dpo", "trl"),
    title="Preference pairs frozen by Winnow: `prompt`, `chosen` and `rejected`",
    legend="`soft_label` is the probability that chosen is better, `flip_probability` that the direction is wrong, "
    "`votes` the annotations under the label, `predictions` the judges under it, `origin` who decided (person, model "
    "or source), `comparison` the content key of the pair, `weight` is below 1 where several pairs rest on the same "
    "rankings or ratings.",
)

"""Rows of a version as `parquet/` and `jsonl/`, a file a split, and dataset cards; what formats share.

A split without rows has no file, since readers refuse an empty one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from pipelines.exports import ExportedFile, ExportRequest, SplitRow
from pipelines.versions.forms import MESSAGES, PLAIN
from pipelines.versions.split_by_prompt import SPLITS

BATCH_ROWS = 2_000
COMPRESSION, LEVEL = "zstd", 3
Column = tuple[str, pa.DataType | None, str]


@dataclass(frozen=True)
class Table:
    """What differs between formats.

    Attributes:
        columns: name, Arrow type (None: a text in the form asked for) and name of the type in a dataset card; in the order
            of the row's sorted keys.
        repeating: columns whose values repeat. Of texts a dictionary, and their least and greatest, cost time for nothing.
        converted: a row in another form. Takes and gives the row as a dict.
        tags: of the card. title: what the rows are. legend: what the columns say.
    """

    columns: tuple[Column, ...]
    repeating: list[str]
    converted: Callable[[dict[str, Any], str], dict[str, Any]]
    tags: tuple[str, ...]
    title: str
    legend: str


_CONTENT = {
    PLAIN: pa.string(),
    MESSAGES: pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())])),
}


def write_table(
    table: Table, rows: Iterable[SplitRow], out: Path, request: ExportRequest
) -> list[ExportedFile]:
    """Write the whole export below `out`, an empty folder, one batch at a time; every file is synced to disk."""
    counts: dict[str, int] = {}
    for split, of_split in groupby(rows, key=lambda row: row[0]):
        counts[split] = _split(table, split, (payload for _, payload in of_split), out, request)
    files = [
        _file(out, f"{folder}/{split}.{suffix}", count)
        for folder, suffix in (("parquet", "parquet"), ("jsonl", "jsonl"))
        for split, count in counts.items()
    ]
    for place, text in (
        ("README.md", card(table, request, counts)),
        ("jsonl/README.md", lines_card(table, request, counts)),
    ):
        (out / place).write_text(text, encoding="utf-8", newline="\n")
    manifest = {
        "version": request.manifest,
        "form": request.form,
        "writer": {"pyarrow": pa.__version__},
        "files": [asdict(file) for file in files],
    }
    (out / "winnow.json").write_bytes(
        orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"
    )
    return [*files, *(_file(out, place, None) for place in ("README.md", "jsonl/README.md", "winnow.json"))]


def schema(table: Table, form: str) -> pa.Schema:
    """The Arrow schema of a split's file."""
    return pa.schema([(name, _CONTENT[form] if kind is None else kind) for name, kind, _ in table.columns])


def _split(table: Table, split: str, payloads: Iterator[bytes], out: Path, request: ExportRequest) -> int:
    count, layout = 0, schema(table, request.form)
    stored = request.manifest["recipe"]["form"]
    for folder in ("parquet", "jsonl"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lines = stack.enter_context((out / "jsonl" / f"{split}.jsonl").open("xb"))
        columns = stack.enter_context(
            pq.ParquetWriter(
                out / "parquet" / f"{split}.parquet",
                layout,
                compression=COMPRESSION,
                compression_level=LEVEL,
                use_dictionary=table.repeating,
                write_statistics=table.repeating,
            )
        )
        for batch in _batches(payloads):
            if request.form != stored:
                batch = [_converted(table, payload, request.form) for payload in batch]
            data = b"\n".join(batch) + b"\n"
            lines.write(data)
            columns.write_table(_columns(data, layout))
            count += len(batch)
        _sync(lines)
    return count


def _batches(payloads: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for payload in payloads:
        batch.append(payload)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _columns(lines: bytes, layout: pa.Schema) -> pa.Table:
    """Columns straight from the lines: by way of Python objects it takes three times as long and imports pandas."""
    return pa_json.read_json(
        pa.BufferReader(lines),
        # One block, so that the same rows always make the same row groups.
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pa_json.ParseOptions(explicit_schema=layout, unexpected_field_behavior="error"),
    ).select(layout.names)


def _converted(table: Table, payload: bytes, form: str) -> bytes:
    return orjson.dumps(table.converted(orjson.loads(payload), form), option=orjson.OPT_SORT_KEYS)


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _file(out: Path, path: str, rows: int | None) -> ExportedFile:
    with (out / path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    return ExportedFile(path, (out / path).stat().st_size, rows, digest)


def card(table: Table, request: ExportRequest, counts: dict[str, int]) -> str:
    """The dataset card. Its head names the Parquet files: without it a reader would mix both folders.

    `datasets` takes one reader a folder, so a configuration for the lines beside it could not be read; `jsonl/` is a
    data set of its own, with a card of its own.
    """
    return "\n".join([*_head(table, "parquet", "parquet/", request.form, counts), *_body(table, request, counts)]) + "\n"


def lines_card(table: Table, request: ExportRequest, counts: dict[str, int]) -> str:
    """The card of `jsonl/`."""
    head = _head(table, "jsonl", "", request.form, counts)
    return (
        "\n".join([*head, "The rows of `../parquet/` as JSON Lines, in the bytes that were hashed."]) + "\n"
    )


def _head(table: Table, suffix: str, folder: str, form: str, counts: dict[str, int]) -> list[str]:
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split in counts:
        lines += [f"  - split: {split}", f"    path: {folder}{split}.{suffix}"]
    lines += ["dataset_info:", "- config_name: default", "  features:", *_features(table, form)]
    return [*lines, "tags:", *(f"- {tag}" for tag in table.tags), "---", ""]


def _features(table: Table, form: str) -> list[str]:
    lines = []
    for name, _, kind in table.columns:
        lines.append(f"  - name: {name}")
        if kind or form == PLAIN:
            lines.append(f"    dtype: {kind or 'string'}")
        else:
            lines += [
                "    list:",
                "    - name: content",
                "      dtype: string",
                "    - name: role",
                "      dtype: string",
            ]
    return lines


def _body(table: Table, request: ExportRequest, counts: dict[str, int]) -> list[str]:
    drops = request.manifest["counts"]["drops"]
    empty = [split for split in SPLITS if split not in counts]
    return [
        f"# {request.version}",
        "",
        f"{table.title}, "
        + ("as plain text." if request.form == PLAIN else "as lists of messages."),
        "",
        "| split | rows |",
        "|---|---|",
        *(f"| {split} | {count:,} |" for split, count in counts.items()),
        "",
        *([f"Without rows, and therefore without a file: {', '.join(empty)}.", ""] if empty else []),
        table.legend,
        "",
        "| left out | rows | left |",
        "|---|---|---|",
        *(f"| {_cell(drop['cause'])} | {drop['dropped']:,} | {drop['left']:,} |" for drop in drops),
        "",
        f"Root hash over the canonical rows: `{request.manifest['root_hash']}`. "
        "`winnow.json` holds the recipe, the lineage and the SHA-256 of every file. "
        "`jsonl/` holds the same rows as JSON Lines and is a data set of its own.",
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

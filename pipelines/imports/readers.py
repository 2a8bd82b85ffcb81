"""Opens JSONL, JSONL.gz and Parquet files and yields their records, holding one line or one small batch at a time.

A fault of the file stops the reading (`FileRefused`); a fault of a row is yielded in the record's place. Unpacked bytes
are counted as they come, so that a bomb is seen before it is held.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.imports.errors import FileRefused, RowRefused
from pipelines.imports.rows import Limits, shown

Record = Mapping[str, Any]
NumberedRecord = tuple[int, Record | RowRefused]

_OTHER_FORMATS = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ\x00": "xz-compressed",
    b"\x89PNG": "a PNG image",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file",
}
_READ = "Winnow reads JSONL, JSONL.gz and Parquet."
# A few repeated rows may pack better than any limit allows; below this no file is a bomb.
_RATIO_FLOOR_BYTES = 1_000_000
_PARQUET_BATCH_ROWS, _PARQUET_BATCH_BYTES = 64, 4_000_000


class RowFile:
    """A file of records. Iterate once; `position` of `size` packed bytes have been read, `notices` are for people."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self.size = path.stat().st_size
        self.position = 0
        self.notices: list[str] = []
        with path.open("rb") as stream:
            head = stream.read(4096)
        self.format = _format_of(head)

    def __iter__(self) -> Iterator[NumberedRecord]:
        return self._parquet() if self.format == "parquet" else self._json_lines()

    def _json_lines(self) -> Iterator[NumberedRecord]:
        with self.path.open("rb") as packed:
            budget = _Budget(self.limits, self.size)
            stream = io.BufferedReader(_Unpacked(packed, budget, gzipped=self.format == "jsonl.gz"), 1 << 18)
            self._start(stream)
            number, limit = 0, self.limits.line_bytes
            while line := stream.readline(limit + 1):
                number += 1
                if len(line) > limit and not line.endswith(b"\n"):
                    raise FileRefused(
                        f"Line {number:,} is longer than {limit:,} bytes, the limit for a line."
                    )
                self.position = packed.tell()
                if not line.isspace():
                    yield number, _record(line, number)

    def _start(self, stream: io.BufferedReader[Any]) -> None:
        """Look at the first bytes of the text: its encoding, its line ends, and whether it is one array."""
        head = stream.peek(4096)[: 1 << 16]
        if (
            head.startswith((b"\xff\xfe", b"\xfe\xff"))
            or 0.25 < head[:4096].count(0) / max(len(head[:4096]), 1) < 0.8
        ):
            raise FileRefused(
                "The file is in UTF-16 or UTF-32; it must be UTF-8. Convert it, for example with iconv."
            )
        if head.startswith(b"\xef\xbb\xbf"):
            stream.read(3)
            head = head[3:]
            self.notices.append("The file begins with a byte order mark, which was left out.")
        if head.lstrip().startswith(b"["):
            raise FileRefused("The file is one JSON array; it must be JSON Lines, one object a line.")
        if b"\n" not in head and re.search(rb"\r.", head, re.DOTALL):
            raise FileRefused("The lines of the file end in CR alone; they must end in LF.")

    def _parquet(self) -> Iterator[NumberedRecord]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from pipelines.imports import MEANINGFUL_FIELDS, READ_FIELDS

        budget = _Budget(self.limits, self.size)
        try:
            # Pages are read one after another through a small buffer: a row group may be larger than memory.
            with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20) as file:
                rows, columns = file.metadata.num_rows, list(file.schema_arrow.names)
                wanted = [name for name in columns if name in READ_FIELDS | MEANINGFUL_FIELDS]
                if not wanted:
                    yield 1, dict.fromkeys(columns)
                    return
                unpacked = _declared_bytes(file.metadata)
                budget.check(unpacked)
                if spare := [name for name in columns if name not in wanted]:
                    self.notices.append(f"Columns that were not read: {', '.join(map(shown, spare[:12]))}.")
                size = max(
                    1, min(_PARQUET_BATCH_ROWS, _PARQUET_BATCH_BYTES * max(rows, 1) // max(unpacked, 1))
                )
                number = 0
                for batch in file.iter_batches(batch_size=size, columns=wanted):
                    budget.spend(batch.nbytes)
                    if batch.nbytes > self.limits.line_bytes * batch.num_rows:
                        raise FileRefused(
                            f"Row {number + 1:,} or one of the {batch.num_rows} from there on is larger than "
                            f"{self.limits.line_bytes:,} bytes, the limit for a row."
                        )
                    for record in batch.to_pylist():
                        number += 1
                        yield number, _without_nulls(record)
                    self.position = self.size * number // max(rows, 1)
        except UnicodeDecodeError:
            raise FileRefused("The Parquet file holds texts that are not UTF-8.") from None
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise FileRefused(f"The Parquet file cannot be read: {reason}") from None


def _declared_bytes(metadata: Any) -> int:
    """Unpacked bytes of all row groups by the file's own account.

    The metadata of single columns is left alone: pyarrow ends the process on some damaged ones.
    """
    return sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))


class _Budget:
    """Counts unpacked bytes and stops at either limit."""

    def __init__(self, limits: Limits, packed_bytes: int) -> None:
        self.limits, self.packed, self.spent = limits, packed_bytes, 0

    def spend(self, count: int) -> None:
        self.spent += count
        self.check(self.spent)

    def check(self, total: int) -> None:
        ratio = max(self.limits.unpacked_ratio * self.packed, _RATIO_FLOOR_BYTES)
        if total > min(self.limits.unpacked_bytes, ratio):
            raise FileRefused(
                f"The file unpacks to {total:,} bytes or more from {self.packed:,}; the limits are "
                f"{self.limits.unpacked_bytes:,} bytes and {self.limits.unpacked_ratio} times the packed size."
            )


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a stream, counted."""

    def __init__(self, packed: BinaryIO, budget: _Budget, *, gzipped: bool) -> None:
        self._budget = budget
        self._stream: BinaryIO = gzip.GzipFile(fileobj=packed) if gzipped else packed  # type: ignore[assignment]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise FileRefused("The gzip file is damaged or cut off.") from None
        self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)


def _format_of(head: bytes) -> str:
    if not head:
        raise FileRefused("The file is empty.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\x1f\x8b"):
        return "jsonl.gz"
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise FileRefused(f"The file is {name}. {_READ}")
    return "jsonl"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RowRefused("duplicate_key", f"the key {twice[:40]!r} stands twice in one object")
    return fields


def _not_finite(name: str) -> Any:
    raise RowRefused("number_out_of_range", f"it holds {name}, which JSON does not have")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_finite)


def _record(line: bytes, number: int) -> Record | RowRefused:
    """The object on a line, or why the row is refused.

    Raises:
        FileRefused: the line is not JSON, or not UTF-8.
    """
    if b"\x00" in line:
        return RowRefused("nul_character", "it holds a NUL byte, which the database cannot keep")
    try:
        record = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        raise FileRefused(
            f"Line {number:,} is not UTF-8 (byte 0x{line[error.start]:02X} at place {error.start + 1}); "
            "the file must be UTF-8."
        ) from None
    except json.JSONDecodeError as error:
        raise FileRefused(
            f"Line {number:,} is not JSON: {error.msg.lower()} at character {error.pos + 1}."
        ) from None
    except RowRefused as refused:
        return refused
    except RecursionError:
        return RowRefused("nested_too_deep", "its lists and objects are nested too deep")
    except ValueError:
        return RowRefused("number_out_of_range", "it holds a number with too many digits")
    if not isinstance(record, dict):
        return RowRefused("not_an_object", "it is not an object with named fields")
    return record


def _without_nulls(value: Any) -> Any:
    """Parquet gives every field of a struct; those that are null were not in the row."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value

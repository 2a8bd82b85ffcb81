"""Whole columns in and out of Postgres as arrays, by binary COPY: a million rows without a Python object for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Signature, flags and the length of no extension; at the end a row of -1 fields.
HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
# bigint, integer, smallint, double precision, and the numbers of these types in Postgres.
KINDS = {"i8": 20, "i4": 23, "i2": 21, "f8": 701}
# Rows come as arrays, those of 65,536 ids each: Python has to touch every message, and Postgres sends none above 1 GB.
PART_BITS = 16
ARRAY_HEAD = 5


class ColumnsMalformed(Exception):
    """A column is null, or of another kind or length than was said: a fault of the caller."""


def columns_read(
    cursor: Any, query: str, params: Mapping[str, Any], kinds: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """The rows of a query as one array a column, in no certain order.

    Args:
        kinds: name of each column of the query, in its order, and its kind (`KINDS`); none may be null. The first is an id
            of which not many rows are.

    Raises:
        ColumnsMalformed: a null, or a column of another kind.
    """
    names = [f'"{name}"' for name in kinds]
    arrays = ", ".join(f"array_agg({name})" for name in names)
    # OFFSET keeps the planner from seeing through the part, which it would take for as many as there are ids, and sort.
    parted = f"SELECT {names[0]} >> {PART_BITS}, * FROM ({query}) AS found ({', '.join(names)}) OFFSET 0"
    grouped = f"SELECT {arrays} FROM ({parted}) AS parted (part, {', '.join(names)}) GROUP BY part"
    with cursor.copy(f"COPY ({grouped}) TO STDOUT (FORMAT binary)", params) as copy:
        parts = [[_array(*field) for field in zip(row, kinds.values(), strict=True)] for row in copy.rows()]
    empty = [np.zeros(0, kind) for kind in kinds.values()]
    return {name: np.concatenate(column) for name, *column in zip(kinds, empty, *parts, strict=True)}


def columns_write(cursor: Any, table: str, columns: Mapping[str, NDArray[Any]]) -> None:
    """Rows of a table from one array a column (`KINDS`). NaN is stored as NaN, not as null.

    Raises:
        ColumnsMalformed: a column of another kind, or columns of several lengths.
    """
    kinds = {name: values.dtype.str[1:] for name, values in columns.items()}
    lengths = {values.size for values in columns.values()}
    if not set(kinds.values()) <= set(KINDS) or len(lengths) != 1:
        raise ColumnsMalformed(f"columns must be of {KINDS} and of one length, got {kinds}, {lengths}")
    rows = np.zeros(lengths.pop(), _layout(kinds))
    for name, value in {**_sizes(kinds), **columns}.items():
        rows[name] = value
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEAD + rows.tobytes() + END)


def _array(field: bytes, kind: str) -> NDArray[Any]:
    """An array of Postgres: dimensions, whether a value is null, type, length, first index; then size and value of each."""
    _, has_null, type_number, count, _ = np.frombuffer(field, ">i4", count=ARRAY_HEAD).tolist()
    if has_null or type_number != KINDS[kind]:
        raise ColumnsMalformed(f"a column must be {kind}, none of it null; got type {type_number}")
    sized = np.dtype([("size", ">i4"), ("value", f">{kind}")])
    return np.frombuffer(field, sized, count=count, offset=4 * ARRAY_HEAD)["value"].astype(kind)


def _layout(kinds: Mapping[str, str]) -> np.dtype[np.void]:
    """One row: the number of its fields, then the size and the value of each, most significant byte first."""
    fields = [("fields", ">i2")]
    for name, kind in kinds.items():
        fields += [(f"size of {name}", ">i4"), (name, f">{kind}")]
    return np.dtype(fields)


def _sizes(kinds: Mapping[str, str]) -> dict[str, int]:
    """What stands before the values of every row."""
    return {"fields": len(kinds)} | {f"size of {name}": int(kind[1:]) for name, kind in kinds.items()}

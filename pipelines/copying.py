"""Whole columns in and out of Postgres as arrays, by binary COPY: a million rows without a Python object for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Signature, flags and the length of no extension; at the end a row of -1 fields.
HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
# bigint, integer, smallint, double precision.
KINDS = ("i8", "i4", "i2", "f8")


class ColumnsMalformed(Exception):
    """A column is null, or of another kind or length than was said: a fault of the caller."""


def columns_read(
    cursor: Any, query: str, params: Mapping[str, Any], kinds: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """The rows of a query as one array a column.

    Args:
        kinds: name of each column of the query, in its order, and its kind (`KINDS`); none may be null.

    Raises:
        ColumnsMalformed: a null, or a column of another kind.
    """
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", params) as copy:
        data = b"".join(copy)
    layout = _layout(kinds)
    count, rest = divmod(len(data) - len(HEAD) - len(END), layout.itemsize)
    if not rest:
        rows = np.frombuffer(data, layout, count=count, offset=len(HEAD))
        rest = not all((rows[name] == value).all() for name, value in _sizes(kinds).items())
    if rest:
        raise ColumnsMalformed(f"the query must give {dict(kinds)}, none of them null")
    return {name: rows[name].astype(kind) for name, kind in kinds.items()}


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


def _layout(kinds: Mapping[str, str]) -> np.dtype[np.void]:
    """One row: the number of its fields, then the size and the value of each, most significant byte first."""
    fields = [("fields", ">i2")]
    for name, kind in kinds.items():
        fields += [(f"size of {name}", ">i4"), (name, f">{kind}")]
    return np.dtype(fields)


def _sizes(kinds: Mapping[str, str]) -> dict[str, int]:
    """What stands before the values of every row."""
    return {"fields": len(kinds)} | {f"size of {name}": int(kind[1:]) for name, kind in kinds.items()}

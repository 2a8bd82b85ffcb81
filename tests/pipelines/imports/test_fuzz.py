"""Whatever a file holds, it is read, refused in a sentence, or its rows are: nothing else is ever raised."""

from __future__ import annotations

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.imports import SHAPES
from pipelines.imports.errors import CAUSES, FileRefused
from pipelines.imports.reading import Reading
from pipelines.imports.rows import Limits, row_pairs

ROWS = [
    {"prompt": "2+2=", "chosen": " 4", "rejected": " 5"},
    {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
    {"prompt": "p", "completions": ["a", {"text": "b", "model": "m", "sampling": {"t": 1}}]},
    {"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
     "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]},
]  # fmt: skip
FIELDS = st.sampled_from(
    [
        "prompt",
        "chosen",
        "rejected",
        "completions",
        "labels",
        "tools",
        "role",
        "content",
        "text",
        "model",
        "sampling",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
quiet = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def parquet(rows) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


FILES = [
    b"".join(json.dumps(row).encode() + b"\n" for row in ROWS[:1] * 3),
    gzip.compress(json.dumps(ROWS[1]).encode() + b"\n"),
    parquet(ROWS[:1] * 3),
    parquet([ROWS[3]]),
]


@pytest.fixture
def read(tmp_path):
    """Read a file to its end; what a person would be told must be something that the database can keep."""

    def read(data: bytes, shape: str | None = None) -> None:
        path = tmp_path / "file"
        path.write_bytes(data)
        limits = Limits(line_bytes=100_000, unpacked_bytes=2_000_000, completion_bytes=10_000)
        try:
            reading = Reading(path, shape=shape, limits=limits)
            for _, row in reading:
                for pair in row_pairs(row):
                    assert pair.first.text.sha256 < pair.second.text.sha256
            assert set(reading.refused) <= set(CAUSES)
            said = [*reading.notices, *(str(fault["message"]) for fault in reading.faults)]
        except FileRefused as refused:
            said = [str(refused)]
        for sentence in said:
            assert "\x00" not in sentence and sentence.encode()

    return read


@quiet
@given(
    file=st.sampled_from(FILES),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=6)), max_size=6),
)
def test_a_damaged_file_raises_nothing_else(read, file, changes):
    data = bytearray(file)
    for place, new in changes:
        at = place % (len(data) + 1)
        data[at : at + len(new)] = new
    read(bytes(data))


@quiet
@given(
    rows=st.lists(st.dictionaries(FIELDS, VALUES, max_size=5), max_size=3),
    shape=st.sampled_from([None, *SHAPES]),
)
def test_any_json_raises_nothing_else(read, rows, shape):
    read("".join(json.dumps(row) + "\n" for row in rows).encode(), shape)


@quiet
@given(data=st.binary(max_size=200))
def test_any_bytes_raise_nothing_else(read, data):
    read(data)


@quiet
@given(texts=st.lists(st.text(min_size=1, max_size=30), min_size=3, max_size=3, unique=True))
def test_a_good_row_comes_out_as_it_went_in(tmp_path, texts):
    prompt, chosen, rejected = texts
    if "\x00" in "".join(texts) or not all(text.strip() for text in texts):
        return
    path = tmp_path / "file"
    path.write_text(json.dumps({"prompt": prompt, "chosen": chosen, "rejected": rejected}) + "\n")
    ((_, row),) = Reading(path)
    assert (row.prompt.body, *(c.text.body for c in row.completions)) == (prompt, chosen, rejected)

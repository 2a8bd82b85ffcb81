"""Files: every bad one is refused in one sentence, before it costs memory."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.imports.errors import FileRefused
from pipelines.imports.reading import Reading
from pipelines.imports.rows import Limits

GOOD = {"prompt": "2+2=", "chosen": " 4", "rejected": " 5"}


def lines(*records) -> bytes:
    return b"".join(
        record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n" for record in records
    )


@pytest.fixture
def write(tmp_path):
    def write(data: bytes, name: str = "file.jsonl"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def read(path, **options):
    reading = Reading(path, **options)
    return list(reading), reading


def sentence(path, **options) -> str:
    with pytest.raises(FileRefused) as refused:
        read(path, **options)
    return str(refused.value)


def test_it_reads_lines_gzip_and_parquet_alike(write, tmp_path):
    data = lines(GOOD, b"\n", {**GOOD, "id": 7})
    pq.write_table(pa.Table.from_pylist([GOOD, GOOD]), tmp_path / "f.parquet")
    paths = [write(data), write(gzip.compress(data), "f.gz"), tmp_path / "f.parquet"]
    for path, format_, numbers in zip(
        paths, ("jsonl", "jsonl.gz", "parquet"), ([1, 3], [1, 3], [1, 2]), strict=True
    ):
        rows, reading = read(path)
        assert [number for number, _, _ in rows] == numbers
        assert (reading.file.format, reading.shape.key, reading.rows_in) == (format_, "trl-preference", 2)


def test_parquet_messages_and_dictionaries_are_read(tmp_path):
    prompt = [{"role": "user", "content": "hi", "name": None}]
    chosen, rejected = ([{"role": "assistant", "content": text}] for text in "ab")
    record = {"prompt": prompt, "chosen": chosen, "rejected": rejected, "spare": 1}
    pq.write_table(pa.Table.from_pylist([record] * 700), tmp_path / "f.parquet", row_group_size=300)
    rows, reading = read(tmp_path / "f.parquet")
    assert len(rows) == 700
    assert reading.notices == ["Columns that were not read: spare."]


def test_a_byte_order_mark_is_accepted_and_said(write):
    rows, reading = read(write(b"\xef\xbb\xbf" + lines(GOOD)))
    assert len(rows) == 1
    assert "byte order mark" in reading.notices[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "no rows"),
        (lines(GOOD, b"{oops\n"), "Line 2 is not JSON"),
        (lines(GOOD, b'{"prompt": "cut of'), "Line 2 is not JSON"),
        (lines(GOOD, '{"prompt": "caf\u00e9"}\n'.encode("latin-1")), "Line 2 is not UTF-8 \\(byte 0xE9"),
        ("\ufeff".encode("utf-16-le") + lines(GOOD).decode().encode("utf-16-le"), "UTF-16"),
        (lines(GOOD).decode().encode("utf-16-be"), "UTF-16"),
        (b"[" + lines(GOOD) + b"]", "one JSON array"),
        (lines(GOOD, GOOD).replace(b"\n", b"\r"), "CR alone"),
        (b"PK\x03\x04....", "ZIP archive"),
        (b"\x1f\x8bgarbage", "gzip file is damaged"),
        (b"PAR1garbagePAR1", "Parquet file cannot be read"),
        (lines({"a": 1}), "fit no known shape"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_in_one_sentence(write, data, words):
    import re

    assert re.search(words, sentence(write(data)))


def test_a_cut_gzip_is_refused(write):
    data = gzip.compress(lines(*[{**GOOD, "chosen": f" {i}"} for i in range(5000)]))
    assert "damaged or cut off" in sentence(write(data[: len(data) // 2], "f.gz"))


def test_a_line_over_the_limit_is_refused_by_number(write):
    data = lines(GOOD) + b'{"prompt": "' + b"x" * 20_000_000 + b'"}\n'
    assert sentence(write(data)) == "Line 2 is longer than 10,000,000 bytes, the limit for a line."


@pytest.mark.parametrize("line", [b" " * 1_000_000 + b"\n", b"\0" * 1_000_000])
def test_a_gzip_bomb_is_seen_before_it_is_unpacked(write, line):
    bomb = write(gzip.compress(lines(GOOD) + line * 9, compresslevel=9), "bomb.gz")
    assert "unpacks to" in sentence(bomb)


def test_the_absolute_limit_holds_as_well(write):
    path = write(gzip.compress(lines(*[{**GOOD, "prompt": f"p{i}"} for i in range(1000)])), "f.gz")
    assert "unpacks to" in sentence(path, limits=Limits(unpacked_bytes=10_000))


def test_a_parquet_bomb_is_counted_as_it_unpacks(tmp_path):
    table = pa.table({name: pa.array([name * 20_000] * 100) for name in GOOD})
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd")
    assert "unpacks to" in sentence(tmp_path / "bomb.parquet", limits=Limits(unpacked_bytes=10_000_000))


def test_a_row_over_the_limit_is_refused_in_parquet_too(tmp_path):
    pq.write_table(
        pa.Table.from_pylist([{**GOOD, "prompt": "x" * 3_000_000}]),
        tmp_path / "f.parquet",
        compression="none",
    )
    assert "is larger than 1,000,000 bytes" in sentence(
        tmp_path / "f.parquet", limits=Limits(line_bytes=10**6)
    )


def test_a_parquet_with_other_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"question": ["q"], "answer": ["a"]}), tmp_path / "f.parquet")
    assert "columns question, answer, which fit no known shape" in sentence(tmp_path / "f.parquet")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (b'{"prompt": "a\0b", "chosen": "x", "rejected": "y"}\n', "nul_character"),
        (b'{"prompt": "p", "chosen": "\\u0000", "rejected": "y"}\n', "nul_character"),
        (b'{"prompt": "p", "chosen": "\\ud83d", "rejected": "y"}\n', "lone_surrogate"),
        (b'{"prompt": "p", "chosen": "x", "chosen": "y", "rejected": "z"}\n', "duplicate_key"),
        (b'{"prompt": NaN, "chosen": "x", "rejected": "z"}\n', "number_out_of_range"),
        (b'{"prompt": 1' + b"0" * 5000 + b', "chosen": "x", "rejected": "z"}\n', "number_out_of_range"),
        (b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "nested_too_deep"),
        (b'"text"\n', "not_an_object"),
        (b'{"prompt": "p", "chosen": "x"}\n', "missing_field"),
        (b'{"prompt": "p", "chosen": "x", "rejected": "y", "tools": [{}]}\n', "content_not_text"),
    ],
)  # fmt: skip
def test_a_bad_row_is_counted_and_the_others_are_read(write, line, cause):
    rows, reading = read(write(lines(GOOD, line, GOOD)))
    assert len(rows) == 2
    assert dict(reading.refused) == {cause: 1}
    assert reading.faults[0]["row"] == 2
    assert str(reading.faults[0]["message"]).startswith("Row 2: ")


def test_a_shape_that_was_asked_for_is_not_guessed(write):
    path = write(
        lines({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"})
    )
    assert read(path)[1].shape.key == "hh-rlhf"
    assert read(path, shape="trl-implicit")[1].shape.key == "trl-implicit"
    assert "needs prompt, chosen, rejected; the file has chosen, rejected" in sentence(
        path, shape="trl-preference"
    )

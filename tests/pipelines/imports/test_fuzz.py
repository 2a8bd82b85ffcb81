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

from annotation.feedback.templates import TEMPLATES
from pipelines.imports import SHAPES
from pipelines.imports.errors import CAUSES, FileRefused
from pipelines.imports.reading import Reading
from pipelines.imports.rows import Limits

# Each type once, none required but the first, so that few answers are enough.
QUESTIONS = [
    {**TEMPLATES[name].questions[-1], "key": name.replace("-", "_"), "required": name == "thumbs"}
    for name in ("pairwise-aspects", "listwise", "best-worst", "thumbs", "helpsteer2", "steps", "edit", "spans")
]
ANNOTATED = {
    "prompt": "p", "completions": [{"id": 1, "text": "a"}, {"id": 2, "text": "b", "prompt": {"name": "q"}}],
    "annotations": [{"rater": "r", "at": "2026-01-01T10:00:00Z", "shown_order": [2, 1], "answers": {
        "thumbs": {"completions": [{"label": "yes"}, {"label": "no", "sentence": "s"}]}, "listwise": {"ranks": [1, 2]},
        "spans": {"completions": [{"spans": [{"start": 0, "end": 1, "category": "style", "severity": "minor"}]}, None]},
        "edit": {"source": 0, "text": "c"}, "steps": {"completions": [{"labels": ["right"]}, None]}}}],
}  # fmt: skip
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
        "annotations",
        "answers",
        "id",
        "name",
        "thumbs",
        "spans",
        "outcome",
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
    json.dumps(ANNOTATED).encode() + b"\n",
]


@pytest.fixture
def read(tmp_path):
    """Read a file to its end; what a person would be told must be something that the database can keep."""

    def read(data: bytes, shape: str | None = None) -> None:
        path = tmp_path / "file"
        path.write_bytes(data)
        limits = Limits(line_bytes=100_000, unpacked_bytes=2_000_000, completion_bytes=10_000)
        try:
            reading = Reading(path, shape=shape, limits=limits, questions=QUESTIONS)
            for _, _, compared in reading:
                for one in compared:
                    places = [(c.text.sha256, (c.prompt or one.prompt).sha256) for c in one.completions]
                    assert places == sorted(set(places))
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
    ((_, row, _),) = Reading(path)
    assert (row.prompt.body, *(c.text.body for c in row.completions)) == (prompt, chosen, rejected)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.just("completions"), inner, max_size=3),
    max_leaves=8,
)


@quiet
@given(key=st.sampled_from([question["key"] for question in QUESTIONS]), answer=ANY)
def test_any_answer_is_taken_or_refused_in_a_sentence(read, key, answer):
    given_ = [{"answers": {"thumbs": {"completions": [{"label": "yes"}] * 2}, key: answer}}]
    read(json.dumps({**ANNOTATED, "annotations": given_}).encode(), "annotated")

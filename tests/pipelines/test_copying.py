"""Columns in and out of Postgres as arrays."""

import numpy as np
import pytest
from django.db import connection

from pipelines.copying import PART_BITS, ColumnsMalformed, columns_read, columns_write

pytestmark = pytest.mark.django_db
KINDS = {"a": "i8", "b": "i2", "c": "f8"}


def test_what_is_written_is_read_again():
    columns = {
        "a": np.array([2**40, -1, 0]),
        "b": np.array([1, -2, 3], dtype=np.int16),
        "c": np.array([0.1, -np.inf, np.nan]),
    }
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE three (a bigint, b int2, c float8) ON COMMIT DROP")
        columns_write(cursor, "three", columns)
        found = columns_read(cursor, "SELECT a, b, c FROM three WHERE a >= %(least)s", {"least": 0}, KINDS)
        none = columns_read(cursor, "SELECT a, b, c FROM three WHERE a = 5", {}, KINDS)
    order = np.argsort(found["a"])
    assert found["a"][order].tolist() == [0, 2**40] and found["b"][order].tolist() == [3, 1]
    np.testing.assert_array_equal(found["c"][order], [np.nan, 0.1])
    assert [values.dtype.str[1:] for values in none.values()] == list(KINDS.values())
    assert not none["a"].size


def test_rows_of_several_messages_keep_their_columns_together():
    count = 2 * 2**PART_BITS + 1
    query = "SELECT n, -n, n / 2.0::float8 FROM generate_series(1::bigint, %(count)s::bigint) n"
    with connection.cursor() as cursor:
        found = columns_read(cursor, query, {"count": count}, {"a": "i8", "b": "i8", "c": "f8"})
    order = np.argsort(found["a"])
    assert (found["a"][order] == np.arange(1, count + 1)).all()
    assert (found["b"] == -found["a"]).all() and (found["c"] == found["a"] / 2).all()


@pytest.mark.parametrize(
    "query", ["SELECT 1::bigint, 1::int2, NULL::float8", "SELECT 1::bigint, 1::int2, 'eightlet'::text"]
)
def test_a_null_and_another_kind_are_refused(query):
    with connection.cursor() as cursor, pytest.raises(ColumnsMalformed, match="none of it null"):
        columns_read(cursor, query, {}, {"a": "i8", "b": "i4", "c": "f8"})


def test_columns_of_several_lengths_or_kinds_are_refused():
    with connection.cursor() as cursor:
        with pytest.raises(ColumnsMalformed, match="one length"):
            columns_write(cursor, "none", {"a": np.zeros(2), "b": np.zeros(3)})
        with pytest.raises(ColumnsMalformed, match="kinds|of"):
            columns_write(cursor, "none", {"a": np.array(["x"])})

"""Counts over a whole project are kept for a minute where it is large, and never where it is small."""

from __future__ import annotations

from itertools import count

import pytest

from annotation.selectors.keeping import LARGE, kept

pytestmark = pytest.mark.django_db


def test_a_small_project_is_counted_each_time():
    numbers = count(1)
    assert [kept("small", lambda: next(numbers), size=lambda _: LARGE - 1) for _ in range(3)] == [1, 2, 3]


def test_a_large_one_is_kept_under_its_key():
    numbers = count(1)
    assert [kept("large", lambda: next(numbers), size=lambda _: LARGE) for _ in range(3)] == [1, 1, 1]
    assert kept("other", lambda: next(numbers), size=lambda _: LARGE) == 2

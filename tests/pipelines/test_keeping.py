"""Counts over a whole project are kept for a minute where counting is slow, and never where it is quick."""

from __future__ import annotations

from itertools import count

import pytest

from pipelines.selectors import keeping

pytestmark = pytest.mark.django_db


def test_what_is_quick_is_counted_each_time():
    numbers = count(1)
    assert [keeping.kept("quick", lambda: next(numbers)) for _ in range(3)] == [1, 2, 3]


def test_what_is_slow_is_kept_under_its_key(monkeypatch):
    monkeypatch.setattr(keeping, "SLOW_SECONDS", -1.0)
    numbers = count(1)
    assert [keeping.kept("slow", lambda: next(numbers)) for _ in range(3)] == [1, 1, 1]
    assert keeping.kept("other", lambda: next(numbers)) == 2

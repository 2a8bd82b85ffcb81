"""Caps of a session and a day: how many are left, and when there are more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from annotation.sessions import Caps, Given, Rest, rest_after

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
DAY = NOW.replace(hour=0)


def ago(*minutes: float) -> list[Given]:
    return [Given(NOW - timedelta(minutes=one), 60.0) for one in minutes]


@pytest.mark.parametrize(
    ("minutes", "caps", "rest"),
    [
        ([], Caps(session_comparisons=3), Rest(3)),
        ([1, 2], Caps(session_comparisons=3), Rest(1)),
        ([1, 2, 3], Caps(session_comparisons=3), Rest(0, NOW + timedelta(minutes=14), "session")),
        # A pause as long as the break begins a new session; a shorter one does not.
        ([1, 16, 17], Caps(session_comparisons=3), Rest(2)),
        ([1, 15.9, 17], Caps(session_comparisons=3), Rest(0, NOW + timedelta(minutes=14), "session")),
        ([15, 16, 17], Caps(session_comparisons=3), Rest(3)),
        # From when the first was begun, a minute before it was stored.
        ([1, 10, 20, 29], Caps(session_minutes=30), Rest(None)),
        ([0, 10, 20, 29], Caps(session_minutes=30), Rest(0, NOW + timedelta(minutes=15), "session")),
        ([1, 700], Caps(day_comparisons=2), Rest(0, DAY + timedelta(days=1), "day")),
        ([1, 721], Caps(day_comparisons=2), Rest(1)),
        ([1, 700], Caps(day_comparisons=2, session_comparisons=5), Rest(0, DAY + timedelta(days=1), "day")),
        ([1, 2], Caps(day_comparisons=9, session_comparisons=5), Rest(3)),
        ([1, 2], Caps(day_comparisons=3, session_comparisons=5), Rest(1)),
        ([1] * 9, Caps(session_comparisons=3), Rest(0, NOW + timedelta(minutes=14), "session")),
    ],
)
def test_what_is_left(minutes: list[float], caps: Caps, rest: Rest) -> None:
    assert rest_after(ago(*minutes), caps, NOW, DAY) == rest


def test_no_cap_asks_for_nothing() -> None:
    assert not Caps().are_set and Caps(session_minutes=1).are_set
    assert rest_after(ago(1, 2), Caps(), NOW, DAY) == Rest()

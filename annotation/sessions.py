"""Sessions of judging and their caps: how many comparisons, or minutes, until a break, and how many a day. Pure.

A session is a run of answers without a pause as long as a break. Caps stop what is handed out anew; what somebody holds
may be finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Caps:
    """Comparisons and minutes of a session, minutes of the break after it, comparisons of a day (UTC); 0: no cap."""

    session_comparisons: int = 0
    session_minutes: int = 0
    break_minutes: int = 15
    day_comparisons: int = 0

    @property
    def are_set(self) -> bool:
        return bool(self.session_comparisons or self.session_minutes or self.day_comparisons)


@dataclass(frozen=True)
class Given:
    """An answer: when it was stored, and for how many seconds its annotator was at it."""

    at: datetime
    seconds: float


@dataclass(frozen=True)
class Rest:
    """How far the caps are. `left`: comparisons that may still be handed out, None without a cap; `until`: when there
    are some again, where none is left. `reason`: session or day."""

    left: int | None = None
    until: datetime | None = None
    reason: str = ""


def rest_after(given: Sequence[Given], caps: Caps, now: datetime, day_start: datetime) -> Rest:
    """What the caps leave after these answers of a day and more, newest first.

    Example:
        >>> from datetime import UTC
        >>> now = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
        >>> two = [Given(now - timedelta(minutes=m), 30.0) for m in (1, 4)]
        >>> rest_after(two, Caps(session_comparisons=2), now, now.replace(hour=0)).until.minute
        14
    """
    session, today = _session(given, caps, now), sum(one.at >= day_start for one in given)
    lefts = [
        *([caps.session_comparisons - len(session)] if caps.session_comparisons else []),
        *([caps.day_comparisons - today] if caps.day_comparisons else []),
    ]
    is_long = bool(caps.session_minutes) and _minutes(session) >= caps.session_minutes
    left = 0 if is_long else max(0, min(lefts)) if lefts else None
    if left != 0:
        return Rest(left)
    if caps.day_comparisons and today >= caps.day_comparisons:
        return Rest(0, day_start + DAY, "day")
    return Rest(0, session[0].at + timedelta(minutes=caps.break_minutes), "session")


def _session(given: Sequence[Given], caps: Caps, now: datetime) -> list[Given]:
    """The answers since the last pause as long as a break, newest first."""
    pause, after, session = timedelta(minutes=caps.break_minutes), now, []
    for one in given:
        if after - one.at >= pause:
            break
        session.append(one)
        after = one.at
    return session


def _minutes(session: Sequence[Given]) -> float:
    """From when the first answer was begun to when the last was stored."""
    if not session:
        return 0.0
    begun = session[-1].at - timedelta(seconds=session[-1].seconds)
    return (session[0].at - begun).total_seconds() / 60

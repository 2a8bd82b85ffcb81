"""The simulated annotators at work: they take the next comparison in turns, and answer it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from launcher.demo.product import Browser, expect_ok
from launcher.demo.world.annotators import Annotator, vote_of

MIDDLE_STEP = 4
SUBMITS_AT_ONCE = 4


@dataclass(frozen=True)
class Seat:
    """One simulated annotator with the session of their own."""

    annotator: Annotator
    browser: Browser


def votes_cast(seats: list[Seat], slug: str, seed: int, limit: int | None = None) -> int:
    """Let the annotators vote until nobody has work, or until `limit` votes are in; returns how many there were.

    In every round each asks in turn for a comparison, then all answer at once: who gets what depends on the order
    of asking alone, so a run repeats.
    """
    votes = 0
    working = list(seats)
    with ThreadPoolExecutor(SUBMITS_AT_ONCE) as pool:
        while working and (limit is None or votes < limit):
            left = len(working) if limit is None else min(len(working), limit - votes)
            taken = [(seat, _next(seat, slug)) for seat in working[:left]]
            given = [(seat, item) for seat, item in taken if item is not None]
            list(pool.map(lambda pair: _submit(pair[0], pair[1], slug, seed), given))
            votes += len(given)
            idle = {id(seat) for seat, item in taken if item is None}
            working = [seat for seat in working if id(seat) not in idle]
    return votes


def _next(seat: Seat, slug: str) -> dict[str, Any] | None:
    """The comparison that is this person's turn; None when there is none."""
    reply = expect_ok(seat.browser.get(f"/p/{slug}/annotate/next"), "asking for the next comparison")
    items = reply.json()["assignments"]
    return items[0] if items else None


def _submit(seat: Seat, item: dict[str, Any], slug: str, seed: int) -> None:
    """Answer as the page does. A comparison is named by its texts, since ids differ from run to run."""
    prompt = item["prompt"][-1]["content"]
    a, b = (item["completions"][side][-1]["content"] for side in "AB")
    name = "|".join((prompt, *sorted((a, b))))
    step = MIDDLE_STEP + vote_of(seat.annotator, seed, name, prompt, a, b)
    fields = {
        "form": str(item["form"]),
        "submit_key": item["submit_key"],
        item["questions"][0]["key"]: str(step),
    }
    expect_ok(seat.browser.post(f"/p/{slug}/annotate/{item['id']}/submit", fields), "submitting a vote")

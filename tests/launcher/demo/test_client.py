"""The demo as a client: voting in turns, stages with their cost."""

import json
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from launcher.demo.product import Browser
from launcher.demo.stages import Clock, StageFailed
from launcher.demo.voting import Seat, votes_cast
from launcher.demo.world.annotators import Annotator


class FakeQueue:
    """Hands out comparisons once to each person, in order, as the product does; remembers who answered what."""

    def __init__(self, comparisons: int) -> None:
        self.comparisons = comparisons
        self.answers: list[tuple[str, int, str]] = []

    def browser(self, name: str) -> Browser:
        place = iter(range(self.comparisons))

        def get(path: str) -> Any:
            number = next(place, None)
            item = {
                "id": number, "form": 1, "submit_key": "k", "questions": [{"key": "preference"}],
                "prompt": [{"role": "", "content": "larger 20 or 9 ?"}],
                "completions": {"A": [{"role": "", "content": "20 ."}], "B": [{"role": "", "content": "9 ."}]},
            }  # fmt: skip
            return reply(200, {"assignments": [] if number is None else [item]})

        def post(path: str, fields: dict[str, str]) -> Any:
            self.answers.append((name, int(path.split("/")[-2]), fields["preference"]))
            return reply(201, {})

        return cast(Browser, SimpleNamespace(get=get, post=post))


def reply(status: int, body: dict[str, Any]) -> Any:
    return SimpleNamespace(status=status, text=json.dumps(body), json=lambda: body)


def seats(queue: FakeQueue) -> list[Seat]:
    return [Seat(Annotator(name, "good"), queue.browser(name)) for name in ("ada", "ben", "cy")]


def test_everybody_votes_until_nobody_has_work() -> None:
    queue = FakeQueue(5)
    assert votes_cast(seats(queue), "demo", 0) == 15
    assert sorted(queue.answers)[0][:2] == ("ada", 0)
    assert {answer[2] for answer in queue.answers} <= set("1234567")


def test_a_limit_leaves_the_rest_open() -> None:
    queue = FakeQueue(5)
    assert votes_cast(seats(queue), "demo", 0, limit=7) == 7 == len(queue.answers)


def test_a_refused_vote_fails_the_stage() -> None:
    seat = Seat(
        Annotator("ada", "good"), cast(Browser, SimpleNamespace(get=lambda path: reply(500, {"error": "x"})))
    )
    with pytest.raises(StageFailed, match="500"):
        votes_cast([seat], "demo", 0)


def test_a_stage_is_timed_and_its_memory_seen() -> None:
    clock = Clock()
    with clock.stage("rest"):
        time.sleep(0.05)
    stage = clock.stages[0]
    assert stage.name == "rest" and stage.seconds >= 0.05 and stage.peak_mib > 1


def test_the_failed_stage_is_known_by_name() -> None:
    clock = Clock()
    with pytest.raises(StageFailed), clock.stage("judge"):
        raise StageFailed("no")
    assert clock.now == "judge"

"""kill -9 of web, workers and broker while people vote and a model scores: nothing lost, nothing doubled, all finished."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.annotation.queue_invariants import INVARIANTS
from tests.chaos.stack import Annotator, Stack, wait_for
from tests.tiny_model import WORDS, save_tiny

pytestmark = pytest.mark.slow

COMPARISONS, WANTED, PEOPLE = 250, 2, 6
THINKING = 0.2  # seconds a vote, so that a fast machine has not voted before anything was killed


def answers_file(folder: Path) -> Path:
    """Prompts with two answers each, in the tiny model's own words."""
    rng = random.Random(7)
    path = folder / "answers.jsonl"
    with path.open("w") as file:
        for number in range(COMPARISONS):
            prompt = " ".join(rng.choices(WORDS[:20], k=4)) + f" {number} ?"
            texts = {" ".join(rng.choices(WORDS[:20], k=rng.randint(3, 9))) for _ in range(4)}
            file.write(json.dumps({"prompt": prompt, "completions": sorted(texts)[:2]}) + "\n")
    return path


@pytest.fixture(params=["redis", "none"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    settings = {"WINNOW_WORK_LEASE_SECONDS": "4"} | ({"BROKER_URL": "none"} if request.param == "none" else {})
    made = Stack(tmp_path / "home", settings)
    made.folder.mkdir()
    try:
        made.start()
        made.manage("create_project", "chaos", "--wanted", str(WANTED))
        made.manage("import_comparisons", str(answers_file(tmp_path)), "--project", "chaos")
        made.manage("register_model", "tiny", "--path", str(save_tiny(tmp_path / "tiny")))
        yield made
    finally:
        assert made.stop() == 0


def test_no_acknowledged_vote_is_lost_and_all_work_is_finished(stack):
    people = []
    for number in range(PEOPLE):
        email = f"p{number}@example.org"
        link = stack.manage("invite", email, "--role", "annotator", "--project", "chaos")["link"]
        people.append(Annotator(stack, "chaos", email, link))
    stack.manage("score", "--method", "ches", "--model", "tiny", "--project", "chaos", "--no-wait")

    over = Event()
    with ThreadPoolExecutor(PEOPLE + 1) as pool:
        kills = pool.submit(kill_things, stack, over)
        for voting in [pool.submit(person.vote_until_nothing_is_left, THINKING) for person in people]:
            voting.result()
        over.set()
        killed = kills.result()
    assert killed["web"] >= 2 and killed["worker-ml"] >= 2

    acknowledged = {key: id_ for person in people for key, id_ in person.acknowledged.items()}
    stored = dict(
        stack.query("SELECT submit_key::text, id FROM annotation_annotation WHERE state <> 'surplus'")
    )
    assert acknowledged.items() <= stored.items(), "an acknowledged vote is missing"
    assert len(stored) == COMPARISONS * WANTED, "a vote is doubled, or a place stayed empty"
    for name, statement in INVARIANTS.items():
        if "outbox" not in name:
            assert stack.query(statement) == [], name

    wait_for(lambda: not stack.query(OPEN_WORK), "all work to be finished", 120)
    assert stack.query("SELECT state, error FROM pipelines_workitem WHERE state = 'needs_person'") == []
    assert stack.query("SELECT count(*), count(DISTINCT comparison_id) FROM pipelines_score") == [
        (COMPARISONS, COMPARISONS)
    ]
    wait_for(lambda: stack.query(JUDGED) == [(COMPARISONS,)], "every comparison to have its preference", 60)


OPEN_WORK = "SELECT id FROM pipelines_workitem WHERE state IN ('ready', 'leased') AND kind NOT LIKE 'preference%%'"
JUDGED = """SELECT count(*) FROM pipelines_preference p JOIN pipelines_preferencerevision r ON r.id = p.current_id
            WHERE r.votes = 2"""


def kill_things(stack: Stack, over: Event) -> dict[str, int]:
    """Each kind in turn, a second or two apart, until the voting is over."""
    killed = {"web": 0, "worker-ml": 0, "worker-default": 0, "redis": 0}
    rng = random.Random(11)
    turns = [("web", True), ("worker-ml", False), ("redis", False), ("web", False), ("worker-ml", True), ("worker-default", False)]
    turn = 0
    while not over.is_set() and turn < 18:
        name, child = turns[turn % len(turns)]
        if not (name == "redis" and stack.settings.get("BROKER_URL") == "none"):
            killed[name] += stack.kill(name, child=child)
        turn += 1
        time.sleep(rng.uniform(0.5, 1.5))
    return killed

"""10,000 votes while everything is killed again and again: `make test-long chaos`.

Five rounds of 2,000 votes, each a project of its own with a seed of its own. In each, four times at random points: kill -9
of a web worker, the web master, a Postgres backend, the postmaster, the Celery child, the Celery master, the broker, and
the broker's data flushed. Clients are browsers that reload: they drop a request without its answer, ask for the next
comparison and send what they had again, with the same key. A key is logged, on disk, once the server said 2xx.

Afterwards: every acknowledged vote is there with the answer that was sent, none twice, every comparison has exactly what
it wanted, nobody holds anything, and every preference has its votes. A round that is done is written to
`var/long/chaos.jsonl` and is not run again; `--again` starts over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import redis

from launcher.broker import Redis
from launcher.postgres import Postgres
from tests.annotation.queue_invariants import INVARIANTS
from tests.chaos.stack import ROOT, Stack, wait_for

ROUNDS, WANTED, PEOPLE = 5, 4, 8
LEASE_SECONDS, GRACE_SECONDS = 20, 60
GIVE_UP_SECONDS = 180
RELOAD_SHARE = 0.03
FOLDER = ROOT / "var" / "long"
CSRF = "c" * 32


@dataclass(frozen=True)
class Size:
    """Of a round: comparisons, and how often each fault comes."""

    comparisons: int = 500
    times: int = 4

    @property
    def votes(self) -> int:
        return self.comparisons * WANTED


# What is killed


def backend(stack: Stack) -> bool:
    """kill -9 of one connection's process: Postgres then restarts itself from its log."""
    found = stack.query(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1"
    )
    return _kill(found[0][0] if found else None)


def postmaster(stack: Stack) -> bool:
    return _kill(Postgres(stack.home).pid())


def flush(stack: Stack) -> bool:
    redis.Redis.from_url(Redis(stack.home).url().replace("redis+socket", "unix")).flushall()
    return True


def _kill(pid: int | None) -> bool:
    if pid is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


FAULTS = {
    "web worker": lambda stack: stack.kill("web", child=True),
    "web master": lambda stack: stack.kill("web"),
    "Postgres backend": backend,
    "postmaster": postmaster,
    "Celery child": lambda stack: stack.kill("worker-default", child=True),
    "Celery master": lambda stack: stack.kill("worker-default"),
    "broker": lambda stack: stack.kill("redis"),
    "broker's data": flush,
}


# Who votes


@dataclass
class Record:
    """What the server acknowledged, written to disk before anybody acts on it; and when."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: dict[str, tuple[int, int]] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    reloads: int = 0
    surplus: int = 0

    def add(self, key: str, annotation: int, step: int) -> None:
        with self.lock, self.path.open("a") as file:
            file.write(f"{key} {annotation} {step}\n")
            file.flush()
            os.fsync(file.fileno())
            self.acknowledged[key] = (annotation, step)
            self.moments.append(time.monotonic())


class Browser:
    """One annotator's page: an outbox that outlives reloads, and the same key until the server has answered."""

    def __init__(self, stack: Stack, project: str, session: str, record: Record, seed: int) -> None:
        self.path, self.record, self.rng = f"/p/{project}/annotate", record, random.Random(seed)
        self.address, self.session = stack.address, session
        self.outbox: list[tuple[int, dict[str, str]]] = []
        self.client = self._client()

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.address,
            timeout=10,
            cookies={"winnow_session": self.session, "winnow_csrf": CSRF},
            headers={"Accept": "application/json", "X-CSRFToken": CSRF, "Referer": self.address},
        )

    def vote_until(self, over: threading.Event) -> None:
        while not over.is_set():
            assignment = self._next()
            if assignment is None:
                over.wait(1.0)
                continue
            step = str(self.rng.randint(1, 7))
            fields = {"submit_key": str(uuid4()), "form": str(assignment["form"]), "preference": step}
            self.outbox.append((assignment["id"], fields))
            if self.rng.random() < RELOAD_SHARE:
                self._reload(assignment["id"], fields)
            self._send()

    def _reload(self, assignment: int, fields: dict[str, str]) -> None:
        """The request is cut off somewhere on its way; the page comes up anew and looks at what is its turn."""
        self.record.reloads += 1
        with suppress(httpx.HTTPError):
            self.client.post(
                f"{self.path}/{assignment}/submit", data=fields, timeout=self.rng.uniform(0.001, 0.05)
            )
        self.client.close()
        self.client = self._client()
        self._next()

    def _send(self) -> None:
        while self.outbox:
            assignment, fields = self.outbox[0]
            reply = self._until_answered("POST", f"{self.path}/{assignment}/submit", fields)
            assert reply.status_code in (200, 201, 409), reply.text[:300]
            if reply.status_code == 409:
                self.record.surplus += 1
            else:
                key = fields["submit_key"]
                self.record.add(key, reply.json()["annotation_id"], int(fields["preference"]))
            self.outbox.pop(0)

    def _next(self) -> dict[str, Any] | None:
        reply = self._until_answered("GET", f"{self.path}/next", None)
        assert reply.status_code == 200, reply.text[:300]
        waiting = reply.json()["assignments"]
        return dict(waiting[0]) if waiting else None

    def _until_answered(self, method: str, path: str, fields: dict[str, str] | None) -> httpx.Response:
        deadline, wait = time.monotonic() + GIVE_UP_SECONDS, 0.1
        while True:
            with suppress(httpx.HTTPError):
                reply = self.client.request(method, path, data=fields)
                if reply.status_code < 500:
                    return reply
            assert time.monotonic() < deadline, f"no answer to {method} {path} for {GIVE_UP_SECONDS} s"
            time.sleep(wait * self.rng.uniform(0.5, 1.5))
            wait = min(2.0, 2 * wait)


# One round


def kill_things(
    stack: Stack, record: Record, seed: int, size: Size, over: threading.Event
) -> dict[str, list[float]]:
    """Each fault so often, at random points of the round's votes; how many seconds until the next vote came."""
    rng = random.Random(seed)
    faults = [name for name in FAULTS for _ in range(size.times)]
    rng.shuffle(faults)
    # Not in the last tenth: what comes after a fault is part of the test.
    points = sorted(rng.sample(range(10, int(0.9 * size.votes)), len(faults)))
    back: dict[str, list[float]] = defaultdict(list)
    for name, point in zip(faults, points, strict=True):
        while len(record.moments) < point and not over.is_set():
            time.sleep(0.05)
        start, done = time.monotonic(), False
        while not done and not over.is_set():
            with suppress(psycopg.Error, redis.RedisError, OSError, ValueError):
                done = FAULTS[name](stack)
            time.sleep(0 if done else 0.2)
        killed, seen = time.monotonic(), len(record.moments)
        while len(record.moments) == seen and not over.is_set():
            time.sleep(0.02)
        back[name].append(time.monotonic() - killed)
        print(f"{record_line(record)} {name} ({killed - start:.1f} s to find it), next vote after {back[name][-1]:.1f} s", flush=True)
    return back


def record_line(record: Record) -> str:
    return f"{time.strftime('%H:%M:%S')} {len(record.moments):5} votes"


STORED = """
SELECT n.submit_key::text, n.id, n.vote, n.shown_order FROM annotation_annotation n
WHERE n.project_id = %s AND n.submit_key IS NOT NULL AND n.state = 'current'
"""
COMPLETE = "SELECT NOT EXISTS (SELECT FROM annotation_demand WHERE project_id = %s AND (done <> %s OR leased <> 0))"
JUDGED = """
SELECT count(*) FROM pipelines_preference p JOIN pipelines_preferencerevision r ON r.id = p.current_id
JOIN annotation_comparison c ON c.id = p.comparison_id WHERE c.project_id = %s AND r.votes = %s
"""


def complete(stack: Stack, project_id: int) -> bool:
    with suppress(psycopg.Error):
        return bool(stack.query(COMPLETE, project_id, WANTED)[0][0])
    return False


def run_round(stack: Stack, number: int, size: Size) -> dict[str, Any]:
    slug = f"chaos-{number}"
    project_id = prepare(stack, slug, number, size)
    log = FOLDER / f"acknowledged-{number}.log"
    log.unlink(missing_ok=True)
    record, over = Record(log), threading.Event()
    sessions = stack.accounts(slug, PEOPLE)
    browsers = [Browser(stack, slug, session, record, 100 * number + i) for i, session in enumerate(sessions)]
    start = time.monotonic()
    with ThreadPoolExecutor(PEOPLE + 1) as pool:
        kills = pool.submit(kill_things, stack, record, number, size, over)
        voting = [pool.submit(browser.vote_until, over) for browser in browsers]
        try:
            quiet_until_complete(stack, project_id, record, voting)
        finally:
            over.set()
        back = kills.result()
        for one in voting:
            one.result()
    seconds = time.monotonic() - start
    return result(stack, project_id, record, size) | returns(back) | {"round": number, "seconds": round(seconds, 1)}


def prepare(stack: Stack, slug: str, number: int, size: Size) -> int:
    stack.manage("create_project", slug, "--wanted", str(WANTED))
    file = FOLDER / f"{slug}.jsonl"
    with file.open("w") as out:
        for n in range(size.comparisons):
            texts = [f"Answer {side} to question {n} of round {number}." for side in ("one", "two")]
            out.write(json.dumps({"prompt": f"Question {n} of round {number}?", "completions": texts}) + "\n")
    stack.manage("import_comparisons", str(file), "--project", slug)
    with psycopg.connect(Postgres(stack.home).url()) as connection:
        connection.execute(
            "UPDATE annotation_project SET lease_seconds = %s WHERE slug = %s", [LEASE_SECONDS, slug]
        )
    return int(stack.query("SELECT id FROM annotation_project WHERE slug = %s", slug)[0][0])


def quiet_until_complete(stack: Stack, project_id: int, record: Record, voting: list[Any]) -> None:
    """Until every place is filled; somebody is stuck when no vote comes for longer than a lease and a minute."""
    seen, since = -1, time.monotonic()
    while not complete(stack, project_id):
        for one in voting:
            if one.done():
                one.result()
        if len(record.moments) != seen:
            seen, since = len(record.moments), time.monotonic()
        # A kill of everything may take as long as the clients wait for an answer.
        assert time.monotonic() - since < max(LEASE_SECONDS + GRACE_SECONDS, GIVE_UP_SECONDS), "stuck: " + str(
            stack.query("SELECT * FROM annotation_assignment WHERE state IN ('leased', 'offered')")[:5]
        )
        time.sleep(0.5)


def returns(back: dict[str, list[float]]) -> dict[str, Any]:
    """How often each fault came, and how long until the next vote."""
    return {
        "kills": {name: len(times) for name, times in back.items()},
        "slowest_return_seconds": {name: round(max(times), 1) for name, times in back.items()},
        "median_return_seconds": {name: round(sorted(times)[len(times) // 2], 1) for name, times in back.items()},
    }


def result(stack: Stack, project_id: int, record: Record, size: Size) -> dict[str, Any]:
    stored = {row[0]: row[1:] for row in stack.query(STORED, project_id)}
    missing = [key for key, (id_, _) in record.acknowledged.items() if stored.get(key, (None,))[0] != id_]
    changed = [
        key
        for key, (_, step) in record.acknowledged.items()
        if key not in missing and stored[key][1] != (step - 4) * (1 if stored[key][2] == [0, 1] else -1)
    ]
    rows = stack.query(
        "SELECT comparison_id FROM annotation_annotation WHERE project_id = %s AND state = 'current' "
        "GROUP BY comparison_id HAVING count(*) <> %s OR count(DISTINCT rater_id) <> %s",
        project_id, WANTED, WANTED,
    )  # fmt: skip
    broken = [name for name, statement in INVARIANTS.items() if "outbox" not in name and stack.query(statement)]
    wait_for(
        lambda: stack.query(JUDGED, project_id, WANTED) == [(size.comparisons,)], "every preference to have its votes", 120
    )
    return {
        "votes": len(stored),
        "acknowledged": len(record.acknowledged),
        "acknowledged_missing": len(missing),
        "acknowledged_changed": len(changed),
        "comparisons_not_exact": len(rows),
        "invariants_broken": broken,
        "kept_as_surplus_or_refused": record.surplus,
        "reloads": record.reloads,
        "votes_wanted": size.votes,
    }


def wrong(done: dict[str, Any]) -> bool:
    return bool(
        done["acknowledged_missing"] or done["acknowledged_changed"] or done["comparisons_not_exact"]
        or done["invariants_broken"] or done["votes"] != done["votes_wanted"]
    )  # fmt: skip


# All rounds


def finished(book: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="forget the rounds that are done")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--comparisons", type=int, default=Size.comparisons, help="of a round, four votes each")
    parser.add_argument("--times", type=int, default=Size.times, help="how often each fault comes in a round")
    wanted = parser.parse_args()
    size = Size(wanted.comparisons, wanted.times)
    FOLDER.mkdir(parents=True, exist_ok=True)
    book = FOLDER / "chaos.jsonl"
    if wanted.again:
        book.unlink(missing_ok=True)
    left = [n for n in range(wanted.rounds) if n not in {done["round"] for done in finished(book)}]
    if left:
        shutil.rmtree(FOLDER / "home", ignore_errors=True)
        (FOLDER / "home").mkdir()
        stack = Stack(FOLDER / "home", {"WINNOW_WORK_LEASE_SECONDS": "10"})
        try:
            stack.start()
            for number in left:
                done = run_round(stack, number, size)
                with book.open("a") as file:
                    file.write(json.dumps(done, sort_keys=True) + "\n")
                print(json.dumps(done, sort_keys=True), flush=True)
        finally:
            stack.stop()
    return report(finished(book))


def report(rounds: list[dict[str, Any]]) -> int:
    kills: Counter[str] = Counter()
    for done in rounds:
        kills.update(done["kills"])
    failed = sum(map(wrong, rounds))
    votes, missing = (sum(done[name] for done in rounds) for name in ("votes", "acknowledged_missing"))
    print(f"{votes:,} votes, {sum(kills.values())} kills: {dict(kills)}; acknowledged and missing: {missing}")
    print(f"{len(rounds) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

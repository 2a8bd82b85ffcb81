"""Next and submit over HTTP, beside a bare Django view: `python -m benchmarks.votes`.

Starts the product in a home of its own, fills it with made-up comparisons and votes: 1, 8 and 32 annotators without
pause, each block beside the same against the bare views under the same server on the same database; one annotator who did
the first nine tenths of the largest size; 400 who think for five seconds; then until nothing is left, 8 accounts in 32
tabs and one account in 32, after which every comparison must have exactly what it wanted, each by another person. Prints
a table and one JSON line; exits 1 if a count is not exact.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import psutil
import psycopg

from benchmarks.machine import machine
from launcher.home import port_pick
from launcher.postgres import Postgres
from tests.annotation.queue_invariants import INVARIANTS
from tests.chaos.stack import Stack, children, wait_for

FILL = """
WITH t AS (
  INSERT INTO annotation_text (sha256, form, body)
  SELECT sha256(convert_to('plain', 'UTF8') || decode('00', 'hex') || convert_to(body, 'UTF8')), 'plain', body FROM (
    SELECT 'p ' || n || ' ' || repeat(md5(n::text) || ' ', {words}) AS body FROM generate_series(%(low)s::bigint, %(high)s::bigint) n
    UNION ALL SELECT 'a ' || n || ' ' || repeat(md5(n::text) || ' ', {words}) FROM generate_series(%(low)s::bigint, %(high)s::bigint) n
    UNION ALL SELECT 'b ' || n || ' ' || repeat(md5(n::text) || ' ', {words}) FROM generate_series(%(low)s::bigint, %(high)s::bigint) n
  ) bodies ON CONFLICT DO NOTHING RETURNING sha256, body
), p AS (
  INSERT INTO annotation_prompt (project_id, text_sha256) SELECT %(project)s, sha256 FROM t WHERE body LIKE 'p %%'
  RETURNING id, text_sha256
), named AS (
  SELECT p.id AS prompt, split_part(t.body, ' ', 2) AS n FROM p JOIN t ON t.sha256 = p.text_sha256
), c AS (
  INSERT INTO annotation_completion (prompt_id, text_sha256)
  SELECT named.prompt, t.sha256 FROM t JOIN named ON named.n = split_part(t.body, ' ', 2) WHERE t.body NOT LIKE 'p %%'
  RETURNING id, prompt_id, text_sha256
), k AS (
  INSERT INTO annotation_comparison (project_id, prompt_id, key, context, size, warnings, created_at)
  SELECT %(project)s, prompt, sha256(int8send(prompt)), '', 2, '{{}}', now() FROM named RETURNING id, prompt_id
), q AS (
  INSERT INTO annotation_comparisoncompletion (comparison_id, completion_id, position)
  SELECT k.id, c.id, row_number() OVER (PARTITION BY k.id ORDER BY c.text_sha256) - 1 FROM k JOIN c USING (prompt_id)
)
INSERT INTO annotation_demand (comparison_id, project_id, pool, ord, wanted, done, leased, promised, held_back)
SELECT id, %(project)s, 0, id, 3, 0, 0, 0, false FROM k
"""
# Beyond what is voted on, comparisons share their texts: the queue's cost is what grows, not the texts'.
FILL_MORE = """
WITH one AS (SELECT id, prompt_id FROM annotation_comparison WHERE project_id = %(project)s ORDER BY id LIMIT 1
), k AS (
  INSERT INTO annotation_comparison (project_id, prompt_id, key, context, size, warnings, created_at)
  SELECT %(project)s, one.prompt_id, sha256(int8send(-n::bigint)), '', 2, '{}', now()
  FROM one, generate_series(%(low)s::bigint, %(high)s::bigint) n RETURNING id
), q AS (
  INSERT INTO annotation_comparisoncompletion (comparison_id, completion_id, position)
  SELECT k.id, c.completion_id, c.position FROM k, one
  JOIN annotation_comparisoncompletion c ON c.comparison_id = one.id
)
INSERT INTO annotation_demand (comparison_id, project_id, pool, ord, wanted, done, leased, promised, held_back)
SELECT id, %(project)s, 0, id, 3, 0, 0, 0, false FROM k
"""
HEAVY = """
INSERT INTO annotation_assignment (participation_id, comparison_id, repeat_no, source, counted, state, token, option_order,
  closed_at, times_expired, closing_reason)
SELECT p.id, d.comparison_id, 0, 'pool', false, 'submitted', 1, '{0,1}', now(), 0, ''
FROM annotation_demand d JOIN annotation_participation p ON p.project_id = d.project_id
JOIN annotation_user u ON u.id = p.annotator_id AND u.email = %(email)s
WHERE d.project_id = %(project)s ORDER BY d.ord LIMIT %(most)s ON CONFLICT DO NOTHING
"""
BARE = """
CREATE TABLE bare_item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, prompt text, first text, second text, leased boolean);
CREATE INDEX bare_open ON bare_item (id) WHERE NOT leased;
CREATE TABLE bare_vote (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item bigint, vote int);
INSERT INTO bare_item (prompt, first, second, leased)
SELECT 'p ' || repeat(md5(n::text) || ' ', 45), repeat(md5(n::text) || ' ', 45), repeat(md5(n::text) || ' ', 45), false
FROM generate_series(1, 40000) n;
"""
NOT_EXACT = """
SELECT d.comparison_id FROM annotation_demand d LEFT JOIN annotation_annotation n
  ON n.comparison_id = d.comparison_id AND n.state = 'current'
WHERE d.project_id = %s GROUP BY d.comparison_id HAVING count(n.id) <> %s OR count(DISTINCT n.rater_id) <> count(n.id)
"""
CSRF = "b" * 32
THINK_SECONDS = 5.0
LEAST_CALLS = 8  # of each voter, however slow the machine


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50 and p95 in milliseconds, with the number of calls."""
    cut = statistics.quantiles(seconds, n=20)
    return {"p50_ms": round(1000 * cut[9], 2), "p95_ms": round(1000 * cut[18], 2), "calls": len(seconds)}


def timed(call: Callable[[], Any], into: list[float]) -> Any:
    start = time.perf_counter()
    result = call()
    into.append(time.perf_counter() - start)
    return result


# Who votes


class Caller:
    """A kept connection by the standard library's client: what a fuller one takes would be counted as the server's."""

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        self.connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        self.headers = headers

    def call(self, method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, bytes]:
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if fields else {}
        body, headers = urlencode(fields or {}), self.headers | kind
        try:
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
        except ConnectionError:  # a kept connection that was closed meanwhile
            self.connection.close()
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
        return reply.status, reply.read()


class Voter:
    """One tab of one account, over HTTP with a session cookie."""

    def __init__(self, address: str, project: str, session: str) -> None:
        self.path = f"/p/{project}/annotate"
        cookies = f"winnow_session={session}; winnow_csrf={CSRF}"
        headers = {"Accept": "application/json", "X-CSRFToken": CSRF, "Referer": address, "Cookie": cookies}
        self.line = Caller(address, headers)

    def next(self) -> dict[str, Any] | None:
        status, body = self.line.call("GET", f"{self.path}/next")
        assert status == 200, body[:200]
        waiting = json.loads(body)["assignments"]
        return dict(waiting[0]) if waiting else None

    def submit(self, assignment: dict[str, Any]) -> int:
        fields = {"submit_key": str(uuid4()), "form": str(assignment["form"]), "preference": "2"}
        status, body = self.line.call("POST", f"{self.path}/{assignment['id']}/submit", fields)
        assert status in (201, 409), body[:200]
        return status

    def vote(self, seconds: float) -> tuple[list[float], list[float]]:
        took_next: list[float] = []
        took_submit: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(took_submit) < LEAST_CALLS:
            assignment = timed(self.next, took_next)
            if assignment is None:
                break
            timed(lambda a=assignment: self.submit(a), took_submit)
        return took_next, took_submit

    def vote_until_nothing_is_left(self) -> int:
        """How many votes were taken; a comparison that another tab has answered is a 409 and no vote."""
        taken = 0
        while assignment := self.next():
            taken += self.submit(assignment) == 201
        return taken


class BareVoter:
    def __init__(self, address: str) -> None:
        self.line = Caller(address, {})

    def vote(self, seconds: float) -> tuple[list[float], list[float]]:
        took_next: list[float] = []
        took_submit: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(took_submit) < LEAST_CALLS:
            item = json.loads(timed(lambda: self.line.call("GET", "/next"), took_next)[1])["item"]
            timed(lambda item=item: self.line.call("POST", f"/submit/{item[0]}", {"vote": "1"}), took_submit)
        return took_next, took_submit


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def measure(name: str, voters: list[Any], seconds: float) -> dict[str, Any]:
    say(name)
    start = time.monotonic()
    with ThreadPoolExecutor(len(voters)) as pool:
        parts = list(pool.map(lambda voter: voter.vote(seconds), voters))
    took = time.monotonic() - start
    took_next = [t for part in parts for t in part[0]]
    took_submit = [t for part in parts for t in part[1]]
    figures = {
        "next": percentiles(took_next),
        "submit": percentiles(took_submit),
        "votes_per_second": round(len(took_submit) / took, 1),
    }
    say(json.dumps(figures))
    return figures


class Line:
    """One person's kept connection, as thin as HTTP allows: a client library's pool looks through all four hundred each time."""

    def __init__(self, address: str, session: str) -> None:
        self.host, _, self.port = address.removeprefix("http://").partition(":")
        self.head = (
            f"Host: {self.host}:{self.port}\r\nAccept: application/json\r\nReferer: {address}\r\n"
            f"X-CSRFToken: {CSRF}\r\nCookie: winnow_session={session}; winnow_csrf={CSRF}\r\n"
        )
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, fields: dict[str, str] | None = None) -> Any:
        """The JSON of the reply; raises OSError where it is no 2xx or the connection ends."""
        body = urlencode(fields or {}).encode()
        kind = "Content-Type: application/x-www-form-urlencoded\r\n" if fields else ""
        request = f"{method} {path} HTTP/1.1\r\n{self.head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, int(self.port))
        reader, writer = self.streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        reply = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0]))
        if "connection: close" in head:
            self.close()
        if head.split()[1][0] != "2":
            raise OSError(head.partition("\r")[0])
        return json.loads(reply)

    def close(self) -> None:
        if self.streams:
            self.streams[1].close()
        self.streams = None


async def think_and_vote(address: str, sessions: list[str], seconds: float) -> dict[str, Any]:
    """Everybody votes and thinks in turn, log-normal with a mean of five seconds; errors are counted, not raised."""
    took: dict[str, list[float]] = {"next": [], "submit": []}
    errors: list[str] = []
    rng = random.Random(5)
    end = time.monotonic() + seconds

    async def person(session: str) -> None:
        line = Line(address, session)

        async def timed_call(kind: str, *words: Any) -> Any:
            start = time.perf_counter()
            try:
                return await asyncio.wait_for(line.call(*words), 60)
            finally:
                took[kind].append(time.perf_counter() - start)

        await asyncio.sleep(rng.uniform(0, THINK_SECONDS))
        while time.monotonic() < end:
            try:
                (lent,) = (await timed_call("next", "GET", "/p/speed/annotate/next"))["assignments"]
                await asyncio.sleep(THINK_SECONDS * rng.lognormvariate(-0.125, 0.5))
                fields = {"submit_key": str(uuid4()), "form": str(lent["form"]), "preference": "2"}
                await timed_call("submit", "POST", f"/p/speed/annotate/{lent['id']}/submit", fields)
            except (OSError, EOFError, ValueError, KeyError) as error:
                errors.append(repr(error))
                line.close()

    await asyncio.gather(*(person(session) for session in sessions))
    return {
        "people": len(sessions),
        "next": percentiles(took["next"]),
        "submit": percentiles(took["submit"]),
        "votes_per_second": round(len(took["submit"]) / seconds, 1),
        "errors": len(errors),
        "first_errors": errors[:3],
    }


# What they vote on


def start_bare(stack: Stack) -> tuple[subprocess.Popen[bytes], str]:
    port = port_pick()
    environment = {
        **stack.environment(),
        "DATABASE_URL": Postgres(stack.home).url(),
        "DJANGO_SETTINGS_MODULE": "benchmarks.bare.settings",
    }
    command = [
        "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "2",
        "--worker-class",
        "gthread",
        "--threads",
        "4",
        "--keep-alive",
        "75",
    ]
    application = "django.core.wsgi:get_wsgi_application()"
    process = subprocess.Popen(
        [sys.executable, "-m", *command, application], env=environment, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: _up(address), "the bare views", 20)
    return process, address


def _up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/nothing", timeout=1).status_code == 404
    except httpx.HTTPError:
        return False


def fill(
    stack: Stack, project_id: int, low: int, high: int, *, own_texts: int = 20_000, words: str = "45"
) -> None:
    """Comparisons [low, high), below `own_texts` with 4.5 kB of their own; without checks of foreign keys.

    `words`: of each text, as an expression of SQL.
    """
    with psycopg.connect(Postgres(stack.home).url()) as connection:
        connection.execute("SET session_replication_role = replica")
        for start in range(low, high, 20_000):
            stop = min(start + 20_000, high) - 1
            statement = FILL.format(words=words) if start < own_texts else FILL_MORE
            connection.execute(statement, {"low": start, "high": stop, "project": project_id})
            connection.commit()
        # What a trigger does otherwise: cursors are void.
        connection.execute("UPDATE annotation_project SET queue_version = queue_version + 1")
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE annotation_demand, annotation_comparison, annotation_comparisoncompletion")


def heavy(stack: Stack, project_id: int, size: int) -> None:
    """The last account has done the first nine tenths."""
    with psycopg.connect(Postgres(stack.home).url()) as connection:
        connection.execute("SET session_replication_role = replica")
        values = {"project": project_id, "most": 9 * size // 10, "email": "speed0@example.org"}
        connection.execute(HEAVY, values)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE annotation_assignment")


def project_make(stack: Stack, slug: str, size: int) -> int:
    stack.manage("create_project", slug, "--wanted", "3")
    ((project_id,),) = stack.query("SELECT id FROM annotation_project WHERE slug = %s", slug)
    start = 10_000_000 * int(project_id)
    if size:
        fill(stack, int(project_id), start, start + size, own_texts=start + size)
    return int(project_id)


def web_memory_mb(stack: Stack) -> float:
    """Of the web's master and workers together, pages that they share counted once."""
    master = stack.pid("web")
    assert master is not None, "the web is not running"
    found = [psutil.Process(pid).memory_full_info().pss for pid in [master, *children(master)]]
    return round(sum(found) / 1e6, 1)


# The run


def exact(stack: Stack, slug: str, size: int, people: int) -> dict[str, Any]:
    """32 tabs of so many accounts until nothing is left: each comparison has what it wanted, each vote another person.

    With fewer accounts than annotations wanted of each, one a person is all there can be.
    """
    say(f"32 tabs of {people}")
    project_id = project_make(stack, slug, size)
    sessions = stack.accounts(slug, people)
    tabs = [Voter(stack.address, slug, sessions[n % people]) for n in range(32)]
    start = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        taken = sum(pool.map(Voter.vote_until_nothing_is_left, tabs))
    wrong = stack.query(NOT_EXACT, project_id, min(people, 3))
    broken = [name for name, statement in INVARIANTS.items() if "outbox" not in name and stack.query(statement)]
    figures = {
        "tabs": 32,
        "accounts": people,
        "votes": taken,
        "votes_wanted": size * min(people, 3),
        "comparisons_not_exact": len(wrong),
        "invariants_broken": broken,
        "votes_per_second": round(taken / (time.monotonic() - start), 1),
    }
    say(json.dumps(figures))
    return figures


def run(stack: Stack, bare: str, sizes: list[int], seconds: float, people: int, think: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"bare": {}, "ours": {}, "memory_mb": {}}
    say(f"making {max(people, 33)} accounts")
    project_id = project_make(stack, "speed", 0)
    sessions = stack.accounts("speed", max(people, 33))
    voters = [Voter(stack.address, "speed", session) for session in sessions[:33]]
    bares = [BareVoter(bare) for _ in range(32)]
    filled = 0
    for size in sizes:
        say(f"filling up to {size:,}")
        fill(stack, project_id, filled, size)
        filled = size
        for warm in (voters[1], bares[0]):  # Plans are made and pages read before anything is timed.
            warm.vote(1.0)
        figures["bare"][f"{size}/1"] = measure("bare, 1", bares[:1], seconds)
        figures["ours"][f"{size}/1"] = measure(f"{size:,} comparisons, 1", voters[1:2], seconds)
        figures["memory_mb"][str(size)] = web_memory_mb(stack)
        if size == min(sizes, key=lambda s: abs(s - 100_000)):
            for n in (8, 32):
                figures["bare"][f"{size}/{n}"] = measure(f"bare, {n}", bares[:n], seconds)
                figures["ours"][f"{size}/{n}"] = measure(f"{size:,} comparisons, {n}", voters[1 : n + 1], seconds)
            if people:
                say(f"{people} people who think")
                figures["thinking"] = asyncio.run(think_and_vote(stack.address, sessions[:people], think))
                figures["memory_mb"][f"after {people} people"] = web_memory_mb(stack)
                say(json.dumps(figures["thinking"] | figures["memory_mb"]))
    heavy(stack, project_id, filled)
    first: list[float] = []
    timed(voters[0].next, first)
    figures["heavy_first_call_ms"] = round(1000 * first[0], 1)
    say(f"the first call of who did 90 %: {figures['heavy_first_call_ms']} ms")
    figures["ours"][f"{filled}/1, did the first 90 %"] = measure("who did 90 %", voters[:1], seconds)
    figures["exact"] = [exact(stack, "crowd", 60, 8), exact(stack, "tabs", 30, 1)]
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of voting in each block")
    parser.add_argument("--sizes", default="1000,100000,1000000", help="comparisons of the project, growing")
    parser.add_argument("--people", type=int, default=400, help="who think for five seconds; 0 leaves them out")
    parser.add_argument("--think-for", type=float, default=40.0, help="seconds of voting with thought")
    wanted = parser.parse_args()
    sizes = [int(size) for size in wanted.sizes.split(",")]
    figures: dict[str, Any] = {"benchmark": "votes", "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "home", {})
        stack.folder.mkdir()
        say("starting the product")
        stack.start()
        try:
            with psycopg.connect(Postgres(stack.home).url()) as connection:
                connection.execute(BARE)
            bare, address = start_bare(stack)
            try:
                figures |= run(stack, address, sizes, wanted.seconds, wanted.people, wanted.think_for)
            finally:
                bare.terminate()
                bare.wait()
        finally:
            stack.stop()
    return _report(figures, sizes)


def _report(figures: dict[str, Any], sizes: list[int]) -> int:
    print(f"{'':38}{'next p50':>10}{'p95':>8}{'submit p50':>12}{'p95':>8}{'votes/s':>9}")
    blocks = {f"{who} {key}": row for who in ("bare", "ours") for key, row in figures[who].items()}
    if "thinking" in figures:
        blocks[f"{figures['thinking']['people']} people who think"] = figures["thinking"]
    for name, row in blocks.items():
        line = f"{name:38}{row['next']['p50_ms']:>10}{row['next']['p95_ms']:>8}"
        print(f"{line}{row['submit']['p50_ms']:>12}{row['submit']['p95_ms']:>8}{row['votes_per_second']:>9}")
    first, last = (figures["ours"][f"{size}/1"]["next"]["p50_ms"] for size in (sizes[0], sizes[-1]))
    middle = next(key for key in figures["ours"] if key.endswith("/8"))
    rates = [figures[who][middle]["votes_per_second"] for who in ("ours", "bare")]
    figures |= {"next_growth": round(last / first, 2), "share_of_bare_at_8": round(rates[0] / rates[1], 2)}
    print(f"next grows {figures['next_growth']} times from {sizes[0]:,} to {sizes[-1]:,} comparisons")
    print(f"votes/s at 8 annotators: {figures['share_of_bare_at_8']} of the bare views'")
    print(f"web processes: {figures['memory_mb']} MB")
    wrong = 0
    for block in figures["exact"]:
        print(f"{block['tabs']} tabs of {block['accounts']}: {block['votes']} of {block['votes_wanted']} votes, "
              f"{block['comparisons_not_exact']} comparisons not exact, broken: {block['invariants_broken']}")  # fmt: skip
        wrong += block["comparisons_not_exact"] + len(block["invariants_broken"])
        wrong += block["votes"] != block["votes_wanted"]
    print(json.dumps(figures, sort_keys=True))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

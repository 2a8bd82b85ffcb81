"""Next and submit over HTTP, beside a bare Django view, with 1 and with 8 annotators: `python -m benchmarks.votes`.

Starts the product in a home of its own, fills it with made-up comparisons, votes without pause, and does the same against
the bare views under the same server and on the same database. Prints a table and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.machine import machine
from launcher.home import port_pick
from launcher.postgres import Postgres
from tests.chaos.stack import Annotator, Stack, wait_for

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
BARE = """
CREATE TABLE bare_item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, prompt text, first text, second text, leased boolean);
CREATE INDEX bare_open ON bare_item (id) WHERE NOT leased;
CREATE TABLE bare_vote (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item bigint, vote int);
INSERT INTO bare_item (prompt, first, second, leased)
SELECT 'p ' || repeat(md5(n::text) || ' ', 45), repeat(md5(n::text) || ' ', 45), repeat(md5(n::text) || ' ', 45), false
FROM generate_series(1, 40000) n;
"""


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50 and p95 in milliseconds, with the number of calls."""
    cut = statistics.quantiles(seconds, n=20)
    return {"p50_ms": round(1000 * cut[9], 2), "p95_ms": round(1000 * cut[18], 2), "calls": len(seconds)}


def timed(call: Callable[[], Any], into: list[float]) -> Any:
    start = time.perf_counter()
    result = call()
    into.append(time.perf_counter() - start)
    return result


def vote_ours(person: Annotator, seconds: float) -> tuple[list[float], list[float]]:
    took_next: list[float] = []
    took_submit: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assignment = timed(person._next, took_next)
        if assignment is None:
            break
        fields = {"submit_key": assignment["submit_key"], "form": str(assignment["form"]), "preference": "2"}
        path = f"/p/{person.project}/annotate/{assignment['id']}/submit"
        reply = timed(
            lambda path=path, fields=fields: person._until_answered("POST", path, fields), took_submit
        )
        assert reply.status_code == 201, reply.text[:200]
    return took_next, took_submit


def vote_bare(client: httpx.Client, seconds: float) -> tuple[list[float], list[float]]:
    took_next: list[float] = []
    took_submit: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        item = timed(lambda: client.get("/next"), took_next).json()["item"]
        timed(lambda item=item: client.post(f"/submit/{item[0]}", data={"vote": "1"}), took_submit)
    return took_next, took_submit


def measure(
    vote: Callable[[Any, float], tuple[list[float], list[float]]], voters: list[Any], seconds: float
) -> dict[str, Any]:
    with ThreadPoolExecutor(len(voters)) as pool:
        parts = list(pool.map(lambda voter: vote(voter, seconds), voters))
    took_next = [t for part in parts for t in part[0]]
    took_submit = [t for part in parts for t in part[1]]
    return {
        "next": percentiles(took_next),
        "submit": percentiles(took_submit),
        "votes_per_second": round(len(took_submit) / seconds, 1),
    }


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


def fill(stack: Stack, project_id: int, low: int, high: int, words: int) -> None:
    with psycopg.connect(Postgres(stack.home).url()) as connection:
        for start in range(low, high, 50_000):
            stop = min(start + 50_000, high) - 1
            connection.execute(FILL.format(words=words), {"low": start, "high": stop, "project": project_id})
            connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of voting in each block")
    parser.add_argument("--sizes", default="1000,100000", help="comparisons of the project, growing")
    wanted = parser.parse_args()
    sizes = [int(size) for size in wanted.sizes.split(",")]
    figures: dict[str, Any] = {"benchmark": "votes", "machine": machine(), "ours": {}, "bare": {}}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "home", {})
        stack.folder.mkdir()
        stack.start()
        try:
            stack.manage("create_project", "speed", "--wanted", "3")
            (project_id,) = stack.query("SELECT id FROM annotation_project")[0]
            people = [_person(stack, number) for number in range(8)]
            with psycopg.connect(Postgres(stack.home).url()) as connection:
                connection.execute(BARE)
            bare, address = start_bare(stack)
            try:
                filled = 0
                for size in sizes:
                    # Texts of 4.5 kB a comparison, as long as they fit on a small disk.
                    fill(stack, project_id, filled, size, words=45 if size <= 100_000 else 1)
                    filled = size
                    for n in (1, 8):
                        clients = [httpx.Client(base_url=address, timeout=10) for _ in range(n)]
                        figures["bare"][f"{n}"] = measure(vote_bare, clients, wanted.seconds)
                        figures["ours"][f"{size}/{n}"] = measure(vote_ours, people[:n], wanted.seconds)
            finally:
                bare.terminate()
                bare.wait()
        finally:
            stack.stop()
    _report(figures, sizes)
    return 0


def _person(stack: Stack, number: int) -> Annotator:
    email = f"p{number}@example.org"
    link = stack.manage("invite", email, "--role", "annotator", "--project", "speed")["link"]
    return Annotator(stack, "speed", email, link)


def _report(figures: dict[str, Any], sizes: list[int]) -> None:
    print(f"{'':24}{'next p50':>10}{'p95':>8}{'submit p50':>12}{'p95':>8}{'votes/s':>9}")
    for who in ("bare", "ours"):
        for key, row in figures[who].items():
            line = f"{who} {key:19}{row['next']['p50_ms']:>10}{row['next']['p95_ms']:>8}"
            print(
                f"{line}{row['submit']['p50_ms']:>12}{row['submit']['p95_ms']:>8}{row['votes_per_second']:>9}"
            )
    first, last = (figures["ours"][f"{size}/1"]["next"]["p50_ms"] for size in (sizes[0], sizes[-1]))
    figures["next_growth"] = round(last / first, 2)
    figures["share_of_bare_at_8"] = round(
        figures["ours"][f"{sizes[0]}/8"]["votes_per_second"] / figures["bare"]["8"]["votes_per_second"], 2
    )
    print(f"next grows {figures['next_growth']} times from {sizes[0]:,} to {sizes[-1]:,} comparisons")
    print(f"votes/s at 8 annotators: {figures['share_of_bare_at_8']} of the bare views'")
    print(json.dumps(figures, sort_keys=True))


if __name__ == "__main__":
    raise SystemExit(main())

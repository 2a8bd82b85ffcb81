"""The curator's pages on 100,000 comparisons with votes, while votes come in: `python -m benchmarks.pages`.

Starts the product in a home of its own, fills it with made-up comparisons of six models, two votes each by forty people and
a judge's answers, aggregates, lets the analyses run, and then opens each page again and again while people vote over HTTP.
Prints a table and one JSON line; exits 1 where a page takes more than 500 ms (p95).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.machine import machine
from benchmarks.votes import CSRF, Voter, fill, percentiles, project_make, say, timed
from launcher.postgres import Postgres
from tests.chaos.stack import Stack, wait_for

GOAL_MS = 500
PEOPLE = 40
ANALYSES = ("agreement", "circles", "drivers", "groups")
RATERS = """
INSERT INTO annotation_rater (project_id, kind, name, participation_id)
SELECT p.project_id, 'person', p.pseudonym::text, p.id FROM annotation_participation p
WHERE p.project_id = %(project)s ORDER BY p.id LIMIT %(people)s
ON CONFLICT DO NOTHING
"""
MODELS = """
WITH made AS (
  INSERT INTO annotation_languagemodel (name, kind, location, revision, fingerprint, tokenizer_hash, template_hash, licence,
    judge_settings, created_at)
  SELECT 'model ' || n, 'named', '', '', '', '', '', '', '{}', now() FROM generate_series(0, 5) n RETURNING id
)
UPDATE annotation_completion c SET model_id = m.id
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM made) m
WHERE m.place = (c.id * 7919) %% 6 AND c.prompt_id IN (SELECT id FROM annotation_prompt WHERE project_id = %(project)s)
"""
# Two people a comparison, who mostly say the same; one in ten says a tie.
VOTES = """
WITH people AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM annotation_rater WHERE project_id = %(project)s)
INSERT INTO annotation_annotation (project_id, comparison_id, rater_id, state, outcome, vote, vote_scale, answers,
  interface_language, late, ordinal, shown_order, active_seconds)
SELECT %(project)s, c.id, people.id, 'current', CASE WHEN v < 0 THEN 'first' WHEN v > 0 THEN 'second' ELSE 'tie' END, v, 3,
  '{}', 'en', false, 0, CASE WHEN random() < 0.5 THEN '[0, 1]' ELSE '[1, 0]' END::jsonb, 5 + 40 * random()
FROM (
  SELECT c.id, n, CASE WHEN random() < 0.1 THEN 0 ELSE (CASE WHEN random() < 0.2 THEN -1 ELSE 1 END)
    * (CASE WHEN c.id %% 2 = 0 THEN 1 ELSE -1 END) * (1 + floor(3 * random()))::int END AS v
  FROM annotation_comparison c, generate_series(0, 1) n WHERE c.project_id = %(project)s
) c JOIN people ON people.place = (c.id * 31 + c.n * 17) %% %(people)s
ORDER BY c.n, c.id
"""
ANSWERS = """
WITH judge AS (
  INSERT INTO annotation_rater (project_id, kind, name) VALUES (%(project)s, 'model', 'judge') RETURNING id
)
INSERT INTO pipelines_prediction (project_id, comparison_id, rater_id, outcome, p_first, method, method_version, fingerprint,
  params_hash, dtype, created_at)
SELECT %(project)s, c.id, judge.id, CASE WHEN p > 0.5 THEN 'first' ELSE 'second' END, p, 'verdict', '1', 'f', 'f', '', now()
FROM judge, (SELECT id, 0.5 + (CASE WHEN id %% 2 = 0 THEN -0.25 ELSE 0.25 END) + 0.4 * (random() - 0.5) AS p
  FROM annotation_comparison WHERE project_id = %(project)s) c
"""
FILLED = (
    "UPDATE annotation_demand SET done = 2 WHERE project_id = %(project)s",
    "INSERT INTO annotation_membership (project_id, user_id, role, created_at)"
    " SELECT %(project)s, id, 'curator', now() FROM annotation_user WHERE email = 'speed0@example.org'",
)


class Reader:
    """One curator with a browser."""

    def __init__(self, address: str, session: str) -> None:
        self.client = httpx.Client(
            base_url=address,
            timeout=120,
            verify=False,
            cookies={"winnow_session": session, "winnow_csrf": CSRF},
            headers={"X-CSRFToken": CSRF, "Referer": address},
        )

    def get(self, path: str) -> None:
        reply = self.client.get(path)
        assert reply.status_code == 200, f"{path}: {reply.status_code}"

    def start(self, analysis: str) -> None:
        assert self.client.post(f"/p/speed/{analysis}/").status_code == 302


def votes_fill(stack: Stack, project_id: int) -> None:
    values = {"project": project_id, "people": PEOPLE}
    with psycopg.connect(Postgres(stack.home).url()) as connection:
        # The rows are sound; checking each against its neighbours would take longer than all that is measured.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SELECT setseed(0.5)")
        for statement in (RATERS, MODELS, VOTES, ANSWERS, *FILLED):
            connection.execute(statement, values)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def analysed(stack: Stack, reader: Reader) -> dict[str, float]:
    """Aggregate and let every analysis run; how long each took, in seconds."""
    start = time.monotonic()
    stack.manage("aggregate", "speed")
    took = {"aggregate": round(time.monotonic() - start, 1)}
    for analysis in ANALYSES:
        start = time.monotonic()
        reader.start(analysis)
        wait_for(lambda a=analysis: _there(stack, a), analysis, 600)
        took[analysis] = round(time.monotonic() - start, 1)
    return took


def _there(stack: Stack, analysis: str) -> bool:
    return bool(stack.query("SELECT 1 FROM pipelines_analysis WHERE kind = %s", analysis))


def pages(stack: Stack, project_id: int) -> dict[str, str]:
    busiest = "SELECT rater_id FROM annotation_annotation WHERE project_id = %s GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    ((rater,),) = stack.query(busiest, project_id)
    return {
        "project": "/p/speed/",
        "raters": "/p/speed/raters/",
        "rater": f"/p/speed/raters/{rater}/",
        "disagreement": "/p/speed/disagreement/",
        **{name: f"/p/speed/{name}/" for name in ANALYSES},
    }


def measured(
    stack: Stack, reader: Reader, sessions: list[str], project_id: int, calls: int
) -> tuple[dict[str, Any], int]:
    """p50 and p95 of each page, opened in turn while people vote; and the votes that came in."""
    opened = pages(stack, project_id)
    for path in opened.values():
        reader.get(path)  # Plans are made and pages read before anything is timed.
    took: dict[str, list[float]] = {name: [] for name in opened}
    over = threading.Event()
    counts = [0] * len(sessions)

    def voting(place: int) -> None:
        voter = Voter(stack.address, "speed", sessions[place])
        while not over.is_set() and (lent := voter.next()) is not None:
            counts[place] += voter.submit(lent) == 201
            over.wait(1.0)

    threads = [threading.Thread(target=voting, args=(place,)) for place in range(len(sessions))]
    for thread in threads:
        thread.start()
    for _ in range(calls):
        for name, path in opened.items():
            timed(lambda path=path: reader.get(path), took[name])
    over.set()
    for thread in threads:
        thread.join()
    return {name: percentiles(seconds) for name, seconds in took.items()}, sum(counts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="comparisons of the project")
    parser.add_argument("--calls", type=int, default=40, help="of each page")
    parser.add_argument("--voters", type=int, default=6, help="who vote meanwhile, a vote each second at most")
    wanted = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "pages", "machine": machine(), "comparisons": wanted.size}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "home", {})
        stack.folder.mkdir()
        say("starting the product")
        stack.start()
        try:
            project_id = project_make(stack, "speed", 0)
            sessions = stack.accounts("speed", PEOPLE)
            say(f"filling up to {wanted.size:,}")
            fill(stack, project_id, 0, wanted.size, words="20 + floor(50 * random())::int")
            votes_fill(stack, project_id)
            reader = Reader(stack.address, sessions[0])
            say("aggregating and analysing")
            figures["seconds"] = analysed(stack, reader)
            say(json.dumps(figures["seconds"]))
            start = time.monotonic()
            voters = sessions[1 : wanted.voters + 1]
            figures["pages"], votes = measured(stack, reader, voters, project_id, wanted.calls)
            figures["votes_per_second"] = round(votes / (time.monotonic() - start), 1)
        finally:
            stack.stop()
    return _report(figures)


def _report(figures: dict[str, Any]) -> int:
    print(f"{'page':16}{'p50 ms':>10}{'p95 ms':>10}{'calls':>8}")
    slow = []
    for name, row in figures["pages"].items():
        print(f"{name:16}{row['p50_ms']:>10}{row['p95_ms']:>10}{row['calls']:>8}")
        slow += [name] if row["p95_ms"] > GOAL_MS else []
    print(f"votes/s meanwhile: {figures['votes_per_second']}")
    print(f"above {GOAL_MS} ms: {', '.join(slow) or 'none'}")
    print(json.dumps(figures, sort_keys=True))
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())

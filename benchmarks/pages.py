"""The curator's pages on 100,000 comparisons with votes, while votes come in: `python -m benchmarks.pages`.

Fills an embedded, durable Postgres with made-up comparisons of `--models` named models, two votes each by forty people and a judge's
answers, aggregates, lets the analyses run, and then opens each page again and again, without a web server in between, while
people vote in other threads of the process. Prints a table and one JSON line; exits 1 where a page takes more than 500 ms
(p95). The CPU that a page takes stands beside, since other work on the machine does not lengthen it.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.machine import machine
from benchmarks.scratch import scratch
from benchmarks.votes import fill, percentiles, say
from launcher.home import Home
from launcher.postgres import Postgres

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
  SELECT 'model ' || n, 'named', '', '', '', '', '', '', '{}', now() FROM generate_series(0, %(models)s - 1) n RETURNING id
)
UPDATE annotation_completion c SET model_id = m.id
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM made) m
WHERE m.place = (c.id * 7919) %% %(models)s AND c.prompt_id IN (SELECT id FROM annotation_prompt WHERE project_id = %(project)s)
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


def votes_fill(stack: Any, project_id: int, models: int) -> None:
    values = {"project": project_id, "people": PEOPLE, "models": models}
    with psycopg.connect(Postgres(stack.home).url()) as connection:
        # The rows are sound; checking each against its neighbours would take longer than all that is measured.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SELECT setseed(0.5)")
        for statement in (RATERS, MODELS, VOTES, ANSWERS, *FILLED):
            connection.execute(statement, values)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def filled(folder: Path, size: int, models: int) -> Any:
    """The project, with people, comparisons and votes."""
    from annotation.models import Membership, User
    from annotation.services.assignment import participation_ensure
    from annotation.services.projects import project_create

    project = project_create(slug="speed")
    for number in range(PEOPLE):
        user = User.objects.create_user(f"speed{number}@example.org")
        Membership.objects.create(project=project, user=user, role="annotator")
        participation_ensure(project_id=project.pk, user_id=user.pk)
    stack: Any = SimpleNamespace(home=Home(folder))
    fill(stack, project.pk, 0, size, words="20 + floor(50 * random())::int")
    votes_fill(stack, project.pk, models)
    return project


def analysed(project: Any) -> dict[str, float]:
    """Aggregate and let every analysis run; how long each took, in seconds."""
    from pipelines.services.aggregation import aggregate_full
    from pipelines.services.analyses import analysis_start
    from workers.loop import drain

    start = time.monotonic()
    aggregate_full(project=project, method="dawid_skene")
    took = {"aggregate": round(time.monotonic() - start, 1)}
    for key in ANALYSES:
        start = time.monotonic()
        job = analysis_start(project=project, key=key)
        drain(queue="default", worker="benchmark")
        job.refresh_from_db()
        assert job.state == "done", f"{key}: {job.error}"
        took[key] = round(time.monotonic() - start, 1)
    return took


def signed_in(number: int) -> Any:
    from django.test import Client

    from annotation.models import User

    client = Client()
    client.force_login(User.objects.get(email=f"speed{number}@example.org"))
    return client


def vote(number: int, over: threading.Event, counts: list[int]) -> None:
    """One person who votes once a second at most until it is over."""
    from django.db import connection

    client, path = signed_in(number), "/p/speed/annotate"
    while not over.is_set():
        waiting = client.get(f"{path}/next", HTTP_ACCEPT="application/json").json()["assignments"]
        if not waiting:
            break
        fields = {"submit_key": str(uuid4()), "form": str(waiting[0]["form"]), "preference": "2"}
        reply = client.post(f"{path}/{waiting[0]['id']}/submit", fields, HTTP_ACCEPT="application/json")
        counts[number] += reply.status_code == 201
        over.wait(1.0)
    connection.close()


def measured(project: Any, voters: int, calls: int) -> dict[str, Any]:
    """p50, p95 and CPU of each page, opened in turn while people vote; and the votes that came in."""
    from annotation.models import Rater

    rater = Rater.objects.filter(project=project, kind="person").order_by("pk").first()
    assert rater is not None
    names = {"project": "", "comparisons": "comparisons/", "raters": "raters/", "rater": f"raters/{rater.pk}/"}
    names |= {"disagreement": "disagreement/"}
    opened = {name: f"/p/speed/{path}" for name, path in (names | {key: f"{key}/" for key in ANALYSES}).items()}
    client, over, counts = signed_in(0), threading.Event(), [0] * (voters + 1)
    for path in opened.values():
        assert client.get(path).status_code == 200, path  # Plans are made and pages read before anything is timed.
    threads = [threading.Thread(target=vote, args=(n, over, counts)) for n in range(1, voters + 1)]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    took: dict[str, list[float]] = {name: [] for name in opened}
    cpu: dict[str, float] = dict.fromkeys(opened, 0.0)
    for _ in range(calls):
        for name, path in opened.items():
            begun, busy = time.perf_counter(), time.thread_time()
            assert client.get(path).status_code == 200, path
            took[name].append(time.perf_counter() - begun)
            cpu[name] += time.thread_time() - busy
    seconds = time.monotonic() - start
    over.set()
    for thread in threads:
        thread.join()
    pages = {name: percentiles(took[name]) | {"cpu_ms": round(1000 * cpu[name] / calls, 1)} for name in opened}
    return {"pages": pages, "votes_per_second": round(sum(counts) / seconds, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="comparisons of the project")
    parser.add_argument("--models", type=int, default=6, help="that wrote the completions, at least 2")
    parser.add_argument("--calls", type=int, default=40, help="of each page")
    parser.add_argument("--voters", type=int, default=6, help="who vote meanwhile, a vote each second at most")
    wanted = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "pages", "machine": machine(), "comparisons": wanted.size, "models": wanted.models}
    with scratch() as folder:
        from django.conf import settings

        settings.ALLOWED_HOSTS = ["*"]
        say(f"filling up to {wanted.size:,}")
        project = filled(folder, wanted.size, wanted.models)
        say("aggregating and analysing")
        figures["seconds"] = analysed(project)
        say(json.dumps(figures["seconds"]))
        figures |= measured(project, wanted.voters, wanted.calls)
    return _report(figures)


def _report(figures: dict[str, Any]) -> int:
    print(f"{'page':16}{'p50 ms':>10}{'p95 ms':>10}{'CPU ms':>10}{'calls':>8}")
    slow = []
    for name, row in figures["pages"].items():
        print(f"{name:16}{row['p50_ms']:>10}{row['p95_ms']:>10}{row['cpu_ms']:>10}{row['calls']:>8}")
        slow += [name] if row["p95_ms"] > GOAL_MS else []
    print(f"votes/s meanwhile: {figures['votes_per_second']}")
    print(f"above {GOAL_MS} ms: {', '.join(slow) or 'none'}")
    print(json.dumps(figures, sort_keys=True))
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())

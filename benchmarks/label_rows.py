"""A full refit from rows to rows: `python -m benchmarks.label_rows --votes 1000000`.

A database of its own gets the votes, five on each comparison, by 2,000 annotators on a scale of five steps. Each refit
runs in a process of its own, as a worker's does: the first one writes all preferences (and the graded model chooses its variant),
`again` sees the same votes, `one_percent_more` some new ones, which move nearly every label a little.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace

from benchmarks.labels import strength_votes
from benchmarks.machine import machine
from benchmarks.scratch import scratch
from benchmarks.version_rows import timed

GOALS = {"dawid_skene_seconds": 5.0, "graded_seconds": 15.0}
VOTES_EACH, RATERS, STRONGEST = 5, 2_000, 2
REFIT = """
import os
from django.db import connection
from pipelines.services.aggregation import aggregate_full
import pipelines.labels.dawid_skene, pipelines.labels.graded
project = Project.objects.get(slug="bench")
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    (backend,) = cursor.fetchone()
def database_cpu():
    fields = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
own, database, began = time.process_time(), database_cpu(), time.perf_counter()
run = aggregate_full(project=project, method=sys.argv[1])
said = run.counts | {"cpu_seconds": time.process_time() - own, "database_cpu_seconds": database_cpu() - database}
"""
COMPARISONS = """
WITH numbered AS (SELECT n, sha256('a' || int8send(n)) AS a, sha256('b' || int8send(n)) AS b FROM generate_series(1, %(count)s::bigint) n
), t AS (
  INSERT INTO annotation_text (sha256, form, body)
  SELECT sha256('prompt'), 'plain', 'prompt' UNION ALL SELECT a, 'plain', 'one' FROM numbered UNION ALL SELECT b, 'plain', 'other' FROM numbered
), p AS (
  INSERT INTO annotation_prompt (project_id, text_sha256) SELECT %(project)s, sha256('prompt') RETURNING id
), c AS (
  INSERT INTO annotation_completion (prompt_id, text_sha256)
  SELECT p.id, text FROM p, (SELECT a AS text FROM numbered UNION ALL SELECT b FROM numbered) texts RETURNING id, text_sha256
), k AS (
  INSERT INTO annotation_comparison (project_id, prompt_id, key, context, size, warnings, created_at)
  SELECT %(project)s, p.id, a, '', 2, '{}', now() FROM p, numbered RETURNING id, key
)
INSERT INTO annotation_comparisoncompletion (comparison_id, completion_id, position)
SELECT k.id, c.id, (c.text_sha256 = numbered.b)::int
FROM k JOIN numbered ON numbered.a = k.key JOIN LATERAL (VALUES (numbered.a), (numbered.b)) side (text) ON true JOIN c ON c.text_sha256 = side.text
"""
RATER_ROWS = """
INSERT INTO annotation_rater (project_id, kind, name)
SELECT %(project)s, 'person', 'annotator ' || n FROM generate_series(1, %(count)s::bigint) n
"""
VOTE_ROWS = (
    "COPY annotation_annotation (project_id, comparison_id, rater_id, state, outcome, vote, vote_scale, answers,"
    " shown_order, interface_language, late, ordinal) FROM STDIN"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--methods", nargs="+", default=["dawid_skene", "graded"])
    parser.add_argument("--steps", nargs="+", default=["first", "again", "one_percent_more"])
    options = parser.parse_args()
    with scratch():
        places = fill(options.votes)
        found = {}
        for method in options.methods:
            for which in options.steps:
                if which == "one_percent_more":
                    places = places.more(options.votes // 100)
                found[f"{method}, {which}"] = timed(REFIT, method)
                print(json.dumps({f"{method}, {which}": found[f"{method}, {which}"]}), file=sys.stderr, flush=True)
    print(json.dumps({"benchmark": "label_rows", "votes": options.votes, "found": found, "goals": GOALS,
                      "machine": machine("numpy", "scipy")}))  # fmt: skip


@dataclass(frozen=True)
class Filled:
    """A project with votes; `next` is the seed of the next ones."""

    project: int
    comparisons: list[int]
    raters: list[int]
    next: int = 0

    def more(self, count: int) -> Filled:
        """The same with so many more votes, on the first comparisons of all."""
        from django.db import connection

        votes = strength_votes(count, raters=len(self.raters), seed=self.next)
        with connection.cursor() as cursor:
            # The rows are made here and point at rows that exist: their checks would take most of the time.
            cursor.execute("SET session_replication_role = replica")
            with cursor.copy(VOTE_ROWS) as copy:
                for row in zip(votes.item.tolist(), votes.rater.tolist(), votes.step.tolist(), votes.side.tolist(), strict=True):
                    copy.write_row(self._row(*row))
            cursor.execute("SET session_replication_role = origin")
            cursor.execute("ANALYZE annotation_annotation")
        return replace(self, next=self.next + 1)

    def _row(self, item: int, rater: int, step: int, side: int) -> tuple[object, ...]:
        vote = STRONGEST - step
        outcome = "tie" if vote == 0 else "first" if vote < 0 else "second"
        order = "[0, 1]" if side == 1 else "[1, 0]"
        ids = self.project, self.comparisons[item], self.raters[rater]
        return (*ids, "current", outcome, vote, STRONGEST, "{}", order, "", False, 0)


def fill(count: int) -> Filled:
    """A project of so many votes, five a comparison."""
    from django.db import connection

    from annotation.services.projects import project_create

    began = time.perf_counter()
    project = project_create(slug="bench").pk
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(COMPARISONS, {"project": project, "count": count // VOTES_EACH})
        cursor.execute(RATER_ROWS, {"project": project, "count": RATERS})
        cursor.execute("SELECT id FROM annotation_comparison ORDER BY id")
        comparisons = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT id FROM annotation_rater ORDER BY id")
        raters = [row[0] for row in cursor.fetchall()]
    filled = Filled(project, comparisons, raters).more(count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(f"filled in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return filled


if __name__ == "__main__":
    main()

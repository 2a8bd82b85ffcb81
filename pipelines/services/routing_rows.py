"""How a routing plan reaches the tables: staged by COPY, then decisions, then what people may get, set by set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

from annotation.services.assignment_sql import CHANGING
from pipelines.selectors.pairs import IS_PAIR

PILOT_POOL, PLAN_POOL = 0, 1


@dataclass(frozen=True)
class PlannedRow:
    """One decision; `ord` is the place in the people's queue, lowest first."""

    comparison_id: int
    destination: str
    reason: str
    rank: int | None
    confidence: float | None
    propensity: float
    pool: int
    ord: int


STAGE = """
CREATE TEMPORARY TABLE route_stage (comparison_id bigint, destination text, reason text, rank int, confidence float8,
  propensity float8, pool int, ord bigint) ON COMMIT DROP
"""

DECISIONS = """
INSERT INTO pipelines_routingdecision
  (plan_id, comparison_id, destination, reason, rank, confidence, propensity, created_at)
SELECT %(plan)s, comparison_id, destination, reason, rank, confidence, propensity, statement_timestamp()
FROM route_stage ORDER BY comparison_id
"""

# The most particular word about how many annotations are wanted: of the comparison, of its import, of the project.
WANTED = """
SELECT c.id AS comparison_id, coalesce(c.wanted, i.wanted, j.wanted) AS wanted
FROM annotation_comparison c JOIN annotation_project j ON j.id = c.project_id
LEFT JOIN annotation_import i ON i.id = c.source_import_id
WHERE c.project_id = %(project)s
"""

# Rows are locked in the order of comparisons, as everywhere. Who holds a lease may finish: that is `promised`.
OPEN = f"""
INSERT INTO annotation_demand (comparison_id, project_id, pool, ord, wanted, done, leased, promised, held_back)
SELECT s.comparison_id, %(project)s, s.pool, s.ord, w.wanted, 0, 0, 0, false
FROM route_stage s JOIN ({WANTED}) w USING (comparison_id) WHERE destination = 'person' ORDER BY comparison_id
ON CONFLICT (comparison_id) DO UPDATE SET pool = excluded.pool, ord = excluded.ord, wanted = excluded.wanted, closed = false,
  promised = CASE WHEN annotation_demand.done + annotation_demand.leased > excluded.wanted
                  THEN annotation_demand.done + annotation_demand.leased ELSE 0 END
"""

# A plan speaks of pairs only; comparisons of another kind stay as they are.
OTHERS = f"""
  d.project_id = %(project)s AND NOT EXISTS (
    SELECT FROM route_stage s WHERE s.comparison_id = d.comparison_id AND s.destination = 'person')
  AND EXISTS (SELECT FROM annotation_comparison c WHERE c.id = d.comparison_id AND {IS_PAIR})
"""
CLOSE = f"""
WITH closing AS (
  SELECT d.comparison_id FROM annotation_demand d
  WHERE NOT d.closed AND {OTHERS} ORDER BY d.comparison_id FOR NO KEY UPDATE
)
UPDATE annotation_demand d SET closed = true, wanted = 0, promised = d.done + d.leased
FROM closing WHERE closing.comparison_id = d.comparison_id
"""
# What is held back, or was settled, is remembered for the plan that opens it again.
DROP = f"""
DELETE FROM annotation_demand d
WHERE d.done = 0 AND d.leased = 0 AND NOT d.held_back AND d.settled_at IS NULL AND {OTHERS}
"""


def wanted_of(project_id: int) -> dict[int, int]:
    """How many annotations each comparison of the project wants, were it to go to people."""
    with connection.cursor() as cursor:
        cursor.execute(WANTED, {"project": project_id})
        return dict(cursor.fetchall())


def plan_store(rows: Iterable[PlannedRow], *, plan_id: int, project_id: int) -> None:
    """Write the decisions, open to people what goes to people, and close all else; in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.route_stage")
        cursor.execute(STAGE)
        with cursor.copy("COPY route_stage FROM STDIN") as copy:
            for row in rows:
                copy.write_row(
                    (row.comparison_id, row.destination, row.reason, row.rank, row.confidence, row.propensity,
                     row.pool, row.ord)
                )  # fmt: skip
        cursor.execute("ANALYZE route_stage")
        cursor.execute(DECISIONS, {"plan": plan_id})
        for statement in (CHANGING, OPEN, CLOSE, DROP):
            cursor.execute(statement, {"project": project_id})

"""In which order people get what, and how many annotations they are asked for: changes of many places, as work items.

An order is a policy of the project. `routing`, where each begins, needs no work: plans and imports write their places as
they write their rows. The others are applied to all places by a work item, again after each import and plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from annotation.errors import NotFound, Refused
from annotation.models import Import, Project, User
from annotation.services.assignment_sql import CHANGING, LOCK_DEMANDS
from annotation.services.demand import queue_wanted_set, wanted_check
from pipelines.models import Job, RoutingPlan
from pipelines.queue import DEFAULT, Leased, job_start, work_add, work_finishing

PLANNED = "routing"
BATCH, VERSION_BATCHES = 1000, 20


@dataclass(frozen=True)
class Order:
    """`first`: the sort of a pool's places. `stratum`: where strata take turns, what they are."""

    label: str
    first: str
    stratum: str = "0"


# Strata take turns by share: the k-th of n comparisons stands at (k - 1/2) / n, so that whoever is served least comes
# first. The pilot of a plan stays in front of all else, and stays a random one when it is cut short.
ORDERS: dict[str, Order] = {
    PLANNED: Order("As routed; what no plan speaks of, as imported", "rank, draw"),
    "import": Order("Batch by batch, in the order of the batches", "place, batch"),
    "round_robin": Order("Batches take turns, the least served first", "share, batch", "batch"),
    "by_context": Order("Contexts take turns, the least served first", "share, context", "context"),
    "shuffled": Order("Shuffled", "key"),
}

STAGE = """
CREATE TEMPORARY TABLE queue_stage AS
WITH q AS (
  SELECT d.comparison_id, d.done + d.leased >= d.wanted AS is_served, c.key, c.context, coalesce(i.place, 0) AS place,
    coalesce(c.source_import_id, 0) AS batch, x.rank, x.reason,
    CASE WHEN x.reason IS NULL OR x.reason = 'pilot' THEN 0 ELSE 1 END AS pool,
    CASE WHEN x.reason = 'pilot' THEN c.key END AS draw
  FROM annotation_demand d JOIN annotation_comparison c ON c.id = d.comparison_id
  LEFT JOIN annotation_import i ON i.id = c.source_import_id
  LEFT JOIN pipelines_routingdecision x ON x.comparison_id = c.id AND x.plan_id = %(plan)s
  WHERE d.project_id = %(project)s
), placed AS (
  SELECT q.*, (row_number() OVER (PARTITION BY pool, {stratum} ORDER BY is_served DESC, comparison_id) - 0.5)
    / count(*) OVER (PARTITION BY pool, {stratum}) AS share
  FROM q
)
SELECT comparison_id, pool, row_number() OVER (PARTITION BY pool ORDER BY {first}, comparison_id) AS ord FROM placed
"""
NEXT_BATCH = """
SELECT comparison_id FROM queue_stage WHERE comparison_id > %(after)s ORDER BY comparison_id LIMIT %(batch)s
"""
MOVE = """
UPDATE annotation_demand d SET pool = s.pool, ord = s.ord FROM queue_stage s
WHERE d.comparison_id = s.comparison_id AND d.comparison_id = ANY (%(comparisons)s)
  AND (d.pool, d.ord) IS DISTINCT FROM (s.pool, s.ord::bigint)
"""


# Orders


@transaction.atomic
def order_start(*, project: Project, order: str, created_by: User | None = None) -> Job:
    """Choose the project's order from now on; a job moves the places."""
    if order not in ORDERS:
        raise Refused(f"There is no order {order!r}; known are {', '.join(ORDERS)}.")
    Project.objects.filter(pk=project.pk).update(queue_order=order)
    return job_start(project=project, kind="queue.order", params={"order": order}, created_by=created_by)


def order_again(project_id: int) -> None:
    """After places were added or rewritten: apply the project's order to them soon, if it is one of its own."""
    project = Project.objects.get(pk=project_id)
    if project.queue_order == PLANNED:
        return
    # The version is in the key: one that runs now may have read the places before.
    key = f"project-{project_id}-{project.queue_version}"
    work_add(queue=DEFAULT, project_id=project_id, kind="queue.order", key=key, params={})


def order_work(item: Leased) -> None:
    """Handler of `queue.order`: the order that the project has by now."""
    project = Project.objects.get(pk=item.project_id)
    moved = order_apply(project=project, advance=item.advance)
    with work_finishing(item):
        item.counts["moved"] += moved


def order_apply(*, project: Project, advance: Callable[[int], None] = lambda n: None) -> int:
    """Give every comparison its place under the project's order; returns how many moved.

    While people vote: places are computed aside and moved a thousand at a time, each a transaction. Cursors are voided
    every 20 batches and at the end, so what moved to the front may be passed by for seconds, not for good. A plan that is
    made meanwhile ends it: the plan writes its own places.
    """
    plan = _plan_of(project)
    values: dict[str, Any] = {"project": project.pk, "plan": plan, "after": 0, "batch": BATCH}
    moved = batches = 0
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.queue_stage")
        order = ORDERS[project.queue_order]
        cursor.execute(STAGE.format(first=order.first, stratum=order.stratum), values)
        cursor.execute("ALTER TABLE queue_stage ADD PRIMARY KEY (comparison_id)")
        try:
            while ids := _ids(cursor, NEXT_BATCH, values):
                with transaction.atomic():
                    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
                    if _plan_of(project) != plan:
                        break
                    batches += 1
                    if batches % VERSION_BATCHES == 0:
                        cursor.execute(CHANGING, values)
                    cursor.execute(LOCK_DEMANDS, {**values, "comparisons": ids})
                    cursor.execute(MOVE, {"comparisons": ids})
                    moved += cursor.rowcount
                values["after"] = ids[-1]
                advance(len(ids))
        finally:
            cursor.execute(CHANGING, values)
            cursor.execute("DROP TABLE IF EXISTS pg_temp.queue_stage")
    return moved


def _ids(cursor: Any, statement: str, values: dict[str, Any]) -> list[int]:
    cursor.execute(statement, values)
    return [row[0] for row in cursor.fetchall()]


def _plan_of(project: Project) -> int | None:
    return (
        RoutingPlan.objects.filter(project=project)
        .exclude(state=RoutingPlan.State.REPLACED)
        .values_list("pk", flat=True)
        .first()
    )


# Batches


def batch_place_set(*, project: Project, import_id: int, place: int) -> None:
    """Where a batch stands among the batches; takes effect with the next order."""
    if not -10_000 <= place <= 10_000:
        raise Refused(f"A batch's place is a number from -10,000 to 10,000; got {place}.")
    if not Import.objects.filter(project=project, pk=import_id).exclude(place=place).update(place=place):
        return
    order_again(project.pk)


@transaction.atomic
def wanted_start(
    *,
    project: Project,
    wanted: int,
    import_id: int | None = None,
    now: bool = False,
    created_by: User | None = None,
) -> Job:
    """A job that raises or lowers wanted annotations of a batch or of the whole project, in flight."""
    wanted_check(wanted)
    if import_id is None and wanted < 1:
        raise Refused("A project wants at least 1 annotation; lower a batch to 0, or archive the project.")
    if import_id is not None and not Import.objects.filter(project=project, pk=import_id).exists():
        raise NotFound("There is no such import in this project.")
    params = {"wanted": wanted, "import_id": import_id, "now": now}
    return job_start(project=project, kind="queue.wanted", params=params, created_by=created_by)


def wanted_work(item: Leased) -> None:
    """Handler of `queue.wanted`. Again after a crash it goes on with what still wants another number."""
    project = Project.objects.get(pk=item.project_id)
    changed = queue_wanted_set(project=project, **item.params, advance=item.advance)
    with work_finishing(item):
        item.counts["changed"] += changed

"""What people are asked for: wanted annotations of a project, a batch or one comparison; holding back, settling, deleting.

Wanted annotations can be raised and lowered while people work. Whoever holds a comparison when `wanted` is lowered may
finish and is counted (`promised`); with `now` the newest leases above it are taken away instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models import ProtectedError
from django.db.models.functions import Now

from annotation.errors import Conflict, NotFound, Refused
from annotation.models import Annotation, Assignment, Comparison, Demand, Flag, Import, Project
from annotation.services import assignment_sql as sql
from annotation.services.assignment import HOLDING, rowcount_of, rows_of

MOST_WANTED = 1000
BATCH = 1000


def wanted_check(wanted: int) -> None:
    if not 0 <= wanted <= MOST_WANTED:
        raise Refused(f"Wanted annotations must be from 0 to {MOST_WANTED:,}; got {wanted}.")


@transaction.atomic
def comparison_wanted_set(
    *, project: Project, comparison_ids: Sequence[int], wanted: int, now: bool = False
) -> int:
    """Raise or lower wanted annotations of these comparisons alone; returns how many of them people may get.

    What a routing plan sends to a model stays closed to people.
    """
    wanted_check(wanted)
    may = Demand.objects.filter(pk__in=comparison_ids, closed=False).values_list("pk", flat=True)
    ids = _wanted_write(project.pk, list(may), wanted, now)
    Comparison.objects.filter(pk__in=ids).update(wanted=wanted)
    return len(ids)


def _wanted_write(project_id: int, comparison_ids: Sequence[int], wanted: int, now: bool) -> list[int]:
    values = {"project": project_id, "comparisons": list(comparison_ids), "wanted": wanted}
    held = [row[0] for row in rows_of(sql.LOCK_HELD, values)] if now else []
    locked = [row[0] for row in rows_of(sql.LOCK_DEMANDS, values)]
    ids = [row[0] for row in rows_of(sql.WANTED, {**values, "comparisons": locked})]
    if held:
        rows_of(sql.REVOKE, {"held": held, "comparisons": ids})
    return ids


def queue_wanted_set(
    *,
    project: Project,
    wanted: int,
    import_id: int | None = None,
    now: bool = False,
    advance: Callable[[int], None] = lambda n: None,
) -> int:
    """Raise or lower wanted annotations of a batch (an import), or of the whole project and all its batches.

    Any number of comparisons: each thousand is a transaction of its own, after which `advance` is told. What was set for
    single comparisons before ends with it. Returns how many changed.
    """
    wanted_check(wanted)
    _wanted_keep(project, wanted, import_id)
    values = {
        "project": project.pk, "import": import_id, "wanted": wanted, "now": now, "batch": BATCH, "after": 0
    }  # fmt: skip
    changed = 0
    while ids := [row[0] for row in rows_of(sql.OTHERWISE_WANTED, values)]:
        with transaction.atomic():
            rowcount_of(sql.CHANGING, values)
            changed += len(_wanted_write(project.pk, ids, wanted, now))
            Comparison.objects.filter(pk__in=ids, wanted__isnull=False).update(wanted=None)
        values["after"] = ids[-1]
        advance(len(ids))
    return changed


@transaction.atomic
def _wanted_keep(project: Project, wanted: int, import_id: int | None) -> None:
    """Also for what is opened later: a plan asks for this number."""
    batches = Import.objects.filter(project=project)
    if import_id is not None:
        if not batches.filter(pk=import_id).update(wanted=wanted):
            raise NotFound("There is no such import in this project.")
        return
    if wanted < 1:
        raise Refused("A project wants at least 1 annotation; lower a batch to 0, or archive the project.")
    batches.update(wanted=None)
    Project.objects.filter(pk=project.pk).update(wanted=wanted)


@transaction.atomic
def comparison_hold(*, project_id: int, comparison_id: int) -> None:
    """A curator holds a comparison back: nobody new gets it until a curator settles it; who has it may finish."""
    demand = Demand.objects.filter(project_id=project_id, comparison_id=comparison_id)
    if not demand.update(held_back=True, kept_back=True):
        raise NotFound("This comparison is not open to people.")


@transaction.atomic
def comparison_settle(*, project_id: int, comparison_id: int) -> None:
    """A curator has looked: flags are resolved, and the comparison is handed out again."""
    demand = Demand.objects.filter(project_id=project_id, comparison_id=comparison_id)
    if not demand.exists():
        raise NotFound("This comparison is not open to people.")
    Flag.objects.filter(comparison_id=comparison_id, resolved_at=None).update(resolved_at=Now())
    demand.update(held_back=False, kept_back=False, settled_at=Now())


@transaction.atomic
def comparison_delete(*, project_id: int, comparison_id: int) -> None:
    """Delete a comparison that nobody holds and nobody has judged; refuses otherwise."""
    comparison = Comparison.objects.filter(project_id=project_id, pk=comparison_id).first()
    if comparison is None:
        raise NotFound("There is no such comparison in this project.")
    assignments = Assignment.objects.filter(comparison=comparison)
    held = list(assignments.select_for_update().order_by("id"))
    list(Demand.objects.select_for_update().filter(comparison=comparison))
    # Under the lock of its demand nobody new gets it. Whoever came before that lock is looked for without another one:
    # assignments are locked before demands.
    came = assignments.exclude(pk__in=[assignment.pk for assignment in held])
    if any(assignment.state in HOLDING for assignment in held) or came.exists():
        raise Conflict("Somebody holds this comparison. Hold it back and release the lease, then delete it.")
    if Annotation.objects.filter(comparison=comparison).exists():
        raise Conflict("There are answers on this comparison; they are kept. Hold it back instead.")
    try:
        comparison.delete()
    except ProtectedError:
        raise Conflict("Other work rests on this comparison. Hold it back instead.") from None

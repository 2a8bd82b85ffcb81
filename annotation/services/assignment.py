"""The assignment queue: next, submit, skip, flag, heartbeat, release, sweep.

Exact because the place is reserved at the claim (`demand.leased`) and the database refuses `done + leased` above what is
wanted. A lease ends when somebody takes it away under the row lock, not when the clock passes, so a vote that comes a
second late is simply a vote. Postgres's clock is the only clock.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from annotation.errors import AlreadyAnswered, Busy, Conflict, KeptAsSurplus, KeyReused, NotFound, Refused, _
from annotation.feedback import About, Validated, answers_validate, needs_texts
from annotation.models import (
    Annotation,
    Assignment,
    Demand,
    Flag,
    Participation,
    Rater,
)
from annotation.outbox import outbox_add
from annotation.selectors.media import seconds_together
from annotation.services import assignment_sql as sql
from annotation.services.edits import edits_derive

log = logging.getLogger(__name__)

MOST_EXPIRED = 3
MOST_GIVEN_BACK = 3
MOST_FLAGS = 3
MOST_WAITS = 20
# What one page may hold at once, the comparison that it shows among them: few when little is left, so that nobody is told
# that nothing waits while others hold what they will come to later; more, for the time without network, while plenty is.
FEW_HELD, MOST_HELD = 3, 6
PLENTY_OPEN = 200
HOLDING = (Assignment.State.LEASED, Assignment.State.OFFERED)
QUEUE_START = (0, -(2**63))
SURPLUS = _("This comparison wants no more answers; yours is kept under My answers and is not counted.")
SKIP_REASONS = {
    "broken": _("Something is broken"),
    "too_long": _("Too long for now"),
    "not_my_field": _("Not my field"),
    "other": _("Other"),
}


@dataclass(frozen=True)
class AssignmentRow:
    """A lease as the page needs it. `option_order[0]` is the stored position shown as A."""

    id: int
    token: int
    comparison_id: int
    option_order: list[int]
    lease_until: datetime


@dataclass(frozen=True)
class Shown:
    """What the page measured, all optional. Seconds; `exposure` by side as shown."""

    form_revision_id: int | None = None
    guideline_revision_id: int | None = None
    interface_language: str = ""
    active_seconds: float | None = None
    idle_seconds: float | None = None
    exposure: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Submitted:
    annotation_id: int
    replay: bool
    late: bool


# Reads answers (stored order) once the form's questions and the sides shown are known, both of which the lock brings.
AnswerReader = Callable[[Sequence[Mapping[str, Any]], Sequence[int]], Mapping[str, Any]]


@dataclass(frozen=True)
class _Person:
    participation_id: int
    rater_id: int
    lease_seconds: int


@dataclass(frozen=True)
class _Holder(_Person):
    """Who holds or held an assignment, with what it is about. `form_id` is None when no such form is the project's;
    `known_id` is the answer that came with this key before."""

    comparison_id: int
    project_id: int
    option_order: list[int]
    form_id: int | None
    questions: str
    guidelines_id: int | None
    known_id: int | None


def rows_of(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def rowcount_of(statement: str, parameters: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def _person_checked(state: str, archived: bool) -> None:
    if archived:
        raise Refused(_("This project is archived; it hands out no comparisons and takes no answers."))
    if state != Participation.State.ACTIVE:
        raise Refused(_("You are paused in this project. Ask its admin to let you go on."))


def participation_ensure(*, project_id: int, user_id: int) -> Participation:
    """The person's place in the project, with a rater of a random pseudonym; made on first use."""
    participation, _ = Participation.objects.get_or_create(project_id=project_id, annotator_id=user_id)
    Rater.objects.get_or_create(
        participation=participation,
        defaults={"project_id": project_id, "kind": Rater.Kind.PERSON, "name": participation.pseudonym.hex},
    )
    return participation


@dataclass(frozen=True)
class _Place:
    """Where a person's next begins to look: what they lost or were offered, offers to their groups, their cursor."""

    resumes: bool
    offers: list[int]
    version: int
    cursor_pool: int
    cursor_ord: int


def _person_lock(project_id: int, user_id: int) -> tuple[_Person, _Place]:
    rows = rows_of(sql.PERSON, {"project": project_id, "user": user_id})
    if not rows:
        participation_ensure(project_id=project_id, user_id=user_id)
        rows = rows_of(sql.PERSON, {"project": project_id, "user": user_id})
    participation_id, state, rater_id, lease_seconds, archived, resumes, offers, version, is_true, *at = rows[0]
    _person_checked(state, archived)
    pool, ord_ = at if is_true else QUEUE_START
    return _Person(participation_id, rater_id, lease_seconds), _Place(resumes, offers, version, pool, ord_)


def _holder_lock(
    assignment_id: int,
    user_id: int,
    *,
    project_id: int | None = None,
    shown: Shown | None = None,
    key: UUID | None = None,
) -> _Holder:
    """The lock of the person who holds or held this assignment; with `project_id`, only if it is of that project."""
    parameters = {
        "assignment": assignment_id,
        "user": user_id,
        "project": project_id,
        "form": shown.form_revision_id if shown else None,
        "guidelines": shown.guideline_revision_id if shown else None,
        "key": key,
    }
    rows = rows_of(sql.PERSON_OF_ASSIGNMENT, parameters)
    if not rows:
        raise NotFound(_("There is no such assignment for you."))
    participation_id, state, rater_id, lease_seconds, archived, *about = rows[0]
    _person_checked(state, archived)
    return _Holder(participation_id, rater_id, lease_seconds, *about)


def most_held(*, project_id: int) -> int:
    """How many comparisons one page may hold now. One query, over some entries of the index of what is open."""
    rows = rows_of(sql.PLENTY, {"project": project_id, "most": PLENTY_OPEN})
    return MOST_HELD if rows[0][0] else FEW_HELD


class _Missed(Exception):
    """What was left is in somebody's hands this instant. Rolls the attempt back, and every lock with it."""

    def __init__(self, comparison_id: int) -> None:
        self.comparison_id = comparison_id


def assignment_next(*, project_id: int, user_id: int, prefetch: int = 1) -> list[AssignmentRow]:
    """What this person should judge now: leases already held, then their own offered and lost ones, then new ones.

    A second tab, a reload and a lost answer get the same assignments. Empty: nothing waits for this person.
    """
    wait_for: int | None = None
    for _attempt in range(MOST_WAITS):
        try:
            return _next(project_id, user_id, prefetch, wait_for)
        except _Missed as missed:
            wait_for = missed.comparison_id
    raise Busy(_("Others are taking what is left this instant. Ask again in a moment."))


@transaction.atomic
def _next(project_id: int, user_id: int, prefetch: int, wait_for: int | None) -> list[AssignmentRow]:
    person, place = _person_lock(project_id, user_id)
    if wait_for is not None:
        # Before any other place is locked: looking for one locks also what turns out to be taken, and two who wait while
        # they hold such places would wait for each other.
        rows_of(sql.WAIT, {"comparison": wait_for})
    held = [AssignmentRow(*row) for row in rows_of(sql.HELD, {"me": person.participation_id})]
    missing = prefetch - len(held)
    if missing <= 0:
        return held[:prefetch]
    values = {
        **asdict(place),
        "project": project_id,
        "me": person.participation_id,
        "lease": person.lease_seconds,
        "most_expired": MOST_EXPIRED,
    }
    held += _lend(place, values, missing)
    if held:
        return held
    candidate = rows_of(sql.CANDIDATE, values)
    if not candidate:
        return []
    raise _Missed(candidate[0][0])


def _lend(place: _Place, values: Mapping[str, Any], k: int) -> list[AssignmentRow]:
    """Up to `k` leases of what nobody holds in this instant."""
    sources = [sql.RESUME] * place.resumes + [sql.PICK_RESERVED] * bool(place.offers) + [sql.PICK]
    lent: list[AssignmentRow] = []
    for statement in sources:
        if len(lent) < k:
            lent += [AssignmentRow(*row) for row in rows_of(sql.limited(statement, k - len(lent)), values)]
    return lent


def _body_hash(answers: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(orjson.dumps(answers, option=orjson.OPT_SORT_KEYS)).digest()


def _replay(rater_id: int, key: UUID, body_hash: bytes) -> Submitted | None:
    """The first answer to this key again, if there was one."""
    known = Annotation.objects.filter(rater_id=rater_id, submit_key=key).first()
    if known is None:
        return None
    if known.body_hash is None or bytes(known.body_hash) != body_hash:
        raise KeyReused(_("This submit key came before with another answer. Reload the page and answer again."))
    if known.state == Annotation.State.SURPLUS:
        raise KeptAsSurplus(SURPLUS, known.pk)
    if known.state == Annotation.State.WITHDRAWN:
        raise Conflict(_("You took this answer back. Reload the page to answer again."))
    return Submitted(known.pk, replay=True, late=known.late)


def assignment_submit(
    *,
    assignment_id: int,
    user_id: int,
    submit_key: UUID,
    answers: Mapping[str, Any] | AnswerReader,
    shown: Shown | None = None,
    project_id: int | None = None,
) -> Submitted:
    """Store one answer (stored order), acknowledged only after COMMIT; the same key and body again gives the same row.

    Lease over and comparison still open: counted and marked late. Over and full: stored as surplus, then `KeptAsSurplus`.
    With `project_id` the assignment must be of that project.
    """
    outcome = _submit(assignment_id, user_id, submit_key, answers, shown or Shown(), project_id)
    if isinstance(outcome, KeptAsSurplus):
        raise outcome
    return outcome


@transaction.atomic
def _submit(
    assignment_id: int,
    user_id: int,
    key: UUID,
    answers: Mapping[str, Any] | AnswerReader,
    shown: Shown,
    project_id: int | None,
) -> Submitted | KeptAsSurplus:
    holder = _holder_lock(assignment_id, user_id, project_id=project_id, shown=shown, key=key)
    if holder.form_id is None or (shown.guideline_revision_id is not None and holder.guidelines_id is None):
        raise Refused(_("The form or guidelines shown do not belong to this project. Reload the page."))
    questions = json.loads(holder.questions)
    given = answers(questions, holder.option_order) if callable(answers) else answers
    valid = answers_validate(questions, given, about_of(holder.comparison_id, len(holder.option_order), questions))
    row = _annotation_parameters(holder, key, valid, shown) | {
        "assignment": assignment_id,
        "gives_back": valid.gives_place_back,
    }
    stored = [] if holder.known_id else rows_of(sql.SUBMIT, row)
    outcome = (
        Submitted(stored[0][0], replay=False, late=False)
        if stored
        else _replay(holder.rater_id, key, row["body_hash"])
        or _submit_without_lease(assignment_id, holder.comparison_id, row, valid)
    )
    if stored and valid.gives_place_back:
        hold_back_judge(holder.comparison_id)
    if isinstance(outcome, Submitted) and not outcome.replay:
        edits_derive(annotation_id=outcome.annotation_id, questions=questions, answers=valid.answers)
    return outcome


def about_of(comparison_id: int, size: int, questions: Sequence[Mapping[str, Any]]) -> About:
    """What the rules of these questions need to know of a comparison; its texts only where one needs them."""
    if not needs_texts(questions):
        return About(size)
    texts = [(form, body) for form, body in rows_of(sql.TEXTS, {"comparison": comparison_id})]
    return About(size, texts, seconds_together(texts))


def _annotation_parameters(holder: _Holder, key: UUID, valid: Validated, shown: Shown) -> dict[str, Any]:
    return {
        "project": holder.project_id,
        "me": holder.participation_id,
        "rater": holder.rater_id,
        "form": holder.form_id,
        "guidelines": holder.guidelines_id,
        **asdict(valid.summary),
        "answers": json.dumps(valid.answers),
        "language": shown.interface_language,
        "key": key,
        "body_hash": _body_hash(valid.answers),
        "active": shown.active_seconds,
        "idle": shown.idle_seconds,
        "exposure": None if shown.exposure is None else json.dumps(dict(shown.exposure)),
    }


def _submit_without_lease(
    assignment_id: int, comparison_id: int, row: Mapping[str, Any], valid: Validated
) -> Submitted | KeptAsSurplus:
    """Late: counted if a place is free, kept as surplus otherwise. The person's lock is held."""
    assignment = Assignment.objects.select_for_update(no_key=True).get(pk=assignment_id)
    if assignment.state == Assignment.State.SUBMITTED:
        raise AlreadyAnswered(
            _("You answered this comparison in another tab. You can correct that answer under My answers.")
        )
    counts = assignment.counted and not valid.gives_place_back
    done = rows_of(sql.COUNT_LATE, {"comparison": comparison_id}) if counts else [(0,)]
    annotation = Annotation.objects.create(
        project_id=row["project"],
        comparison_id=comparison_id,
        rater_id=row["rater"],
        assignment=assignment,
        state=Annotation.State.CURRENT if done else Annotation.State.SURPLUS,
        outcome=row["outcome"],
        vote=row["vote"],
        vote_scale=row["vote_scale"],
        answers=valid.answers,
        form_revision_id=row["form"],
        guideline_revision_id=row["guidelines"],
        interface_language=row["language"],
        shown_order=assignment.option_order,
        submit_key=row["key"],
        body_hash=row["body_hash"],
        gave_back=valid.gives_place_back,
        late=True,
        ordinal=done[0][0] if done else 0,
        active_seconds=row["active"],
        idle_seconds=row["idle"],
        exposure=None if row["exposure"] is None else json.loads(row["exposure"]),
    )
    assignment.state = Assignment.State.SUBMITTED if done else Assignment.State.RELEASED
    assignment.closing_reason = "late" if done else "surplus"
    assignment.save(update_fields=["state", "closing_reason"])
    if not done:
        return KeptAsSurplus(SURPLUS, annotation.pk)
    if valid.gives_place_back:
        hold_back_judge(comparison_id)
    outbox_add(project_id=row["project"], kind="annotation.submitted", subject_id=annotation.pk)
    return Submitted(annotation.pk, replay=False, late=True)


def close(assignment: Assignment, state: str, reason: str) -> None:
    """End a lease or an offer without a vote and give its place back. The caller holds the assignment's lock."""
    Assignment.objects.filter(pk=assignment.pk).update(
        state=state, closing_reason=reason, lease_until=None, closed_at=Now(), token=F("token") + 1
    )
    if assignment.counted:
        rowcount_of(sql.GIVE_BACK, {"comparison": assignment.comparison_id, "n": 1})


@transaction.atomic
def assignment_skip(*, assignment_id: int, user_id: int, reason: str, project_id: int | None = None) -> None:
    """End the lease; this person is not asked again. The third skip as broken holds the comparison back."""
    if reason not in SKIP_REASONS:
        known = ", ".join(SKIP_REASONS)
        raise Refused(_("The reason must be one of {reasons}; got {reason!r}."), reasons=known, reason=reason[:40])
    _holder_lock(assignment_id, user_id, project_id=project_id)
    assignment = Assignment.objects.select_for_update(no_key=True).get(pk=assignment_id)
    if assignment.state == Assignment.State.SKIPPED:
        return
    if assignment.state not in HOLDING:
        raise Conflict(_("This comparison is no longer lent to you; nothing was skipped."))
    close(assignment, Assignment.State.SKIPPED, reason)
    hold_back_judge(assignment.comparison_id)


@transaction.atomic
def comparison_flag(*, assignment_id: int, user_id: int, reason: str, project_id: int | None = None) -> None:
    """File a reason for the curator; the vote stays open. Three flags hold the comparison back."""
    reason = reason.strip()
    if not reason or len(reason) > 400 or "\x00" in reason:
        raise Refused(_("Say in up to 400 characters what is wrong with this comparison."))
    holder = _holder_lock(assignment_id, user_id, project_id=project_id)
    Flag.objects.update_or_create(
        comparison_id=holder.comparison_id,
        participation_id=holder.participation_id,
        defaults={"reason": reason, "resolved_at": None},
    )
    hold_back_judge(holder.comparison_id)


def hold_back_judge(comparison_id: int) -> None:
    """Hold a comparison back when three people flag it, skip it as broken or cannot judge it; else let it go on.

    What was there when a curator settled it counts no more, and what a curator holds back stays so. The demand is locked
    before anything is counted: of two who are the third at once, one sees the other.
    """
    demand = Demand.objects.select_for_update(no_key=True).filter(comparison_id=comparison_id, kept_back=False).first()
    if demand is None:
        return
    settled = demand.settled_at or datetime.min.replace(tzinfo=UTC)
    skips = Assignment.objects.filter(
        comparison_id=comparison_id, state=Assignment.State.SKIPPED, closing_reason="broken", closed_at__gt=settled
    )
    flags = Flag.objects.filter(comparison_id=comparison_id, resolved_at=None)
    broken = set(flags.values_list("participation_id", flat=True)) | set(skips.values_list("participation_id", flat=True))
    given_back = Annotation.objects.filter(
        comparison_id=comparison_id,
        assignment__counted=True,
        state=Annotation.State.CURRENT,
        gave_back=True,
        created_at__gt=settled,
    ).count()
    held = len(broken) >= MOST_FLAGS or given_back >= MOST_GIVEN_BACK
    if demand.held_back != held:
        Demand.objects.filter(pk=comparison_id).update(held_back=held)
        log.info("comparison.held_back comparison=%d held=%s", comparison_id, held)


def assignment_heartbeat(*, project_id: int, user_id: int, leases: Sequence[tuple[int, int]]) -> dict[int, datetime]:
    """Renew these (assignment, token) leases: until when each holds; the ids that do not come back are lost."""
    parameters = {
        "ids": [lease[0] for lease in leases],
        "tokens": [lease[1] for lease in leases],
        "user": user_id,
        "project": project_id,
    }
    return dict(rows_of(sql.HEARTBEAT, parameters))


@transaction.atomic
def assignment_release(*, assignment_id: int, project_id: int, reason: str) -> None:
    """Take a live lease or an offer away (curators); a vote that comes all the same takes the late path."""
    assignment = (
        Assignment.objects.select_for_update(no_key=True, of=("self",))
        .filter(pk=assignment_id, comparison__project_id=project_id)
        .first()
    )
    if assignment is None:
        raise NotFound("There is no such lease in this project.")
    if assignment.state not in HOLDING:
        raise Conflict("This lease has ended already.")
    close(assignment, Assignment.State.RELEASED, reason[:40])


@transaction.atomic
def participation_state_set(*, project_id: int, user_id: int, state: Participation.State) -> None:
    """Let a person go on, pause, or leave; whoever does not go on holds nothing any more."""
    person = Participation.objects.select_for_update(no_key=True).filter(project_id=project_id, annotator_id=user_id)
    found = person.first()
    if found is None or found.state == state:
        return
    person.update(state=state)
    if state == Participation.State.ACTIVE:
        return
    held = rows_of(sql.LOCK_OF_PERSON, {"me": found.pk})
    rows_of(sql.LOCK_DEMANDS, {"project": project_id, "comparisons": [row[1] for row in held]})
    rows_of(sql.END_LEFT, {"held": [row[0] for row in held]})
    log.info("participation.%s participation=%d released=%d", state, found.pk, len(held))


@transaction.atomic
def assignment_sweep() -> int:
    """Take away up to 200 leases whose time is over; return how many."""
    swept = rows_of(sql.SWEEP, {"most_expired": MOST_EXPIRED})
    for comparison_id, n in sorted(Counter(c for c, gives_back in swept if gives_back).items()):
        rowcount_of(sql.GIVE_BACK, {"comparison": comparison_id, "n": n})
    if swept:
        log.info("assignment.swept leases=%d", len(swept))
    return len(swept)

"""Undo and correction of one's own answers. Nothing is changed in place: each is a new row that points at the old one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from annotation.errors import Conflict, KeptAsSurplus, NotFound, Refused, _
from annotation.feedback import answers_validate
from annotation.models import Annotation, Assignment, Demand
from annotation.outbox import outbox_add
from annotation.selectors.names import are_names_open
from annotation.services import assignment_sql as sql
from annotation.services.assignment import (
    SURPLUS,
    AssignmentRow,
    Submitted,
    _body_hash,
    _holder_lock,
    _replay,
    about_of,
    hold_back_judge,
    rowcount_of,
    rows_of,
)
from annotation.services.edits import edits_derive, edits_withdraw


def _own(annotation_id: int, user_id: int) -> Annotation:
    annotation = (
        Annotation.objects.select_related("form_revision")
        .filter(pk=annotation_id, assignment__participation__annotator_id=user_id)
        .first()
    )
    if annotation is None:
        raise NotFound(_("There is no such answer of yours."))
    return annotation


@transaction.atomic
def annotation_undo(*, annotation_id: int, user_id: int, project_id: int | None = None) -> AssignmentRow | None:
    """Withdraw one's latest answer and lend the comparison again; None where its place was taken meanwhile.

    Possible for `UNDO_SECONDS`. The sum of done and leased does not move, so it cannot fail for want of room, except for
    a "cannot judge", whose place was free for others.
    """
    annotation = _own(annotation_id, user_id)
    person = _holder_lock(annotation.assignment_id or 0, user_id, project_id=project_id)
    assignment = Assignment.objects.select_for_update(no_key=True).get(pk=annotation.assignment_id or 0)
    annotation.refresh_from_db()
    if annotation.state == Annotation.State.WITHDRAWN:
        return None if assignment.state != Assignment.State.LEASED else _as_row(assignment)
    latest = (
        Annotation.objects.filter(rater_id=person.rater_id, state=Annotation.State.CURRENT, derived_from=None)
        .order_by("-id")
        .first()
    )
    if latest is None or latest.pk != annotation.pk:
        raise Conflict(_("Only your latest answer can be undone. Correct earlier ones under My answers."))
    oldest = Now() - timedelta(seconds=settings.UNDO_SECONDS)
    if not Annotation.objects.filter(pk=annotation.pk, created_at__gte=oldest).exists():
        raise Conflict(_("The time to undo this answer is over. You can correct it under My answers."))
    gave_back = annotation.gave_back
    _withdraw(annotation)
    edits_withdraw(annotation_id=annotation.pk)
    if gave_back:
        hold_back_judge(assignment.comparison_id)
    placed = _place_taken_back(assignment, gave_back)
    if placed:
        assignment.state, assignment.closed_at, assignment.closing_reason = Assignment.State.LEASED, None, ""
        assignment.lease_until = Now() + timedelta(seconds=person.lease_seconds)
    else:
        assignment.state, assignment.closing_reason = Assignment.State.RELEASED, "undone, place taken"
    assignment.token += 1
    assignment.save(update_fields=["state", "closed_at", "closing_reason", "lease_until", "token"])
    assignment.refresh_from_db()
    outbox_add(project_id=person.project_id, kind="annotation.withdrawn", subject_id=annotation.pk)
    return _as_row(assignment) if placed else None


def _place_taken_back(assignment: Assignment, gave_back: bool) -> bool:
    if not assignment.counted:
        return True
    demand = Demand.objects.filter(comparison_id=assignment.comparison_id)
    if gave_back:
        return bool(demand.filter(is_open=True).update(leased=F("leased") + 1))
    demand.update(done=F("done") - 1, leased=F("leased") + 1)
    return True


def _withdraw(annotation: Annotation) -> None:
    Annotation.objects.filter(pk=annotation.pk).update(state=Annotation.State.WITHDRAWN)
    Annotation.objects.create(
        project_id=annotation.project_id,
        comparison_id=annotation.comparison_id,
        rater_id=annotation.rater_id,
        assignment_id=annotation.assignment_id,
        state=Annotation.State.RETRACTION,
        answers={},
        form_revision_id=annotation.form_revision_id,
        retracts=annotation,
    )


def _as_row(assignment: Assignment) -> AssignmentRow:
    assert assignment.lease_until is not None, "a leased assignment has an end"
    return AssignmentRow(
        assignment.pk, assignment.token, assignment.comparison_id, list(assignment.option_order), assignment.lease_until
    )


def annotation_correct(
    *, annotation_id: int, user_id: int, submit_key: UUID, answers: Mapping[str, Any]
) -> Submitted:
    """Answer again; the old row becomes superseded. A correction for which no place is free is kept as surplus.

    The same answer again stores nothing: the result is then the old row.
    """
    outcome = _correct(annotation_id, user_id, submit_key, answers)
    if isinstance(outcome, KeptAsSurplus):
        raise outcome
    return outcome


@transaction.atomic
def _correct(
    annotation_id: int, user_id: int, submit_key: UUID, answers: Mapping[str, Any]
) -> Submitted | KeptAsSurplus:
    old = _own(annotation_id, user_id)
    person = _holder_lock(old.assignment_id or 0, user_id)
    assignment = Assignment.objects.select_for_update(no_key=True).get(pk=old.assignment_id or 0)
    old.refresh_from_db()
    assert old.form_revision is not None, "answers given here have a form"
    questions = old.form_revision.questions
    valid = answers_validate(questions, answers, about_of(old.comparison_id, len(person.option_order), questions))
    body_hash = _body_hash(valid.answers)
    replay = _replay(person.rater_id, submit_key, body_hash)
    if replay is not None:
        return replay
    if old.state != Annotation.State.CURRENT:
        raise Refused(_("This answer was corrected, undone or not counted; correct the newest one instead."))
    if valid.answers == old.answers:
        return Submitted(old.pk, replay=False, late=old.late)
    placed = _place_moved(assignment, was=old.gave_back, becomes=valid.gives_place_back)
    if placed:
        Annotation.objects.filter(pk=old.pk).update(state=Annotation.State.SUPERSEDED)
    new = Annotation.objects.create(
        project_id=person.project_id,
        comparison_id=person.comparison_id,
        rater_id=person.rater_id,
        assignment=assignment,
        state=Annotation.State.CURRENT if placed else Annotation.State.SURPLUS,
        outcome=valid.summary.outcome,
        vote=valid.summary.vote,
        vote_scale=valid.summary.vote_scale,
        answers=valid.answers,
        form_revision_id=old.form_revision_id,
        guideline_revision_id=old.guideline_revision_id,
        interface_language=old.interface_language,
        shown_order=old.shown_order,
        submit_key=submit_key,
        body_hash=body_hash,
        gave_back=valid.gives_place_back,
        late=old.late,
        ordinal=old.ordinal,
        supersedes=old if placed else None,
        exposure=_seen_before(old),
    )
    if not placed:
        return KeptAsSurplus(SURPLUS, new.pk)
    edits_withdraw(annotation_id=old.pk)
    edits_derive(annotation_id=new.pk, questions=questions, answers=valid.answers)
    hold_back_judge(person.comparison_id)
    outbox_add(project_id=person.project_id, kind="annotation.submitted", subject_id=new.pk)
    return Submitted(new.pk, replay=False, late=old.late)


def _seen_before(old: Annotation) -> dict[str, Any] | None:
    """Whether a judge's opinion followed the first answer, and whether its models were named before this one. The rest of
    what was measured belongs to the first answer alone."""
    opinion = (old.exposure or {}).get("opinion")
    seen: dict[str, Any] = {"opinion": opinion} if opinion else {}
    return (seen | ({"names": True} if are_names_open(old) else {})) or None


def _place_moved(assignment: Assignment, *, was: bool, becomes: bool) -> bool:
    """Move `done` where a correction goes to or from "cannot judge"; False when no place is free."""
    if not assignment.counted or was == becomes:
        return True
    if becomes:
        rowcount_of(sql.UNCOUNT, {"comparison": assignment.comparison_id})
        return True
    return bool(rows_of(sql.COUNT_LATE, {"comparison": assignment.comparison_id}))

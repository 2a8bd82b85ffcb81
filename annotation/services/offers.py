"""Comparisons set aside: for one person (offered assignments, their places kept) or for a group (reserved to its members).

They are shown before everything else, and go back to everybody when the offer is due or a curator takes it back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from annotation.errors import Conflict, NotFound, Refused
from annotation.models import Group, Membership, Offer, Participation, Project, User
from annotation.services import assignment_sql as sql
from annotation.services.assignment import participation_ensure, rowcount_of, rows_of
from annotation.services.people import JUDGING

log = logging.getLogger(__name__)

MOST_OFFERED = 10_000
MOST_DAYS = 365


# Groups


@transaction.atomic
def group_set(*, project: Project, name: str, user_ids: Sequence[int]) -> Group:
    """Make a group, or give the one of that name exactly these members, all of whom must judge here."""
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise Refused("A group needs a name of up to 80 printable characters.")
    group, _ = Group.objects.get_or_create(project=project, name=name)
    group.members.set([_member(project, user_id) for user_id in sorted(set(user_ids))])
    return group


def _member(project: Project, user_id: int) -> Participation:
    """The participation of somebody who may judge here."""
    if not Membership.objects.filter(project=project, user_id=user_id, role__in=JUDGING).exists():
        raise NotFound("There is no such annotator in this project. Invite the person first.")
    return participation_ensure(project_id=project.pk, user_id=user_id)


# Offers


@transaction.atomic
def offer_create(
    *,
    project: Project,
    user_id: int | None = None,
    group_id: int | None = None,
    comparison_ids: Sequence[int] | None = None,
    import_id: int | None = None,
    most: int = MOST_OFFERED,
    days: int | None = None,
    created_by: User | None = None,
) -> Offer:
    """Set comparisons aside for a person or a group, until `days` from now if given.

    Taken in the order of the queue from those named, or from an import, or from all, at most `most`: open ones that
    nobody else has aside, and for a person only what they never met. Refuses when there is none.
    """
    if (user_id is None) == (group_id is None):
        raise Refused("Offer comparisons either to one person or to one group.")
    if not 1 <= most <= MOST_OFFERED:
        raise Refused(f"An offer holds 1 to {MOST_OFFERED:,} comparisons; got {most}.")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise Refused(f"An offer is due in 1 to {MOST_DAYS} days; got {days}.")
    offer = Offer.objects.create(
        project=project,
        participation=_member(project, user_id) if user_id is not None else None,
        group=_group_get(project, group_id) if group_id is not None else None,
        due_at=None if days is None else Now() + timedelta(days=days),
        created_by=created_by,
    )
    offer.offered = len(_set_aside(offer, comparison_ids, import_id, most))
    if not offer.offered:
        raise Conflict("None of these comparisons is open, or the person has met them all; nothing was offered.")
    offer.save(update_fields=["offered"])
    offer.refresh_from_db()
    log.info("offer.created offer=%d comparisons=%d", offer.pk, offer.offered)
    return offer


def _group_get(project: Project, group_id: int) -> Group:
    group = Group.objects.filter(project=project, pk=group_id).first()
    if group is None:
        raise NotFound("There is no such group in this project.")
    return group


def _set_aside(
    offer: Offer, comparison_ids: Sequence[int] | None, import_id: int | None, most: int
) -> list[tuple[Any, ...]]:
    values = {
        "project": offer.project_id,
        "me": offer.participation_id,
        "offer": offer.pk,
        "comparisons": None if comparison_ids is None else list(comparison_ids),
        "import": import_id,
        "k": most,
    }
    if offer.participation_id is None:
        rowcount_of(sql.CHANGING, values)
        return rows_of(sql.OFFER_TO_GROUP, values)
    # Under the person's lock, as every step that gives somebody an assignment.
    person = Participation.objects.select_for_update(no_key=True).get(pk=offer.participation_id)
    if person.state != Participation.State.ACTIVE:
        raise Refused("This annotator is paused in this project; nothing was offered.")
    return rows_of(sql.OFFER_TO_PERSON, values)


@transaction.atomic
def offer_release(*, project_id: int, offer_id: int) -> None:
    """Take an offer back: what was not begun goes to everybody, what is lent is finished."""
    offer = Offer.objects.select_for_update(no_key=True).filter(project_id=project_id, pk=offer_id).first()
    if offer is None:
        raise NotFound("There is no such offer in this project.")
    if offer.released_at is not None:
        raise Conflict("This offer is over already.")
    _take_back(offer)


@transaction.atomic
def offers_sweep() -> int:
    """Take back up to 20 offers that are due; returns how many. Any number of clocks may call it."""
    due = Offer.objects.select_for_update(no_key=True, skip_locked=True).filter(released_at=None, due_at__lt=Now())
    offers = list(due.order_by("id")[:20])
    for offer in offers:
        _take_back(offer)
    return len(offers)


def _take_back(offer: Offer) -> None:
    """End the offer; locks are taken in the order of the queue's."""
    values = {"project": offer.project_id, "offer": offer.pk}
    Offer.objects.filter(pk=offer.pk).update(released_at=Now())
    rowcount_of(sql.CHANGING, values)
    held = rows_of(sql.LOCK_OFFERED, {**values, "me": offer.participation_id})
    comparisons = [row[1] for row in held] + [row[0] for row in rows_of(sql.RESERVED, values)]
    rows_of(sql.LOCK_DEMANDS, {**values, "comparisons": comparisons})
    rows_of(sql.END_OFFERED, {"held": [row[0] for row in held]})
    rowcount_of(sql.UNRESERVE, {**values, "comparisons": comparisons})
    log.info("offer.over offer=%d comparisons=%d", offer.pk, len(comparisons))

"""Who holds or was offered which comparison, since when and until when."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, Q

from annotation.errors import Refused
from annotation.models import Assignment, Participation, Project, User
from annotation.services.assignment import HOLDING

PAGE = 50


@dataclass(frozen=True)
class LeasePage:
    """`after` is the lease to go on from, None on the last page; `person` whose leases alone these are, if asked for."""

    rows: list[Assignment]
    after: int | None
    person: User | None = None


def lease_list(*, project: Project, person_id: int | None = None, after: int | None = None) -> LeasePage:
    """The live leases of a project and what is offered by name, the oldest first, 50 a page. One query, one more for each
    of a person and a page beyond the first."""
    live = Assignment.objects.filter(participation__project=project, state__in=HOLDING)
    person = None
    if person_id is not None:
        here = Participation.objects.filter(project=project, annotator_id=person_id).select_related("annotator").first()
        if here is None:
            raise Refused("Nobody of that number judges in this project. Choose a name in the list.")
        person, live = here.annotator, live.filter(participation=here)
    if after is not None:
        live = live.filter(_beyond(project, after))
    shown = live.select_related("participation__annotator", "comparison__prompt__text", "offer")
    rows = list(shown.order_by(F("leased_at").asc(nulls_last=True), "id")[: PAGE + 1])
    return LeasePage(rows[:PAGE], rows[PAGE - 1].pk if len(rows) > PAGE else None, person)


def _beyond(project: Project, after: int) -> Q:
    """What stands after a lease in that order, also where it has ended since."""
    last = Assignment.objects.filter(participation__project=project, pk=after).first()
    if last is None:
        raise Refused("This address points at no place in the list. Go back to its first page.")
    if last.leased_at is None:
        return Q(leased_at=None, id__gt=last.pk)
    return Q(leased_at__gt=last.leased_at) | Q(leased_at=last.leased_at, id__gt=last.pk) | Q(leased_at=None)

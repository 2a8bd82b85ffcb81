"""Who holds or was offered which comparison, since when and until when."""

from __future__ import annotations

from django.db.models import F

from annotation.models import Assignment, Project
from annotation.services.assignment import HOLDING

MOST = 200


def lease_list(*, project: Project) -> list[Assignment]:
    """The live leases of a project and what is offered by name, the oldest first, at most 200. One query."""
    live = Assignment.objects.filter(participation__project=project, state__in=HOLDING)
    shown = live.select_related("participation__annotator", "comparison__prompt__text", "offer")
    return list(shown.order_by(F("leased_at").asc(nulls_last=True), "id")[:MOST])

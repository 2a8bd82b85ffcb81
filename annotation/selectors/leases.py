"""Who holds which comparison, since when and until when."""

from __future__ import annotations

from annotation.models import Assignment, Project

MOST = 200


def lease_list(*, project: Project) -> list[Assignment]:
    """The live leases of a project, the oldest first, at most 200. One query."""
    live = Assignment.objects.filter(comparison__project=project, state=Assignment.State.LEASED)
    return list(
        live.select_related("participation__annotator", "comparison__prompt__text").order_by(
            "leased_at", "id"
        )[:MOST]
    )

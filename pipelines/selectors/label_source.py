"""Whose labels a reader takes: everybody's current ones, or those that a refit gave one group of raters."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Max

from pipelines.models import PreferenceRevision, RaterGroup


@dataclass(frozen=True)
class OfGroup:
    """One group's labels by one refit."""

    group_id: int
    run_id: int


LabelSource = OfGroup | None
EVERYBODY: LabelSource = None


def revision_joined(source: LabelSource) -> str:
    """The condition under which a revision `r` of a preference `p` is read; its values come from `source_values`."""
    if source is None:
        return "r.id = p.current_id"
    return "r.preference_id = p.id AND r.group_id = %(group)s AND r.run_id = %(run)s"


def source_values(source: LabelSource) -> dict[str, int]:
    return {} if source is None else {"group": source.group_id, "run": source.run_id}


def newest_of(group: RaterGroup) -> OfGroup | None:
    """A group's newest labels; None before the first."""
    run_id = PreferenceRevision.objects.filter(group=group).aggregate(newest=Max("run"))["newest"]
    return OfGroup(group.pk, run_id) if run_id else None

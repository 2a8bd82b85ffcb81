"""Labels of one group of raters: what a refit would say if nobody else had voted."""

from __future__ import annotations

import numpy as np
from django.db import transaction

from annotation.models import Project
from pipelines.errors import InputRefused, NothingToDo
from pipelines.models import AggregationRun, GroupMember, PreferenceRevision, RaterGroup
from pipelines.selectors.votes import votes_of
from pipelines.services.aggregation import labels_of_votes
from pipelines.services.analyses import ANALYSES
from pipelines.services.preference_rows import group_labels_store


def group_labels_refit(*, group: RaterGroup, run: AggregationRun) -> int:
    """Write the group's labels by this refit's method, from its members' votes alone; returns how many.

    A group and a refit have labels once: what is there stays.

    Raises:
        NothingToDo: no vote of a member stands any more.
    """
    known = PreferenceRevision.objects.filter(group=group, run=run).count()
    if known:
        return known
    members = GroupMember.objects.filter(group=group).values_list("rater_id", flat=True)
    table = votes_of(run.project_id)
    table = table.kept(np.isin(table.rater, list(members)))
    if not len(table):
        raise NothingToDo(f"No vote of group {group.key} stands any more; look for groups again.")
    labels = labels_of_votes(run.project_id, run.method, table)
    with transaction.atomic():
        return group_labels_store(labels, project_id=run.project_id, run_id=run.pk, group_id=group.pk)


def group_get(*, project: Project, key: str) -> RaterGroup:
    """The group that a recipe names, like 2-B: group B of the second analysis.

    Raises:
        InputRefused: there is none, or it is too small for its labels to be told from single people's.
    """
    number, _, name = key.partition("-")
    groups = RaterGroup.objects.filter(analysis__project=project, name=name).select_related("analysis")
    is_number = number.isdecimal() and len(number) < 9
    found = groups.filter(analysis__number=int(number)).first() if is_number else None
    if found is None:
        names = ", ".join(group.key for group in groups_offered(project=project))
        raise InputRefused(
            f"There is no group {key[:20]!r} of raters in {project.slug}; "
            + (f"the newest analysis has {names}." if names else "none has been looked for yet.")
        )
    if not found.is_shown:
        raise InputRefused(
            f"Group {found.key} has {found.people} people and {found.votes} votes; 5 people and 30 votes are the least."
        )
    return found


def groups_offered(*, project: Project) -> list[RaterGroup]:
    """The groups of the newest analysis, in its present version, whose labels can be frozen."""
    present = {"analysis__project": project, "analysis__version": ANALYSES["groups"].version}
    groups = RaterGroup.objects.filter(**present).select_related("analysis")
    newest = groups.order_by("-analysis__number").first()
    return list(groups.filter(analysis=newest.analysis, is_shown=True)) if newest else []

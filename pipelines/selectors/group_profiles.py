"""Who the people of a group are, as counts of what those who consented say of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotation.models import Project
from pipelines.models import Analysis, GroupMember

LEAST = 5


@dataclass(frozen=True)
class AttributeCounts:
    """`rows`: each choice with its count by group; None: hidden."""

    name: str
    rows: list[tuple[str, list[int | None]]]

    @property
    def is_told(self) -> bool:
        return any(count is not None for _, counts in self.rows for count in counts)


def group_profiles(*, project: Project, analysis: Analysis, names: Sequence[str]) -> list[AttributeCounts]:
    """What the project asks, counted in these groups of the analysis, from profiles as they are now. Two queries."""
    people = dict(analysis.groups.filter(is_shown=True, name__in=names).values_list("name", "people"))
    said: dict[str, dict[str, Counter[str]]] = {}
    profiles = GroupMember.objects.filter(
        group__analysis=analysis, group__name__in=people, rater__participation__profile__isnull=False
    ).values_list("group__name", "rater__participation__profile__answers")
    for name, answers in profiles:
        for attribute, choice in answers.items():
            said.setdefault(attribute, {}).setdefault(name, Counter())[choice] += 1
    return [
        AttributeCounts(
            one["name"],
            [
                (choice, [_told(said.get(one["name"], {}), name, choice, people.get(name, 0)) for name in names])
                for choice in one["choices"]
            ],
        )
        for one in project.profile_attributes
    ]


def _told(said: Mapping[str, Counter[str]], name: str, choice: str, people: int) -> int | None:
    """The count, or None below five people, and where it is everybody: a member's choice would then be known."""
    count = said.get(name, Counter())[choice]
    return None if count < LEAST or count >= people else count

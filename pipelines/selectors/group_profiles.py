"""Who the people of a group are, in bands of counts of what those who consented say of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import Project
from pipelines.models import Analysis, GroupMember

LEAST = 5
# Where each band begins, with its words. An exact count would give away who came or went since it was last read.
BANDS: dict[int, str] = {LEAST: "5 to 9", 10: "10 to 19", 20: "20 to 49", 50: "50 to 99", 100: "100 or more"}


@dataclass(frozen=True)
class AttributeCounts:
    """`rows`: each choice with the band of its count by group; None: hidden."""

    name: str
    rows: list[tuple[str, list[str | None]]]

    @property
    def is_told(self) -> bool:
        return any(band is not None for _, bands in self.rows for band in bands)


def group_profiles(*, project: Project, analysis: Analysis, names: Sequence[str]) -> list[AttributeCounts]:
    """What the project asks, counted in groups of the analysis from profiles as they are now, in bands. Two queries."""
    people = dict(analysis.groups.filter(is_shown=True, name__in=names).values_list("name", "people"))
    said: dict[str, dict[str, Counter[str]]] = {}
    profiles = GroupMember.objects.filter(
        group__analysis=analysis, group__name__in=people, rater__participation__profile__isnull=False
    ).values_list("group__name", "rater__participation__profile__answers")
    for name, answers in profiles:
        for attribute, choice in answers.items():
            said.setdefault(attribute, {}).setdefault(name, Counter())[choice] += 1
    return [_counted(one, said.get(one["name"], {}), names, people) for one in project.profile_attributes]


def _counted(
    attribute: Mapping[str, Any], said: Mapping[str, Counter[str]], names: Sequence[str], people: Mapping[str, int]
) -> AttributeCounts:
    shown = {name: told(said.get(name, {}), people.get(name, 0)) for name in names}
    choices = attribute["choices"]
    return AttributeCounts(attribute["name"], [(choice, [shown[name].get(choice) for name in names]) for choice in choices])


def told(counts: Mapping[str, int], people: int) -> dict[str, str]:
    """The choices of one attribute in one group that may be shown, with their bands.

    Shown is what at least five people chose and at least five did not. Where those outside of all that is shown are one to
    four, they could be told by subtraction from the group's size, so the smallest is hidden too.

    Example:
        >>> told({"young": 6, "old": 5, "very old": 1}, people=12)
        {'young': '5 to 9'}
    """
    shown = sorted((n, choice) for choice, n in counts.items() if LEAST <= n <= people - LEAST)
    if 0 < people - sum(n for n, _ in shown) < LEAST:
        # One is enough: it has five people of its own.
        shown = shown[1:]
    return {choice: _band(n) for n, choice in shown}


def _band(n: int) -> str:
    return next(words for least, words in reversed(BANDS.items()) if n >= least)

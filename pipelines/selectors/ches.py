"""What a CHES filter would drop, as the page draws it: the distribution with the cut, and who loses most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.models import LanguageModel, Project
from pipelines.errors import InputRefused, NothingToDo
from pipelines.scoring.ranks import rank_correlation
from pipelines.selectors.freezing import population_of
from pipelines.versions.filters import number_text, rule_apply, rule_parse

NEAR_COPY = 0.2
LIKE_LENGTH = 2
BINS = 40
ORIGINS = {"person": "people", "model": "a model", "source": "an imported source"}


@dataclass(frozen=True)
class Group:
    name: str
    before: int
    dropped: int

    @property
    def share(self) -> float:
        return self.dropped / self.before if self.before else 0.0


@dataclass(frozen=True)
class ChesDrawn:
    """`cut`: the lowest score that would be dropped; kept and dropped are counted in each bin between `edges`.

    `rule`: the filter of a recipe that does the same. `held_out`: scored rows outside train, which it leaves alone.
    `length_correlation`: rank correlation of the score with the difference in length, None without variation.
    """

    rule: str
    total: int
    unscored: int
    held_out: int
    dropped: int
    cut: float
    edges: list[float]
    kept_counts: list[int]
    dropped_counts: list[int]
    groups: list[Group]
    length_correlation: float | None


def ches_drawn(
    *, project: Project, model: LanguageModel, by_length: bool, share: float | None, threshold: float | None
) -> ChesDrawn:
    """What dropping the highest share, or all at or above a threshold, would take by the freeze's own rule. Drops nothing.

    Three queries.
    """
    if (share is None) == (threshold is None):
        raise InputRefused("Give either a share or a threshold.")
    key = "ches_ln" if by_length else "ches"
    kept = (
        f"{key}:{model.name} < {number_text(threshold)}"
        if threshold is not None
        else f"{key}_share:{model.name} <= {number_text(round(1.0 - (share or 0.0), 12))}"
    )
    rule = rule_parse(kept)
    candidates = population_of(project=project, rules=[rule]).candidates
    columns = candidates.scores[rule.model]
    rows = np.flatnonzero(~np.isnan(columns.ches_ln))
    if not rows.size:
        raise NothingToDo(f"No preference has a CHES score of {model.name} yet. Aggregate, then score.")
    scores = (columns.ches_ln if by_length else columns.ches)[rows]
    dropped = ~rule_apply(rule, candidates, columns).keeps[rows]
    edges = np.histogram_bin_edges(scores, bins=BINS)
    longer = columns.longer[rows]
    return ChesDrawn(
        rule=rule.text,
        total=int(rows.size),
        unscored=len(candidates) - int(rows.size),
        held_out=int(np.count_nonzero(~candidates.is_train[rows])),
        dropped=int(dropped.sum()),
        cut=float(scores[dropped].min()) if dropped.any() else float(scores.max()),
        edges=[float(edge) for edge in edges],
        kept_counts=[int(n) for n in np.histogram(scores[~dropped], bins=edges)[0]],
        dropped_counts=[int(n) for n in np.histogram(scores[dropped], bins=edges)[0]],
        groups=_groups(candidates.origin[rows], columns.edit_distance[rows], np.abs(longer), dropped),
        length_correlation=rank_correlation(scores, longer),
    )


def _groups(
    origin: NDArray[np.str_],
    edit_distance: NDArray[np.float64],
    difference: NDArray[np.float64],
    dropped: NDArray[np.bool_],
) -> list[Group]:
    """By likeness of the texts, and by where the label is from; empty groups are left out."""
    near = edit_distance < NEAR_COPY
    like = ~near & (difference <= LIKE_LENGTH)
    members = {
        "Near copies": near,
        "Different answers of like length": like,
        "Different answers of other lengths": ~near & ~like,
        **{f"Label from {words}": origin == key for key, words in ORIGINS.items()},
    }
    groups = [Group(name, int(of.sum()), int((of & dropped).sum())) for name, of in members.items()]
    return [group for group in groups if group.before]

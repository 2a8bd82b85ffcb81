"""What a CHES filter would drop, as the page draws it: the distribution with the cut, and who loses most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.models import LanguageModel, Project
from pipelines.errors import InputRefused, NothingToDo
from pipelines.models import PreferenceRevision
from pipelines.scoring.ranks import highest_share, rank_correlation
from pipelines.selectors.scores import ChesTable, ches_table

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

    `length_correlation`: rank correlation of the score with the difference in length, None without variation.
    """

    total: int
    unscored: int
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
    """What dropping the highest share, or all at or above a threshold, would take. Drops nothing. Two queries."""
    if (share is None) == (threshold is None):
        raise InputRefused("Give either a share or a threshold.")
    table = ches_table(project_id=project.pk, fingerprint=model.fingerprint)
    rows = np.flatnonzero(table.scored)
    if not rows.size:
        raise NothingToDo(f"No preference has a CHES score of {model.name} yet. Aggregate, then score.")
    scores = (table.ln_ches if by_length else table.ches)[rows]
    dropped = scores >= threshold if threshold is not None else highest_share(scores, share or 0.0)
    edges = np.histogram_bin_edges(scores, bins=BINS)
    longer = (table.n_chosen - table.n_rejected)[rows]
    return ChesDrawn(
        total=int(rows.size),
        unscored=len(table) - int(rows.size),
        dropped=int(dropped.sum()),
        cut=float(scores[dropped].min()) if dropped.any() else float(scores.max()),
        edges=[float(edge) for edge in edges],
        kept_counts=[int(n) for n in np.histogram(scores[~dropped], bins=edges)[0]],
        dropped_counts=[int(n) for n in np.histogram(scores[dropped], bins=edges)[0]],
        groups=_groups(table, rows, np.abs(longer), dropped),
        length_correlation=rank_correlation(scores, longer.astype(np.float64)),
    )


def _groups(
    table: ChesTable, rows: NDArray[np.int64], difference: NDArray[np.int64], dropped: NDArray[np.bool_]
) -> list[Group]:
    """By likeness of the texts, and by where the label is from; empty groups are left out."""
    near = table.edit_distance[rows] < NEAR_COPY
    like = ~near & (difference <= LIKE_LENGTH)
    revisions = table.revision[rows].tolist()
    origin_of = dict(PreferenceRevision.objects.filter(pk__in=revisions).values_list("pk", "origin"))
    origin = np.array([origin_of[pk] for pk in revisions])
    members = {
        "Near copies": near,
        "Different answers of like length": like,
        "Different answers of other lengths": ~near & ~like,
        **{f"Label from {words}": origin == key for key, words in ORIGINS.items()},
    }
    groups = [Group(name, int(of.sum()), int((of & dropped).sum())) for name, of in members.items()]
    return [group for group in groups if group.before]

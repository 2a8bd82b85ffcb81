"""Model against model: who wins, raw and with length held equal, by people and by each judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from pipelines.labels.length_control import length_controlled, length_controlled_intervals
from pipelines.labels.robust import jeffreys_interval
from pipelines.labels.votes import N_OUTCOMES
from pipelines.selectors.recurrence import Written, model_names, written_of
from pipelines.selectors.votes import PERSON, votes_of

MOST_COMPARISONS, MOST_PAIRS = 20_000, 10
LEAST_LABELS = 30
SEED = 0
JUDGED = """
SELECT DISTINCT ON (p.rater_id, p.comparison_id) rater.name, p.comparison_id, p.p_first
FROM pipelines_prediction p JOIN annotation_rater rater ON rater.id = p.rater_id
WHERE p.project_id = %(project)s AND p.comparison_id = ANY(%(ids)s::bigint[]) AND p.p_first IS NOT NULL
ORDER BY p.rater_id, p.comparison_id, p.id DESC
"""
# Who judged, places among the comparisons, the share that the first won of each, and how many votes that is.
Side = tuple[str, NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


def win_rates(project_id: int) -> dict[str, Any]:
    """Each two named models that were compared most, for people and each judge; `pairs` is empty where none is named."""
    written = written_of(project_id, most=MOST_COMPARISONS)
    sides: list[dict[str, Any]] = [
        {"name": name, "pairs": _pairs(written, at, first_won, votes)}
        for name, at, first_won, votes in _sides(project_id, written)
    ]
    ids = sorted({one[key] for side in sides for one in side["pairs"] for key in ("baseline", "model")})
    return {
        "comparisons": int(written.comparison.size),
        "names": {str(id_): name for id_, name in model_names(ids).items()},
        "sides": sides,
    }


def _sides(project_id: int, written: Written) -> Iterator[Side]:
    ids = written.comparison.tolist()
    if not ids:
        return
    table = votes_of(project_id, ids)
    # As elsewhere: files stand for people only where nobody votes here.
    table = table.of_people() if (table.kind == PERSON).any() else table
    if len(table):
        item = np.searchsorted(written.comparison, table.comparison)
        counts = np.bincount(item * N_OUTCOMES + table.label, minlength=len(ids) * N_OUTCOMES).reshape(-1, N_OUTCOMES)
        votes = counts.sum(axis=1)
        at = np.flatnonzero(votes)
        yield "", at, (counts[at, 0] + counts[at, 2] / 2) / votes[at], votes[at]
    judged: dict[str, list[tuple[int, float]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(JUDGED, {"project": project_id, "ids": ids})
        for name, comparison, p_first in cursor.fetchall():
            judged.setdefault(name, []).append((comparison, p_first))
    for name, rows in judged.items():
        comparison, first_won = (np.array(column) for column in zip(*rows, strict=True))
        at = np.searchsorted(written.comparison, comparison)
        yield name, at, first_won.astype(np.float64), np.ones(at.size, dtype=np.int64)


def _pairs(
    written: Written, at: NDArray[np.int64], first_won: NDArray[np.float64], votes: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """The pairs of models with most comparisons. The baseline is the model that more labelled comparisons hold."""
    models, counts = np.unique([written.first, written.second], return_counts=True)
    often = dict(zip(models.tolist(), counts.tolist(), strict=True))
    both = np.stack([written.first[at], written.second[at]], axis=1)
    kinds, kind, sizes = np.unique(np.sort(both, axis=1), axis=0, return_inverse=True, return_counts=True)
    found = []
    for number in np.argsort(-sizes, kind="stable")[:MOST_PAIRS].tolist():
        baseline, model = sorted(kinds[number].tolist(), key=lambda one: (-often[one], one))
        rows = np.flatnonzero(kind.ravel() == number)
        is_first = written.first[at[rows]] == model
        lengths = np.stack([written.first_length[at[rows]], written.second_length[at[rows]]]).astype(np.float64)
        own, other = np.where(is_first, lengths, lengths[::-1])
        won = np.where(is_first, first_won[rows], 1 - first_won[rows])
        head = {"baseline": baseline, "model": model, "votes": int(votes[rows].sum()), "longer": float((own - other).mean())}
        found.append(head | _rates(other, own, won, written.prompt[at[rows]]))
    return found


def _rates(
    baseline: NDArray[np.float64], model: NDArray[np.float64], won: NDArray[np.float64], prompt: NDArray[np.int64]
) -> dict[str, Any]:
    """Raw and controlled win rate in percent, or the raw one alone and why."""
    n = int(won.size)
    low, high = jeffreys_interval(round(float(won.sum())), n)
    head = {"comparisons": n, "raw": 100 * float(won.mean()), "raw_low": 100 * low, "raw_high": 100 * high}
    if n < LEAST_LABELS:
        return head | {"reason": f"{n} comparisons are too few to hold length equal; {LEAST_LABELS} are the least."}
    if (won <= 0).all() or (won >= 1).all():
        return head | {"reason": "One model wins always, whatever the lengths, so there is nothing to fit."}
    fit = length_controlled(baseline, model, won + 1)
    between = length_controlled_intervals(baseline, model, won + 1, cluster=prompt, seed=SEED)
    return head | {
        "raw_low": between.raw_low,
        "raw_high": between.raw_high,
        "win_rate": fit.win_rate,
        "low": between.low,
        "high": between.high,
        "length": fit.length,
        "advantage": fit.model,
        "strength": fit.strength,
        "suspicious": fit.suspicious,
    }

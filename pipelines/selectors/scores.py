"""Scores read for preferences, in the direction each has now; and what a filter on them would drop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotation.models import LanguageModel
from pipelines.models import Score
from pipelines.scoring import SCORERS
from pipelines.scoring.ches import PairProducts, ches_scores
from pipelines.scoring.ranks import percentiles
from pipelines.selectors.label_source import EVERYBODY, LabelSource, revision_joined, source_values

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ChesTable:
    """CHES of the current preferences that have a direction, by comparison; high is risky. Arrays (n,).

    Attributes:
        comparison, revision: int64 ids.
        ches, ln_ches: NaN where the pair has no score or could not be scored.
        percentile: of `ln_ches` among those scored, 0 safest to 100 riskiest; NaN likewise.
        n_chosen, n_rejected: tokens, the end token counted; 0 without a score.
        edit_distance, last_hidden: the two baselines.
        flags: why a pair has no score, or what to read it with; None where it was never scored.
    """

    comparison: NDArray[np.int64]
    revision: NDArray[np.int64]
    ches: FloatArray
    ln_ches: FloatArray
    percentile: FloatArray
    n_chosen: NDArray[np.int64]
    n_rejected: NDArray[np.int64]
    edit_distance: FloatArray
    last_hidden: FloatArray
    flags: list[list[str] | None]

    @property
    def scored(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.ln_ches)

    def __len__(self) -> int:
        return int(self.comparison.size)


# The newest of several keys of one model (another length, another dtype) is the one shown.
CHES = """
SELECT p.comparison_id, r.id, r.outcome = 'first', s.values
FROM pipelines_preference p
JOIN pipelines_preferencerevision r ON {revision}
LEFT JOIN LATERAL (
  SELECT x.values FROM pipelines_score x
  WHERE x.comparison_id = p.comparison_id AND x.completion_id IS NULL AND x.method = %(method)s
    AND x.method_version = %(version)s AND x.fingerprint = %(fingerprint)s
  ORDER BY x.id DESC LIMIT 1) s ON true
WHERE p.project_id = %(project)s AND r.outcome <> 'tie' ORDER BY p.comparison_id
"""


def ches_table(
    *, project_id: int, fingerprint: str, method: str = "ches", source: LabelSource = EVERYBODY
) -> ChesTable:
    """CHES of all preferences of a project for the model with these files, in the direction of their labels. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            CHES.format(revision=revision_joined(source)),
            {
                **source_values(source),
                "project": project_id,
                "method": method,
                "version": SCORERS[method].version,
                "fingerprint": fingerprint,
            },
        )
        rows = cursor.fetchall()
    values = [_values(row[3]) for row in rows]
    first = np.array([row[2] for row in rows], dtype=bool)
    known: NDArray[np.bool_] = np.array(
        [each is not None and "s11" in each for each in values], dtype=np.bool_
    )
    scores = _scores([values[index] for index in np.flatnonzero(known)], first[known])
    n = len(rows)
    return ChesTable(
        comparison=np.array([row[0] for row in rows], dtype=np.int64),
        revision=np.array([row[1] for row in rows], dtype=np.int64),
        ches=_spread(scores["ches"], known, n),
        ln_ches=_spread(scores["ln_ches"], known, n),
        percentile=_spread(percentiles(scores["ln_ches"]), known, n),
        n_chosen=_spread(scores["n_chosen"], known, n, fill=0).astype(np.int64),
        n_rejected=_spread(scores["n_rejected"], known, n, fill=0).astype(np.int64),
        edit_distance=_spread(scores["edit_distance"], known, n),
        last_hidden=_spread(scores["last_hidden"], known, n),
        flags=[None if each is None else list(each["flags"]) for each in values],
    )


def _values(stored: Any) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(stored) if isinstance(stored, str) else stored
    return found


def _scores(values: list[Any], first: NDArray[np.bool_]) -> dict[str, FloatArray]:
    """Each number in the pair's own direction."""
    column = {
        name: np.array([each[name] for each in values], dtype=np.float64)
        for name in ("s11", "s22", "s12", "n1", "n2", "edit_distance", "last_hidden")
    }
    n1, n2 = column["n1"].astype(np.int64), column["n2"].astype(np.int64)
    products = PairProducts(s12=column["s12"], s11=column["s11"], s22=column["s22"], n1=n1, n2=n2)
    as_first, as_second = ches_scores(products, chosen=0), ches_scores(products, chosen=1)
    return {
        "ches": np.where(first, as_first.ches, as_second.ches),
        "ln_ches": np.where(first, as_first.ln_ches, as_second.ln_ches),
        "n_chosen": np.where(first, n1, n2).astype(np.float64),
        "n_rejected": np.where(first, n2, n1).astype(np.float64),
        "edit_distance": column["edit_distance"],
        "last_hidden": column["last_hidden"],
    }


def _spread(values: FloatArray, known: NDArray[np.bool_], n: int, fill: float = np.nan) -> FloatArray:
    found = np.full(n, fill)
    found[known] = values
    return found


def models_scored(*, project_id: int, method: str = "ches") -> list[LanguageModel]:
    """The registered models that have scores in a project, by name."""
    prints = Score.objects.filter(project_id=project_id, method=method).values("fingerprint").distinct()
    return list(LanguageModel.objects.filter(fingerprint__in=prints).order_by("name"))

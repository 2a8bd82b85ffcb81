"""What drives preferences: properties of texts against the labels of people and of each judge, side by side.

Length also by itself, and models against each other with length held equal (`win_rates.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotation.models import Project
from pipelines.errors import NothingToDo
from pipelines.labels.factors import FactorConstant, factor_fit, length_signs
from pipelines.labels.length_control import length_report
from pipelines.models import AggregationRun, Analysis
from pipelines.queue import Leased
from pipelines.scoring.text_properties import PROPERTIES, VERSION, properties_of
from pipelines.services.analyses import Found, analysis_newest
from pipelines.services.win_rates import win_rates

KEY = "drivers"
MOST_PAIRS, BATCH = 4_000, 200
LEAST_PAIRS = 30
TOO_MUCH = 0.75


@dataclass(frozen=True)
class Side:
    """Labels of one kind of rater. y: (n,) P(first better) of the pairs at `rows`."""

    name: str
    rows: list[int]
    y: list[float]


# Comparison, prompt, then form and text of prompt, first and second, and P(first better) where people judged.
Pair = tuple[Any, ...]
# A fixed part of the comparisons, by a hash of their keys, so that a rerun sees the same.
PAIRS = """
SELECT c.id, c.prompt_id, prompt.form, left(prompt.body, 100000), a.form, left(a.body, 100000), b.form, left(b.body, 100000),
  CASE WHEN r.origin <> 'model' AND r.votes > 0 THEN r.soft_label END
FROM (SELECT p.comparison_id, p.current_id FROM pipelines_preference p
      JOIN annotation_comparison c ON c.id = p.comparison_id AND c.size = 2
      WHERE p.project_id = %(project)s AND p.current_id IS NOT NULL
      ORDER BY sha256(c.key) LIMIT %(most)s) p
JOIN pipelines_preferencerevision r ON r.id = p.current_id
JOIN annotation_comparison c ON c.id = p.comparison_id
JOIN annotation_prompt pr ON pr.id = c.prompt_id JOIN annotation_text prompt ON prompt.sha256 = pr.text_sha256
JOIN annotation_comparisoncompletion x ON x.comparison_id = c.id AND x.position = 0
JOIN annotation_completion xc ON xc.id = x.completion_id JOIN annotation_text a ON a.sha256 = xc.text_sha256
JOIN annotation_comparisoncompletion y ON y.comparison_id = c.id AND y.position = 1
JOIN annotation_completion yc ON yc.id = y.completion_id JOIN annotation_text b ON b.sha256 = yc.text_sha256
ORDER BY c.id
"""
JUDGED = """
SELECT DISTINCT ON (p.rater_id, p.comparison_id) rater.name, p.comparison_id, p.p_first
FROM pipelines_prediction p JOIN annotation_rater rater ON rater.id = p.rater_id
WHERE p.project_id = %(project)s AND p.comparison_id = ANY(%(ids)s::bigint[]) AND p.p_first IS NOT NULL
ORDER BY p.rater_id, p.comparison_id, p.id DESC
"""


def drivers_found(item: Leased) -> Found:
    """Measure texts and fit; the analysis `drivers`."""
    rows = pairs_of(item.project_id)
    measured = signs_of(levels_of(rows, item))
    sides = _sides(item.project_id, rows)
    result = {
        "pairs": len(rows),
        "properties_version": VERSION,
        "sides": [_fitted(side, measured, rows) | {"length": _length(side, rows)} for side in sides],
        "models": win_rates(item.project_id),
    }
    run = AggregationRun.objects.filter(project_id=item.project_id).order_by("-number").first()
    return Found(result, sum(len(side.rows) for side in sides), run)


def pairs_of(project_id: int) -> list[Pair]:
    """Labelled comparisons with their texts, a fixed part of them. Raises `NothingToDo` where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(PAIRS, {"project": project_id, "most": MOST_PAIRS})
        rows: list[Pair] = cursor.fetchall()
    if not rows:
        raise NothingToDo("No comparison has a label yet. Aggregate votes or judge first.")
    return rows


def levels_of(rows: list[Pair], item: Leased) -> NDArray[np.float64]:
    """(2, n, k) each property of the first and of the second completion."""
    item.size = len(rows)
    both = np.zeros((2, len(rows), len(PROPERTIES)))
    for place, row in enumerate(rows):
        prompt = _plain(row[2], row[3])
        for side, (form, body) in enumerate(((row[4], row[5]), (row[6], row[7]))):
            both[side, place] = list(properties_of(_plain(form, body), prompt).values())
        if (place + 1) % BATCH == 0:
            item.advance(BATCH)
    return both


def signs_of(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, k) signs of first minus second; of length only where it is clear."""
    signs: NDArray[np.float64] = np.sign(levels[0] - levels[1])
    at = list(PROPERTIES).index("words")
    signs[:, at] = length_signs(levels[0, :, at].astype(np.int64), levels[1, :, at].astype(np.int64))
    return signs


def _plain(form: str, body: str) -> str:
    """The words of a text; of a chat those of all its messages."""
    if form != "messages":
        return str(body)
    try:
        messages = json.loads(body)
    except ValueError:
        return str(body)  # cut off in the middle: its words still count
    return "\n\n".join(m["content"] for m in messages if isinstance(m.get("content"), str))


def _sides(project_id: int, rows: list[Pair]) -> list[Side]:
    place = {row[0]: number for number, row in enumerate(rows)}
    people = [(number, float(row[8])) for number, row in enumerate(rows) if row[8] is not None]
    found: dict[str, list[tuple[int, float]]] = {"": people} if people else {}
    with connection.cursor() as cursor:
        cursor.execute(JUDGED, {"project": project_id, "ids": list(place)})
        for name, comparison_id, p_first in cursor.fetchall():
            found.setdefault(name, []).append((place[comparison_id], float(p_first)))
    return [Side(name, [n for n, _ in pairs], [y for _, y in pairs]) for name, pairs in found.items()]


def _fitted(side: Side, measured: NDArray[np.float64], rows: list[Pair]) -> dict[str, Any]:
    """One side's fit, by prompts as clusters; properties that never differ among its pairs are named and left out."""
    head = {"name": side.name, "pairs": len(side.rows)}
    if len(side.rows) < LEAST_PAIRS:
        return head | {"reason": f"{len(side.rows)} labels are too few; {LEAST_PAIRS} are the least."}
    x, y = measured[side.rows], np.array(side.y)
    differs = np.ptp(x, axis=0) > 0
    names = [key for key, one in zip(PROPERTIES, differs, strict=True) if one]
    if not names:
        return head | {"reason": "No countable property differs between the two completions of any pair."}
    cluster = np.array([rows[number][1] for number in side.rows], dtype=np.int64)
    try:
        fit = factor_fit(x[:, differs], y, names, cluster=cluster)
    except FactorConstant as error:
        return head | {"reason": str(error)}
    numbers = {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(fit).items()
    }
    return head | numbers | {"constant": [key for key in PROPERTIES if key not in names]}


def _length(side: Side, rows: list[Pair]) -> dict[str, Any]:
    """How far labels follow length by itself, in characters, or why that is not told."""
    if len(side.rows) < LEAST_PAIRS:
        return {"reason": f"{len(side.rows)} labels are too few; {LEAST_PAIRS} are the least."}
    lengths = np.array([[len(_plain(*rows[at][4:6])), len(_plain(*rows[at][6:8]))] for at in side.rows], dtype=np.float64)
    try:
        found = length_report(lengths[:, 0], lengths[:, 1], np.array(side.y))
    except FactorConstant as error:
        return {"reason": str(error)}
    return {
        "pairs": found.pairs,
        "compared": found.compared,
        "longer_wins": found.longer_wins if found.compared else None,
        "low": found.low if found.compared else None,
        "high": found.high if found.compared else None,
        "always_longer": found.length_only_accuracy,
        "deciles": found.deciles,
        "turned": [rows[side.rows[at]][0] for at in found.turned.tolist()],
    }


def drivers_newest(*, project: Project) -> Analysis | None:
    return analysis_newest(project=project, key=KEY)


def drivers_too_strong(found: Analysis | None) -> list[str]:
    """Labels of properties that alone would tell three of four of people's choices: a warning at freeze."""
    sides = found.result["sides"] if found else []
    people = next((side for side in sides if side["name"] == "" and "names" in side), None)
    if people is None:
        return []
    return [
        PROPERTIES[key].label
        for key, low, high, enough in zip(
            people["names"], people["low"], people["high"], people["enough"], strict=True
        )
        if enough and (low > np.log(TOO_MUCH / (1 - TOO_MUCH)) or high < -np.log(TOO_MUCH / (1 - TOO_MUCH)))
    ]

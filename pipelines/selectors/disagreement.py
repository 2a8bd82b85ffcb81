"""Where people disagree, and how: one rater against the others, comparisons that are open and votes that are odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotation.agreement import Agreement, agreement
from annotation.errors import NotFound
from annotation.models import FormRevision, Project, Rater
from annotation.selectors.keeping import kept
from pipelines.labels.robust import confusion_counts
from pipelines.models import AggregationRun, RaterEstimate
from pipelines.selectors.raters import wilson

BLOCKS, LEAST_IN_BLOCK = 10, 20
MOST_BESIDE, KEPT_FROM = 10_000, 1_000
SHOWN_VOTES = 25
SHOWN_COMPARISONS = 25
DRAWN = 1_500
CLEAR, AGAINST = 0.8, 0.5
RESAMPLES = 200
APART = 0.05


@dataclass(frozen=True)
class Share:
    """A share of n with its 95 % interval. `at`: where it belongs on the page's axis."""

    at: float
    share: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Odd:
    """One vote beside what most others say."""

    comparison_id: int
    outcome: str
    others: str
    active_seconds: float | None


@dataclass(frozen=True)
class RaterShown:
    """One rater beside the others, none of whose figures contains this rater's own vote.

    Attributes:
        agrees: share of votes for a side that take the side of the others' majority.
        answers: own answer by the others' answer: `[own][others]`, first, second, tie; others' tie means no majority.
        speed: agreement by fifth of active seconds. drift: agreement by stretch of votes, in order of time.
        steady: share of repeats with the same answer; None without repeats.
        is_cut: there are older votes than these, which are the newest 10,000.
    """

    rater: Rater
    estimate: RaterEstimate | None
    agrees: Share | None
    answers: list[list[int]]
    speed: list[Share]
    drift: list[Share]
    steady: Share | None
    against: list[Odd]
    is_cut: bool


# Only so many, whatever a rater said in all: an imported source may have a vote on every comparison.
MINE = """
WITH mine AS MATERIALIZED (
  SELECT id, comparison_id, outcome, active_seconds FROM annotation_annotation
  WHERE rater_id = %(rater)s AND state = 'current' AND outcome <> '' ORDER BY id DESC LIMIT %(most)s
)
"""
# Each comparison's own votes, by its index: joined at large, the planner would read every vote of the project.
BESIDE = f"""{MINE}
SELECT a.id, a.comparison_id, a.outcome, a.active_seconds, o.first, o.second
FROM mine a CROSS JOIN LATERAL (
  SELECT count(*) AS votes, count(*) FILTER (WHERE o.outcome = 'first') AS first,
    count(*) FILTER (WHERE o.outcome = 'second') AS second
  FROM annotation_annotation o
  WHERE o.comparison_id = a.comparison_id AND o.rater_id <> %(rater)s
    AND o.state = 'current' AND o.outcome IN ('first', 'second', 'tie', 'both_bad')
) o
WHERE a.outcome IN ('first', 'second', 'tie', 'both_bad') AND o.votes > 0 ORDER BY a.id
"""
REPEATS = f"""{MINE}
SELECT (SELECT count(*) FROM mine), count(*), count(*) FILTER (WHERE b.outcome = a.outcome)
FROM mine a JOIN mine b ON b.comparison_id = a.comparison_id AND b.id > a.id
"""
OUTCOMES = {"first": 0, "second": 1, "tie": 2, "both_bad": 2}
SIDES = ("first", "second", "tie")


def rater_shown(
    *, project: Project, rater_id: int, run: AggregationRun | None, cell: tuple[str, str] | None = None
) -> RaterShown:
    """One rater of this project, of 1,000 votes and more up to a minute old. Four queries.

    `cell`: own and others' answer whose votes to list, not the odd ones.
    """
    rater = Rater.objects.select_related("participation__annotator").filter(project=project, pk=rater_id).first()
    if rater is None or rater.kind == Rater.Kind.MODEL:
        raise NotFound("There is no such person or source in this project.")
    rows, votes, repeats, same = kept(
        f"beside/{rater_id}", lambda: _beside(rater_id), size=lambda found: found[1], large=KEPT_FROM
    )
    own = np.array([OUTCOMES[row[2]] for row in rows], dtype=np.int64)
    first, second = (np.array([row[place] for row in rows], dtype=np.int64) for place in (4, 5))
    others = np.where(first > second, 0, np.where(second > first, 1, 2))
    sided = (own < 2) & (others < 2)
    right = (own == others)[sided]
    seconds = np.array([np.nan if row[3] is None else row[3] for row in rows], dtype=np.float64)[sided]
    answers = confusion_counts(own, others, len(SIDES)).T
    wanted = sided & (own != others)
    if cell is not None:
        wanted = (own == SIDES.index(cell[0])) & (others == SIDES.index(cell[1]))
    odd = [rows[place] for place in np.flatnonzero(wanted)[::-1][:SHOWN_VOTES]]
    return RaterShown(
        rater=rater,
        estimate=RaterEstimate.objects.filter(run=run, rater=rater).first() if run else None,
        agrees=_share(0.0, right) if right.size else None,
        answers=answers.tolist(),
        speed=_by_speed(seconds, right),
        drift=_by_time(right),
        steady=Share(0.0, same / repeats, *wilson(same / repeats, repeats), repeats) if repeats else None,
        against=[Odd(row[1], row[2], _majority(row[4], row[5]), row[3]) for row in odd],
        is_cut=votes == MOST_BESIDE,
    )


def _beside(rater_id: int) -> tuple[list[tuple[Any, ...]], int, int, int]:
    """Rows of votes beside the others', how many votes were looked at, how many are repeats, how many of those the same."""
    values = {"rater": rater_id, "most": MOST_BESIDE}
    with connection.cursor() as cursor:
        cursor.execute(BESIDE, values)
        rows = cursor.fetchall()
        cursor.execute(REPEATS, values)
        votes, repeats, same = cursor.fetchone()
    return rows, votes, repeats, same


def _majority(first: int, second: int) -> str:
    return SIDES[0] if first > second else SIDES[1] if second > first else "undecided"


def _share(at: float, right: NDArray[np.bool_]) -> Share:
    share = float(right.mean())
    return Share(at, share, *wilson(share, int(right.size)), int(right.size))


def _by_speed(seconds: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Share]:
    """Up to fifths by active seconds, at their medians; equal times stay together, and too few votes say nothing."""
    known = np.isfinite(seconds)
    seconds, right = seconds[known], right[known]
    if seconds.size < 2 * LEAST_IN_BLOCK:
        return []
    parts = min(5, seconds.size // LEAST_IN_BLOCK)
    edges = np.unique(np.quantile(seconds, np.arange(1, parts) / parts))
    place = np.searchsorted(edges, seconds, side="left")
    return [_share(float(np.median(seconds[place == p])), right[place == p]) for p in np.unique(place)]


def _by_time(right: NDArray[np.bool_]) -> list[Share]:
    """Up to ten stretches of equally many votes, at the number of the last vote in each."""
    if right.size < 2 * LEAST_IN_BLOCK:
        return []
    parts = np.array_split(np.arange(right.size), min(BLOCKS, right.size // LEAST_IN_BLOCK))
    return [_share(float(part[-1] + 1), right[part]) for part in parts]


@dataclass(frozen=True)
class OpenComparison:
    """A comparison with votes. Nats; confidence is the probability of the outcome that the votes amount to."""

    comparison_id: int
    prompt_form: str
    prompt: str
    votes: int
    agreement: float
    outcome: str
    confidence: float
    ambiguity: float | None
    ignorance: float | None


@dataclass(frozen=True)
class AspectAgreement:
    title: str
    found: Agreement


@dataclass(frozen=True)
class Disagreement:
    """Comparisons with two votes or more: how many are of one mind, and which are not.

    Attributes:
        several, unanimous: counts. graded: whether the newest refit tells ambiguity from ignorance.
        ambiguous: reliable raters would still split. noisy: most votes are against what reliable raters say.
        points: (ambiguity, ignorance) of up to 1,500 comparisons, drawn.
    """

    several: int
    unanimous: int
    graded: bool
    ambiguous: list[OpenComparison]
    noisy: list[OpenComparison]
    points: list[tuple[float, float]]


JUDGED = """
FROM pipelines_preference p JOIN pipelines_preferencerevision r ON r.id = p.current_id
WHERE p.project_id = %(project)s AND r.votes >= 2
"""
SHOWN = """
SELECT p.comparison_id, t.form, left(t.body, 4000), r.votes, r.agreement, r.outcome, r.confidence, r.ambiguity, r.ignorance
FROM (SELECT p.comparison_id, p.current_id {judged} AND {which} ORDER BY {order} LIMIT %(most)s) p
JOIN pipelines_preferencerevision r ON r.id = p.current_id
JOIN annotation_comparison c ON c.id = p.comparison_id
JOIN annotation_prompt prompt ON prompt.id = c.prompt_id JOIN annotation_text t ON t.sha256 = prompt.text_sha256
ORDER BY {order}
"""
# Votes of several grades: everybody who is reliable would still be of two minds.
AMBIGUOUS = SHOWN.format(judged=JUDGED, which="r.ambiguity IS NOT NULL AND r.agreement < 1",
                         order="r.ambiguity DESC, p.comparison_id")  # fmt: skip
NOISY = SHOWN.format(judged=JUDGED, which=f"r.confidence >= {CLEAR} AND r.agreement < {AGAINST}",
                     order="r.agreement, r.confidence DESC, p.comparison_id")  # fmt: skip
COUNTS = f"""
SELECT count(*), count(*) FILTER (WHERE r.agreement = 1), count(*) FILTER (WHERE r.ambiguity IS NOT NULL) {JUDGED}
"""
# A fixed part of them, by id: the same picture each time.
POINTS = f"""
SELECT r.ambiguity, r.ignorance {JUDGED} AND r.ambiguity IS NOT NULL
ORDER BY (p.comparison_id * 7919) %% 1000003, p.comparison_id LIMIT %(most)s
"""


def disagreement(*, project: Project, run: AggregationRun | None = None) -> Disagreement:
    """Counts, lists and points of a project, in a large one up to a minute old. Four queries.

    `run`: the newest refit, after which nothing older is shown.
    """
    key = f"disagreement/{project.pk}/{run.pk if run else 0}"
    return kept(key, lambda: _disagreement(project), size=lambda found: found.several)


def _disagreement(project: Project) -> Disagreement:
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"project": project.pk})
        several, unanimous, graded = cursor.fetchone()
        values = {"project": project.pk, "most": SHOWN_COMPARISONS}
        cursor.execute(AMBIGUOUS, values)
        ambiguous = [OpenComparison(*row) for row in cursor.fetchall()]
        cursor.execute(NOISY, values)
        noisy = [OpenComparison(*row) for row in cursor.fetchall()]
        cursor.execute(POINTS, {"project": project.pk, "most": DRAWN})
        points = cursor.fetchall()
    return Disagreement(several, unanimous, graded > 0, ambiguous, noisy, points)


def flip_rate_proposed(run: AggregationRun | None) -> dict[str, Any] | None:
    """The flip rate to train with: that of the labels, as the newest refit made them; None where its method knows none.

    A rate of votes is no substitute: a label that rests on several votes is flipped less often than one of them.
    """
    found = _flip_rates(run).get("model", {})
    return found if "rate" in found else None


def flip_rates_apart(run: AggregationRun | None) -> float | None:
    """How far the rates of votes from pairs of raters and from EM lie apart, above 0.05; None below, or without both.

    So wide a gap points at taste, or at raters who err together, not at plain error.
    """
    found = [rates["rate"] for key in ("repeats", "em") if "rate" in (rates := _flip_rates(run).get(key, {}))]
    return gap if len(found) == 2 and (gap := abs(found[0] - found[1])) > APART else None


def _flip_rates(run: AggregationRun | None) -> dict[str, dict[str, Any]]:
    return run.metrics.get("flip_rates", {}) if run else {}


# A rater's second answer is a repeat, and would agree with itself as if there were two raters.
ASPECT_VOTES = """
SELECT a.comparison_id, e.key, (e.value->>'vote')::int
FROM (SELECT DISTINCT ON (comparison_id, rater_id) id, comparison_id, answers->%(question)s->'aspects' AS aspects
      FROM annotation_annotation
      WHERE project_id = %(project)s AND state = 'current' AND form_revision_id = %(form)s
        AND jsonb_typeof(answers->%(question)s->'aspects') = 'object'
      ORDER BY comparison_id, rater_id, id) a, jsonb_each(a.aspects) e
WHERE e.value->>'vote' IS NOT NULL ORDER BY a.id DESC LIMIT 200000
"""


def aspect_agreements(*, project: Project) -> list[AspectAgreement]:
    """Krippendorff's alpha, ordinal, of each aspect of the newest form, from up to 200,000 newest answers."""
    form = FormRevision.objects.filter(project=project).first()
    questions = [q for q in form.questions if q.get("aspects") and q["type"] in {"pairwise", "joint"}] if form else []
    found = []
    for question in questions:
        with connection.cursor() as cursor:
            values = {"project": project.pk, "question": question["key"], "form": form.pk if form else None}
            cursor.execute(ASPECT_VOTES, values)
            rows = cursor.fetchall()
        found += [_aspect(part, rows) for part in question["aspects"]]
    return [one for one in found if one is not None]


def _aspect(part: dict[str, Any], rows: list[tuple[int, str, int]]) -> AspectAgreement | None:
    own = [(unit, vote) for unit, key, vote in rows if key == part["key"]]
    if not own:
        return None
    unit, vote = (np.array(column) for column in zip(*own, strict=True))
    alpha = agreement(unit.astype(np.int64), vote.astype(np.float64), "ordinal", seed=0, n_resamples=RESAMPLES)
    return AspectAgreement(part["label"], alpha)

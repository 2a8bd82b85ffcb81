"""How reliable each rater is by the newest refit, and which side they choose."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from django.db import connection
from django.db.models import Avg, Count

from annotation.models import Annotation, Project, Rater
from annotation.selectors.keeping import kept
from pipelines.models import AggregationRun, RaterEstimate


@dataclass(frozen=True)
class Shown:
    """A rater as the page lists it. Intervals are 95 %; None where there is nothing to estimate from.

    `since`: votes that the refit did not see. `since_right`: the chance, by the labels of now, that such a vote is right.
    """

    rater: Rater
    name: str
    votes: int
    reliability: float | None
    low: float | None
    high: float | None
    share_a: float | None
    share_low: float | None
    share_high: float | None
    sided_votes: int
    ties: int
    active_seconds: float | None
    since: int
    since_right: float | None

    @property
    def favours_a_side(self) -> bool:
        """Whether the interval of the share for A leaves out a half."""
        return self.share_low is not None and not self.share_low <= 0.5 <= (self.share_high or 0)


def newest_run(*, project: Project) -> AggregationRun | None:
    return AggregationRun.objects.filter(project=project).order_by("-number").first()


def rater_list(*, project: Project, run: AggregationRun | None, sees_models: bool) -> list[Shown]:
    """Every rater that said something, the most reliable first; models only where they are open. Four queries.

    In a large project the counts of answers and the mean times are up to a minute old, and what came since the refit too.
    """
    raters = Rater.objects.filter(project=project).select_related("participation__annotator", "model")
    if not sees_models:
        raters = raters.exclude(kind=Rater.Kind.MODEL)
    said = kept(
        f"said/{project.pk}",
        lambda: _said(project),
        size=lambda found: sum(count for count, _ in found.values()),
    )
    estimates = {e.rater_id: e for e in RaterEstimate.objects.filter(run=run)} if run else {}
    since = _since_kept(project, run) if run else {}
    rows = [
        _shown(rater, estimates.get(rater.pk), *said.get(rater.pk, (0, None)), *since.get(rater.pk, (0, None)))
        for rater in raters
        if rater.pk in said or rater.pk in estimates
    ]
    return sorted(rows, key=lambda row: (row.reliability is None, -(row.reliability or 0), row.name))


def _said(project: Project) -> dict[int, tuple[int, float | None]]:
    """Of each rater who said something, how many answers stand and their mean active seconds."""
    rows = (
        Annotation.objects.filter(project=project, state=Annotation.State.CURRENT)
        .values_list("rater_id")
        .annotate(Count("id"), Avg("active_seconds"))
    )
    return {rater_id: (count, active) for rater_id, count, active in rows}


# A vote's own label has learnt from it, as the labels have under a refit's reliability.
SINCE = """
SELECT a.rater_id, count(*),
  avg(CASE a.outcome WHEN 'first' THEN r.p_first WHEN 'second' THEN r.p_second ELSE r.p_tie END)
FROM annotation_annotation a
LEFT JOIN pipelines_preference p ON p.comparison_id = a.comparison_id
LEFT JOIN pipelines_preferencerevision r ON r.id = p.current_id
WHERE a.project_id = %s AND a.id > %s AND a.state = 'current' AND a.outcome IN ('first', 'second', 'tie', 'both_bad')
GROUP BY 1
"""


def _since_kept(project: Project, run: AggregationRun) -> dict[int, tuple[int, float | None]]:
    return kept(
        f"since/{run.pk}", lambda: _since(project, run), size=lambda found: sum(votes for votes, _ in found.values())
    )


def _since(project: Project, run: AggregationRun) -> dict[int, tuple[int, float | None]]:
    """Of each rater, the votes since this refit and how far the labels of now back them."""
    with connection.cursor() as cursor:
        cursor.execute(SINCE, [project.pk, run.annotations_until])
        return {rater_id: (votes, right) for rater_id, votes, right in cursor.fetchall()}


def _shown(
    rater: Rater,
    estimate: RaterEstimate | None,
    said: int,
    active: float | None,
    since: int,
    since_right: float | None,
) -> Shown:
    details = estimate.details if estimate else {}
    share, n = details.get("share_for_a"), int(details.get("votes_with_side") or 0)
    low, high = wilson(share, n) if share is not None and n else (None, None)
    person = rater.participation.annotator if rater.participation else None
    return Shown(
        rater=rater,
        name=str(person) if person else rater.name,
        votes=estimate.votes if estimate else said,
        reliability=estimate.reliability if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        share_a=share,
        share_low=low,
        share_high=high,
        sided_votes=n,
        ties=int(details.get("ties") or 0),
        active_seconds=active,
        since=since,
        since_right=since_right,
    )


def wilson(share: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The Wilson score interval of a share of n, 95 % by default.

    Example:
        >>> [round(x, 3) for x in wilson(0.5, 100)]
        [0.404, 0.596]

    Source: Wilson 1927.
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)

"""The curator's list of comparisons, one page at a time, and one comparison with all that is known about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from django.core.cache import cache
from django.db import connection
from django.db.models import Prefetch

from annotation.errors import NotAllowed, NotFound, Refused
from annotation.models import Annotation, Comparison, ComparisonCompletion, Flag, Project
from pipelines.models import Prediction, Preference, PreferenceRevision, RoutingDecision, Score
from pipelines.scoring.ches import PairProducts, ches_scores

PAGE = 50
EXACT_UP_TO = 10_000
COUNTS_SECONDS = 60

# What a filter adds to the WHERE clause; values are bound, never pasted.
FILTERS: dict[str, str] = {
    "q": "pt.body ILIKE %(q)s OR EXISTS (SELECT 1 FROM annotation_comparisoncompletion pl"
    " JOIN annotation_completion o ON o.id = pl.completion_id JOIN annotation_text t ON t.sha256 = o.text_sha256"
    " WHERE pl.comparison_id = c.id AND t.body ILIKE %(q)s)",
    "outcome": "r.outcome = %(outcome)s",
    "origin": "r.origin = %(origin)s",
    "flip": "r.flip_probability >= %(flip)s",
    "votes": "(SELECT count(*) FROM annotation_annotation a WHERE a.comparison_id = c.id AND a.state = 'current'"
    " AND a.outcome <> 'cannot_judge') >= %(votes)s",
    "held": "d.held_back = %(held)s",
    "flagged": "EXISTS (SELECT 1 FROM annotation_flag f"
    " WHERE f.comparison_id = c.id AND f.resolved_at IS NULL) = %(flagged)s",
    "warning": "%(warning)s = ANY(c.warnings)",
    "routed": "EXISTS (SELECT 1 FROM pipelines_routingdecision x JOIN pipelines_routingplan y ON y.id = x.plan_id"
    " AND y.state <> 'replaced' WHERE x.comparison_id = c.id AND x.destination = %(routed)s)",
    "derived": "EXISTS (SELECT 1 FROM pipelines_derivation z WHERE z.comparison_id = c.id) = (%(derived)s = 'yes')",
    "import": "c.source_import_id = %(import)s",
}
# A judge whose side differs from that of the people, whatever became the preference.
DIFFERS = (
    "EXISTS (SELECT 1 FROM pipelines_prediction p WHERE p.comparison_id = c.id AND p.outcome IN ('first', 'second')"
    " AND r.origin = 'person' AND r.outcome IN ('first', 'second') AND p.outcome <> r.outcome) = %(differs)s"
)
FILTERS["differs"] = DIFFERS

# What those may filter and sort by who must not learn what a model said.
BLIND_FILTERS = frozenset({"q", "votes", "held", "flagged", "warning", "import"})
BLIND_SORTS = frozenset({"new"})

NUMBER = "(s.values->>'%s')::float8"
LN_CHES = (
    "CASE r.outcome WHEN 'first' THEN {s12} / ({n1} * {n2}) - {s11} / ({n1} * {n1})"
    " WHEN 'second' THEN {s12} / ({n1} * {n2}) - {s22} / ({n2} * {n2}) END"
).format(**{key: NUMBER % key for key in ("s11", "s22", "s12", "n1", "n2")})

# Each order is strict with the id as its last word, so that a page goes on exactly where the last one ended.
# The newest first is the order of ids alone, which an index holds.
SORTS: dict[str, str | None] = {"new": None, "flip": "r.flip_probability", "ches": LN_CHES}

# Outer joins on keys: those that no filter, order or column reads are left out by the planner.
FROM = """
FROM annotation_comparison c
LEFT JOIN annotation_prompt pr ON pr.id = c.prompt_id
LEFT JOIN annotation_text pt ON pt.sha256 = pr.text_sha256
LEFT JOIN annotation_demand d ON d.comparison_id = c.id
LEFT JOIN pipelines_preference pf ON pf.comparison_id = c.id
LEFT JOIN pipelines_preferencerevision r ON r.id = pf.current_id
"""
SCORE = """
LEFT JOIN LATERAL (SELECT z.values FROM pipelines_score z
  WHERE z.project_id = c.project_id AND z.method = 'ches' AND z.fingerprint = (
      SELECT x.fingerprint FROM pipelines_score x WHERE x.project_id = %(project)s AND x.method = 'ches'
      ORDER BY x.id DESC LIMIT 1)
    AND z.comparison_id = c.id ORDER BY z.id DESC LIMIT 1) s ON true
"""
SELECT = """
SELECT c.id, pt.form, CASE pt.form WHEN 'plain' THEN left(pt.body, 600) ELSE pt.body END, c.warnings, d.wanted,
  d.done, d.leased, d.held_back, r.outcome, r.origin, r.flip_probability, v.votes,
  v.others, v.scale, p.outcome, p.p_first, {ches}, page.key
"""
# The ids of the page come first, so that what is costly is looked up for 51 comparisons and not for all.
PICKED = "WITH page AS MATERIALIZED (SELECT c.id, {key} AS key {tables} WHERE {where} ORDER BY {order} LIMIT {limit})"
SHOWN = FROM.replace(
    "FROM annotation_comparison c", "FROM page JOIN annotation_comparison c ON c.id = page.id"
)

LATERALS = """
LEFT JOIN LATERAL (SELECT array_agg(a.vote ORDER BY a.vote) FILTER (WHERE a.vote IS NOT NULL) AS votes,
    array_agg(a.outcome::text) FILTER (WHERE a.vote IS NULL) AS others, max(a.vote_scale) AS scale
  FROM annotation_annotation a WHERE a.comparison_id = c.id AND a.state = 'current') v ON true
LEFT JOIN LATERAL (SELECT q.outcome, q.p_first FROM pipelines_prediction q
  WHERE q.comparison_id = c.id ORDER BY q.id DESC LIMIT 1) p ON true
"""


@dataclass(frozen=True)
class Row:
    id: int
    prompt_form: str
    prompt_body: str
    warnings: list[str]
    wanted: int | None
    done: int | None
    leased: int | None
    held_back: bool | None
    outcome: str | None
    origin: str | None
    flip: float | None
    votes: list[int]
    others: list[str]
    scale: int
    judge: str | None
    judge_p_first: float | None
    ches: float | None
    sort_key: float | None

    def blind(self) -> Row:
        """Without what models said: the judge, scores, and a preference that is not of people or a file."""
        row = replace(self, judge=None, judge_p_first=None, ches=None)
        return replace(row, outcome=None, origin=None, flip=None) if row.origin == "model" else row


@dataclass(frozen=True)
class Page:
    """`after` is the place to go on from, or empty; `total` is exact up to `EXACT_UP_TO`, else None."""

    rows: list[Row]
    after: str
    total: int | None


def comparison_page(
    *, project: Project, sees_models: bool, filters: Mapping[str, Any], sort: str = "new", after: str = ""
) -> Page:
    """50 comparisons that match. Two queries; `filters` has keys of `FILTERS` and values of the right type.

    CHES is that of the model scored last: the scores of two models do not compare.
    """
    if sort not in SORTS:
        raise Refused(f"The list can be sorted by {', '.join(SORTS)}; got {sort!r}.")
    if not sees_models and not (sort in BLIND_SORTS and filters.keys() <= BLIND_FILTERS):
        raise NotAllowed(
            "This filter or order shows what models said; it is open to curators and researchers."
        )
    values: dict[str, Any] = {"project": project.pk, **filters}
    if "q" in filters:
        values["q"] = (
            "%" + str(filters["q"]).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        )
    where = " AND ".join(["c.project_id = %(project)s", *(f"({FILTERS[name]})" for name in filters)])
    key = SORTS[sort]
    beyond = ""
    if after:
        values["after_key"], values["after_id"] = _place(after)
        beyond = " AND c.id < %(after_id)s::bigint"
    if after and key:
        beyond = f" AND (coalesce({key}, '-Infinity'), c.id) < (%(after_key)s::float8, %(after_id)s::bigint)"
    picked = PICKED.format(
        key=key or "NULL::float8",
        tables=FROM + (SCORE if sort == "ches" else ""),
        where=where + beyond,
        order=f"coalesce({key}, '-Infinity') DESC, c.id DESC" if key else "c.id DESC",
        limit=PAGE + 1,
    )
    page = (
        f"{picked} {SELECT.format(ches=LN_CHES)} {SHOWN} {SCORE} {LATERALS}"
        " ORDER BY coalesce(page.key, '-Infinity') DESC, c.id DESC"
    )
    count = f"SELECT count(*) FROM (SELECT 1 {FROM} WHERE {where} LIMIT {EXACT_UP_TO + 1}) x"
    with connection.cursor() as cursor:
        cursor.execute(page, values)
        rows = [
            Row(*(*row[:11], row[11] or [], row[12] or [], row[13] or 3, *row[14:]))
            for row in cursor.fetchall()
        ]
        cursor.execute(count, values)
        total = cursor.fetchone()[0]
    more = len(rows) > PAGE
    rows = [row if sees_models else row.blind() for row in rows[:PAGE]]
    return Page(rows, _place_of(rows[-1]) if more else "", total if total <= EXACT_UP_TO else None)


def _place(after: str) -> tuple[float, int]:
    key, _, id_ = after.partition("_")
    try:
        return float(key), int(id_)
    except ValueError:
        raise Refused("This address points at no place in the list. Go back to its first page.") from None


def _place_of(row: Row) -> str:
    return f"{'-inf' if row.sort_key is None else repr(float(row.sort_key))}_{row.id}"


@dataclass(frozen=True)
class Counts:
    """Preferences by outcome and origin, warnings, and how judges and people compare where both spoke."""

    outcomes: dict[str, int] = field(default_factory=dict)
    origins: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    both_spoke: int = 0
    agree: int = 0


def comparison_counts(*, project: Project, exact_up_to: int = EXACT_UP_TO) -> Counts:
    """Counts as of now, or of at most a minute ago in a large project. Three queries at most."""
    some = Comparison.objects.filter(project=project).values("pk")[: exact_up_to + 1]
    if some.count() <= exact_up_to:
        return _counted(project)
    key = f"comparison_counts/{project.pk}"
    kept = cache.get(key)
    if isinstance(kept, Counts):
        return kept
    counts = _counted(project)
    cache.set(key, counts, COUNTS_SECONDS)
    return counts


# Each preference with the newest answer of a judge beside it, in one pass: looked up one by one they took twice as long.
OUTCOMES = """
SELECT r.outcome, r.origin, p.outcome, count(*)
FROM pipelines_preference f
JOIN pipelines_preferencerevision r ON r.id = f.current_id
LEFT JOIN (
  SELECT DISTINCT ON (comparison_id) comparison_id, outcome FROM pipelines_prediction
  WHERE project_id = %(project)s ORDER BY comparison_id, id DESC
) p ON p.comparison_id = f.comparison_id
WHERE f.project_id = %(project)s GROUP BY 1, 2, 3
"""
WARNINGS = """
SELECT w, count(*) FROM annotation_comparison c, unnest(c.warnings) w WHERE c.project_id = %(project)s GROUP BY 1
"""


def _counted(project: Project) -> Counts:
    """Two queries, each over the whole project."""
    outcomes, origins = Counter[str](), Counter[str]()
    both = agree = 0
    with connection.cursor() as cursor:
        cursor.execute(OUTCOMES, {"project": project.pk})
        for outcome, origin, judged, n in cursor.fetchall():
            outcomes[outcome] += n
            origins[origin] += n
            if origin == PreferenceRevision.Origin.PERSON and outcome != "tie" and judged in {"first", "second"}:
                both += n
                agree += n if judged == outcome else 0
        cursor.execute(WARNINGS, {"project": project.pk})
        warnings = dict(cursor.fetchall())
    return Counts(dict(outcomes), dict(origins), warnings, both, agree)


@dataclass(frozen=True)
class Known:
    """One comparison with all that is known about it. `sources`: comparisons whose answers give its label; `derived`:
    those whose labels its answers give."""

    comparison: Comparison
    places: list[ComparisonCompletion]
    annotations: list[Annotation]
    predictions: list[Prediction]
    scores: list[tuple[Score, dict[str, float | None]]]
    decisions: list[RoutingDecision]
    preference: PreferenceRevision | None
    revisions: list[PreferenceRevision]
    flags: list[Flag]
    sources: list[int]
    derived: list[int]


def comparison_get(*, project: Project, comparison_id: int, sees_models: bool) -> Known:
    """A comparison of this project, with what models said only where that is open. Eleven queries, whatever it holds."""
    places = Prefetch(
        "places",
        ComparisonCompletion.objects.select_related(
            "completion__text",
            "completion__prompt__text",
            "completion__model",
            "completion__author__participation__annotator",
        ).order_by("position"),
    )
    found = (
        Comparison.objects.filter(project=project, pk=comparison_id)
        .select_related("prompt__text", "source_import", "demand")
        .prefetch_related(places)
        .first()
    )
    if found is None:
        raise NotFound("There is no such comparison in this project.")
    preference = Preference.objects.filter(comparison=found).select_related("current__run").first()
    current = preference.current if preference else None
    revisions = (
        PreferenceRevision.objects.filter(preference=preference, group=None).select_related("run").order_by("-id")
        if preference
        else []
    )
    annotations = (
        Annotation.objects.filter(comparison=found)
        .exclude(state=Annotation.State.RETRACTION)
        .select_related("rater__participation__annotator", "source_import", "form_revision")
        .order_by("id")
    )
    scores = Score.objects.filter(comparison=found).order_by("-id")
    known = Known(
        comparison=found,
        places=list(found.places.all()),
        annotations=list(annotations),
        predictions=list(Prediction.objects.filter(comparison=found).select_related("rater").order_by("-id")),
        scores=[(score, score_numbers(score, current)) for score in scores],
        decisions=list(
            RoutingDecision.objects.filter(comparison=found).select_related("plan").order_by("-id")
        ),
        preference=current,
        revisions=list(revisions),
        flags=list(
            Flag.objects.filter(comparison=found).select_related("participation__annotator").order_by("id")
        ),
        sources=list(found.derivations.order_by("source_id").values_list("source_id", flat=True)),
        derived=list(found.derived.order_by("comparison_id").values_list("comparison_id", flat=True)),
    )
    return known if sees_models else _blind(known)


def _blind(known: Known) -> Known:
    """Without what models said, and without the models' names."""
    for place in known.places:
        place.completion.model = None
    current = known.preference
    return replace(
        known,
        predictions=[],
        scores=[],
        decisions=[],
        preference=None if current and current.origin == "model" else current,
        revisions=[revision for revision in known.revisions if revision.origin != "model"],
    )


def score_numbers(score: Score, preference: PreferenceRevision | None) -> dict[str, float | None]:
    """CHES of the preference's direction, both forms; of both directions where there is none."""
    values = score.values
    if score.method != "ches" or any(values.get(key) is None for key in ("s11", "s22", "s12", "n1", "n2")):
        return {}
    products = PairProducts(
        *(np.array([float(values[key])]) for key in ("s12", "s11", "s22")),
        *(np.array([int(values[key])]) for key in ("n1", "n2")),
    )
    directions = (
        [0, 1] if preference is None or preference.outcome == "tie" else [int(preference.outcome == "second")]
    )
    found: dict[str, float | None] = {}
    for chosen in directions:
        scores = ches_scores(products, chosen=chosen)
        suffix = "" if len(directions) == 1 else f", {'first' if chosen == 0 else 'second'} chosen"
        for name, array in (("CHES, by length", scores.ln_ches), ("CHES, raw", scores.ches)):
            number = float(array[0])
            found[name + suffix] = number if math.isfinite(number) else None
    return found

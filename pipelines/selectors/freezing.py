"""What a freeze reads, all in the caller's snapshot: candidates as arrays, then the texts of those that stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotation.models import LanguageModel, Project
from pipelines.errors import NothingToDo
from pipelines.pairs.orders import places_apart
from pipelines.selectors.label_source import EVERYBODY, LabelSource, revision_joined, source_values
from pipelines.selectors.pairs import FROM_SETS, IS_DERIVED, IS_PAIR, IS_UNIT, PAIRS
from pipelines.selectors.scores import ches_table, models_scored
from pipelines.versions.filters import LENGTH_KEYS, PLACE_KEYS, Candidates, Rule, ScoreColumns
from pipelines.versions.forms import FORMS, PairTexts, content_of
from pipelines.versions.rows import FrozenLabel, FrozenRow
from pipelines.versions.split_by_prompt import SPLITS, TRAIN, split_of

BATCH = 5_000


@dataclass(frozen=True)
class Population:
    """All comparisons of a project and the candidates among them: the units whose preference has a direction.

    `unit`: what a row is, pairs or single completions. `not_units`: comparisons that are none, `sources` those of them
    whose pairs or completions are comparisons of their own. `comparison`, `revision`: (n,) ids of the candidates, ordered by
    the comparisons' content keys. `split`: (n,) index into `SPLITS`. `form`: (n,) index into `FORMS`.
    """

    unit: str
    comparisons: int
    not_units: int
    sources: int
    unjudged: int
    ties: int
    identical: int
    comparison: NDArray[np.int64]
    revision: NDArray[np.int64]
    split: NDArray[np.int8]
    form: NDArray[np.int8]
    candidates: Candidates


COUNTS = """
SELECT count(*), count(*) FILTER (WHERE NOT ({unit}) AND d.source_id IS NULL),
       count(*) FILTER (WHERE NOT ({unit}) AND d.source_id IS NOT NULL),
       count(*) FILTER (WHERE {unit} AND r.id IS NULL), count(*) FILTER (WHERE {unit} AND r.outcome = 'tie'),
       count(*) FILTER (WHERE {unit} AND chosen.text_sha256 = rejected.text_sha256)
FROM annotation_comparison c
LEFT JOIN pipelines_preference p ON p.comparison_id = c.id
LEFT JOIN pipelines_preferencerevision r ON {revision}
LEFT JOIN annotation_completion chosen ON chosen.id = r.chosen_id
LEFT JOIN annotation_completion rejected ON rejected.id = r.rejected_id
LEFT JOIN (SELECT DISTINCT x.source_id FROM pipelines_derivation x JOIN annotation_comparison u ON u.id = x.comparison_id
           WHERE u.project_id = %(project)s AND u.size = %(size)s) d ON d.source_id = c.id
WHERE c.project_id = %(project)s
"""

CANDIDATES = """
SELECT c.id, r.id, text.sha256, text.form = 'messages', r.flip_probability, r.p_tie, r.confidence, r.agreement,
       CASE WHEN r.outcome = 'first' THEN -r.strength ELSE r.strength END, r.votes, r.origin,
       array_to_string(c.warnings, ' '), {lengths}
FROM annotation_comparison c
JOIN pipelines_preference p ON p.comparison_id = c.id
JOIN pipelines_preferencerevision r ON {revision}
JOIN annotation_prompt prompt ON prompt.id = c.prompt_id
JOIN annotation_text text ON text.sha256 = prompt.text_sha256
LEFT JOIN annotation_completion chosen ON chosen.id = r.chosen_id
LEFT JOIN annotation_completion rejected ON rejected.id = r.rejected_id
{texts}
WHERE c.project_id = %(project)s AND {unit} AND r.outcome <> 'tie'
  AND chosen.text_sha256 IS DISTINCT FROM rejected.text_sha256
ORDER BY c.key
"""
# Lengths unpack every text, so they are read only for filters on them.
WITH_LENGTHS = {
    "lengths": "length(chosen_text.body), length(rejected_text.body)",
    "texts": "LEFT JOIN annotation_text chosen_text ON chosen_text.sha256 = chosen.text_sha256"
    " LEFT JOIN annotation_text rejected_text ON rejected_text.sha256 = rejected.text_sha256",
}
WITHOUT_LENGTHS = {"lengths": "NULL, NULL", "texts": ""}

TEXTS = """
SELECT r.id, c.key, prompt_text.form, prompt_text.body, chosen_text.body, rejected_text.body,
       CASE WHEN r.outcome = 'first' THEN r.soft_label ELSE 1 - r.soft_label END, r.flip_probability, r.p_tie,
       r.confidence, CASE WHEN r.outcome = 'first' THEN -r.strength ELSE r.strength END, r.agreement, r.votes,
       r.predictions, r.origin,
       r.method || '/' || r.method_version || coalesce(' of group ' || found.number || '-' || g.name, ''), r.weight
FROM pipelines_preferencerevision r
JOIN pipelines_preference p ON p.id = r.preference_id
JOIN annotation_comparison c ON c.id = p.comparison_id
JOIN annotation_prompt prompt ON prompt.id = c.prompt_id
JOIN annotation_text prompt_text ON prompt_text.sha256 = prompt.text_sha256
JOIN annotation_completion chosen ON chosen.id = r.chosen_id
JOIN annotation_text chosen_text ON chosen_text.sha256 = chosen.text_sha256
JOIN annotation_completion rejected ON rejected.id = r.rejected_id
JOIN annotation_text rejected_text ON rejected_text.sha256 = rejected.text_sha256
LEFT JOIN pipelines_ratergroup g ON g.id = r.group_id LEFT JOIN pipelines_analysis found ON found.id = g.analysis_id
WHERE r.id = ANY(%s)
"""
LABELS = """
SELECT r.id, c.key, prompt_text.form, prompt_text.body, text.body, r.outcome = 'yes', r.soft_label, r.flip_probability,
       r.agreement, r.votes, r.origin, r.method || '/' || r.method_version, r.weight
FROM pipelines_preferencerevision r
JOIN pipelines_preference p ON p.id = r.preference_id
JOIN annotation_comparison c ON c.id = p.comparison_id
JOIN annotation_prompt prompt ON prompt.id = c.prompt_id
JOIN annotation_text prompt_text ON prompt_text.sha256 = prompt.text_sha256
JOIN annotation_completion completion ON completion.id = coalesce(r.chosen_id, r.rejected_id)
JOIN annotation_text text ON text.sha256 = completion.text_sha256
WHERE r.id = ANY(%s)
"""
PLACES = f"""
SELECT c.id, dense_rank() OVER (ORDER BY c.prompt_id, c.context), r.chosen_id, r.rejected_id
FROM annotation_comparison c
JOIN pipelines_preference p ON p.comparison_id = c.id
JOIN pipelines_preferencerevision r ON r.id = p.current_id
WHERE c.project_id = %s AND {IS_PAIR} AND r.outcome IN ('first', 'second') AND r.method = ANY(%s)
"""


def population_of(
    *, project: Project, rules: Sequence[Rule], unit: str = PAIRS, source: LabelSource = EVERYBODY
) -> Population:
    """Counts, candidates and what the rules need of them. Two queries, one for places, and one a model that a rule names."""
    parts = WITH_LENGTHS if any(rule.key.key in LENGTH_KEYS for rule in rules) else WITHOUT_LENGTHS
    with connection.cursor() as cursor:
        values = {"project": project.pk, "size": 2 if unit == PAIRS else 1, **source_values(source)}
        which = {"unit": IS_UNIT[unit], "revision": revision_joined(source)}
        cursor.execute(COUNTS.format(**which), values)
        counts = cursor.fetchone()
        cursor.execute(CANDIDATES.format(**which, **parts), values)
        columns = _columns(cursor, project)
    comparison, revision = columns["comparison"].astype(np.int64), columns["revision"].astype(np.int64)
    split = columns["split"].astype(np.int8)
    names = (
        "flip",
        "p_tie",
        "confidence",
        "agreement",
        "strength",
        "votes",
        "chosen_length",
        "rejected_length",
    )
    candidates = Candidates(
        origin=columns["origin"],
        warnings=columns["warnings"],
        is_train=split == SPLITS.index(TRAIN),
        scores={
            rule.model: _scores(project, rule.model, comparison, source) for rule in rules if rule.key.of_model
        },
        **{name: columns[name].astype(np.float64) for name in names},
        **(_places(project, comparison) if any(rule.key.key in PLACE_KEYS for rule in rules) else {}),
    )
    return Population(
        unit=unit, comparison=comparison, revision=revision, split=split, form=columns["form"].astype(np.int8),
        candidates=candidates,
        comparisons=counts[0], not_units=counts[1], sources=counts[2], unjudged=counts[3], ties=counts[4],
        identical=counts[5],
    )  # fmt: skip


def _places(project: Project, comparison: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """How far apart the two of each pair from a ranking or rating stand; NaN for other pairs."""
    found = {name: np.full(comparison.size, np.nan) for name in ("places_apart", "places_span")}
    with connection.cursor() as cursor:
        cursor.execute(PLACES, [project.pk, list(FROM_SETS)])
        rows = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 4)
    place = {pk: at for at, pk in enumerate(comparison.tolist())}
    at = np.array([place.get(pk, -1) for pk in rows[:, 0].tolist()], dtype=np.int64)
    apart, span = places_apart(rows[:, 1], rows[:, 2], rows[:, 3])
    found["places_apart"][at[at >= 0]], found["places_span"][at[at >= 0]] = apart[at >= 0], span[at >= 0]
    return found


COLUMNS = (
    "comparison", "revision", "split", "form", "flip", "p_tie", "confidence", "agreement", "strength", "votes",
    "origin", "warnings", "chosen_length", "rejected_length",
)  # fmt: skip


def _columns(cursor: Any, project: Project) -> dict[str, NDArray[Any]]:
    """Arrays built batch by batch: a list of Python objects for each row would take ten times the memory."""
    salt, percent = project.split_salt.bytes, project.split_train_percent
    parts: list[list[NDArray[Any]]] = [[] for _ in COLUMNS]
    while rows := cursor.fetchmany(BATCH):
        columns = list(zip(*rows, strict=True))
        columns[2] = tuple(
            SPLITS.index(
                split_of(
                    salt,
                    bytes(text),
                    train_percent=percent,
                    validation_percent=project.split_validation_percent,
                )
            )
            for text in columns[2]
        )
        for place, (name, values) in enumerate(zip(COLUMNS, columns, strict=True)):
            kind: Any = str if name in {"origin", "warnings"} else np.float64 if None in values else None
            parts[place].append(np.array(values, dtype=kind))
    return {
        name: np.concatenate(arrays)
        if arrays
        else np.array([], dtype=str if name in {"origin", "warnings"} else float)
        for name, arrays in zip(COLUMNS, parts, strict=True)
    }


def scores_model(*, project: Project, name: str) -> LanguageModel:
    """The model whose scores a rule reads: the named one, or the only one that scored this project."""
    models = models_scored(project_id=project.pk)
    found = [model for model in models if not name or model.name == name]
    if len(found) == 1:
        return found[0]
    if not found:
        whose = f" of {name}" if name else ""
        raise NothingToDo(
            f"This project has no CHES scores{whose}; score it first: score --method ches --model NAME"
        )
    names = ", ".join(model.name for model in found)
    raise NothingToDo(
        f"Several models scored this project ({names}); name one, as in 'ches_ln:{found[0].name} <= 0'."
    )


def _scores(
    project: Project, name: str, comparison: NDArray[np.int64], source: LabelSource
) -> ScoreColumns:
    """One model's scores of the candidates, in their order."""
    model = scores_model(project=project, name=name)
    table = ches_table(project_id=project.pk, fingerprint=model.fingerprint, source=source)
    place = np.searchsorted(table.comparison, comparison)
    if comparison.size and not np.array_equal(
        table.comparison[np.minimum(place, len(table) - 1)], comparison
    ):
        raise NothingToDo("The preferences changed while they were read; try again.")
    return ScoreColumns(
        model.name,
        model.fingerprint,
        table.ches[place],
        table.ln_ches[place],
        table.edit_distance[place],
        (table.n_chosen - table.n_rejected)[place].astype(np.float64),
    )


def frozen_rows(
    revision: NDArray[np.int64], *, unit: str = PAIRS, batch: int = 2_000
) -> Iterator[FrozenRow | FrozenLabel]:
    """The rows of these revisions, in this order, texts in the form in which they are stored. One query a batch."""
    with connection.cursor() as cursor:
        for start in range(0, revision.size, batch):
            wanted = revision[start : start + batch].tolist()
            cursor.execute(TEXTS if unit == PAIRS else LABELS, [wanted])
            found = {row[0]: row for row in cursor.fetchall()}
            for revision_id in wanted:
                yield _row(found[revision_id]) if unit == PAIRS else _label(found[revision_id])


def _row(row: tuple[Any, ...]) -> FrozenRow:
    _, key, form, prompt, chosen, rejected, *numbers, votes, predictions, origin, method, weight = row
    texts = PairTexts(content_of(form, prompt), content_of(form, chosen), content_of(form, rejected))
    soft_label, flip_probability, p_tie, confidence, strength, agreement = numbers
    return FrozenRow(
        comparison=bytes(key), texts=texts, soft_label=soft_label, flip_probability=flip_probability, p_tie=p_tie,
        confidence=confidence, strength=strength, agreement=agreement, votes=votes, predictions=predictions,
        origin=origin, method=method, weight=weight,
    )  # fmt: skip


def _label(row: tuple[Any, ...]) -> FrozenLabel:
    _, key, form, prompt, completion, *said = row
    return FrozenLabel(bytes(key), content_of(form, prompt), content_of(form, completion), *said)


def forms_of(form: NDArray[np.int8]) -> dict[str, int]:
    """How many of these candidates are stored in each form."""
    return {name: int(np.count_nonzero(form == index)) for index, name in enumerate(FORMS)}


# Ordered by bytes: another database's collation would give the same evidence another hash.
EVIDENCE = """
SELECT encode(c.key, 'hex') COLLATE "C", {columns}
FROM {table} x JOIN annotation_rater rater ON rater.id = x.rater_id
JOIN annotation_comparison c ON c.id = x.comparison_id
JOIN pipelines_preference p ON p.comparison_id = c.id
JOIN pipelines_preferencerevision r ON r.preference_id = p.id
JOIN pipelines_versionrow w ON w.revision_id = r.id AND w.version_id = %(version)s
WHERE {where} ORDER BY 1, 2, 3, 4, 5
"""
ANNOTATIONS = EVIDENCE.format(
    table="annotation_annotation",
    where="""x.state = 'current' AND x.outcome <> '' AND (r.group_id IS NULL
  OR x.rater_id IN (SELECT m.rater_id FROM pipelines_groupmember m WHERE m.group_id = r.group_id))""",
    columns="""rater.kind COLLATE "C", x.outcome COLLATE "C", coalesce(x.vote::text, '') COLLATE "C",
  coalesce(x.vote_scale::text, '') COLLATE "C\"""",
)  # fmt: skip
# What is no choice of two counts by all that it answers: on the row's own comparison, or on those it is derived from.
ANSWERS = f"""
SELECT DISTINCT encode(c.key, 'hex') COLLATE "C", rater.kind COLLATE "C", 'answers',
  encode(sha256(convert_to(x.answers::text, 'UTF8')), 'hex'), x.id::text
FROM (SELECT p.comparison_id, w.version_id FROM pipelines_versionrow w
      JOIN pipelines_preference p ON p.current_id = w.revision_id WHERE w.version_id = %(version)s
      UNION SELECT d.source_id, w.version_id FROM pipelines_versionrow w
      JOIN pipelines_preferencerevision r ON r.id = w.revision_id AND {IS_DERIVED}
      JOIN pipelines_preference p ON p.id = r.preference_id
      JOIN pipelines_derivation d ON d.comparison_id = p.comparison_id WHERE w.version_id = %(version)s) own
JOIN annotation_comparison c ON c.id = own.comparison_id
JOIN annotation_annotation x ON x.comparison_id = c.id AND x.state = 'current' AND x.outcome = ''
JOIN annotation_rater rater ON rater.id = x.rater_id
ORDER BY 1, 2, 3, 4, 5
"""
PREDICTIONS = EVIDENCE.format(
    table="pipelines_prediction", where="r.group_id IS NULL",
    columns="""rater.kind COLLATE "C", x.outcome COLLATE "C", coalesce(round(x.p_first::numeric, 6)::text, '') COLLATE "C",
  x.fingerprint COLLATE "C\"""",
)  # fmt: skip
IMPORTS = """
SELECT DISTINCT encode(i.file_sha256, 'hex') FROM pipelines_versionrow w
JOIN pipelines_preferencerevision r ON r.id = w.revision_id
JOIN pipelines_preference p ON p.id = r.preference_id
JOIN annotation_comparison c ON c.id = p.comparison_id
JOIN annotation_import i ON i.id = c.source_import_id WHERE w.version_id = %(version)s ORDER BY 1
"""
JUDGES = """
SELECT DISTINCT rater.name COLLATE "C", x.fingerprint,
  EXISTS (SELECT FROM pipelines_calibration fit WHERE fit.rater_id = rater.id)
FROM pipelines_prediction x
JOIN annotation_rater rater ON rater.id = x.rater_id JOIN pipelines_preference p ON p.comparison_id = x.comparison_id
JOIN pipelines_preferencerevision r ON r.preference_id = p.id AND r.group_id IS NULL
JOIN pipelines_versionrow w ON w.revision_id = r.id AND w.version_id = %(version)s
WHERE x.fingerprint <> '' ORDER BY 1, 2
"""


DEPENDENT = """
SELECT count(*), coalesce(sum(r.weight), 0),
       (SELECT count(DISTINCT d.source_id) FROM pipelines_versionrow v
        JOIN pipelines_preferencerevision q ON q.id = v.revision_id AND q.weight < 1
        JOIN pipelines_preference p ON p.id = q.preference_id
        JOIN pipelines_derivation d ON d.comparison_id = p.comparison_id WHERE v.version_id = %(version)s)
FROM pipelines_versionrow w JOIN pipelines_preferencerevision r ON r.id = w.revision_id
WHERE w.version_id = %(version)s AND r.weight < 1
"""


def dependent_of(*, version_id: int) -> tuple[int, int, float]:
    """Rows of a version that share their rankings or ratings with others, the sets those are of, and their weight."""
    with connection.cursor() as cursor:
        cursor.execute(DEPENDENT, {"version": version_id})
        count, weight, sources = cursor.fetchone()
    return count, sources, float(weight)


def evidence_of(*, version_id: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each annotation and prediction under a version's rows, as ('annotation' or 'prediction', what it says)."""
    for kind, query in (("annotation", ANNOTATIONS), ("annotation", ANSWERS), ("prediction", PREDICTIONS)):
        with connection.cursor() as cursor:
            cursor.execute(query, {"version": version_id})
            while rows := cursor.fetchmany(BATCH):
                for row in rows:
                    # No id goes into the hash; it keeps two equal answers apart.
                    yield kind, row[:4] if query is ANSWERS else row


def sources_of(*, version_id: int) -> tuple[list[str], list[dict[str, Any]]]:
    """SHA-256 of the files that a version's comparisons came from, and the judges under it."""
    with connection.cursor() as cursor:
        cursor.execute(IMPORTS, {"version": version_id})
        files = [row[0] for row in cursor.fetchall()]
        cursor.execute(JUDGES, {"version": version_id})
        names = ("name", "fingerprint", "calibrated")
        return files, [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

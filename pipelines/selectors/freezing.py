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
from pipelines.selectors.pairs import IS_PAIR
from pipelines.selectors.scores import ches_table, models_scored
from pipelines.versions.filters import LENGTH_KEYS, Candidates, Rule, ScoreColumns
from pipelines.versions.forms import FORMS, PairTexts, content_of
from pipelines.versions.rows import FrozenRow
from pipelines.versions.split_by_prompt import SPLITS, TRAIN, split_of

BATCH = 5_000


@dataclass(frozen=True)
class Population:
    """All comparisons of a project and the candidates among them: the pairs whose preference has a direction.

    `comparison`, `revision`: (n,) ids of the candidates, ordered by the comparisons' content keys. `split`: (n,) index
    into `SPLITS`. `form`: (n,) index into `FORMS`.
    """

    comparisons: int
    not_pairs: int
    unjudged: int
    ties: int
    identical: int
    comparison: NDArray[np.int64]
    revision: NDArray[np.int64]
    split: NDArray[np.int8]
    form: NDArray[np.int8]
    candidates: Candidates


COUNTS = f"""
SELECT count(*), count(*) FILTER (WHERE NOT ({IS_PAIR})), count(*) FILTER (WHERE {IS_PAIR} AND r.id IS NULL),
       count(*) FILTER (WHERE {IS_PAIR} AND r.outcome = 'tie'),
       count(*) FILTER (WHERE {IS_PAIR} AND chosen.text_sha256 = rejected.text_sha256)
FROM annotation_comparison c
LEFT JOIN pipelines_preference p ON p.comparison_id = c.id
LEFT JOIN pipelines_preferencerevision r ON r.id = p.current_id
LEFT JOIN annotation_completion chosen ON chosen.id = r.chosen_id
LEFT JOIN annotation_completion rejected ON rejected.id = r.rejected_id
WHERE c.project_id = %(project)s
"""

CANDIDATES = """
SELECT c.id, r.id, text.sha256, text.form = 'messages', r.flip_probability, r.p_tie, r.confidence, r.agreement,
       CASE WHEN r.outcome = 'first' THEN -r.strength ELSE r.strength END, r.votes, r.origin,
       array_to_string(c.warnings, ' '), {lengths}
FROM annotation_comparison c
JOIN pipelines_preference p ON p.comparison_id = c.id
JOIN pipelines_preferencerevision r ON r.id = p.current_id
JOIN annotation_prompt prompt ON prompt.id = c.prompt_id
JOIN annotation_text text ON text.sha256 = prompt.text_sha256
JOIN annotation_completion chosen ON chosen.id = r.chosen_id
JOIN annotation_completion rejected ON rejected.id = r.rejected_id
{texts}
WHERE c.project_id = %(project)s AND {pair} AND r.outcome <> 'tie' AND chosen.text_sha256 <> rejected.text_sha256
ORDER BY c.key
"""
# Lengths unpack every text, so they are read only for filters on them.
WITH_LENGTHS = {
    "lengths": "length(chosen_text.body), length(rejected_text.body)",
    "texts": "JOIN annotation_text chosen_text ON chosen_text.sha256 = chosen.text_sha256"
    " JOIN annotation_text rejected_text ON rejected_text.sha256 = rejected.text_sha256",
}
WITHOUT_LENGTHS = {"lengths": "NULL, NULL", "texts": ""}

TEXTS = """
SELECT r.id, c.key, prompt_text.form, prompt_text.body, chosen_text.body, rejected_text.body,
       CASE WHEN r.outcome = 'first' THEN r.soft_label ELSE 1 - r.soft_label END, r.flip_probability, r.p_tie,
       r.confidence, CASE WHEN r.outcome = 'first' THEN -r.strength ELSE r.strength END, r.agreement, r.votes,
       r.origin, r.method || '/' || r.method_version, r.weight
FROM pipelines_preferencerevision r
JOIN pipelines_preference p ON p.id = r.preference_id
JOIN annotation_comparison c ON c.id = p.comparison_id
JOIN annotation_prompt prompt ON prompt.id = c.prompt_id
JOIN annotation_text prompt_text ON prompt_text.sha256 = prompt.text_sha256
JOIN annotation_completion chosen ON chosen.id = r.chosen_id
JOIN annotation_text chosen_text ON chosen_text.sha256 = chosen.text_sha256
JOIN annotation_completion rejected ON rejected.id = r.rejected_id
JOIN annotation_text rejected_text ON rejected_text.sha256 = rejected.text_sha256
WHERE r.id = ANY(%s)
"""


def population_of(*, project: Project, rules: Sequence[Rule]) -> Population:
    """Counts, candidates and what the rules need of them. Two queries and one a model that a rule names."""
    parts = WITH_LENGTHS if any(rule.key.key in LENGTH_KEYS for rule in rules) else WITHOUT_LENGTHS
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"project": project.pk})
        comparisons, not_pairs, unjudged, ties, identical = cursor.fetchone()
        cursor.execute(CANDIDATES.format(pair=IS_PAIR, **parts), {"project": project.pk})
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
        scores={rule.model: _scores(project, rule.model, comparison) for rule in rules if rule.key.of_model},
        **{name: columns[name].astype(np.float64) for name in names},
    )
    return Population(
        comparisons, not_pairs, unjudged, ties, identical, comparison, revision, split,
        columns["form"].astype(np.int8), candidates,
    )  # fmt: skip


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


def _scores(project: Project, name: str, comparison: NDArray[np.int64]) -> ScoreColumns:
    """One model's scores of the candidates, in their order."""
    model = scores_model(project=project, name=name)
    table = ches_table(project_id=project.pk, fingerprint=model.fingerprint)
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


def frozen_rows(revision: NDArray[np.int64], *, batch: int = 2_000) -> Iterator[FrozenRow]:
    """The rows of these revisions, in this order, texts in the form in which they are stored. One query a batch."""
    with connection.cursor() as cursor:
        for start in range(0, revision.size, batch):
            wanted = revision[start : start + batch].tolist()
            cursor.execute(TEXTS, [wanted])
            found = {row[0]: row for row in cursor.fetchall()}
            for revision_id in wanted:
                yield _row(found[revision_id])


def _row(row: tuple[Any, ...]) -> FrozenRow:
    _, key, form, prompt, chosen, rejected, *numbers, votes, origin, method, weight = row
    texts = PairTexts(content_of(form, prompt), content_of(form, chosen), content_of(form, rejected))
    soft_label, flip_probability, p_tie, confidence, strength, agreement = numbers
    return FrozenRow(
        comparison=bytes(key), texts=texts, soft_label=soft_label, flip_probability=flip_probability, p_tie=p_tie,
        confidence=confidence, strength=strength, agreement=agreement, votes=votes, origin=origin, method=method,
        weight=weight,
    )  # fmt: skip


def forms_of(form: NDArray[np.int8]) -> dict[str, int]:
    """How many of these candidates are stored in each form."""
    return {name: int(np.count_nonzero(form == index)) for index, name in enumerate(FORMS)}


# Ordered by bytes: another database's collation would give the same evidence another hash.
EVIDENCE = """
SELECT encode(c.key, 'hex') COLLATE "C", {columns}
FROM {table} x JOIN annotation_rater rater ON rater.id = x.rater_id
JOIN annotation_comparison c ON c.id = x.comparison_id
JOIN pipelines_preference p ON p.comparison_id = c.id
JOIN pipelines_versionrow w ON w.revision_id = p.current_id AND w.version_id = %(version)s
{where} ORDER BY 1, 2, 3, 4, 5
"""
ANNOTATIONS = EVIDENCE.format(
    table="annotation_annotation", where="WHERE x.state = 'current'",
    columns="""rater.kind COLLATE "C", x.outcome COLLATE "C", coalesce(x.vote::text, '') COLLATE "C",
  coalesce(x.vote_scale::text, '') COLLATE "C\"""",
)  # fmt: skip
PREDICTIONS = EVIDENCE.format(
    table="pipelines_prediction", where="",
    columns="""rater.kind COLLATE "C", x.outcome COLLATE "C", coalesce(round(x.p_first::numeric, 6)::text, '') COLLATE "C",
  x.fingerprint COLLATE "C\"""",
)  # fmt: skip
IMPORTS = """
SELECT DISTINCT encode(i.file_sha256, 'hex') FROM pipelines_versionrow w
JOIN pipelines_preference p ON p.current_id = w.revision_id
JOIN annotation_comparison c ON c.id = p.comparison_id
JOIN annotation_import i ON i.id = c.source_import_id WHERE w.version_id = %(version)s ORDER BY 1
"""
JUDGES = """
SELECT DISTINCT rater.name COLLATE "C", x.fingerprint,
  EXISTS (SELECT FROM pipelines_calibration fit WHERE fit.rater_id = rater.id)
FROM pipelines_prediction x
JOIN annotation_rater rater ON rater.id = x.rater_id JOIN pipelines_preference p ON p.comparison_id = x.comparison_id
JOIN pipelines_versionrow w ON w.revision_id = p.current_id AND w.version_id = %(version)s
WHERE x.fingerprint <> '' ORDER BY 1, 2
"""


def evidence_of(*, version_id: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each annotation and prediction under a version's rows, as ('annotation' or 'prediction', what it says)."""
    for kind, query in (("annotation", ANNOTATIONS), ("prediction", PREDICTIONS)):
        with connection.cursor() as cursor:
            cursor.execute(query, {"version": version_id})
            while rows := cursor.fetchmany(BATCH):
                for row in rows:
                    yield kind, row


def sources_of(*, version_id: int) -> tuple[list[str], list[dict[str, Any]]]:
    """SHA-256 of the files that a version's comparisons came from, and the judges under it."""
    with connection.cursor() as cursor:
        cursor.execute(IMPORTS, {"version": version_id})
        files = [row[0] for row in cursor.fetchall()]
        cursor.execute(JUDGES, {"version": version_id})
        names = ("name", "fingerprint", "calibrated")
        return files, [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

"""How rows of a file reach the tables: COPY into temporary tables, then a few set-based statements.

The temporary tables belong to the connection, not to a transaction: a person can be asked in between while nothing is
locked. Places, insert order and ids follow content hashes and lines, never a file's chosen and rejected columns.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson
from django.db import Error, connection

from annotation.models import LanguageModel
from pipelines.imports.rows import AnnotationValue, Compared, CompletionValue, TextValue
from pipelines.imports.text_warnings import has_control_characters, leaks_identity
from pipelines.selectors.pairs import IS_PAIR

CHUNK_BYTES = 4_000_000
Progress = Callable[[int, int], None]

TABLES = {
    "import_text": "sha256 bytea, form text, body text",
    # `texts`: the completions' hashes in stored order, one behind the other; `prompts` likewise where they differ.
    "import_set": (
        "line bigint, key bytea, prompt bytea, texts bytea, prompts bytea, context text, one_prompt boolean,"
        " outcome text, identity_leak boolean, control_characters boolean"
    ),
    "import_origin": "line bigint, prompt bytea, text bytea, model text, sampling jsonb",
    "import_answer": (
        "line bigint, place int, key bytea, rater text, at timestamptz, shown_order jsonb, answers jsonb, outcome text,"
        " vote smallint, vote_scale smallint"
    ),
}
TYPES = {"import_set": ["int8", "bytea", "bytea", "bytea", "bytea", "text", "bool", "text", "bool", "bool"]}
# Postgres's binary COPY format: a head, rows of a field count and fields each behind its length, an end.
_COPY_HEAD = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
_COPY_END = struct.pack("!h", -1)
_FIRST, _LENGTH = struct.Struct("!hi"), struct.Struct("!i")
# Texts that are already compressed stay so on their way to the table; lz4 costs a fifth of the server's default.
USE_LZ4 = """
SELECT set_config('default_toast_compression', 'lz4', %(in_transaction)s)
FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)
"""


class Staging:
    """The temporary tables of one import, and the rows on their way into them. Use as a context manager."""

    def __init__(self) -> None:
        self._texts: list[bytes] = []
        self._sets: list[tuple[Any, ...]] = []
        self._answers: list[tuple[Any, ...]] = []
        self._origins: list[tuple[Any, ...]] = []
        self._seen: set[bytes] = set()
        self._warned: dict[bytes, bool] = {}
        self._bytes = 0

    def __enter__(self) -> Self:
        with connection.cursor() as cursor:
            cursor.execute(USE_LZ4, {"in_transaction": False})
            for table, columns in TABLES.items():
                cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table}")
                cursor.execute(f"CREATE TEMPORARY TABLE {table} ({columns})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error inside somebody's transaction nothing can be dropped; the next import does it.
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute(
                f"DROP TABLE IF EXISTS {', '.join(f'pg_temp.{table}' for table in (*TABLES, 'import_new'))}"
            )
            cursor.execute("RESET default_toast_compression")

    def add(self, line: int, compared: Iterable[Compared], annotations: Sequence[AnnotationValue] = ()) -> None:
        """Take one row's comparisons; a row with annotations has one. Writes when enough has come together."""
        for one in compared:
            self._add_set(line, one)
            self._answers += [_answer(line, place, one.key, given) for place, given in enumerate(annotations)]
        if self._bytes >= CHUNK_BYTES or len(self._sets) + len(self._answers) >= 20_000:
            self.flush()

    def _add_set(self, line: int, one: Compared) -> None:
        self._add_text(one.prompt)
        warned, leaks, joint = self._warned[one.prompt.sha256], False, False
        only_text = one.prompt.only_text and all(completion.text.only_text for completion in one.completions)
        for completion in one.completions:
            self._add_text(completion.text)
            warned = warned or self._warned[completion.text.sha256]
            leaks = leaks or leaks_identity(completion.text.body)
            if completion.prompt is not None:
                self._add_text(completion.prompt)
                warned, joint = warned or self._warned[completion.prompt.sha256], True
            if completion.model is not None or completion.sampling is not None:
                self._add_origin(line, completion.prompt or one.prompt, completion)
        prompts = b"".join((c.prompt or one.prompt).sha256 for c in one.completions) if joint else None
        self._sets.append((
            line, one.key, one.prompt.sha256, b"".join([c.text.sha256 for c in one.completions]), prompts, one.context,
            one.one_prompt and only_text, one.outcome, leaks, warned,
        ))  # fmt: skip

    def _add_text(self, text: TextValue) -> None:
        if text.sha256 in self._seen:
            return
        self._seen.add(text.sha256)
        self._warned[text.sha256] = has_control_characters(text.body, text.encoded)
        form = text.form.encode()
        self._texts += (
            _FIRST.pack(3, len(text.sha256)), text.sha256, _LENGTH.pack(len(form)), form,
            _LENGTH.pack(len(text.encoded)), text.encoded,
        )  # fmt: skip
        self._bytes += len(text.encoded)

    def _add_origin(self, line: int, prompt: TextValue, completion: CompletionValue) -> None:
        sampling = None if completion.sampling is None else completion.sampling.decode()
        self._origins.append((line, prompt.sha256, completion.text.sha256, completion.model, sampling))

    def flush(self) -> None:
        """Write what came together; texts are remembered, so as not to be sent twice, only up to here."""
        with connection.cursor() as cursor:
            self._copy_texts(cursor)
            self._copy(cursor, "import_set", self._sets)
            # jsonb's binary form is text behind a version byte, which only COPY's text format writes for us.
            self._copy(cursor, "import_origin", self._origins, binary=False)
            self._copy(cursor, "import_answer", self._answers, binary=False)
        self._texts.clear()
        self._sets.clear()
        self._answers.clear()
        self._origins.clear()
        self._seen.clear()
        self._warned.clear()
        self._bytes = 0

    def _copy_texts(self, cursor: Any) -> None:
        """The bytes are at hand already: packing them here takes a third of the time of `write_row`."""
        if self._texts:
            with cursor.copy("COPY import_text FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(_COPY_HEAD + b"".join(self._texts) + _COPY_END)

    def _copy(self, cursor: Any, table: str, rows: list[tuple[Any, ...]], *, binary: bool = True) -> None:
        if not rows:
            return
        with cursor.copy(f"COPY {table} FROM STDIN" + (" (FORMAT BINARY)" if binary else "")) as copy:
            if binary:
                copy.set_types(TYPES[table])
            for row in rows:
                copy.write_row(row)


def _answer(line: int, place: int, key: bytes, given: AnnotationValue) -> tuple[Any, ...]:
    shown = None if given.shown is None else json.dumps(given.shown)
    answers = orjson.dumps(given.answers).decode()
    return line, place, key, given.rater, given.at, shown, answers, given.outcome, given.vote, given.vote_scale


FIND_NEW = """
CREATE TEMPORARY TABLE import_new AS
SELECT DISTINCT ON (key) line, key, prompt, texts, prompts, length(texts) / 32 AS size, context, one_prompt,
  identity_leak, control_characters
FROM import_set AS staged
WHERE NOT EXISTS (SELECT FROM annotation_comparison c WHERE c.project_id = %(project)s AND c.key = staged.key)
ORDER BY key, line
"""

COUNT = """
SELECT (SELECT count(*) FROM import_new),
       (SELECT count(DISTINCT line) FROM import_new),
       (SELECT count(DISTINCT line) FROM import_set)
"""

TEXTS = """
INSERT INTO annotation_text (sha256, form, body) SELECT sha256, form, body FROM import_text ON CONFLICT DO NOTHING
"""

# One row a completion of a new comparison, with its prompt.
EACH = """
CROSS JOIN LATERAL (SELECT at AS position, substring(n.texts FROM 32 * at + 1 FOR 32) AS text,
                           coalesce(substring(n.prompts FROM 32 * at + 1 FOR 32), n.prompt) AS prompt
                    FROM generate_series(0, n.size - 1) at) place
"""

PROMPTS = f"""
INSERT INTO annotation_prompt (project_id, text_sha256)
SELECT %(project)s, prompt FROM (
  SELECT prompt, line FROM import_new UNION ALL
  SELECT place.prompt, n.line FROM import_new n {EACH} WHERE n.prompts IS NOT NULL) u
GROUP BY prompt ORDER BY min(line), prompt
ON CONFLICT DO NOTHING
"""

COMPLETIONS = f"""
INSERT INTO annotation_completion (prompt_id, text_sha256, model_id, sampling)
SELECT p.id, u.text, m.id, o.sampling
FROM (SELECT DISTINCT place.prompt, place.text FROM import_new n {EACH}) u
JOIN annotation_prompt p ON p.project_id = %(project)s AND p.text_sha256 = u.prompt
LEFT JOIN (SELECT DISTINCT ON (prompt, text) prompt, text, model, sampling
           FROM import_origin ORDER BY prompt, text, line) o
  ON o.prompt = u.prompt AND o.text = u.text
LEFT JOIN annotation_languagemodel m ON m.name = o.model
ORDER BY p.id, u.text
ON CONFLICT DO NOTHING
"""

COMPARISONS = """
INSERT INTO annotation_comparison
  (project_id, prompt_id, key, context, size, one_prompt, warnings, source_import_id, source_line, created_at)
SELECT %(project)s, p.id, n.key, n.context, n.size, n.one_prompt,
       array_remove(ARRAY[CASE WHEN n.identity_leak THEN 'identity_leak' END,
                          CASE WHEN n.control_characters THEN 'control_characters' END], NULL),
       %(import)s, n.line, statement_timestamp()
FROM import_new n JOIN annotation_prompt p ON p.project_id = %(project)s AND p.text_sha256 = n.prompt
ORDER BY n.line, n.key
"""

PLACES = f"""
INSERT INTO annotation_comparisoncompletion (comparison_id, position, completion_id)
SELECT c.id, place.position, completion.id
FROM import_new n
JOIN annotation_comparison c ON c.source_import_id = %(import)s AND c.key = n.key
{EACH}
JOIN annotation_prompt p ON p.project_id = %(project)s AND p.text_sha256 = place.prompt
JOIN annotation_completion completion ON completion.prompt_id = p.id AND completion.text_sha256 = place.text
ORDER BY c.id, place.position
"""

# A routing plan speaks of pairs only, so the others are open to people beside it.
DEMANDS = f"""
INSERT INTO annotation_demand (comparison_id, project_id, pool, ord, wanted, done, leased, promised, held_back)
SELECT c.id, c.project_id, 0, c.id, %(wanted)s, 0, 0, 0, false
FROM annotation_comparison c
WHERE c.source_import_id = %(import)s
  AND (NOT ({IS_PAIR}) OR NOT EXISTS (
    SELECT FROM pipelines_routingplan r WHERE r.project_id = %(project)s AND r.state <> 'replaced'))
"""

# A line of a file whose choice is there already, under either name, adds nothing.
KNOWN_CHOICE = """
EXISTS (SELECT FROM {table} known JOIN annotation_import i ON i.id = known.source_import_id
        WHERE known.comparison_id = c.id AND known.source_line = staged.line AND i.file_sha256 = %(sha256)s)
"""
CHOICES = """
FROM (SELECT DISTINCT key, line, outcome FROM import_set WHERE outcome <> '') staged
JOIN annotation_comparison c ON c.project_id = %(project)s AND c.key = staged.key
WHERE NOT {annotated} AND NOT {predicted}
ORDER BY staged.line, c.id
""".format(
    annotated=KNOWN_CHOICE.format(table="annotation_annotation"),
    predicted=KNOWN_CHOICE.format(table="pipelines_prediction"),
)
ANNOTATIONS = f"""
INSERT INTO annotation_annotation
  (project_id, comparison_id, rater_id, state, outcome, answers, interface_language, late, ordinal,
   source_import_id, source_line, created_at)
SELECT c.project_id, c.id, %(rater)s, 'current', staged.outcome,
       jsonb_build_object('preference', jsonb_build_object('outcome', staged.outcome, 'vote', NULL)),
       '', false, 0, %(import)s, staged.line, statement_timestamp()
{CHOICES}
"""
PREDICTIONS = f"""
INSERT INTO pipelines_prediction
  (project_id, comparison_id, rater_id, outcome, method, method_version, fingerprint, params_hash, dtype,
   source_import_id, source_line, created_at)
SELECT c.project_id, c.id, %(rater)s, staged.outcome, 'imported', '1', '', '', '',
       %(import)s, staged.line, statement_timestamp()
{CHOICES}
"""
RATERS = """
INSERT INTO annotation_rater (project_id, kind, name)
SELECT %(project)s, 'source', name FROM (SELECT DISTINCT coalesce(rater, %(source)s) AS name FROM import_answer) named
ORDER BY name ON CONFLICT DO NOTHING
"""
# The same line of the same file, under either name, adds nothing.
ANSWERS = """
INSERT INTO annotation_annotation
  (project_id, comparison_id, rater_id, state, outcome, vote, vote_scale, answers, form_revision_id, interface_language,
   shown_order, late, ordinal, source_import_id, source_line, source_place, created_at)
SELECT c.project_id, c.id, r.id, 'current', s.outcome, s.vote, s.vote_scale, s.answers, %(form)s, '', s.shown_order,
       false, 0, %(import)s, s.line, s.place, coalesce(s.at, statement_timestamp())
FROM import_answer s
JOIN annotation_comparison c ON c.project_id = %(project)s AND c.key = s.key
JOIN annotation_rater r ON r.project_id = %(project)s AND r.kind = 'source' AND r.name = coalesce(s.rater, %(source)s)
WHERE NOT EXISTS (SELECT FROM annotation_annotation known JOIN annotation_import i ON i.id = known.source_import_id
                  WHERE known.comparison_id = c.id AND known.source_line = s.line AND known.source_place = s.place
                    AND i.file_sha256 = %(sha256)s)
ORDER BY s.line, s.place
"""
# From here on tables are read whole rather than row by row.
MANY_ANSWERS = 1_000
# Any number: imports share texts, and two that insert them in different orders would wait for each other.
LOCK = "SELECT pg_advisory_xact_lock(7461301)"


@dataclass(frozen=True)
class Load:
    """What the rows become: `wanted` of new comparisons; whose choices they are; the form that answers were given to."""

    project_id: int
    import_id: int
    wanted: int
    sha256: bytes
    source: str
    rater_id: int | None = None
    choices: str = ""
    form_id: int | None = None


def staging_load(load: Load) -> dict[str, int]:
    """Move what is staged into the tables, in the caller's transaction; counts of what was taken, merged and kept."""
    values: dict[str, Any] = {
        "project": load.project_id, "import": load.import_id, "wanted": load.wanted, "sha256": load.sha256,
        "rater": load.rater_id, "source": load.source, "form": load.form_id,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute("DROP TABLE IF EXISTS pg_temp.import_new")
        cursor.execute("ANALYZE import_set")
        cursor.execute(FIND_NEW, values)
        cursor.execute("ANALYZE import_new")
        cursor.execute(COUNT)
        comparisons, taken, lines = cursor.fetchone()
        _name_models(cursor)
        cursor.execute(TEXTS)
        for statement in (PROMPTS, COMPLETIONS, COMPARISONS, PLACES, DEMANDS):
            cursor.execute(statement, values)
        counts = {"taken": taken, "merged": lines - taken, "comparisons": comparisons, "choices": 0}
        if load.rater_id is not None:
            cursor.execute(ANNOTATIONS if load.choices == "annotations" else PREDICTIONS, values)
            counts["choices"] = cursor.rowcount
        if load.form_id is not None:
            cursor.execute(RATERS, values)
            counts["annotations"] = _answers_load(cursor, values)
    return counts


def _answers_load(cursor: Any, values: dict[str, Any]) -> int:
    """The staged answers as annotations; returns how many were new.

    Nothing tells the planner how many comparisons and answers this very transaction has written: expecting one, it went
    through all answers once for each, which took minutes for 50,000. Hash joins read each table once.
    """
    cursor.execute("ANALYZE import_answer")
    cursor.execute("SELECT count(*) > %s FROM import_answer", [MANY_ANSWERS])
    (is_many,) = cursor.fetchone()
    if is_many:
        cursor.execute("SET LOCAL enable_nestloop = off")
    cursor.execute(ANSWERS, values)
    found: int = cursor.rowcount
    if is_many:
        cursor.execute("SET LOCAL enable_nestloop = on")
    return found


def _name_models(cursor: Any) -> None:
    """Models that the file mentions and nobody registered are kept as names."""
    cursor.execute("SELECT DISTINCT model FROM import_origin WHERE model IS NOT NULL ORDER BY model")
    names = [LanguageModel(name=name, kind=LanguageModel.Kind.NAMED) for (name,) in cursor.fetchall()]
    LanguageModel.objects.bulk_create(names, ignore_conflicts=True)

"""How rows of a file reach the tables: COPY into temporary tables, then a few set-based statements.

The temporary tables belong to the connection, not to a transaction: a person can be asked in between while nothing is
locked. Places, insert order and ids follow content hashes and lines, never a file's chosen and rejected columns.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from django.db import Error, connection

from annotation.models import LanguageModel
from pipelines.imports.rows import CompletionValue, Pair, Row, TextValue
from pipelines.imports.text_warnings import has_control_characters, leaks_identity

CHUNK_BYTES = 4_000_000
Progress = Callable[[int, int], None]

TABLES = {
    "import_text": "sha256 bytea, form text, body text",
    "import_pair": (
        "line bigint, key bytea, prompt bytea, first bytea, second bytea, outcome text,"
        " identity_leak boolean, control_characters boolean"
    ),
    "import_origin": "line bigint, prompt bytea, text bytea, model text, sampling jsonb",
}
TYPES = {
    "import_pair": ["int8", "bytea", "bytea", "bytea", "bytea", "text", "bool", "bool"],
    "import_origin": ["int8", "bytea", "bytea", "text", "text"],
}
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
        self._pairs: list[tuple[Any, ...]] = []
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

    def add(self, line: int, row: Row, pairs: Iterable[Pair]) -> None:
        """Take one row's pairs; writes when enough has come together."""
        prompt = row.prompt
        self._add_text(prompt)
        for pair in pairs:
            for completion in (pair.first, pair.second):
                self._add_text(completion.text)
                if completion.model is not None or completion.sampling is not None:
                    self._add_origin(line, prompt, completion)
            self._pairs.append((
                line, pair.key, prompt.sha256, pair.first.text.sha256, pair.second.text.sha256, pair.outcome,
                leaks_identity(pair.first.text.body) or leaks_identity(pair.second.text.body),
                any(self._warned[text.sha256] for text in (prompt, pair.first.text, pair.second.text)),
            ))  # fmt: skip
        if self._bytes >= CHUNK_BYTES or len(self._pairs) >= 20_000:
            self.flush()

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
            self._copy(cursor, "import_pair", self._pairs)
            # jsonb's binary form is text behind a version byte, which only COPY's text format writes for us.
            self._copy(cursor, "import_origin", self._origins, binary=False)
        self._texts.clear()
        self._pairs.clear()
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


FIND_NEW = """
CREATE TEMPORARY TABLE import_new AS
SELECT DISTINCT ON (key) line, key, prompt, first, second, identity_leak, control_characters
FROM import_pair AS staged
WHERE NOT EXISTS (SELECT FROM annotation_comparison c WHERE c.project_id = %(project)s AND c.key = staged.key)
ORDER BY key, line
"""

COUNT = """
SELECT (SELECT count(*) FROM import_new),
       (SELECT count(DISTINCT line) FROM import_new),
       (SELECT count(DISTINCT line) FROM import_pair)
"""

TEXTS = """
INSERT INTO annotation_text (sha256, form, body) SELECT sha256, form, body FROM import_text ON CONFLICT DO NOTHING
"""

PROMPTS = """
INSERT INTO annotation_prompt (project_id, text_sha256)
SELECT %(project)s, prompt FROM import_new GROUP BY prompt ORDER BY min(line), prompt
ON CONFLICT DO NOTHING
"""

COMPLETIONS = """
INSERT INTO annotation_completion (prompt_id, text_sha256, model_id, sampling)
SELECT p.id, u.text, m.id, o.sampling
FROM (SELECT prompt, first AS text FROM import_new UNION SELECT prompt, second FROM import_new) u
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
  (project_id, prompt_id, key, context, size, warnings, source_import_id, source_line, created_at)
SELECT %(project)s, p.id, n.key, '', 2,
       array_remove(ARRAY[CASE WHEN n.identity_leak THEN 'identity_leak' END,
                          CASE WHEN n.control_characters THEN 'control_characters' END], NULL),
       %(import)s, n.line, statement_timestamp()
FROM import_new n JOIN annotation_prompt p ON p.project_id = %(project)s AND p.text_sha256 = n.prompt
ORDER BY n.line, n.key
"""

PLACES = """
INSERT INTO annotation_comparisoncompletion (comparison_id, position, completion_id)
SELECT c.id, place.position, completion.id
FROM import_new n
JOIN annotation_comparison c ON c.source_import_id = %(import)s AND c.key = n.key
CROSS JOIN LATERAL (VALUES (0, n.first), (1, n.second)) AS place(position, text)
JOIN annotation_completion completion ON completion.prompt_id = c.prompt_id AND completion.text_sha256 = place.text
ORDER BY c.id, place.position
"""

DEMANDS = """
INSERT INTO annotation_demand (comparison_id, project_id, pool, ord, wanted, done, leased, promised, held_back)
SELECT c.id, c.project_id, 0, c.id, %(wanted)s, 0, 0, 0, false
FROM annotation_comparison c
WHERE c.source_import_id = %(import)s
  AND NOT EXISTS (SELECT FROM pipelines_routingplan r WHERE r.project_id = %(project)s AND r.state <> 'replaced')
"""

# A line of a file whose choice is there already, under either name, adds nothing.
KNOWN_CHOICE = """
EXISTS (SELECT FROM {table} known JOIN annotation_import i ON i.id = known.source_import_id
        WHERE known.comparison_id = c.id AND known.source_line = staged.line AND i.file_sha256 = %(sha256)s)
"""
CHOICES = """
FROM (SELECT DISTINCT key, line, outcome FROM import_pair WHERE outcome <> '') staged
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
# Any number: imports share texts, and two that insert them in different orders would wait for each other.
LOCK = "SELECT pg_advisory_xact_lock(7461301)"


def staging_load(
    *, project_id: int, import_id: int, wanted: int, sha256: bytes, rater_id: int | None, choices: str
) -> dict[str, int]:
    """Move what is staged into the tables, in the caller's transaction; returns taken, merged, comparisons, choices."""
    values: dict[str, Any] = {
        "project": project_id, "import": import_id, "wanted": wanted, "sha256": sha256, "rater": rater_id
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute("DROP TABLE IF EXISTS pg_temp.import_new")
        cursor.execute("ANALYZE import_pair")
        cursor.execute(FIND_NEW, values)
        cursor.execute("ANALYZE import_new")
        cursor.execute(COUNT)
        comparisons, taken, lines = cursor.fetchone()
        _name_models(cursor)
        cursor.execute(TEXTS)
        for statement in (PROMPTS, COMPLETIONS, COMPARISONS, PLACES, DEMANDS):
            cursor.execute(statement, values)
        kept = 0
        if rater_id is not None:
            cursor.execute(ANNOTATIONS if choices == "annotations" else PREDICTIONS, values)
            kept = cursor.rowcount
    return {"taken": taken, "merged": lines - taken, "comparisons": comparisons, "choices": kept}


def _name_models(cursor: Any) -> None:
    """Models that the file mentions and nobody registered are kept as names."""
    cursor.execute("SELECT DISTINCT model FROM import_origin WHERE model IS NOT NULL ORDER BY model")
    names = [LanguageModel(name=name, kind=LanguageModel.Kind.NAMED) for (name,) in cursor.fetchall()]
    LanguageModel.objects.bulk_create(names, ignore_conflicts=True)

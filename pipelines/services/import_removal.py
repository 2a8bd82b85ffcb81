"""Taking an import back: with its comparisons, choices and texts, as long as nobody's work rests on them."""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone

from annotation.models import Import
from pipelines.errors import InputRefused
from pipelines.services.import_staging import LOCK
from pipelines.services.media import media_release

OWN = "SELECT id FROM annotation_comparison WHERE source_import_id = %(import)s"
# Comparisons that the import made, or gave a choice to.
TOUCHED = f"""
{OWN} UNION SELECT comparison_id FROM annotation_annotation WHERE source_import_id = %(import)s
UNION SELECT comparison_id FROM pipelines_prediction WHERE source_import_id = %(import)s
"""
VOTES = (
    f"SELECT count(*) FROM annotation_annotation WHERE comparison_id IN ({OWN}) AND source_import_id IS NULL"
)
MERGED = f"""
SELECT (SELECT count(*) FROM annotation_annotation
        WHERE comparison_id IN ({OWN}) AND source_import_id <> %(import)s)
     + (SELECT count(*) FROM pipelines_prediction
        WHERE comparison_id IN ({OWN}) AND source_import_id <> %(import)s)
"""
VERSIONS = f"""
SELECT count(DISTINCT row.version_id) FROM pipelines_versionrow row
JOIN pipelines_preferencerevision r ON r.id = row.revision_id
JOIN pipelines_preference p ON p.id = r.preference_id
WHERE p.comparison_id IN ({TOUCHED})
"""
QUESTIONS = {
    VOTES: "people gave {count:,} annotations on its comparisons",
    MERGED: "a later import gave {count:,} choices on its comparisons; remove that first",
    VERSIONS: "{count:,} frozen versions rest on it",
}
OF_COMPARISONS = (
    "pipelines_derivation",
    "pipelines_prediction",
    "pipelines_score",
    "pipelines_routingdecision",
    "annotation_flag",
    "annotation_assignment",
    "annotation_demand",
    "annotation_comparisoncompletion",
)
# Only what the import named is looked at: the lock is held meanwhile, and texts are shared by all projects.
STATEMENTS = (
    "DROP TABLE IF EXISTS pg_temp.removed_prompt, pg_temp.removed_text",
    """CREATE TEMPORARY TABLE removed_prompt ON COMMIT DROP AS
       SELECT prompt_id AS id FROM annotation_comparison WHERE source_import_id = %(import)s
       UNION SELECT o.prompt_id FROM annotation_comparison c
       JOIN annotation_comparisoncompletion x ON x.comparison_id = c.id
       JOIN annotation_completion o ON o.id = x.completion_id
       WHERE c.source_import_id = %(import)s AND NOT c.one_prompt""",
    """CREATE TEMPORARY TABLE removed_text ON COMMIT DROP AS
       SELECT p.text_sha256 AS sha256 FROM annotation_prompt p JOIN removed_prompt own ON own.id = p.id
       UNION SELECT c.text_sha256 FROM annotation_completion c JOIN removed_prompt own ON own.id = c.prompt_id""",
    "ANALYZE removed_prompt",
    "ANALYZE removed_text",
    f"DELETE FROM pipelines_preference WHERE comparison_id IN ({TOUCHED})",
    "DELETE FROM annotation_annotation WHERE source_import_id = %(import)s",
    "DELETE FROM pipelines_prediction WHERE source_import_id = %(import)s",
    f"DELETE FROM pipelines_derivation WHERE source_id IN ({OWN})",
    *(f"DELETE FROM {table} WHERE comparison_id IN ({OWN})" for table in OF_COMPARISONS),
    "DELETE FROM annotation_comparison WHERE source_import_id = %(import)s",
    """DELETE FROM annotation_completion c USING removed_prompt own
       WHERE c.prompt_id = own.id
         AND NOT EXISTS (SELECT FROM annotation_comparisoncompletion x WHERE x.completion_id = c.id)""",
    """DELETE FROM annotation_prompt p USING removed_prompt own
       WHERE p.id = own.id
         AND NOT EXISTS (SELECT FROM annotation_comparison c WHERE c.prompt_id = p.id)
         AND NOT EXISTS (SELECT FROM annotation_completion c WHERE c.prompt_id = p.id)""",
    """DELETE FROM annotation_text t USING removed_text own
       WHERE t.sha256 = own.sha256
         AND NOT EXISTS (SELECT FROM annotation_prompt p WHERE p.text_sha256 = t.sha256)
         AND NOT EXISTS (SELECT FROM annotation_completion c WHERE c.text_sha256 = t.sha256)""",
)


@transaction.atomic
def import_remove(*, record: Import) -> Import:
    """Remove what an import brought. Preferences that its choices touched go too; the next refit makes them anew.

    Raises:
        InputRefused: people voted on it, a later import merged into it, or a version rests on it.
    """
    record = Import.objects.select_for_update().get(pk=record.pk)
    if record.state != Import.State.DONE:
        raise InputRefused(f"Import {record.pk} is {record.state}; only a finished one can be removed.")
    values = {"import": record.pk}
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        for question, reason in QUESTIONS.items():
            cursor.execute(question, values)
            if count := cursor.fetchone()[0]:
                raise InputRefused(f"Import {record.pk} cannot be removed: {reason.format(count=count)}.")
        for statement in STATEMENTS:
            cursor.execute(statement, values)
    media_release(record)
    record.state, record.finished_at = Import.State.REMOVED, timezone.now()
    record.save(update_fields=["state", "finished_at"])
    return record

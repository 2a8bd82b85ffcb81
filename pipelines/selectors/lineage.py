"""From the rows of a version back to what people, models and files said: one query, shown as it is run."""

from __future__ import annotations

from typing import Any

from django.db import connection

from pipelines.models import DatasetVersion
from pipelines.selectors.pairs import IS_DERIVED

# A label made from rankings, ratings or yes and no rests on what was said of the sets that its completions stood in.
UNDER = f"""SELECT comparison.id UNION ALL SELECT d.source_id FROM pipelines_derivation d
        WHERE d.comparison_id = comparison.id AND {IS_DERIVED.replace("r.", "revision.")}"""
# What the frozen snapshot saw of annotations. Alias `a` or `later`.
SEEN = "{0}.id <= run.annotations_until AND NOT coalesce(version.unseen @> {0}.id, false)"
# An annotation stands under a row if the refit behind the version saw it as it was then: what was corrected or taken
# back since still led to the row. The run of a revision may be older than the votes that an online step put into it.
LINEAGE = f"""
SELECT row.position, row.split, encode(row.row_hash, 'hex') AS row_hash, revision.origin, revision.outcome,
       encode(comparison.key, 'hex') AS comparison, file.file_name, comparison.source_line,
       (SELECT array_agg(a.id ORDER BY a.id) FROM annotation_annotation a
        WHERE a.comparison_id IN ({UNDER}) AND {SEEN.format("a")}
          AND (a.state = 'current'
               OR EXISTS (SELECT FROM annotation_annotation later
                          WHERE later.supersedes_id = a.id AND NOT ({SEEN.format("later")}))
               OR EXISTS (SELECT FROM annotation_annotation later
                          WHERE later.retracts_id = a.id AND NOT ({SEEN.format("later")})))
          AND (revision.group_id IS NULL
               OR a.rater_id IN (SELECT m.rater_id FROM pipelines_groupmember m WHERE m.group_id = revision.group_id))
       ) AS annotations,
       (SELECT array_agg(DISTINCT a.derived_from_id) FROM annotation_annotation a
        WHERE a.comparison_id = comparison.id AND a.derived_from_id IS NOT NULL AND {SEEN.format("a")}
       ) AS edits,
       (SELECT array_agg(p.id ORDER BY p.id) FROM pipelines_prediction p
        WHERE p.comparison_id = comparison.id AND p.id <= run.predictions_until AND revision.group_id IS NULL) AS predictions
FROM pipelines_versionrow row
JOIN pipelines_datasetversion version ON version.id = row.version_id
JOIN pipelines_aggregationrun run ON run.id = version.run_id
JOIN pipelines_preferencerevision revision ON revision.id = row.revision_id
JOIN pipelines_preference preference ON preference.id = revision.preference_id
JOIN annotation_comparison comparison ON comparison.id = preference.comparison_id
LEFT JOIN annotation_import file ON file.id = comparison.source_import_id
WHERE row.version_id = %(version)s AND (%(position)s::bigint IS NULL OR row.position = %(position)s)
ORDER BY row.position
"""


def version_lineage(
    *, version: DatasetVersion, limit: int | None = None, position: int | None = None
) -> list[dict[str, Any]]:
    """Each row of a version (or the one at `position`) with the annotations, edits and predictions under it and the file
    and line it came from."""
    with connection.cursor() as cursor:
        cursor.execute(
            LINEAGE + (" LIMIT %(limit)s" if limit is not None else ""),
            {"version": version.pk, "limit": limit, "position": position},
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def rows_untraced(*, version: DatasetVersion) -> int:
    """Rows under which neither an annotation nor a prediction stands; 0 in a sound version."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM ({LINEAGE}) traced WHERE annotations IS NULL AND predictions IS NULL",
            {"version": version.pk, "position": None},
        )
        return int(cursor.fetchone()[0])

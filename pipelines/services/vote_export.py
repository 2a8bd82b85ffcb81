"""Votes as a file: one JSON line a vote that stands, by pseudonym; what label methods elsewhere read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from annotation.models import Project
from pipelines.errors import NothingToDo
from pipelines.services.new_file import new_file

FETCH = 2000

# Everything current, repeats too: what stands as one vote is for the reader's method to say. A vote of an imported
# choice has no strength and goes as a label.
VOTES = """
SELECT encode(c.key, 'hex'), coalesce(replace(p.pseudonym::text, '-', ''), r.name), r.kind, a.outcome, a.vote,
       (a.shown_order->>0)::int = 0, a.created_at, a.active_seconds
FROM annotation_annotation a
JOIN annotation_rater r ON r.id = a.rater_id
JOIN annotation_comparison c ON c.id = a.comparison_id
LEFT JOIN annotation_participation p ON p.id = r.participation_id
WHERE a.project_id = %s AND a.state = 'current' AND a.outcome <> '' AND c.size = 2 ORDER BY a.id
"""


def votes_export(*, project: Project, out: Path) -> int:
    """Write the votes of a project to a new file, whole or not at all. Returns how many.

    Fields: `item` (the comparison's content key), `rater` (pseudonym, or a source's name), `kind` (person or source),
    `vote` (signed strength, negative: first is better) or `label` (first, second, tie, both_bad, cannot_judge),
    `first_shown_first` (null when the side is unknown), `at` (UTC), `active_seconds`.
    """
    written = 0
    with new_file(out) as file:
        for line in _lines(project.pk):
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            written += 1
        if not written:
            raise NothingToDo(f"The project {project.slug} has no votes to export.")
    return written


def _lines(project_id: int) -> Iterator[dict[str, Any]]:
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(VOTES, [project_id])
        while rows := cursor.fetchmany(FETCH):
            for row in rows:
                yield _line(*row)


def _line(
    item: str,
    rater: str,
    kind: str,
    outcome: str,
    vote: int | None,
    first_first: bool | None,
    at: Any,
    active: float | None,
) -> dict[str, Any]:
    said = {"vote": vote} if vote is not None else {"label": outcome}
    return {
        "item": item,
        "rater": rater,
        "kind": kind,
        **said,
        "first_shown_first": first_first,
        "at": at.isoformat().replace("+00:00", "Z"),
        "active_seconds": active,
    }

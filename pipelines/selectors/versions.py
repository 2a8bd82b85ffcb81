"""Frozen versions: what went in, what was dropped, where each row comes from, and what was made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.db import connection

from annotation.errors import NotFound
from annotation.models import Annotation, Import, Project
from pipelines.models import (
    DatasetVersion,
    Export,
    Prediction,
    RoutingDecision,
    TrainingRun,
    VersionDrop,
    VersionRow,
)
from pipelines.selectors.lineage import version_lineage

PAGE = 50


@dataclass(frozen=True)
class SplitCount:
    split: str
    prompts: int
    preferences: int


@dataclass(frozen=True)
class VersionShown:
    version: DatasetVersion
    drops: list[VersionDrop]
    splits: list[SplitCount]
    origins: dict[str, int]
    imports: list[Import]
    exports: list[Export]
    runs: list[TrainingRun]
    successors: list[str]


def version_list(*, project: Project) -> list[DatasetVersion]:
    """Newest first, without the manifests. One query."""
    versions = DatasetVersion.objects.filter(project=project).select_related("created_by")
    return list(versions.defer("manifest").order_by("-id")[:200])


def version_named(*, project: Project, name: str) -> DatasetVersion:
    found = (
        DatasetVersion.objects.filter(project=project, name=name)
        .select_related("created_by", "run", "supersedes")
        .first()
    )
    if found is None:
        raise NotFound("There is no version of that name in this project.")
    return found


SPLITS = """
SELECT w.split, count(DISTINCT c.prompt_id), count(*)
FROM pipelines_versionrow w JOIN pipelines_preferencerevision r ON r.id = w.revision_id
JOIN pipelines_preference p ON p.id = r.preference_id JOIN annotation_comparison c ON c.id = p.comparison_id
WHERE w.version_id = %s GROUP BY 1
"""
ORIGINS = """
SELECT r.origin, count(*) FROM pipelines_versionrow w JOIN pipelines_preferencerevision r ON r.id = w.revision_id
WHERE w.version_id = %s GROUP BY 1
"""
IMPORTS = """
SELECT DISTINCT c.source_import_id
FROM pipelines_versionrow w JOIN pipelines_preferencerevision r ON r.id = w.revision_id
JOIN pipelines_preference p ON p.id = r.preference_id JOIN annotation_comparison c ON c.id = p.comparison_id
WHERE w.version_id = %s AND c.source_import_id IS NOT NULL
"""


def version_get(*, project: Project, name: str) -> VersionShown:
    """A version with its recipe's drops, splits, lineage and what was made of it. Nine queries."""
    version = version_named(project=project, name=name)
    with connection.cursor() as cursor:
        cursor.execute(SPLITS, [version.pk])
        found = {row[0]: SplitCount(*row) for row in cursor.fetchall()}
        cursor.execute(ORIGINS, [version.pk])
        origins = dict(cursor.fetchall())
        cursor.execute(IMPORTS, [version.pk])
        import_ids = [row[0] for row in cursor.fetchall()]
    return VersionShown(
        version=version,
        drops=list(VersionDrop.objects.filter(version=version)),
        splits=[found.get(split, SplitCount(split, 0, 0)) for split in DatasetVersion.Split.values],
        origins=origins,
        imports=list(Import.objects.filter(pk__in=import_ids).defer("faults").order_by("id")),
        exports=list(Export.objects.filter(version=version).select_related("created_by").order_by("-id")),
        runs=list(TrainingRun.objects.filter(version=version).order_by("-id")),
        successors=list(
            version.superseded_by.filter(state=DatasetVersion.State.FROZEN).order_by("id").values_list("name", flat=True)
        ),
    )


@dataclass(frozen=True)
class RowShown:
    """One row of a version with its canonical content and the votes and predictions under it."""

    row: VersionRow
    payload: dict[str, Any]
    comparison_id: int
    annotations: list[Annotation]
    predictions: list[Prediction]
    decisions: list[RoutingDecision]


def version_row_get(*, project: Project, name: str, position: int) -> RowShown:
    """A row traced to what people and models said before it was frozen. Six queries at most."""
    version = version_named(project=project, name=name)
    row = (
        VersionRow.objects.filter(version=version, position=position)
        .select_related("revision__preference__comparison__source_import", "revision__run", "revision__group__analysis")
        .first()
    )
    if row is None:
        raise NotFound("There is no such row in this version.")
    comparison = row.revision.preference.comparison
    (traced,) = version_lineage(version=version, position=position)
    annotations = Annotation.objects.filter(pk__in=traced["annotations"] or [])
    predictions = Prediction.objects.filter(pk__in=traced["predictions"] or [])
    decisions = RoutingDecision.objects.filter(comparison=comparison).select_related("plan").order_by("-id")
    return RowShown(
        row=row,
        payload=json.loads(bytes(row.payload)),
        comparison_id=comparison.pk,
        annotations=list(annotations.select_related("rater", "form_revision", "comparison").order_by("id")),
        predictions=list(predictions.select_related("rater").order_by("id")),
        decisions=list(decisions),
    )


def version_rows(
    *, version: DatasetVersion, split: str = "", after: int = -1
) -> tuple[list[VersionRow], int | None]:
    """50 rows in their order, and the position to go on from."""
    rows = VersionRow.objects.filter(version=version, position__gt=after).select_related("revision")
    if split:
        rows = rows.filter(split=split)
    page = list(rows.order_by("position")[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1].position if len(page) > PAGE else None


def export_get(*, project: Project, version: str, export_id: int) -> Export:
    found = Export.objects.filter(version__project=project, version__name=version, pk=export_id).first()
    if found is None:
        raise NotFound("There is no such export of this version.")
    return found

"""The imports of a project."""

from __future__ import annotations

from annotation.errors import NotFound
from annotation.models import Import, Project


def import_list(*, project: Project) -> list[Import]:
    """Newest first, at most 200. One query, without the faults."""
    imports = Import.objects.filter(project=project).select_related("created_by").defer("faults")
    return list(imports.order_by("-id")[:200])


def import_get(*, project: Project, import_id: int) -> Import:
    found = (
        Import.objects.filter(project=project, pk=import_id).select_related("created_by", "project").first()
    )
    if found is None:
        raise NotFound("There is no such import in this project.")
    return found

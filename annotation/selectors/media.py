"""Media that a project's members may load."""

from __future__ import annotations

from annotation.errors import NotFound
from annotation.models import Media, Project


def media_get(*, project: Project, sha256: str) -> Media:
    """The medium, if an import of this project brought it; absent and forbidden look the same. One query."""
    found = Media.objects.filter(pk=sha256, uses__source_import__project=project).distinct().first()
    if found is None:
        raise NotFound("There is no such medium in this project.")
    return found

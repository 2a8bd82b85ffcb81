"""Media that a project's members may load."""

from __future__ import annotations

from collections.abc import Sequence

from annotation.errors import NotFound, _
from annotation.models import Media, Project
from annotation.played import played_media


def media_get(*, project: Project, sha256: str) -> Media:
    """The medium, if an import of this project brought it; absent and forbidden look the same. One query."""
    found = Media.objects.filter(pk=sha256, uses__source_import__project=project).distinct().first()
    if found is None:
        raise NotFound(_("There is no such medium in this project."))
    return found


def seconds_together(texts: Sequence[tuple[str, str]]) -> float | None:
    """How long the longest of the sounds or films lasts with which these texts (form and body) begin; None where one has
    none, or its length is not known. A query only where each has one."""
    firsts = [next(iter(played_media(form, body)), None) for form, body in texts]
    if None in firsts:
        return None
    known = dict(Media.objects.filter(pk__in=firsts).values_list("pk", "seconds"))
    lengths = [known.get(str(first)) for first in firsts]
    return None if None in lengths else max(filter(None, lengths), default=None)

"""Media on their way into the home: a file by its hash before the rows that name it, and away when no import needs it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import transaction

from annotation.models import Import, Media, MediaUse, Project
from pipelines.imports.errors import FileRefused
from pipelines.imports.rows import Medium


def media_path(sha256: str) -> Path:
    """Where a medium is kept; the name is ours, never the file's."""
    folder: Path = settings.MEDIA_DIR / sha256[:2]
    return folder / sha256


class MediaKept:
    """The media of one import, written as its rows are read."""

    def __init__(self) -> None:
        self.kept: dict[str, Media] = {}

    def keep(self, found: Iterable[Medium]) -> None:
        """Write what is not there yet, whole or not at all."""
        for medium in found:
            if medium.sha256 in self.kept:
                continue
            self.kept[medium.sha256] = Media(
                sha256=medium.sha256, media_type=medium.media_type, size=len(medium.data), seconds=medium.seconds
            )
            path = media_path(medium.sha256)
            if path.is_file():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{os.getpid()}.part")
            with draft.open("wb") as stream:
                stream.write(medium.data)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)

    def store(self, record: Import) -> None:
        """The rows, in the import's transaction, under its lock."""
        lost = [sha256 for sha256 in self.kept if not media_path(sha256).is_file()]
        if lost:
            raise FileRefused("Media of this file were taken away meanwhile, with another import; import it again.")
        Media.objects.bulk_create(self.kept.values(), ignore_conflicts=True, batch_size=1_000)
        uses = [MediaUse(media_id=sha256, source_import=record) for sha256 in self.kept]
        MediaUse.objects.bulk_create(uses, ignore_conflicts=True, batch_size=1_000)
        if uses:
            Project.objects.filter(pk=record.project_id, has_media=False).update(has_media=True)

    def forget(self) -> None:
        """After a refusal: take away what no import needs."""
        with transaction.atomic():
            media_take_away(list(self.kept))


def media_release(record: Import) -> None:
    """An import is removed: its media go where no other import shows them. In the caller's transaction, under its lock."""
    named = list(MediaUse.objects.filter(source_import=record).values_list("media_id", flat=True))
    MediaUse.objects.filter(source_import=record).delete()
    media_take_away(named)


def media_take_away(named: list[str]) -> None:
    """Delete those of these media that no import shows, rows now and files after the commit."""
    Media.objects.filter(pk__in=named, uses=None).delete()
    still = set(Media.objects.filter(pk__in=named).values_list("pk", flat=True))
    gone = [media_path(sha256) for sha256 in named if sha256 not in still]

    def delete() -> None:
        for path in gone:
            path.unlink(missing_ok=True)

    transaction.on_commit(delete)

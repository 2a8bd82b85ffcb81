"""Exports: a frozen version written to a folder, whole or not at all.

A writer fills a folder beside the target, which is renamed at the end; a folder that holds anything is never touched.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from annotation.models import Project, User
from pipelines.errors import InputRefused, PipelineError
from pipelines.exports import EXPORTERS, ExportedFile, ExportRequest, SplitRow
from pipelines.models import DatasetVersion, Export, Job
from pipelines.queue import Leased, job_start, work_finishing
from pipelines.selectors.pairs import PAIRS
from pipelines.versions.forms import FORMS

JOB_KIND = "export.write"
RUNNING, DONE, FAILED = "running", "done", "failed"
BATCH = 2_000
Progress = Callable[[int, int], None]


def version_export(
    *,
    version: DatasetVersion,
    format: str,
    out: Path,
    form: str | None = None,
    created_by: User | None = None,
    progress: Progress | None = None,
) -> Export:
    """Write the version to `out`, a new or empty folder of this machine, in this process."""
    export = _open(version, format, form, str(out.resolve()), created_by)
    return _write(export, out.resolve(), progress, transaction.atomic)


def export_start(
    *, version: DatasetVersion, format: str, form: str | None = None, created_by: User | None = None
) -> tuple[Export, Job]:
    """Start the job that writes an export below the home's exports folder."""
    folder = f"{version.project.slug}-{version.name}-{uuid.uuid4().hex[:8]}"
    with transaction.atomic():
        export = _open(version, format, form, folder, created_by)
        job = job_start(
            project=version.project, kind=JOB_KIND, params={"export_id": export.pk}, created_by=created_by,
            size=version.rows_out,
        )  # fmt: skip
    return export, job


def export_work(item: Leased) -> None:
    """Handler of `export.write`."""
    export = Export.objects.select_related("version__project").get(pk=item.params["export_id"])
    out = settings.EXPORTS_DIR / export.folder
    # A worker that was killed after the rename left the whole folder; it is written anew.
    shutil.rmtree(out, ignore_errors=True)

    def progress(done: int, total: int) -> None:
        item.progress = done
        item.check()

    def finishing() -> AbstractContextManager[Any]:
        item.result = {"export_id": export.pk}
        item.counts.update(export_counts(export))
        return work_finishing(item)

    _write(export, out, progress, finishing)


def export_counts(export: Export) -> dict[str, int]:
    """Rows and files of a finished export."""
    rows = {Path(f["path"]).stem: f["rows"] for f in export.files if f["path"].endswith(".jsonl")}
    return {
        "rows": sum(rows.values()), "files": len(export.files), "bytes": sum(f["bytes"] for f in export.files),
        **{f"rows_{split}": count for split, count in rows.items()},
    }  # fmt: skip


def version_frozen_get(*, project: Project, name: str) -> DatasetVersion:
    """The frozen version of that name.

    Raises:
        InputRefused: there is none.
    """
    version = DatasetVersion.objects.filter(
        project=project, name=name, state=DatasetVersion.State.FROZEN
    ).first()
    if version is None:
        raise InputRefused(
            f"There is no frozen version {name!r} in {project.slug}. Freeze one first: freeze_version"
        )
    return version


def version_rows_stream(*, version: DatasetVersion) -> Iterator[SplitRow]:
    """Split and canonical bytes of each row, in row order; memory holds one batch."""
    with connection.cursor() as cursor:
        after = -1
        while True:
            cursor.execute(
                "SELECT position, split, payload FROM pipelines_versionrow"
                " WHERE version_id = %s AND position > %s ORDER BY position LIMIT %s",
                [version.pk, after, BATCH],
            )
            rows = cursor.fetchall()
            if not rows:
                return
            for _, split, payload in rows:
                yield split, bytes(payload)
            after = rows[-1][0]


def _open(
    version: DatasetVersion, format: str, form: str | None, folder: str, created_by: User | None
) -> Export:
    if format not in EXPORTERS:
        raise InputRefused(f"There is no export format {format!r}; known are {', '.join(EXPORTERS)}.")
    if form is not None and form not in FORMS:
        raise InputRefused(f"The form is plain or messages; got {form!r}.")
    if version.state != DatasetVersion.State.FROZEN:
        raise InputRefused(f"The version {version.name} is not frozen yet.")
    unit = version.recipe.get("unit", PAIRS)
    if unit not in EXPORTERS[format].units:
        fit = " or ".join(key for key, exporter in EXPORTERS.items() if unit in exporter.units)
        raise InputRefused(f"The version {version.name} holds {unit}; {format} does not take those. Export it as {fit}.")
    out = Path(folder)
    if out.is_absolute():
        _check_empty(out)
    return Export.objects.create(
        version=version,
        format=format,
        form=form or version.recipe["form"],
        folder=folder,
        created_by=created_by,
    )


def _check_empty(out: Path) -> None:
    if out.is_symlink() or out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputRefused(
            f"{str(out)!r} exists and is not an empty folder; nothing is ever overwritten. Choose another."
        )


def version_write(
    *,
    version: DatasetVersion,
    format: str,
    out: Path,
    form: str | None = None,
    progress: Progress | None = None,
) -> list[ExportedFile]:
    """The files of a version in `out`, a new or empty folder: written beside it, synced, then renamed.

    Keeps no record; a training run writes its own data this way.
    """
    _check_empty(out)
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
        request = ExportRequest(version.name, form or version.recipe["form"], version.manifest)
        rows = _reported(version_rows_stream(version=version), version.rows_out, progress)
        files = EXPORTERS[format].load()(rows, partial, request)
        _sync_folders(partial)
        _check_empty(out)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync_folder(out.parent)
    return files


def _write(
    export: Export, out: Path, progress: Progress | None, finishing: Callable[[], AbstractContextManager[Any]]
) -> Export:
    """Write the files and say in the export's row how it ended."""
    try:
        files = version_write(
            version=export.version, format=export.format, out=out, form=export.form, progress=progress
        )
        export.files = [asdict(file) for file in files]
        with finishing():
            export.state, export.finished_at = DONE, timezone.now()
            export.save(update_fields=["state", "files", "finished_at"])
    except BaseException as error:
        sentence = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        Export.objects.filter(pk=export.pk).exclude(state=DONE).update(
            state=FAILED, error=sentence, finished_at=timezone.now()
        )
        raise
    return export


def _reported(rows: Iterator[SplitRow], total: int, progress: Progress | None) -> Iterator[SplitRow]:
    for number, row in enumerate(rows, start=1):
        if progress is not None and number % BATCH == 0:
            progress(number, total)
        yield row


def _sync_folders(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

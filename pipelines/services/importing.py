"""Imports: a file becomes comparisons and choices, in one transaction or not at all.

`import_file` does it in this process. An upload is `import_stage` (keeps the file), then `import_run` by a worker,
which leaves it staged where too many rows are refused, then `import_accept` or `import_discard` by a person.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation.feedback import sizes_taken, sizes_words
from annotation.models import Annotation, Comparison, FormRevision, Import, Project, Rater, User
from annotation.services.edits import edits_derive
from pipelines.errors import Cancelled, InputRefused
from pipelines.imports.errors import CAUSES, FileRefused
from pipelines.imports.media import MediaReader
from pipelines.imports.reading import Reading
from pipelines.imports.rows import Limits, row_comparisons
from pipelines.models import Job
from pipelines.queue import Leased, job_start, work_finishing
from pipelines.services.import_staging import Load, Progress, Staging, staging_load
from pipelines.services.media import MediaKept
from pipelines.services.ordering import order_again

ANNOTATIONS, PREDICTIONS = "annotations", "predictions"
STAGED_HOURS = 24
SETTLED = (Import.State.DONE, Import.State.REFUSED)
JOB_KIND = "import.commit"


@dataclass(frozen=True)
class ImportOptions:
    """How a file is read. Empty `source`: named after the file. `accept_faults`: import the other rows in any case.

    `media`: a folder of this machine in which the media that rows name lie; never asked of an upload.
    `together`: a row's completions are one comparison, up to nine, instead of all their pairs.
    """

    shape: str | None = None
    choices: str = ANNOTATIONS
    source: str = ""
    pairs_per_prompt: int | None = None
    together: bool = False
    media: str = ""
    strict: bool = False
    accept_faults: bool = False


class TooManyFaults(FileRefused):
    """More rows are refused than go through without asking."""


Confirm = Callable[[str, Import], bool]


def import_file(
    *,
    project: Project,
    path: Path,
    options: ImportOptions,
    created_by: User | None = None,
    confirm: Confirm | None = None,
    progress: Progress | None = None,
) -> Import:
    """Import a file of this machine. `confirm` is asked when too many rows are refused, with nothing locked."""
    if not path.is_file():
        raise FileRefused(f"There is no file {str(path)!r}.")
    record = import_open(project=project, file_name=path.name, options=options, created_by=created_by)
    return import_run(record=record, path=path, confirm=confirm, progress=progress)


def import_open(
    *, project: Project, file_name: str, options: ImportOptions, created_by: User | None = None
) -> Import:
    """The row of an import that is about to be read."""
    if project.archived_at is not None:
        raise InputRefused(f"The project {project.slug} is archived; bring it back before importing.")
    if options.choices not in {ANNOTATIONS, PREDICTIONS}:
        raise InputRefused(f"Choices are kept as annotations or predictions; got {options.choices!r}.")
    if options.pairs_per_prompt is not None and options.pairs_per_prompt < 1:
        raise InputRefused(f"Pairs per prompt must be at least 1; got {options.pairs_per_prompt}.")
    if options.together and options.pairs_per_prompt is not None:
        raise InputRefused("Give either pairs per prompt or together: together makes one comparison of a row, no pairs.")
    name = _storable(Path(file_name).name)[:255] or "file"
    source = _storable(options.source).strip()[:200] or name[:200]
    return Import.objects.create(
        project=project,
        file_name=name,
        source_name=source,
        options={"asked": asdict(options)},
        created_by=created_by,
    )


def _storable(name: str) -> str:
    """A name without what the database cannot keep: NUL, and bytes of a path that are no text."""
    return name.replace("\x00", "").encode(errors="replace").decode()


def import_run(
    *,
    record: Import,
    path: Path,
    confirm: Confirm | None = None,
    progress: Progress | None = None,
    keep_staged: bool = False,
    transaction_of: Callable[[], AbstractContextManager[Any]] = transaction.atomic,
) -> Import:
    """Read the file into staging, then load it in one transaction.

    1. Staging holds no lock: a person may take their time to answer `confirm`.
    2. With too many refused rows and nobody who accepts them, nothing is loaded: the import stays staged for a person
       if `keep_staged`, and is refused otherwise.
    3. `transaction_of` opens the transaction of the load; a worker passes the one that closes its work item.

    Raises:
        FileRefused: nothing was imported; the import's row says why.
    """
    options = ImportOptions(**record.options["asked"])
    record.file_sha256 = _file_sha256(path)
    media = MediaKept()
    with Staging() as staging:
        try:
            reading = _stage(record, path, options, staging, media, progress)
            _check_faults(record, reading, options, confirm)
        except TooManyFaults as refused:
            media.forget()
            if not keep_staged:
                _refuse(record, refused)
            with transaction_of():
                _save(record, Import.State.STAGED)
            return record
        except FileRefused as refused:
            media.forget()
            _refuse(record, refused)
        with transaction_of():
            _load(record, reading, options, media)
    return record


def _stage(
    record: Import, path: Path, options: ImportOptions, staging: Staging, media: MediaKept,
    progress: Progress | None,
) -> Reading:
    """Read every row and send it to staging; leaves shape, counts and faults on `record`."""
    form = record.project.form_revisions.first()
    questions = form.questions if form is not None else []
    compare = partial(
        row_comparisons,
        together=options.together,
        per_prompt=options.pairs_per_prompt,
        salt=record.project.split_salt.bytes,
    )
    reading = Reading(
        path, shape=options.shape, limits=import_limits(), questions=questions, compare=compare,
        media=MediaReader(Path(options.media) if options.media else None, settings.LIMIT_MEDIA_BYTES),
    )
    record.shape = reading.shape.key
    if reading.shape.has_annotations and options.choices != ANNOTATIONS:
        raise FileRefused("This file holds people's answers to the form; they can only be kept as annotations.")
    for line, row, compared in reading:
        media.keep(row.media)
        staging.add(line, compared, row.annotations)
        if progress is not None and line % 500 == 0:
            progress(reading.file.position, reading.file.size)
    staging.flush()
    refused = sum(reading.refused.values())
    record.counts = {
        "rows_in": reading.rows_in, "taken": 0, "merged": 0, "refused": refused, "comparisons": 0, "choices": 0,
        **{f"refused_{cause}": reading.refused[cause] for cause in CAUSES if reading.refused[cause]},
    }  # fmt: skip
    record.faults = reading.faults
    has_choices = reading.shape.has_choice or reading.shape.has_annotations
    record.choices = options.choices if has_choices else "none"
    record.options = {**record.options, "detected": reading.detected, "notices": reading.notices}
    if reading.shape.has_annotations and form is not None:
        record.options |= {"form_revision": form.pk, "form_number": form.number}
    return reading


def _check_faults(record: Import, reading: Reading, options: ImportOptions, confirm: Confirm | None) -> None:
    refused, rows = sum(reading.refused.values()), reading.rows_in
    if not refused:
        return
    first = str(reading.faults[0]["message"]).rstrip(".")
    if options.strict:
        raise FileRefused(f"{first}; with --strict one refused row refuses the file.")
    causes = ", ".join(f"{count:,} {CAUSES[cause]}" for cause, count in reading.refused.most_common())
    if refused == rows:
        raise FileRefused(f"Every row of the file is refused ({causes}). {first}.")
    if options.accept_faults or refused * 100 <= settings.LIMIT_FAULTY_ROWS_PERCENT * rows:
        return
    sentence = (
        f"{refused:,} of {rows:,} rows are refused ({causes}), more than {settings.LIMIT_FAULTY_ROWS_PERCENT} %; "
        f"nothing is imported yet. {first}."
    )
    if confirm is None or not confirm(sentence, record):
        raise TooManyFaults(sentence)


def _load(record: Import, reading: Reading, options: ImportOptions, media: MediaKept) -> None:
    """The one transaction of an import."""
    rater = None
    if reading.shape.has_choice:
        rater, _ = Rater.objects.get_or_create(
            project=record.project, kind=Rater.Kind.SOURCE, name=record.source_name
        )
    counts = staging_load(
        Load(
            project_id=record.project_id,
            import_id=record.pk,
            wanted=record.project.wanted,
            sha256=bytes(record.file_sha256 or b""),
            source=record.source_name,
            rater_id=None if rater is None else rater.pk,
            choices=options.choices,
            form_id=record.options.get("form_revision"),
        )
    )
    media.store(record)
    order_again(record.project_id)
    if form_id := record.options.get("form_revision"):
        counts["edits"] = _edits_derive(record, FormRevision.objects.get(pk=form_id).questions)
    _notice_unfit(record)
    record.counts = {**record.counts, **{key: n for key, n in counts.items() if n or key != "edits"}}
    _save(record, Import.State.DONE)


def _notice_unfit(record: Import) -> None:
    """Say what people would be handed and could not answer."""
    form = record.project.form_revisions.first()
    if form is None:
        return
    made = Comparison.objects.filter(source_import=record)
    if unfit := made.exclude(size__range=sizes_taken(form.questions)).count():
        record.options["notices"] = [
            *record.options["notices"],
            f"New comparisons that cannot be answered on the project's form: {unfit:,}. It takes"
            f" {sizes_words(form.questions)}; change the form, or take the import back.",
        ]


def _edits_derive(record: Import, questions: Sequence[Mapping[str, Any]]) -> int:
    """What was written in imported edits becomes preferences, as it does for answers given here."""
    keys = [question["key"] for question in questions if question["type"] == "edit"]
    if not keys:
        return 0
    written = Annotation.objects.filter(source_import=record, answers__has_any_keys=keys).order_by("pk")
    return sum(
        edits_derive(annotation_id=pk, questions=questions, answers=answers)
        for pk, answers in list(written.values_list("pk", "answers"))
    )


def _save(record: Import, state: Import.State, error: str = "") -> None:
    record.state, record.error, record.finished_at = state, error, timezone.now()
    record.save()


def _refuse(record: Import, refused: FileRefused) -> None:
    """Mark the import and raise on, with what was counted."""
    _save(record, Import.State.REFUSED, str(refused))
    refused.fields = {
        "counts": record.counts, "faults": record.faults[:20], "shape": record.shape, "import_id": record.pk
    }  # fmt: skip
    raise refused


def import_has_choice(*, path: Path, shape: str | None) -> bool:
    """Whether the file's rows name a preferred completion. Reads its first rows; False where it cannot be read."""
    try:
        return Reading(path, shape=shape, limits=import_limits()).shape.has_choice
    except (FileRefused, OSError):
        return False


def import_limits() -> Limits:
    """The limits of the settings."""
    return Limits(
        line_bytes=settings.LIMIT_LINE_BYTES,
        completion_bytes=settings.LIMIT_COMPLETION_BYTES,
        unpacked_bytes=settings.LIMIT_UNPACKED_BYTES,
        unpacked_ratio=settings.LIMIT_UNPACKED_RATIO,
    )


def _file_sha256(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


# Uploads


def import_stage(
    *,
    project: Project,
    chunks: Iterable[bytes],
    file_name: str,
    options: ImportOptions,
    created_by: User | None,
) -> tuple[Import, Job]:
    """Keep an uploaded file below the home, under a name of our own, and start the job that reads it."""
    record = import_open(project=project, file_name=file_name, options=options, created_by=created_by)
    settings.UPLOADS_DIR.mkdir(parents=True, exist_ok=True)
    path = settings.UPLOADS_DIR / uuid.uuid4().hex
    size = 0
    try:
        with path.open("xb") as stream:
            for chunk in chunks:
                size += len(chunk)
                if size > settings.LIMIT_UPLOAD_BYTES:
                    raise FileRefused(
                        f"The file is larger than {settings.LIMIT_UPLOAD_BYTES:,} bytes, the limit for uploads."
                    )
                stream.write(chunk)
    except FileRefused as refused:
        path.unlink()
        _refuse(record, refused)
    except BaseException:
        path.unlink(missing_ok=True)
        record.delete()
        raise
    record.options = {**record.options, "upload": path.name}
    record.save(update_fields=["options"])
    return record, _job(record)


def _job(record: Import) -> Job:
    return job_start(
        project=record.project,
        kind=JOB_KIND,
        params={"import_id": record.pk},
        created_by=record.created_by,
        size=import_upload_path(record).stat().st_size,
    )


def import_upload_path(record: Import) -> Path:
    """Where an upload is kept. The name is ours, never the person's."""
    name: str = record.options.get("upload", "")
    path: Path = settings.UPLOADS_DIR / name
    if not name or not path.is_file():
        raise FileRefused(f"The uploaded file {record.file_name!r} is no longer kept; upload it again.")
    return path


def import_work(item: Leased) -> None:
    """A worker reads an uploaded file; the load and the end of the work item are one transaction."""
    record = Import.objects.select_related("project").get(pk=item.params["import_id"])
    if record.state != Import.State.READING:
        return
    item.result = {"import_id": record.pk}

    def progress(position: int, size: int) -> None:
        item.progress = position
        item.check()

    try:
        import_run(
            record=record,
            path=import_upload_path(record),
            progress=progress,
            keep_staged=True,
            transaction_of=lambda: work_finishing(item),
        )
    except Cancelled:
        _save(record, Import.State.REFUSED, "Cancelled.")
        raise
    finally:
        # What is committed decides: a load that was rolled back is tried again and needs the file.
        if Import.objects.filter(pk=record.pk, state__in=SETTLED).exists():
            upload_forget(record)


def import_accept(*, record: Import) -> Job:
    """A person wants the other rows of a staged import: a worker reads the file again and loads them."""
    with transaction.atomic():
        record = Import.objects.select_for_update().get(pk=record.pk)
        if record.state != Import.State.STAGED:
            raise InputRefused("This import no longer waits for an answer.")
        record.options["asked"]["accept_faults"] = True
        record.state = Import.State.READING
        record.save(update_fields=["options", "state"])
        return _job(record)


def import_discard(*, record: Import) -> Import:
    """A person does not want a staged import; its file is deleted."""
    with transaction.atomic():
        record = Import.objects.select_for_update().get(pk=record.pk)
        if record.state != Import.State.STAGED:
            raise InputRefused("This import no longer waits for an answer.")
        _save(record, Import.State.REFUSED, "Discarded: too many of its rows were refused.")
    upload_forget(record)
    return record


def upload_forget(record: Import) -> None:
    """Delete the kept file of an import that is settled."""
    name = record.options.get("upload")
    if name:
        (settings.UPLOADS_DIR / name).unlink(missing_ok=True)


def imports_expire() -> int:
    """Refuse imports that waited for an answer too long, and those whose reading was cut off. Returns how many."""
    before = timezone.now() - timedelta(hours=STAGED_HOURS)
    waiting = Import.objects.filter(
        state__in=[Import.State.STAGED, Import.State.READING], created_at__lt=before
    )
    expired = 0
    for record in waiting:
        # Somebody may have accepted it, or a worker loaded it, since it was read.
        changed = waiting.filter(pk=record.pk).update(
            state=Import.State.REFUSED,
            error=f"Not answered or not finished within {STAGED_HOURS} hours.",
            finished_at=timezone.now(),
        )
        if changed:
            upload_forget(record)
        expired += changed
    return expired

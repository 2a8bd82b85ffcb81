"""The outbox: what happened, written with the change. `pipelines.queue` turns its rows into work."""

from __future__ import annotations

from annotation.models import OutboxEvent


def outbox_add(*, project_id: int, kind: str, subject_id: int) -> None:
    """Add one event to the caller's transaction."""
    OutboxEvent.objects.create(project_id=project_id, kind=kind, subject_id=subject_id)

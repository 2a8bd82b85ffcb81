"""A correction given while a version is being frozen: its rows are wholly before or wholly after it, and say so."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import close_old_connections, connection, transaction

from annotation.models import Annotation, Project, User
from annotation.services.assignment import assignment_next, assignment_submit
from annotation.services.corrections import annotation_correct
from annotation.services.demand import comparison_wanted_set
from pipelines.models import DatasetVersion
from pipelines.selectors.lineage import version_lineage
from pipelines.selectors.versions import version_row_get
from pipelines.services import versions
from pipelines.services.aggregation import aggregate_full
from pipelines.services.versions import version_freeze
from tests import cast

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    made = cast.project("birds", split_train_percent=100, split_validation_percent=0)
    cast.comparisons(made, 12)
    return made


@pytest.fixture
def ben(project: Project) -> User:
    """Voted "first is better" everywhere."""
    person = cast.person("Ben", project, "annotator")
    while lent := assignment_next(project_id=project.pk, user_id=person.pk, prefetch=1):
        vote(lent[0].id, person, -2)
    # Every later refit keeps the method: what one person says is then what the row says.
    aggregate_full(project=project, method="majority")
    return person


def vote(assignment_id: int, person: User, strength: int) -> None:
    assignment_submit(
        assignment_id=assignment_id, user_id=person.pk, submit_key=uuid.uuid4(), answers=cast.vote(strength)
    )


def correct(annotation: Annotation, person: User, strength: int = 2) -> Annotation:
    done = annotation_correct(
        annotation_id=annotation.pk, user_id=person.pk, submit_key=uuid.uuid4(), answers=cast.vote(strength)
    )
    return Annotation.objects.get(pk=done.annotation_id)


def in_thread(call: Callable[[], None]) -> threading.Thread:
    def run() -> None:
        try:
            call()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def evidence_sha256(rows: list[dict[str, Any]]) -> str:
    """The manifest's hash over annotations, from the traces alone."""
    told = Annotation.objects.filter(pk__in=[pk for row in rows for pk in row["annotations"]])
    told = told.select_related("rater", "comparison")
    lines = sorted(
        "\t".join((a.comparison.key.hex(), a.rater.kind, a.outcome, str(a.vote), str(a.vote_scale))) for a in told
    )
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def check(version: DatasetVersion) -> list[dict[str, Any]]:
    """Every row says what the answer says to which it is traced, and the manifest speaks of the same answers."""
    rows = version_lineage(version=version)
    for row in rows:
        (under,) = row["annotations"]
        assert Annotation.objects.get(pk=under).outcome == row["outcome"]
    assert version.manifest["lineage"]["annotations"] == {"count": len(rows), "sha256": evidence_sha256(rows)}
    return rows


def test_a_correction_that_began_before_the_freeze_and_ends_after_it_is_not_under_its_rows(project, ben):
    old, other = Annotation.objects.order_by("pk")[:2]
    begun, frozen = threading.Event(), threading.Event()

    def correction() -> None:
        with transaction.atomic():
            correct(old, ben)
            begun.set()
            assert frozen.wait(60)

    thread = in_thread(correction)
    assert begun.wait(60)
    # Somebody else's answer takes a larger id and is there first, so the smaller id comes to light after it.
    eve = cast.person("Eve", project, "annotator")
    comparison_wanted_set(project=project, comparison_ids=[other.comparison_id], wanted=2)
    (lent,) = assignment_next(project_id=project.pk, user_id=eve.pk, prefetch=1)
    vote(lent.id, eve, -3)
    version = version_freeze(project=project, name="before")
    frozen.set()
    thread.join(60)

    new = Annotation.objects.get(supersedes=old)
    assert new.pk < Annotation.objects.latest("pk").pk, "the correction took the smaller id"
    row = next(r for r in version_lineage(version=version) if r["comparison"] == old.comparison.key.hex())
    assert (row["outcome"], row["annotations"]) == ("first", [old.pk])
    shown = version_row_get(project=project, name="before", position=row["position"])
    assert [a.pk for a in shown.annotations] == [old.pk]
    after = version_lineage(version=version_freeze(project=project, name="after"))
    row = next(r for r in after if r["comparison"] == old.comparison.key.hex())
    assert (row["outcome"], row["annotations"]) == ("second", [new.pk])


def test_a_correction_between_refit_and_snapshot_is_wholly_in(project, ben, monkeypatch):
    old, refits = Annotation.objects.earliest("pk"), []
    refit = versions._refit

    def refit_then_correct(of: Project) -> Any:
        run = refit(of)
        if not refits:
            correct(old, ben)
        refits.append(run)
        return run

    monkeypatch.setattr(versions, "_refit", refit_then_correct)
    rows = check(version_freeze(project=project, name="v1"))
    assert len(refits) == 2
    assert next(r["outcome"] for r in rows if r["comparison"] == old.comparison.key.hex()) == "second"


def test_a_correction_while_rows_are_written_is_wholly_out(project, ben, monkeypatch):
    old, write = Annotation.objects.earliest("pk"), versions._write_rows

    def correct_then_write(*arguments: Any) -> str:
        in_thread(lambda: correct(old, ben)).join(60)
        return write(*arguments)

    monkeypatch.setattr(versions, "_write_rows", correct_then_write)
    rows = check(version_freeze(project=project, name="v1"))
    assert next(r["annotations"] for r in rows if r["comparison"] == old.comparison.key.hex()) == [old.pk]


def test_versions_frozen_while_people_correct_are_each_true(project, ben):
    over = threading.Event()

    def correcting() -> None:
        strength = 2
        while not over.is_set():
            for annotation in Annotation.objects.filter(state="current").order_by("comparison_id"):
                correct(annotation, ben, strength)
                if over.wait(0.05):
                    return
            strength = -strength

    thread = in_thread(correcting)
    try:
        frozen = [version_freeze(project=project, name=f"v{n}") for n in range(4)]
    finally:
        over.set()
        thread.join(60)
        close_old_connections()
    for version in frozen:
        assert len(check(version)) == 12
    assert len({version.root_hash for version in frozen}) > 1, "nothing was corrected between the freezes"

"""The loop around one item: its lease beats, and every way to fail ends in the item's row."""

from __future__ import annotations

import pytest

from annotation.models import Project
from pipelines import queue
from pipelines.errors import Cancelled, MissingExtra
from pipelines.models import WorkItem
from workers import loop
from workers.handlers import HANDLERS, Kind

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return Project.objects.create(slug="ada", title="Ada")


@pytest.fixture
def handle(monkeypatch):
    """Let a function of the test do the work of a kind."""

    def handle(function):
        monkeypatch.setattr(Kind, "load", lambda self: function)
        monkeypatch.setitem(HANDLERS, "test", Kind("default", ""))

    return handle


def run(project: Project, **params) -> WorkItem:
    queue.work_add(queue="default", project_id=project.pk, kind="test", key="k", params=params)
    loop.drain(queue="default", worker="w")
    return WorkItem.objects.get(kind="test")


def test_an_item_that_its_handler_leaves_open_is_finished(project, handle):
    handle(lambda item: None)
    assert run(project).state == "done"


def test_an_error_is_kept_with_the_item(project, handle):
    def fail(item):
        raise ValueError("no luck")

    handle(fail)
    row = run(project)
    assert (row.state, row.error) == ("ready", "ValueError: no luck")


def test_a_missing_extra_goes_to_a_person_at_once(project, handle):
    def fail(item):
        raise MissingExtra("Add it with: setup --ml")

    handle(fail)
    assert run(project).state == "needs_person"


def test_an_unknown_kind_goes_to_a_person_after_its_attempts(project):
    queue.work_add(queue="default", project_id=project.pk, kind="nobody-knows", key="k", params={})
    loop.drain(queue="default", worker="w")
    assert "nobody-knows" in WorkItem.objects.get().error


def test_an_interrupted_item_is_given_back(project, handle):
    def interrupt(item):
        raise KeyboardInterrupt

    handle(interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(project)
    assert (WorkItem.objects.get().state, WorkItem.objects.get().attempts) == ("ready", 0)


def test_the_worker_stops_between_items(project, handle):
    handle(lambda item: None)
    queue.work_add(queue="default", project_id=project.pk, kind="test", key="k", params={})
    assert loop.drain(queue="default", worker="w", stop=lambda: True) == 0


@pytest.mark.django_db(transaction=True)
def test_the_lease_beats_and_brings_a_cancel_back(handle, settings):
    settings.WORK_LEASE_SECONDS = 1
    project = Project.objects.create(slug="ada", title="Ada")
    job = queue.job_start(project=project, kind="test", params={})
    seen = []

    def work(item):
        queue.job_cancel(job_id=job.pk)
        try:
            for _ in range(500):
                loop.time.sleep(0.02)
                item.advance(0)
        except Cancelled:
            seen.append("cancelled")
            raise

    handle(work)
    loop.drain(queue="default", worker="w")
    job.refresh_from_db()
    assert seen == ["cancelled"] and job.state == "cancelled"


def test_every_kind_of_work_can_be_loaded():
    for kind in HANDLERS.values():
        assert callable(kind.load())

"""How labels are stored while others delete. Order is made by locks, never by sleeping."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction

from pipelines.models import Preference, PreferenceRevision
from pipelines.services.aggregation import aggregate_full
from tests import cast
from tests.annotation.services.test_assignment_races import wait_until_blocked
from tests.pipelines.scene import annotate, rater

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def voted():
    project = cast.project()
    (comparison,) = cast.comparisons(project, 1)
    annotate(comparison, rater(project, "Ana"), "first")
    aggregate_full(project=project)
    annotate(comparison, rater(project, "Ben"), "second")
    return project


def delete_preferences() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM pipelines_preference")


def blocked_by(first, second) -> None:
    """`first` runs in a transaction, `second` in another that has to wait for it."""

    def run() -> None:
        try:
            second()
        finally:
            connections.close_all()

    waiting = threading.Thread(target=run)
    with transaction.atomic():
        first()
        waiting.start()
        wait_until_blocked()
    waiting.join()


def test_revisions_go_with_their_preference(voted):
    assert PreferenceRevision.objects.count() == 1
    delete_preferences()
    assert not PreferenceRevision.objects.exists()


def test_a_deletion_that_waits_for_a_refit_takes_its_new_revision_too(voted):
    blocked_by(lambda: aggregate_full(project=voted), delete_preferences)
    assert not Preference.objects.exists() and not PreferenceRevision.objects.exists()


def test_a_refit_that_waits_for_a_deletion_makes_no_revision_without_a_preference(voted):
    blocked_by(delete_preferences, lambda: aggregate_full(project=voted))
    assert not Preference.objects.exists() and not PreferenceRevision.objects.exists()
    aggregate_full(project=voted)
    assert Preference.objects.get().current.preference_id == Preference.objects.get().pk

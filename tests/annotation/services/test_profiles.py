"""Profiles: kept with consent alone, held against what is asked, and gone when they are withdrawn."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from annotation.errors import NotFound, Refused
from annotation.models import Membership, Profile, Project, User
from annotation.selectors.profiles import attributes_text, profiles_asked
from annotation.services.people import membership_remove
from annotation.services.profiles import (
    attributes_change,
    attributes_read,
    profile_give,
    profile_withdraw,
    profiles_expire,
)
from tests import cast
from tests.annotation.services.test_assignment_races import wait_until_blocked
from workers.clock import tick

pytestmark = pytest.mark.django_db
ASKED = "Age: under 30 | 30 and over\nRegion: north | south | elsewhere"


@pytest.fixture
def project() -> Project:
    project = cast.project()
    attributes_change(project=project, text=ASKED)
    return project


@pytest.fixture
def ben(project: Project) -> User:
    return cast.person("Ben", project, "annotator")


def give(project: Project, person: User, agrees: bool = True, **answers: str) -> Profile:
    return profile_give(project=project, user_id=person.pk, answers=answers, consent="I agree.", agrees=agrees)


def test_attributes_read_back_as_they_were_written(project):
    assert attributes_text(Project.objects.get(pk=project.pk)) == ASKED
    assert attributes_read(" \n Age :a| b |\n") == [{"name": "Age", "choices": ["a", "b"]}]


@pytest.mark.parametrize(
    "text", ["Age", "Age: one", "Age: a | a", ": a | b", "Age: a | b\nAge: c | d", f"Age: a | {'b' * 61}", "A: a | b\n" * 9]
)
def test_what_is_no_list_of_choices_is_refused(text):
    with pytest.raises(Refused):
        attributes_read(text)


def test_nothing_is_kept_without_consent_or_without_a_choice(project, ben):
    for agrees, answers in ((False, {"Age": "under 30"}), (True, {}), (True, {"Age": ""})):
        with pytest.raises(Refused):
            give(project, ben, agrees, **answers)
    with pytest.raises(Refused, match="any more"):
        give(project, ben, Age="under 12")
    assert not Profile.objects.exists()


def test_a_profile_keeps_what_was_said_with_the_words_agreed_to_and_changes_as_a_whole(project, ben):
    assert give(project, ben, Age="under 30", Region="").answers == {"Age": "under 30"}
    kept = give(project, ben, Region="south")
    assert (kept.answers, kept.consent) == ({"Region": "south"}, "I agree.")
    assert Profile.objects.count() == 1
    (asked,) = profiles_asked(user_id=ben.pk, judged=[project])
    assert (asked.kept, asked.given_at) == (kept.pk, kept.given_at)


def test_withdrawing_deletes_and_happens_once(project, ben):
    kept = give(project, ben, Age="under 30")
    with pytest.raises(NotFound):
        profile_withdraw(profile_id=kept.pk, user_id=cast.person("Cy", project, "annotator").pk)
    profile_withdraw(profile_id=kept.pk, user_id=ben.pk)
    assert not Profile.objects.exists()
    with pytest.raises(NotFound):
        profile_withdraw(profile_id=kept.pk, user_id=ben.pk)


def test_what_is_no_longer_asked_is_deleted(project, ben):
    cy = cast.person("Cy", project, "reviewer")
    give(project, ben, Age="under 30", Region="south")
    give(project, cy, Age="under 30")
    dropped = ["Age", "Region: elsewhere"]
    for agreed in ((), ["Age"]):
        assert attributes_change(project=project, text="Region: north | south", dropping=agreed) == dropped
        assert attributes_text(Project.objects.get(pk=project.pk)) == ASKED and Profile.objects.count() == 2
    attributes_change(project=project, text="Region: north | south", dropping=dropped)
    assert [profile.answers for profile in Profile.objects.all()] == [{"Region": "south"}]
    attributes_change(project=project, text="", dropping=["Region"])
    assert not Profile.objects.exists() and profiles_asked(user_id=ben.pk, judged=[project]) == []


def test_who_no_longer_judges_is_deleted(project, ben):
    Membership.objects.create(project=project, user=ben, role="reviewer")
    give(project, ben, Age="under 30")
    membership_remove(project=project, user_id=ben.pk, role="annotator")
    assert Profile.objects.exists()
    membership_remove(project=project, user_id=ben.pk, role="reviewer")
    assert not Profile.objects.exists()


def test_it_is_deleted_when_the_days_are_over_that_were_agreed_to(project, ben):
    cy = cast.person("Cy", project, "annotator")
    for person, days in ((ben, 30), (cy, 0)):
        profile_give(project=project, user_id=person.pk, answers={"Age": "under 30"}, consent="", agrees=True, days=days)
    attributes_change(project=project, text=ASKED, days=1)
    assert profiles_expire() == 0
    of_ben, of_cy = Profile.objects.order_by("id")
    assert of_ben.delete_at - of_ben.given_at == pytest.approx(timedelta(days=30), abs=timedelta(minutes=1))
    assert of_cy.delete_at is None
    Profile.objects.filter(pk=of_ben.pk).update(delete_at=timezone.now() - timedelta(seconds=1))
    tick()
    assert list(Profile.objects.all()) == [of_cy]


def test_nothing_is_kept_of_who_does_not_judge(project):
    for roles in ((), ("curator", "researcher")):
        with pytest.raises(NotFound, match="do not judge"):
            give(project, cast.person("Eve", project, *roles), Age="under 30")
    give(project, cast.person("Ada", project, "project_admin"), Age="under 30")


@pytest.mark.django_db(transaction=True)
def test_a_profile_given_while_the_role_is_taken_does_not_outlive_it(project, ben):
    said: list[object] = []

    def giving() -> None:
        try:
            said.append(give(project, ben, Age="under 30"))
        except NotFound as error:
            said.append(error)
        finally:
            connections.close_all()

    late = threading.Thread(target=giving)
    with transaction.atomic():
        membership_remove(project=project, user_id=ben.pk, role="annotator")
        late.start()
        wait_until_blocked()
    late.join()
    assert isinstance(said[0], NotFound) and not Profile.objects.exists()

"""Results of an earlier version: kept, not shown, and offered to be computed again."""

from __future__ import annotations

import pytest
from django.test import Client

from pipelines.models import Analysis, RaterGroup
from pipelines.services.analyses import ANALYSES, analysis_newest, analysis_outdated
from pipelines.services.drivers import drivers_newest, drivers_too_strong
from pipelines.services.group_labels import groups_offered
from tests import cast

pytestmark = pytest.mark.django_db


def earlier(project, key: str, number: int = 1) -> Analysis:
    """A result whose shape nobody knows any more."""
    return Analysis.objects.create(project=project, kind=key, number=number, version="0", votes=7, result={"old": True})


@pytest.mark.parametrize("key", ANALYSES)
def test_a_page_shows_no_result_of_an_earlier_version_and_offers_a_new_one(client: Client, key):
    project = cast.project()
    old = earlier(project, key)
    assert analysis_newest(project=project, key=key) is None and analysis_outdated(project=project, key=key) == old
    client.force_login(cast.person("ada", project, "curator"))
    page = client.get(f"/p/{project.slug}/{key}/").content.decode()
    assert "is of an earlier version of this analysis and not shown any more" in page
    assert "again</button>" in page and "7 votes" not in page and "data=json" not in page
    assert client.get(f"/p/{project.slug}/{key}/?data=json").status_code == 404
    assert client.post(f"/p/{project.slug}/{key}/").status_code == 302


def test_a_result_of_the_present_version_is_the_newest_whatever_came_before():
    project = cast.project()
    earlier(project, "circles")
    made = Analysis.objects.create(project=project, kind="circles", number=2, version=ANALYSES["circles"].version)
    assert analysis_newest(project=project, key="circles") == made
    assert analysis_outdated(project=project, key="circles") is None


def test_the_page_says_nothing_of_versions_before_the_first_result(client: Client):
    project = cast.project()
    client.force_login(cast.person("ada", project, "curator"))
    page = client.get(f"/p/{project.slug}/groups/").content.decode()
    assert "Nothing computed yet" in page and "earlier version" not in page


def test_a_freeze_is_warned_by_present_drivers_alone_and_says_so(client: Client):
    project = cast.project()
    people = {"name": "", "names": ["lists"], "low": [9.0], "high": [9.9], "enough": [True]}
    found = earlier(project, "drivers")
    client.force_login(cast.person("ada", project, "curator"))
    for version, is_shown in (("0", False), (ANALYSES["drivers"].version, True)):
        Analysis.objects.filter(pk=found.pk).update(version=version, result={"sides": [people]})
        assert bool(drivers_too_strong(drivers_newest(project=project))) == is_shown
        page = client.get(f"/p/{project.slug}/versions/freeze/").content.decode()
        assert ("would tell three of four choices" in page) == is_shown
        assert ("measured by an earlier version" in page) != is_shown


def test_groups_of_an_earlier_version_are_offered_to_no_freeze():
    project = cast.project()
    old = earlier(project, "groups")
    RaterGroup.objects.create(analysis=old, name="A", share=1.0, people=9, votes=99, is_shown=True)
    assert groups_offered(project=project) == []
    Analysis.objects.filter(pk=old.pk).update(version=ANALYSES["groups"].version)
    assert [group.key for group in groups_offered(project=project)] == ["1-A"]

"""The conditions under which people judge: what a project may ask for, from the pages and from the service."""

from __future__ import annotations

import pytest
from django.test import Client

from annotation.errors import Refused
from annotation.models import Project
from annotation.services.projects import Conditions, project_create
from tests import cast
from webapp.views.project import conditions_read

WRONG = [
    ({"media_seconds": -1}, "0 to 600 was expected; got -1"),
    ({"media_percent": 101}, "0 to 100 was expected; got 101"),
    ({"break_minutes": 0}, "1 to 1,440 was expected; got 0"),
    ({"day_comparisons": 10_001}, "0 to 10,000 was expected; got 10,001"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG)
def test_what_cannot_be_asked_for_is_refused(fields: dict, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        Conditions(**fields).check()


@pytest.mark.django_db
def test_a_project_begins_with_the_conditions_given() -> None:
    assert project_create(slug="a").media_seconds == 5
    made = project_create(slug="b", conditions=Conditions(media_seconds=0, media_percent=80))
    made.refresh_from_db()
    assert (made.media_seconds, made.media_percent) == (0, 80)


@pytest.mark.django_db
def test_the_settings_page_changes_them() -> None:
    place = cast.project("ours")
    client = Client()
    client.force_login(cast.person("Ada", place, "project_admin"))
    page = client.get("/p/ours/settings/").content.decode()
    assert 'name="media_seconds" inputmode="numeric" required value="5"' in page
    posted = {"title": "Ours", "wanted": "1", "lease_minutes": "15", "media_seconds": "0", "media_percent": "90",
              "session_comparisons": "40", "session_minutes": "0", "break_minutes": "20", "day_comparisons": "200"}  # fmt: skip
    assert client.post("/p/ours/settings/", posted).status_code == 302
    place.refresh_from_db()
    assert (place.media_seconds, place.media_percent) == (0, 90)
    assert (place.session_comparisons, place.break_minutes, place.day_comparisons) == (40, 20, 200)
    assert client.post("/p/ours/settings/", posted | {"media_percent": "most"}).status_code == 400
    assert Project.objects.get().media_percent == 90


def test_a_form_that_does_not_ask_changes_nothing() -> None:
    assert conditions_read({}) is None

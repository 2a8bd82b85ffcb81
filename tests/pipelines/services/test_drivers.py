"""What drives preferences: a planted taste is found, for people and judge apart, with length held."""

from __future__ import annotations

import random

import pytest
from django.test import Client

from pipelines.models import Analysis
from pipelines.services.aggregation import aggregate_full
from pipelines.services.analyses import analysis_start
from pipelines.services.drivers import drivers_newest, drivers_too_strong
from tests import cast
from tests.pipelines.scene import annotate, judge, predict, rater
from workers.loop import drain

# The worker's heartbeat has a connection of its own, which must see the work.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def words() -> list[str]:
    draw = random.Random(2)
    return ["".join(draw.choices("abcdefgh", k=draw.randint(3, 8))) for _ in range(200)]


@pytest.fixture
def place(words):
    """People like lists whatever the length; the judge likes length whatever the lists."""
    project, draw = cast.project(), random.Random(4)
    ben, machine = rater(project, "ben"), judge(project)
    for n in range(240):
        texts = {}
        for side, listed in (("a", True), ("b", False)):
            body = draw.choices(words, k=draw.choice([8, 24]))
            texts[side] = "".join(f"- {word}\n" for word in body) if listed else " ".join(body)
        pair = cast.comparison(project, f"Tell me {n}", texts["a"], texts["b"], wanted=None)
        stored = [place.completion.text.body for place in pair.places.order_by("position")]
        listed, longer = stored[0].startswith("-"), len(stored[0].split()) > len(stored[1].split())
        annotate(pair, ben, "first" if listed == (draw.random() < 0.9) else "second", -1 if listed else 1)
        predict(pair, machine, 0.85 if longer else 0.15)
    return project


def run(project) -> Analysis:
    aggregate_full(project=project, method="majority")
    job = analysis_start(project=project, key="drivers")
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert job.state == "done", job.error
    return drivers_newest(project=project)


def effect(side: dict, key: str) -> tuple[float, float, float]:
    at = side["names"].index(key)
    return side["low"][at], side["weight"][at], side["high"][at]


def test_people_and_judge_are_told_apart(place):
    found = run(place)
    people, machine = found.result["sides"]
    assert (people["name"], machine["name"]) == ("", "judge") and people["pairs"] == machine["pairs"] == 240
    assert effect(people, "lists")[0] > 0 and effect(people, "words")[0] < 0 < effect(people, "words")[2]
    assert effect(machine, "words")[0] > 0
    assert people["accuracy"] > 0.6 and people["log_loss"] < people["null_log_loss"]
    assert "tables" in people["constant"]


def test_a_property_that_tells_nearly_all_is_warned_of(place):
    found = run(place)
    assert drivers_too_strong(None) == []
    people = found.result["sides"][0]
    people["low"][people["names"].index("lists")] = 1.3
    assert drivers_too_strong(found) == ["More list items"]


def test_the_page_draws_it_and_curators_start_it(client: Client, place):
    client.force_login(cast.person("ada", place, "curator"))
    address = f"/p/{place.slug}/drivers/"
    assert "Nothing measured yet" in client.get(address).content.decode()
    assert client.post(address).status_code == 302
    aggregate_full(project=place, method="majority")
    drain(queue="default", worker="test")
    page = client.get(address).content.decode()
    assert "More list items" in page and "240 labels" in page
    assert drivers_newest(project=place) is not None


def test_a_project_without_labels_says_so():
    project = cast.project()
    job = analysis_start(project=project, key="drivers")
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert job.state == "failed" and "No comparison has a label yet" in job.error


def test_texts_of_which_no_property_differs_are_named():
    project = cast.project()
    ben = rater(project, "ben")
    for n in range(40):
        annotate(cast.comparison(project, f"Tell me {n}", f"word{n}x", f"word{n}y", wanted=None), ben, "first", None)
    (people,) = run(project).result["sides"]
    assert "No countable property differs" in people["reason"]

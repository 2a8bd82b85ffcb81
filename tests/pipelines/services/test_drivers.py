"""What drives preferences: a planted taste is found, for people and judge apart, with length held."""

from __future__ import annotations

import hashlib
import random

import pytest
from django.test import Client

from annotation.models import Text
from pipelines.models import Analysis
from pipelines.selectors.recurrence import written_of
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


@pytest.fixture
def duel():
    """Two models of equal worth, of which "wordy" is mostly the longer one; people take the longer one 9 times of 10."""
    project, draw = cast.project(), random.Random(3)
    wordy, terse = (judge(cast.project(), name).model for name in ("wordy", "terse"))
    ben, eve, machine = rater(project, "ben"), rater(project, "eve"), judge(project, "a judge")
    for n in range(90):
        sizes = (70, 30) if draw.random() < 0.85 else (30, 70)
        texts = {name: f"{name} {n} " + "x" * (size + draw.randint(0, 9)) for name, size in zip(("w", "t"), sizes, strict=True)}
        pair = cast.comparison(project, f"Tell me {n}", texts["w"], texts["t"], wanted=None)
        stored = [place.completion for place in pair.places.order_by("position")]
        for completion in stored:
            completion.model = wordy if completion.text.body.startswith("w") else terse
            completion.save()
        longer = int(len(stored[1].text.body) > len(stored[0].text.body))
        for person in (ben, eve):
            annotate(pair, person, ("first", "second")[longer if draw.random() < 0.9 else 1 - longer], None)
        if n < 20:
            predict(pair, machine, 0.9)
    return project, wordy, terse


def test_a_model_that_wins_by_length_alone_does_not_win_at_equal_length(client: Client, duel):
    project, wordy, terse = duel
    found = run(project).result
    people, machine = found["models"]["sides"]
    (one,) = people["pairs"]
    assert {one["baseline"], one["model"]} == {wordy.pk, terse.pk}
    assert found["models"]["names"] == {str(wordy.pk): "wordy", str(terse.pk): "terse"}
    assert (one["comparisons"], one["votes"]) == (90, 180)
    is_wordy = one["model"] == wordy.pk
    assert (one["longer"] > 0) == is_wordy
    raw, controlled = (one[key] if is_wordy else 100 - one[key] for key in ("raw", "win_rate"))
    assert raw > 60 and abs(controlled - 50) < 9
    assert one["low"] < one["win_rate"] < one["high"] and one["raw_low"] < one["raw"] < one["raw_high"]
    assert one["low"] < 50 < one["high"] and not one["raw_low"] < 50 < one["raw_high"]
    (few,) = machine["pairs"]
    assert "20 comparisons are too few" in few["reason"] and "win_rate" not in few
    length = found["sides"][0]["length"]
    assert length["low"] > 0.6 and length["compared"] == 90 and length["always_longer"] > 0.6
    client.force_login(cast.person("ada", project, "curator"))
    page = client.get(f"/p/{project.slug}/drivers/").content.decode()
    assert "180 votes on 90 comparisons" in page and "too few to hold length equal" in page and "Length by itself" in page
    data = client.get(f"/p/{project.slug}/drivers/?data=json").json()
    assert data["models"]["sides"][0]["pairs"] == people["pairs"]


def test_without_named_models_the_page_says_where_they_come_from(client: Client, place):
    assert run(place).result["models"]["sides"] == []
    client.force_login(cast.person("ada", place, "curator"))
    assert "No labelled comparison has completions of two named models" in client.get(f"/p/{place.slug}/drivers/").content.decode()


def test_characters_of_a_chat_are_those_of_its_messages():
    project = cast.project()
    chat = '[{"role": "assistant", "content": "abc"}, {"role": "assistant", "content": null}]'
    Text.objects.create(sha256=hashlib.sha256(b"plain\x00" + chat.encode()).digest(), form="messages", body=chat)
    pair = cast.comparison(project, "Hi", chat, "plain text", wanted=None)
    for n, place in enumerate(pair.places.order_by("position")):
        place.completion.model = judge(project, f"model {n}").model
        place.completion.save()
    annotate(pair, rater(project, "ben"), "first", None)
    aggregate_full(project=project, method="majority")
    written = written_of(project.pk, most=10)
    assert sorted([*written.first_length.tolist(), *written.second_length.tolist()]) == [3, 10]

"""One's own answers: the list, the way from a corrected answer to the newer one, and what the list tells of each."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation.models import Annotation, Project, User
from tests import cast
from tests.webapp.lending import chat, comparison_of, lend, project_with

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}
LIST = "/p/ours/history/"


@pytest.fixture
def place() -> Project:
    return project_with("pairwise-reasons")


@pytest.fixture
def ben(place: Project) -> User:
    return cast.person("Ben", place, "annotator")


@pytest.fixture
def client(ben: User) -> Client:
    client = Client()
    client.force_login(ben)
    return client


def answered(client: Client, ben: User, place: Project, prompt: str, **fields: str) -> int:
    """The id of Ben's answer "A much better" to a comparison made for it."""
    lend(ben, comparison_of(place, [prompt], ["One.", f"Another to {prompt}"]))
    item = client.get("/p/ours/annotate/next", headers=JSON).json()["assignments"][0]
    sent = {"preference": "1", "submit_key": item["submit_key"], "form": item["form"], **fields}
    reply = client.post(f"/p/ours/annotate/{item['id']}/submit", json.dumps(sent), "application/json", headers=JSON)
    assert reply.status_code == 201, reply.content
    return int(reply.json()["annotation_id"])


def corrected(client: Client, old: int) -> int:
    client.post(f"{LIST}{old}/", {"preference": "7", "submit_key": str(uuid.uuid4())})
    return Annotation.objects.get(supersedes=old).pk


def test_a_corrected_answer_leads_to_the_newer_one(client: Client, ben: User, place: Project) -> None:
    old = answered(client, ben, place, "What?")
    new = corrected(client, old)
    link = f'<a href="{LIST}{new}/">corrected; see the newer answer</a>'
    assert client.get(LIST).content.decode().count(link) == 2, "in a column of its own, and under the answer where narrow"
    page = client.get(f"{LIST}{old}/").content.decode()
    assert f'Corrected to: <a href="{LIST}{new}/"><bdi>B much better</bdi></a>' in page and "Earlier answer" not in page
    page = client.get(f"{LIST}{new}/").content.decode()
    assert f'Earlier answer: <a href="{LIST}{old}/"><bdi>A much better</bdi></a>' in page and "Corrected to" not in page


@pytest.mark.parametrize("choice", ["9", "", "<b>1</b>", "-1"])
def test_a_refused_correction_comes_back_as_it_was_typed(client: Client, ben: User, place: Project, choice: str) -> None:
    old = answered(client, ben, place, "What?")
    sent = {"preference": choice, "preference.sentence": "My <b>long</b> reason.", "submit_key": str(uuid.uuid4())}
    reply = client.post(f"{LIST}{old}/", sent)
    page = reply.content.decode()
    assert reply.status_code == 400 and '<div class="note error' in page
    assert "My &lt;b&gt;long&lt;/b&gt; reason." in page and "<b>1</b>" not in page
    assert not Annotation.objects.filter(supersedes=old).exists()


def test_the_list_shows_reasons_and_the_sentence(client: Client, ben: User, place: Project) -> None:
    answered(client, ben, place, "What?", **{"preference.reasons": "Clear", "preference.sentence": "It <b>answers</b>."})
    assert "Clear · It &lt;b&gt;answers&lt;/b&gt;." in client.get(LIST).content.decode()


def test_the_list_asks_no_more_for_more_answers(client: Client, ben: User, place: Project) -> None:
    corrected(client, answered(client, ben, place, "What?"))
    with CaptureQueriesContext(connection) as few:
        client.get(LIST)
    for number in range(4):
        corrected(client, answered(client, ben, place, f"What about {number}?"))
    with CaptureQueriesContext(connection) as many:
        client.get(LIST)
    assert len(many) == len(few)


def test_signing_in_and_out_leaves_no_message_for_a_later_page(ben: User) -> None:
    client = Client()
    assert client.post("/sign-in/", {"login": ben.email, "password": cast.PASSWORD}).status_code == 302
    assert 'class="note' not in client.get("/").content.decode()
    assert "signed in as" not in client.get(LIST).content.decode()
    assert client.post("/sign-out/").status_code == 302
    assert "signed out" not in client.get("/sign-in/").content.decode()


def test_siblings_are_known_by_their_path_and_by_their_first_words_as_shown(client: Client, ben: User) -> None:
    """Many trees end in the same turn; which one it was is told by where the path begins and by what was ranked."""
    place = project_with("siblings", slug="tree")
    me = cast.person("Ben", place, "annotator")
    client.force_login(me)
    path = [("system", "Be kind."), ("user", "Plan a trip to Rome."), ("assistant", "For how long?"), ("user", "Go on.")]
    siblings = [chat(*path[2:], ("assistant", words)) for words in ["Three <days>.", "A week.", "Ask me."]]
    lend(me, comparison_of(place, [chat(*path[:2])], siblings), [2, 0, 1])
    item = client.get("/p/tree/annotate/next", headers=JSON).json()["assignments"][0]
    sent = {f"siblings.rank.{side}": str(at) for at, side in enumerate("BAC", start=1)}
    sent |= {"submit_key": item["submit_key"], "form": item["form"]}
    assert client.post(f"/p/tree/annotate/{item['id']}/submit", json.dumps(sent), "application/json", headers=JSON).status_code == 201
    page = client.get("/p/tree/history/").content.decode()
    assert '>Plan a trip to Rome.</a><span class="sub" dir="auto">… Go on.</span>' in page and "Be kind." not in page
    lines = re.findall(r'<span class="sub" dir="auto"><b>(.)</b> (.*?)</span>', page)
    assert lines == [("A", "Ask me."), ("B", "Three &lt;days&gt;."), ("C", "A week.")]
    assert "B &gt; A &gt; C" in page

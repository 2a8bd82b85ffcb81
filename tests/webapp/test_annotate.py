"""The annotator's loop over HTTP: what is shown, what is stored, and how often the database is asked."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation.models import (
    Annotation,
    Assignment,
    Completion,
    Demand,
    LanguageModel,
    Membership,
    Project,
    Text,
    User,
)
from tests import cast
from tests.webapp.lending import comparison_of, lend, project_with

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


@pytest.fixture
def place() -> Project:
    return cast.project("ours")


@pytest.fixture
def ben(place: Project) -> User:
    return cast.person("Ben", place, "annotator")


@pytest.fixture
def client(ben: User) -> Client:
    client = Client()
    client.force_login(ben)
    return client


def statements(captured: CaptureQueriesContext) -> list[str]:
    frame = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK")
    return [query["sql"] for query in captured if not query["sql"].startswith(frame)]


def fetch(client: Client) -> dict[str, object]:
    return client.get("/p/ours/annotate/next", headers=JSON).json()["assignments"][0]


def send(client: Client, item: dict[str, object], choice: str, **more: str):
    fields = {"preference": choice, "submit_key": item["submit_key"], "form": item["form"], **more}
    return client.post(f"/p/ours/annotate/{item['id']}/submit", fields, headers=JSON)


def test_the_stored_vote_follows_the_side_that_was_shown(client: Client, place: Project) -> None:
    cast.comparisons(place, 6)
    for _ in range(6):
        item = fetch(client)
        assert send(client, item, "7").status_code == 201
        stored = Annotation.objects.get(assignment_id=item["id"])
        order = Assignment.objects.get(pk=item["id"]).option_order
        assert stored.vote == (3 if order == [0, 1] else -3)
        assert stored.shown_order == order


def test_the_same_key_is_one_vote(client: Client, place: Project) -> None:
    cast.comparisons(place, 2)
    item = fetch(client)
    first, again = send(client, item, "2"), send(client, item, "2")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["annotation_id"] == again.json()["annotation_id"]
    assert Annotation.objects.count() == 1


def test_without_script_the_form_posts_and_comes_back(client: Client, place: Project) -> None:
    cast.comparisons(place, 2)
    page = client.get("/p/ours/annotate/").content.decode()
    action = re.search(r'action="([^"]*/submit)"', page)[1]
    fields = {
        "preference": "4",
        "submit_key": re.search(r'name="submit_key" value="([^"]+)"', page)[1],
        "form": re.search(r'name="form" value="([^"]+)"', page)[1],
    }
    reply = client.post(action, fields)
    stored = Annotation.objects.get()
    assert (reply.status_code, reply["Location"]) == (302, f"/p/ours/annotate/?saved={stored.pk}")
    assert (stored.outcome, stored.vote) == ("tie", 0)
    after = client.get(reply["Location"]).content.decode()
    assert f"/p/ours/annotate/undo/{stored.pk}" in after and "Saved." in after


def test_hundreds_of_labelled_steps_are_one_answer(client: Client, ben: User) -> None:
    asked = {"key": "steps", "type": "stepwise", "subject": "completion", "title": "?", "required": True}
    place = project_with([asked | {"mode": "each", "cut": "lines", "labels": ["right", "wrong"]}], "steps")
    Membership.objects.create(project=place, user=ben, role="annotator")
    long = ["\n".join(f"{side} {n}" for n in range(300)) for side in "ab"]
    item, form = lend(ben, comparison_of(place, ["?"], long)), place.form_revisions.first()
    labels = {f"steps.{side}.step.{n}": "right" for side in "AB" for n in range(1, 301)}
    fields = {"submit_key": str(uuid.uuid4()), "form": form.pk, **labels}
    sent = urlencode(fields), "application/x-www-form-urlencoded"
    reply = client.post(f"/p/steps/annotate/{item.pk}/submit", *sent, headers=JSON)
    assert reply.status_code == 201, reply.content
    assert [len(one["labels"]) for one in Annotation.objects.get().answers["steps"]["completions"]] == [300, 300]


def test_undo_opens_the_comparison_again(client: Client, place: Project) -> None:
    cast.comparisons(place, 1)
    item = fetch(client)
    annotation = send(client, item, "1").json()["annotation_id"]
    assert client.post(f"/p/ours/annotate/undo/{annotation}", headers=JSON).json() == {
        "assignment": item["id"]
    }
    assert fetch(client)["id"] == item["id"]


def test_a_vote_that_came_too_late_is_told_so(client: Client, place: Project) -> None:
    cast.comparisons(place, 1)
    item = fetch(client)
    Assignment.objects.update(state="expired", lease_until=None)
    Demand.objects.update(leased=0, done=1)
    reply = send(client, item, "1")
    assert reply.status_code == 409
    assert "kept under My answers" in reply.json()["error"]
    assert Annotation.objects.get().state == "surplus"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"preference": "8"}, "step from 1 to 7"),
        ({"preference": ""}, "needs an answer"),
        ({"submit_key": "x"}, "UUID"),
        ({"form": "-1"}, "whole number"),
        ({"preference": "1\x00"}, "holds a NUL character"),
    ],
)
def test_a_broken_answer_is_refused_in_one_sentence(
    client: Client, place: Project, fields: dict, says: str
) -> None:
    cast.comparisons(place, 1)
    item = fetch(client)
    body = {"preference": "1", "submit_key": str(uuid.uuid4()), "form": item["form"], **fields}
    reply = client.post(f"/p/ours/annotate/{item['id']}/submit", body, headers=JSON)
    assert reply.status_code == 400
    assert says in reply.json()["error"]
    assert Annotation.objects.count() == 0


def test_it_asks_the_database_at_most_eight_times(client: Client, place: Project) -> None:
    cast.comparisons(place, 4)
    assert send(client, fetch(client), "1").status_code == 201
    with CaptureQueriesContext(connection) as captured:
        item = fetch(client)
    assert len(statements(captured)) <= 8, statements(captured)
    with CaptureQueriesContext(connection) as captured:
        assert (
            send(client, item, "3", active_seconds="4.5", exposure='{"differences": true}').status_code == 201
        )
    assert len(statements(captured)) <= 8, statements(captured)
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/p/ours/annotate/next", headers={"HX-Request": "true"}).status_code == 200
    assert len(statements(captured)) <= 8, statements(captured)


def test_a_page_of_an_annotator_says_nothing_that_unblinds(client: Client, place: Project) -> None:
    cast.comparison(place, "Who?", "One.", "Two.")
    Completion.objects.update(model=LanguageModel.objects.create(name="secret-maker", kind="named"))
    pages = [
        client.get(f"/p/ours/annotate/{end}", headers=headers)
        for end, headers in [("", {}), ("next", JSON), ("next", {})]
    ]
    for reply in pages:
        body = reply.content.decode()
        assert "secret-maker" not in body and "option_order" not in body


def test_skip_and_flag(client: Client, place: Project) -> None:
    cast.comparisons(place, 2)
    item = fetch(client)
    assert (
        client.post(
            f"/p/ours/annotate/{item['id']}/flag", {"reason": "both cut off"}, headers=JSON
        ).status_code
        == 200
    )
    assert (
        client.post(f"/p/ours/annotate/{item['id']}/skip", {"reason": "broken"}, headers=JSON).status_code
        == 200
    )
    assert (
        client.post(f"/p/ours/annotate/{item['id']}/skip", {"reason": "bored"}, headers=JSON).status_code
        == 400
    )
    assert fetch(client)["comparison"] != item["comparison"]


def test_nobody_sees_the_flag_of_another(client: Client, place: Project) -> None:
    cast.comparisons(place, 1, wanted=2)
    cy = Client()
    cy.force_login(cast.person("Cy", place, "annotator"))
    address = f"/p/ours/annotate/{fetch(client)['id']}/flag"
    client.post(address, {"reason": "B is <cut> off"}, headers=JSON)
    assert "B is &lt;cut&gt; off" in client.get("/p/ours/annotate/").content.decode()
    others = cy.get("/p/ours/annotate/").content.decode()
    assert "data-item" in others and "cut&gt; off" not in others


def test_nobody_else_may_answer_an_assignment(client: Client, place: Project) -> None:
    cast.comparisons(place, 1)
    item = fetch(client)
    eve = Client()
    eve.force_login(cast.person("Eve", place, "annotator"))
    assert send(eve, item, "1").status_code == 404
    assert Annotation.objects.count() == 0


def test_a_correction_replaces_the_answer_and_keeps_it(client: Client, place: Project) -> None:
    cast.comparisons(place, 1)
    item = fetch(client)
    old = send(client, item, "1").json()["annotation_id"]
    page = client.get(f"/p/ours/history/{old}/").content.decode()
    assert "Replace my answer" in page
    reply = client.post(f"/p/ours/history/{old}/", {"preference": "7", "submit_key": str(uuid.uuid4())})
    assert reply.status_code == 302
    assert sorted(Annotation.objects.values_list("state", flat=True)) == ["current", "superseded"]
    assert client.get("/p/ours/history/").content.decode().count("B much better") == 1


def test_a_correction_that_changes_nothing_says_so(client: Client, place: Project) -> None:
    cast.comparisons(place, 1)
    old = send(client, fetch(client), "1").json()["annotation_id"]
    fields = {"preference": "1", "submit_key": str(uuid.uuid4())}
    reply = client.post(f"/p/ours/history/{old}/", fields, follow=True)
    assert reply.redirect_chain == [(f"/p/ours/history/{old}/", 302)]
    assert "Nothing was changed, so your answer stands as it was." in reply.content.decode()
    assert Annotation.objects.get().state == "current"


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("get", "/p/ours/versions/a%00b/", {}),
        ("get", "/p/ours/runs/a%00b/", {}),
        ("get", "/p/ours/history/?before=%00", {}),
        ("post", "/p/ours/annotate/heartbeat", {"leases": "1:\x00"}),
    ],
)
def test_a_character_that_cannot_be_stored_is_refused_by_name(
    client: Client, place: Project, method: str, address: str, body: dict
) -> None:
    reply = getattr(client, method)(address, body, headers=JSON)
    assert reply.status_code == 400
    assert "NUL" in reply.json()["error"]


def test_the_judges_opinion_comes_after_the_answer_and_only_where_the_project_shows_it(
    client: Client, place: Project
) -> None:
    from annotation.models import Rater
    from pipelines.models import Prediction

    judge = Rater.objects.create(project=place, kind="model", name="secret-judge")
    for made in cast.comparisons(place, 12):
        Prediction.objects.create(
            project=place, comparison=made, rater=judge, outcome="first", p_first=0.8, method="judge", method_version="1"
        )
    arms = set()
    for option, many in [("off", 2), ("after", 2), ("arm", 8)]:
        Project.objects.update(show_opinion=option)
        for _ in range(many):
            item = fetch(client)
            assert "secret-judge" not in str(item) and "opinion" not in str(item)
            reply = send(client, item, "2").json()
            stored = Annotation.objects.get(pk=reply["annotation_id"])
            arm = (stored.exposure or {}).get("opinion", "")
            assert ("opinion" in reply) == (arm in {"after", "arm_shown"})
            assert option == "arm" or arm == {"off": "", "after": "after"}[option]
            if "opinion" in reply:
                assert reply["opinion"] == {"side": "AB"[stored.shown_order.index(0)], "probability": 0.8}
            arms.add(arm)
            page = client.get(f"/p/ours/annotate/?saved={stored.pk}").content.decode()
            assert ("A model judge preferred" in page) == ("opinion" in reply)
    assert {"arm_shown", "arm_hidden"} <= arms


def test_an_answer_of_another_account_is_not_taken(client: Client, place: Project, ben: User) -> None:
    cast.comparisons(place, 1)
    item = fetch(client)
    reply = send(client, item, "2", person=str(ben.pk + 1))
    assert (reply.status_code, Annotation.objects.count()) == (401, 0)
    assert "another account" in reply.json()["error"]
    assert client.get(f"/p/ours/annotate/next?person={ben.pk + 1}", headers=JSON).status_code == 401
    lease = {"leases": f"{item['id']}:{item['token']}", "person": str(ben.pk + 1)}
    assert client.post("/p/ours/annotate/heartbeat", lease, headers=JSON).status_code == 401
    assert send(client, item, "2", person=str(ben.pk)).status_code == 201


@pytest.mark.parametrize(("own", "says"), [("7", "no digit"), ("s", "used twice"), ("", "one character")])
def test_a_key_that_clashes_is_refused(client: Client, ben: User, own: str, says: str) -> None:
    reply = client.post("/account/keys", {"on": "on", "f": own}, headers=JSON)
    assert reply.status_code == 400 and says in reply.json()["error"]
    ben.refresh_from_db()
    assert ben.annotation_keys == {}


def test_joint_prompts_are_shown_with_their_completions(client: Client, place: Project, ben: User) -> None:
    from tests.webapp.lending import comparison_of, lend

    lend(ben, comparison_of(place, ["Prompt one?", "Prompt two?"], ["Answer one.", "Answer two."]), [1, 0])
    item = fetch(client)
    assert [item["prompts"][side][0]["content"] for side in "AB"] == ["Prompt two?", "Prompt one?"]
    page = client.get("/p/ours/annotate/").content.decode()
    assert page.index("Prompt two?") < page.index("Answer two.") < page.index("Prompt one?") < page.index("Answer one.")


def test_the_steps_of_a_chat_show_calls_and_results_unfolded(client: Client, ben: User) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "find", "arguments": "{}"}}]}
    body = json.dumps([call, {"role": "tool", "tool_call_id": "c", "content": "Four."}])
    text = Text.objects.create(sha256=hashlib.sha256(body.encode()).digest(), form="messages", body=body)
    steps = project_with("steps", slug="steps")
    Membership.objects.create(project=steps, user=ben, role="annotator")
    lend(ben, comparison_of(steps, ["What is 2 + 2?"], [text]))
    page = client.get("/p/steps/annotate/").content.decode()
    shown = page.split('<ol class="steps">')[1].split("</ol>")[0]
    assert shown.count('<details class="tool" open>') == 2 and "find" in shown and "Four." in shown
    assert shown.count('name="steps.A.step.') == 6, "two steps of three labels"

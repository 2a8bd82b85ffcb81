"""Nothing that an annotator receives holds a model's name, somebody else's vote, an opinion of a model, or why it was routed.

Secrets stand in every field that must stay hidden; every address that the table opens to annotators is read whole, with its
headers, as a page, as a fragment and as JSON.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.content import text_sha256
from annotation.models import (
    Annotation,
    Assignment,
    Comparison,
    Completion,
    Demand,
    Flag,
    Import,
    LanguageModel,
    Participation,
    Project,
    Rater,
    Text,
)
from pipelines.models import Prediction, RoutingDecision, RoutingPlan
from tests import cast
from tests.webapp.test_access import PARAMETERS, URLS
from webapp.access import ACCESS

MARK = "zqxj"
NUMBERS = ("0.7312915", "0.7312916", "0.7312917", "98765.4321")
KEYS = ("p_first", "p_tie", "soft_label", "flip", "propensity", "fingerprint", "model_id", "is_gold", "route", "rater")


@dataclass
class Scene:
    project: Project
    client: Client
    comparisons: list[Comparison]


@pytest.fixture
def scene(db: None) -> Scene:
    """Ben's project, in which everybody else left something that he must not see."""
    project = cast.project("ours")
    made = cast.comparisons(project, 4)
    brought = Import.objects.create(
        project=project, file_name=f"{MARK}-file", source_name=f"{MARK}-source", state="done", options={"x": f"{MARK}-option"}
    )  # fmt: skip
    model = LanguageModel.objects.create(name=f"{MARK}-model", kind="named")
    Completion.objects.update(model=model, sampling={"seed": f"{MARK}-sampling"})
    Comparison.objects.update(source_import=brought, source_line=7)
    for completion in Completion.objects.select_related("text"):
        said = json.dumps([{"content": completion.text.body, "name": f"{MARK}-name", "role": "assistant"}])
        named = Text.objects.create(sha256=text_sha256("messages", said.encode()), form="messages", body=said)
        Completion.objects.filter(pk=completion.pk).update(text=named)
    eve = cast.person(f"{MARK}-eve", project, "annotator")
    member = Participation.objects.create(project=project, annotator=eve)
    other = Rater.objects.create(project=project, kind="person", name=f"{MARK}-pseudonym", participation=member)
    judge = Rater.objects.create(project=project, kind="model", name=f"{MARK}-judge", model=model)
    source = Rater.objects.create(project=project, kind="source", name=f"{MARK}-source")
    plan = RoutingPlan.objects.create(project=project, state="active", policy=f"{MARK}-policy", policy_version="1", rater=judge)
    for one in made:
        for rater in (other, source):
            Annotation.objects.create(
                project=project, comparison=one, rater=rater, state="current", outcome="first", vote=-2, vote_scale=3,
                answers={"preference": {"outcome": "first", "vote": -2, "sentence": f"{MARK}-sentence"}}, active_seconds=98765.4321,
                source_import=brought, source_line=one.pk,
            )  # fmt: skip
        Prediction.objects.create(
            project=project, comparison=one, rater=judge, outcome="first", p_first=0.7312915, p_first_ab=0.7312916,
            p_first_ba=0.7312917, method=f"{MARK}-method", method_version="1", fingerprint=f"{MARK}-print",
        )  # fmt: skip
        RoutingDecision.objects.create(
            plan=plan, comparison=one, destination="person", reason=f"{MARK}-reason", confidence=0.7312915, propensity=0.7312916
        )
        Flag.objects.create(comparison=one, participation=member, reason=f"{MARK}-flag")
    client = Client(raise_request_exception=False)
    client.force_login(cast.person("Ben", project, "annotator"))
    return Scene(project, client, made)


def found_in(reply: Any) -> list[str]:
    """The secrets of a reply, headers and all."""
    body = b"".join(reply.streaming_content) if reply.streaming else reply.content
    whole = (body.decode(errors="replace") + str(reply.headers) + str(reply.cookies)).lower()
    return [secret for secret in (MARK, *NUMBERS) if secret in whole]


def addresses(scene: Scene, assignment: int, annotation: int) -> list[str]:
    """Every address that an annotator may read."""
    roles = {"annotator", "signed_in", "anyone"}
    known = {"slug": "ours", "assignment": assignment, "annotation": annotation, "comparison_id": scene.comparisons[0].pk}
    made = []
    for name, rule in ACCESS.items():
        if not rule.get & roles:
            continue
        converters = URLS[name].pattern.converters
        made.append(reverse(name, kwargs={key: known.get(key, PARAMETERS.get(key, 1)) for key in converters}))
    return made


def read_all(scene: Scene, assignment: int, annotation: int) -> list[tuple[str, Any]]:
    """Every such address as a page, as JSON and as a fragment."""
    ways = ({}, {"Accept": "application/json"}, {"HX-Request": "true"})
    asked = [(address, headers) for address in addresses(scene, assignment, annotation) for headers in ways]
    return [(address, scene.client.get(address, headers=headers)) for address, headers in asked]


def answer(scene: Scene, item: dict[str, Any]) -> Any:
    fields = {"submit_key": item["submit_key"], "form": item["form"], "preference": "2"}
    return scene.client.post(
        f"/p/ours/annotate/{item['id']}/submit", json.dumps(fields), "application/json", headers={"Accept": "application/json"}
    )


def test_the_secrets_would_be_found(scene: Scene) -> None:
    ada = Client()
    ada.force_login(cast.person("Ada", scene.project, "curator"))
    assert MARK in found_in(ada.get(f"/p/ours/comparisons/{scene.comparisons[0].pk}/"))


def test_nothing_that_an_annotator_receives_tells(scene: Scene) -> None:
    client, wrong = scene.client, []
    item = client.get("/p/ours/annotate/next", headers={"Accept": "application/json"}).json()["assignments"][0]
    stored = answer(scene, item)
    assert stored.status_code == 201, stored.content
    annotation = stored.json()["annotation_id"]
    current = Assignment.objects.exclude(pk=item["id"]).values_list("pk", flat=True).first() or item["id"]
    read = read_all(scene, current, annotation)
    assert sum(reply.status_code == 200 for _, reply in read) > 15
    wrong += [(address, secret) for address, reply in read for secret in found_in(reply)]
    for address in (f"/p/ours/comparisons/{scene.comparisons[0].pk}/", "/p/ours/raters/", "/p/ours/routing/", "/models/"):
        reply = client.get(address)
        assert reply.status_code == 404
        wrong += [(address, secret) for secret in found_in(reply)]
    wrong += [("submit", secret) for secret in found_in(stored)]
    assert wrong == []


def test_models_are_named_under_my_answers_alone_and_once_the_batch_is_over(scene: Scene) -> None:
    Project.objects.update(show_names=True)
    item = scene.client.get("/p/ours/annotate/next", headers={"Accept": "application/json"}).json()["assignments"][0]
    annotation = answer(scene, item).json()["annotation_id"]
    other = Demand.objects.exclude(comparison_id=item["comparison"]).first()
    Demand.objects.exclude(pk__in=[item["comparison"], other.pk]).update(wanted=0)
    # Held back; open, and lent by the reading itself; done, but lent all the same.
    for fields in ({"held_back": True}, {"held_back": False}, {"leased": 0, "done": 1}):
        Demand.objects.filter(pk=other.pk).update(**fields)
        assert [found_in(reply) for _, reply in read_all(scene, item["id"], annotation) if found_in(reply)] == []
    assert Assignment.objects.filter(state="leased").update(state="expired", lease_until=None) == 1
    told = {address for address, reply in read_all(scene, item["id"], annotation) if found_in(reply)}
    assert told == {f"/p/ours/history/{annotation}/"}
    page = scene.client.get(f"/p/ours/history/{annotation}/").content.decode()
    assert page.count(f"<bdi>{MARK}-model</bdi>") == 2 and MARK not in page.replace(f"<bdi>{MARK}-model</bdi>", "")
    fields = {"submit_key": str(uuid.uuid4()), "preference": "6"}
    assert scene.client.post(f"/p/ours/history/{annotation}/", fields).status_code == 302
    assert Annotation.objects.get(supersedes=annotation).exposure == {"names": True}
    Project.objects.update(show_names=False)
    assert MARK not in scene.client.get(f"/p/ours/history/{annotation}/").content.decode()


def test_json_has_no_key_that_tells(scene: Scene) -> None:
    replies = [scene.client.get("/p/ours/annotate/next", headers={"Accept": "application/json"})]
    replies.append(answer(scene, replies[0].json()["assignments"][0]))

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {key for inner in value.values() for key in keys(inner)}
        return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()

    told = {key for reply in replies for key in keys(reply.json()) if any(word in key.lower() for word in KEYS)}
    assert told == set()


def test_errors_and_conflicts_tell_nothing(scene: Scene) -> None:
    item = scene.client.get("/p/ours/annotate/next", headers={"Accept": "application/json"}).json()["assignments"][0]
    replies = [
        scene.client.post(f"/p/ours/annotate/{item['id']}/submit", {"submit_key": "x"}),
        scene.client.post(f"/p/ours/annotate/{item['id']}/skip", {"reason": "?"}),
        scene.client.post("/p/ours/annotate/undo/999999"),
        scene.client.get("/p/ours/annotate/999999/section?side=A&at=0&part=0&section=0"),
        scene.client.get("/p/ours/history/999999/"),
    ]
    assert all(400 <= reply.status_code < 500 for reply in replies)
    assert [secret for reply in replies for secret in found_in(reply)] == []

"""The curator's and the researcher's pages over a small project in which everything happened once."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation.models import (
    Annotation,
    Assignment,
    Comparison,
    Completion,
    Demand,
    Group,
    Import,
    LanguageModel,
    Offer,
    Project,
    Rater,
    User,
)
from annotation.selectors.leases import PAGE as LEASES_A_PAGE
from annotation.services.assignment import assignment_next, assignment_submit
from pipelines.models import (
    DatasetVersion,
    Export,
    Job,
    Prediction,
    Preference,
    Score,
    TrainingMetric,
    TrainingRun,
    VersionRow,
)
from pipelines.queue import DEFAULT
from pipelines.selectors.comparisons import comparison_counts
from pipelines.services.aggregation import aggregate_full
from pipelines.services.routing import route_budget, route_pilot
from tests import cast
from tests.webapp.lending import lend
from workers.loop import drain

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = [
    "", "guidelines/", "guidelines/edit/", "settings/", "people/", "comparisons/", "raters/", "leases/", "queue/", "imports/",
    "routing/", "filter/", "jobs/", "versions/", "versions/freeze/", "runs/", "reports/", "history/", "annotate/",
]  # fmt: skip


@dataclass
class Scene:
    project: Project
    ada: User
    ben: User
    model: LanguageModel


def judged(project: Project, person: User, n: int) -> None:
    for at in range(n):
        row = assignment_next(project_id=project.pk, user_id=person.pk)[0]
        vote = cast.vote([-3, -1, 2, 3, 0][at % 5])
        assignment_submit(assignment_id=row.id, user_id=person.pk, submit_key=uuid.uuid4(), answers=vote)


@pytest.fixture
def scene() -> Scene:
    """12 comparisons, votes of two people, a judge, CHES of every pair, a plan, a refit, a lease, a flagged one."""
    project = cast.project("ours", wanted=2)
    ada, ben = cast.person("Ada", project, "project_admin"), cast.person("Ben", project, "annotator")
    model = LanguageModel.objects.create(name="base", kind="local", location="base-x", fingerprint="b" * 64)
    judge = Rater.objects.create(project=project, kind="model", name="judge", model=model)
    for at, comparison in enumerate(cast.comparisons(project, 12, wanted=2)):
        Prediction.objects.create(
            project=project, comparison=comparison, rater=judge, method="causal_labels", method_version="1",
            outcome="inconsistent" if at == 3 else "first", p_first=0.55 + at / 30,
        )  # fmt: skip
        Score.objects.create(
            project=project, comparison=comparison, method="ches", method_version="1", fingerprint=model.fingerprint,
            params_hash="p", dtype="float32",
            values={"s11": 40.0 + at, "s22": 50.0, "s12": 30.0 + 2 * at, "n1": 5 + at, "n2": 7, "edit_distance": 0.1,
                    "last_hidden": 0.5, "flags": []},
        )  # fmt: skip
    route_pilot(project=project, share=0.5)
    judged(project, ben, 5)
    judged(project, ada, 5)
    route_budget(project=project, budget=20)
    aggregate_full(project=project, method="majority")
    assignment_next(project_id=project.pk, user_id=ben.pk)
    return Scene(project, ada, ben, model)


@pytest.fixture
def client(scene: Scene) -> Client:
    client = Client()
    client.force_login(scene.ada)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(client: Client, page: str) -> None:
    reply = client.get(f"/p/ours/{page}")
    assert reply.status_code == 200
    assert reply.content.count(b"<h1") == 1


def test_comparisons_by_filter_sort_and_page(
    client: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.selectors.comparisons.PAGE", 5)
    for sort in ("new", "flip", "ches"):
        seen, address = [], f"/p/ours/comparisons/?sort={sort}"
        while address:
            reply = client.get(address)
            rows = reply.context["rows"]
            seen += [line["row"].id for line in rows]
            address = reply.context["next_address"] and f"/p/ours/comparisons/{reply.context['next_address']}"
        assert sorted(seen) == sorted(Comparison.objects.values_list("id", flat=True))

    def ids(query: str) -> list[int]:
        return [line["row"].id for line in client.get(f"/p/ours/comparisons/?{query}").context["rows"]]

    assert len(ids("q=Question+1+of")) == 1
    assert ids("q=%25") == []
    assert set(ids("origin=person")) <= set(Annotation.objects.values_list("comparison_id", flat=True))
    assert client.get("/p/ours/comparisons/?outcome=left").status_code == 400
    assert client.get("/p/ours/comparisons/?after=x").status_code == 400


def test_a_list_of_comparisons_takes_the_same_few_statements_whatever_its_length(client: Client) -> None:
    with CaptureQueriesContext(connection) as captured:
        client.get("/p/ours/comparisons/")
    assert len(captured) <= 10


def test_a_list_never_mixes_the_scores_of_two_models(client: Client, scene: Scene) -> None:
    again = list(Score.objects.filter(method="ches").order_by("id")[:4])
    for score in again:
        score.pk, score.fingerprint, score.values = None, "d" * 64, {**score.values, "s12": 900.0}
        score.save()
    rows = client.get("/p/ours/comparisons/?sort=ches").context["rows"]
    directed = set(Preference.objects.exclude(current__outcome="tie").values_list("comparison_id", flat=True))
    assert {line["row"].id for line in rows if line["row"].ches is not None} == directed & {
        score.comparison_id for score in again
    }


def test_counts_of_a_large_project_are_kept_for_a_minute(scene: Scene) -> None:
    now = comparison_counts(project=scene.project)
    assert comparison_counts(project=scene.project, exact_up_to=1) == now
    Comparison.objects.update(warnings=["identity_leak"])
    assert comparison_counts(project=scene.project).warnings == {"identity_leak": 12}
    with CaptureQueriesContext(connection) as captured:
        assert comparison_counts(project=scene.project, exact_up_to=1) == now
    assert not [query for query in captured if "pipelines_prediction" in query["sql"]]


def test_judges_are_counted_beside_people_by_their_newest_answer(scene: Scene) -> None:
    told = Preference.objects.filter(current__origin="person", current__outcome__in=["first", "second"])
    # One of which the judge chose a side too: another choice of its own changes whether both agree, not that both spoke.
    sided = Prediction.objects.filter(outcome__in=["first", "second"]).values("comparison_id")
    found = told.filter(comparison__in=sided).select_related("comparison", "current").order_by("pk")[0]
    before = comparison_counts(project=scene.project)
    assert sum(before.outcomes.values()) == sum(before.origins.values()) == Preference.objects.count()
    assert 0 < before.agree <= before.both_spoke <= told.count()
    other = Prediction.objects.get(comparison=found.comparison)
    other.pk, other.params_hash = None, "again"
    other.outcome = "second" if found.current.outcome == "first" else "first"
    other.save()
    now = comparison_counts(project=scene.project)
    agreed = Prediction.objects.filter(comparison=found.comparison).order_by("id")[0].outcome == found.current.outcome
    assert (now.both_spoke, now.agree) == (before.both_spoke, before.agree - agreed)


def test_one_comparison_with_all_that_is_known(client: Client, scene: Scene) -> None:
    of = Annotation.objects.filter(state="current").first()
    page = client.get(f"/p/ours/comparisons/{of.comparison_id}/").content.decode()
    for words in ("judge", "CHES, by length", "Flip probability", "Answer ", "pilot", "Ben"):
        assert words in page
    client.post(f"/p/ours/comparisons/{of.comparison_id}/wanted", {"wanted": "3"})
    assert Demand.objects.get(comparison_id=of.comparison_id).wanted == 3
    assert client.post(f"/p/ours/comparisons/{of.comparison_id}/wanted", {"wanted": "-1"}).status_code == 400
    too_many = client.post(f"/p/ours/comparisons/{of.comparison_id}/wanted", {"wanted": "1001"})
    assert too_many.status_code == 400 and "from 0 to 1,000" in too_many.content.decode()


def test_a_lease_is_shown_and_released(client: Client) -> None:
    lease = Assignment.objects.get(state="leased")
    assert b"Ben" in client.get("/p/ours/leases/").content
    client.post(f"/p/ours/leases/{lease.pk}/release")
    lease.refresh_from_db()
    assert lease.state == "released"


def test_leases_beyond_the_first_page_are_reached_by_page_and_by_person(client: Client, scene: Scene) -> None:
    zoe, kim = (cast.person(name, scene.project, "annotator") for name in ("Zoe", "Kim"))
    offered = cast.comparison(scene.project, "Offered?", "a", "b")
    client.post("/p/ours/queue/offers", {"to": f"u{zoe.pk}", "comparison": str(offered.pk)})
    for n in range(LEASES_A_PAGE):
        lend(kim, cast.comparison(scene.project, f"{n}?", "a", "b", wanted=None))
    first = client.get("/p/ours/leases/").content.decode()
    assert "Ben" in first and "<bdi>Zoe<" not in first
    after = re.search(r'href="\?(after=\d+)" rel="next"', first)[1]
    Assignment.objects.filter(state="leased", pk=after.partition("=")[2]).update(state="released", lease_until=None)
    second = client.get(f"/p/ours/leases/?{after}").content.decode()
    assert "<bdi>Zoe<" in second and "Ben" not in second and 'rel="next"' not in second
    person = re.search(r'href="\?(person=\d+)"><bdi>Zoe<', second)[1]
    own = client.get(f"/p/ours/leases/?{person}").content.decode()
    assert own.count("/release") == 1 and "Annotator is <b>Zoe" in own
    address = re.search(r'action="([^"]+/release)"', own)[1]
    assert client.post(address, {"person": person.partition("=")[2]})["Location"] == f"/p/ours/leases/?{person}"
    assert [client.get(f"/p/ours/leases/?{wrong}").status_code for wrong in ("after=x", "after=999999", "person=0")] == [400] * 3


def test_the_queue_page_counts_by_batch_and_changes_what_is_wanted(client: Client, scene: Scene) -> None:
    page = client.get("/p/ours/queue/").content.decode()
    assert "Without an import" in page and "Nothing is set aside" in page
    reply = client.post("/p/ours/queue/wanted", {"wanted": "4", "now": "on"})
    assert reply["Location"].startswith("/p/ours/jobs/")
    drain(queue=DEFAULT, worker="test")
    assert set(Demand.objects.values_list("wanted", flat=True)) == {4}
    assert client.post("/p/ours/queue/wanted", {"wanted": "0"}).status_code == 400
    client.post("/p/ours/queue/order", {"order": "shuffled"})
    drain(queue=DEFAULT, worker="test")
    by_key = Demand.objects.filter(pool=0).order_by("comparison__key").values_list("ord", flat=True)
    assert list(by_key) == sorted(by_key)
    assert client.post("/p/ours/queue/order", {"order": "nonsense"}).status_code == 400


def test_a_curator_sets_comparisons_aside_and_takes_them_back(client: Client, scene: Scene) -> None:
    comparison_wanted_of_all(5)
    dan = cast.person("Dan", scene.project, "annotator")
    client.post("/p/ours/queue/groups", {"name": "physics", "members": [str(dan.pk), str(scene.ben.pk)]})
    group = Group.objects.get()
    assert group.members.count() == 2
    client.post("/p/ours/queue/offers", {"to": f"g{group.pk}", "most": "2", "days": "3"})
    client.post("/p/ours/queue/offers", {"to": f"u{dan.pk}", "most": "1"})
    page = client.get("/p/ours/queue/").content.decode()
    assert "physics" in page and Demand.objects.exclude(reserved_for=0).count() == 2
    assert b"Dan" in client.get("/p/ours/leases/").content
    for offer in Offer.objects.all():
        client.post(f"/p/ours/queue/offers/{offer.pk}/release")
    assert not Demand.objects.exclude(reserved_for=0).exists()
    assert not Assignment.objects.filter(state="offered").exists()
    assert client.post("/p/ours/queue/offers", {"to": "x1"}).status_code == 400


def test_a_comparison_is_held_back_offered_settled_and_deleted(client: Client, scene: Scene) -> None:
    new = cast.comparison(scene.project, "Unseen?", "Yes, unseen.", "No, seen.", wanted=2)
    address = f"/p/ours/comparisons/{new.pk}/"
    client.post(f"{address}hold")
    assert "held back" in client.get(address).content.decode()
    client.post(f"{address}settle")
    client.post("/p/ours/queue/offers", {"to": f"u{scene.ben.pk}", "comparison": str(new.pk)})
    assert client.post(f"{address}delete").status_code == 409
    client.post(f"/p/ours/leases/{new.assignments.get().pk}/release")
    client.post(f"{address}delete")
    assert client.get(address).status_code == 404


def comparison_wanted_of_all(wanted: int) -> None:
    Demand.objects.update(wanted=wanted)


def test_the_queue_for_programs(scene: Scene) -> None:
    from annotation.services.people import service_token_create

    token = service_token_create(user=scene.ada, project=scene.project, name="t", scopes=["read", "jobs"])
    program, headers = Client(), {"Authorization": f"Bearer {token}"}
    (batch,) = program.get("/api/projects/ours/queue", headers=headers).json()
    assert batch["places"] >= batch["done"] > 0
    body = {"wanted": 3}
    reply = program.post("/api/projects/ours/wanted", body, content_type="application/json", headers=headers)
    assert reply.status_code == 202
    drain(queue=DEFAULT, worker="test")
    assert set(Demand.objects.values_list("wanted", flat=True)) == {3}


def test_a_researcher_reads_votes_without_names(scene: Scene) -> None:
    reader = Client()
    reader.force_login(cast.person("Rhea", scene.project, "researcher"))
    of = Annotation.objects.filter(state="current", rater__participation__annotator=scene.ben).first()
    for page in (f"comparisons/{of.comparison_id}/", "raters/"):
        body = reader.get(f"/p/ours/{page}").content.decode()
        assert "Ben" not in body and f"annotator {of.rater.name[:8]}" in body


def test_a_reviewer_who_votes_learns_nothing_of_what_models_said(scene: Scene) -> None:
    ray = Client()
    ray.force_login(cast.person("Ray", scene.project, "reviewer"))
    Completion.objects.update(model=scene.model)
    LanguageModel.objects.filter(pk=scene.model.pk).update(name="telltale")
    Rater.objects.filter(kind="model").update(name="telltale")
    by_model = Preference.objects.filter(current__origin="model").first()
    by_people = Preference.objects.filter(current__origin="person").first()
    assert ray.get("/models/").status_code == 404 and b"/models/" not in ray.get("/").content
    for address in (
        "raters/",
        "comparisons/",
        *(f"comparisons/{p.comparison_id}/" for p in (by_model, by_people)),
    ):
        page = ray.get(f"/p/ours/{address}").content.decode()
        for word in (
            "telltale",
            "Predictions",
            "CHES",
            "Judge",
            "Label from</dt><dd>a model",
            ">model</span>",
        ):
            assert word not in page, (address, word)
    assert "is better" not in ray.get(f"/p/ours/comparisons/{by_model.comparison_id}/").content.decode()
    assert "Flip probability" in ray.get(f"/p/ours/comparisons/{by_people.comparison_id}/").content.decode()
    for query in (
        "differs=1",
        "origin=model",
        "outcome=first",
        "routed=model",
        "flip=0.1",
        "sort=ches",
        "sort=flip",
    ):
        assert ray.get(f"/p/ours/comparisons/?{query}").status_code == 403
    said = ray.get("/api/projects/ours/comparisons").json()["comparisons"]
    assert {(row["judge"], row["ches"]) for row in said} == {(None, None)}
    assert "model" not in {row["origin"] for row in said}


def test_a_checkpoint_is_offered_to_its_own_project_alone(client: Client, scene: Scene) -> None:
    theirs = cast.project("theirs")
    eve = Client()
    eve.force_login(cast.person("Eve", theirs, "curator", "researcher"))
    tuned = LanguageModel.objects.create(
        name="ours/r1", kind="checkpoint", location="tuned", fingerprint="c" * 64, parent=scene.model
    )
    version = DatasetVersion.objects.create(project=scene.project, name="v0", recipe={})
    TrainingRun.objects.create(
        project=scene.project, name="r1", version=version, model=scene.model, checkpoint=tuned
    )
    for mine, hers in (("/models/", "/models/"), ("/p/ours/routing/", "/p/theirs/routing/")):
        assert b"ours/r1" in client.get(mine).content
        page = eve.get(hers).content
        assert b"ours/r1" not in page and b"base" in page


def test_the_ches_preview_drops_nothing_and_says_what_it_would(client: Client) -> None:
    part = client.get("/p/ours/filter/?share=25", headers={"HX-Request": "true"}).content.decode()
    assert "Would drop <b>" in part and "<html" not in part
    assert client.get("/p/ours/filter/?share=200").status_code == 400
    assert client.get("/p/ours/filter/?model=nobody").status_code == 404


def test_a_budget_below_zero_is_refused_in_one_sentence(client: Client) -> None:
    reply = client.post("/p/ours/routing/plan", {"budget": "-200", "policy": "confidence"})
    assert reply.status_code == 400
    assert "-200" in reply.content.decode()


def test_freeze_export_and_download(client: Client, scene: Scene, settings, tmp_path) -> None:
    settings.EXPORTS_DIR = tmp_path
    preview = client.get("/p/ours/versions/freeze/?flip=0.45&filter=votes+%3E%3D+0").content.decode()
    assert "flip &lt; 0.45" in preview and "would be frozen" in preview
    reply = client.post("/p/ours/versions/freeze/", {"name": "v1", "flip": "0.45"})
    drain(queue=DEFAULT, worker="test")
    assert b"v1 is frozen" in client.get(reply["Location"]).content
    version = DatasetVersion.objects.get(name="v1")
    page = client.get("/p/ours/versions/v1/").content.decode()
    assert version.root_hash in page and "every row is accounted for" in page
    row = VersionRow.objects.filter(version=version).first()
    assert (
        bytes(row.row_hash).hex() in client.get(f"/p/ours/versions/v1/rows/{row.position}/").content.decode()
    )
    client.post("/p/ours/versions/v1/export", {"format": "trl-preference"})
    drain(queue=DEFAULT, worker="test")
    export = Export.objects.get()
    got = client.get(f"/p/ours/versions/v1/exports/{export.pk}/0")
    assert got["Content-Disposition"].startswith("attachment")
    assert len(b"".join(got.streaming_content)) == export.files[0]["bytes"]
    assert client.get(f"/p/ours/versions/v1/exports/{export.pk}/99").status_code == 404


def test_an_export_outside_the_home_is_not_downloadable(client: Client, scene: Scene, tmp_path) -> None:
    version = DatasetVersion.objects.create(project=scene.project, name="v0", recipe={})
    (tmp_path / "secret").write_text("x")
    export = Export.objects.create(
        version=version,
        format="x",
        form="plain",
        state="done",
        folder=str(tmp_path),
        files=[{"path": "secret"}],
    )
    assert client.get(f"/p/ours/versions/v0/exports/{export.pk}/0").status_code == 404


def test_an_upload_with_many_faults_waits_and_is_then_taken(client: Client, settings, tmp_path) -> None:
    settings.UPLOADS_DIR = tmp_path
    good = [{"prompt": f"P{n}", "chosen": "yes", "rejected": "no"} for n in range(4)]
    lines = [*good, {"prompt": "P", "chosen": "same", "rejected": "same"}]
    upload = SimpleUploadedFile("odd <b>.jsonl", "\n".join(map(json.dumps, lines)).encode())
    reply = client.post("/p/ours/imports/", {"file": upload, "choices": "annotations"})
    drain(queue=DEFAULT, worker="test")
    page = client.get(reply["Location"]).content.decode()
    assert "1 of 5 rows can’t be used" in page and "<b>.jsonl" not in page
    record = Import.objects.get()
    client.post(f"/p/ours/imports/{record.pk}/commit")
    drain(queue=DEFAULT, worker="test")
    record.refresh_from_db()
    assert (record.state, record.counts["taken"], record.counts["refused"]) == ("done", 4, 1)
    client.post(f"/p/ours/imports/{record.pk}/remove")
    record.refresh_from_db()
    assert record.state == "removed"


def test_an_upload_without_a_file_is_refused(client: Client) -> None:
    assert client.post("/p/ours/imports/", {}).status_code == 400


def test_a_run_shows_its_curves_and_says_when_chosen_falls(client: Client, scene: Scene) -> None:
    version = DatasetVersion.objects.create(project=scene.project, name="v0", recipe={})
    run = TrainingRun.objects.create(
        project=scene.project,
        name="r1",
        version=version,
        model=scene.model,
        state="failed",
        step=20,
        total_steps=20,
    )
    for step in range(1, 21):
        values = {"loss": 0.7 - step / 100, "logps/chosen": -50.0 - step, "logps/rejected": -50.0 - 3 * step}
        TrainingMetric.objects.create(run=run, attempt=1, step=step, values=values)
    page = client.get("/p/ours/runs/r1/").content.decode()
    assert "became less likely" in page and page.count('role="img"') == 2
    part = client.get("/p/ours/runs/r1/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and 'id="run"' in part


def test_reports_are_shown_in_a_sandbox(client: Client, settings, tmp_path) -> None:
    settings.WINNOW_HOME = tmp_path
    folder = tmp_path / "reports" / "ours"
    folder.mkdir(parents=True)
    (folder / "demo.html").write_text("<script>alert(1)</script>")
    (tmp_path / "reports" / "other.html").write_text("secret")
    assert b"demo" in client.get("/p/ours/reports/").content
    reply = client.get("/p/ours/reports/demo/file")
    assert (
        "sandbox" in reply["Content-Security-Policy"] and "script-src" not in reply["Content-Security-Policy"]
    )
    for name in ("..%2Fother", "%2e%2e", "nope", "Demo"):
        assert client.get(f"/p/ours/reports/{name}/file").status_code == 404


def test_a_job_is_cancelled_only_by_those_who_may(client: Client, scene: Scene) -> None:
    job = Job.objects.create(project=scene.project, kind="aggregate", created_by=scene.ada)
    other = Client()
    other.force_login(cast.person("Rhea", scene.project, "researcher"))
    assert other.post(f"/p/ours/jobs/{job.pk}/cancel").status_code == 403
    assert client.post(f"/p/ours/jobs/{job.pk}/cancel").status_code == 302
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_the_api_says_the_same_to_programs(scene: Scene) -> None:
    from annotation.services.people import service_token_create

    token = service_token_create(
        user=scene.ada, project=scene.project, name="t", scopes=["read", "versions", "jobs"]
    )
    program, headers = Client(enforce_csrf_checks=True), {"Authorization": f"Bearer {token}"}
    assert [p["slug"] for p in program.get("/api/projects", headers=headers).json()] == ["ours"]
    assert len(program.get("/api/projects/ours/comparisons", headers=headers).json()["comparisons"]) == 12
    body = {"name": "v1", "filters": []}
    reply = program.post(
        "/api/projects/ours/versions", body, content_type="application/json", headers=headers
    )
    assert reply.status_code == 202
    drain(queue=DEFAULT, worker="test")
    assert (
        program.get(f"/api/projects/ours/jobs/{reply.json()['id']}", headers=headers).json()["state"]
        == "done"
    )
    rows = program.get("/api/projects/ours/versions/v1/rows", headers=headers).json()["rows"]
    assert len(rows) == DatasetVersion.objects.get(name="v1").rows_out
    odd = {"name": "v2", "filters": ["nonsense"]}
    refused = program.post(
        "/api/projects/ours/versions", odd, content_type="application/json", headers=headers
    )
    assert refused.status_code == 400 and "filter" in refused.json()["error"]
    trained = {"name": "v2", "train": "base"}
    narrow = program.post(
        "/api/projects/ours/versions", trained, content_type="application/json", headers=headers
    )
    assert narrow.status_code == 400 and "scope runs" in narrow.json()["error"]
    unknown = {"name": "v2", "typo": 1}
    again = program.post(
        "/api/projects/ours/versions", unknown, content_type="application/json", headers=headers
    )
    assert again.status_code == 422
    assert "typo" in again.json()["error"] and again.json()["retryable"] is False
    broken = program.post(
        "/api/projects/ours/versions", "{", content_type="application/json", headers=headers
    )
    assert broken.status_code == 400 and broken.json()["error"]
    assert program.get("/api/openapi.json", headers=headers).status_code == 200


def test_an_edited_completion_says_who_wrote_it(scene_of_edit):
    project, client, comparison = scene_of_edit
    page = client.get(f"/p/{project.slug}/comparisons/{comparison.pk}/").content.decode()
    assert "written by Ben" in page


@pytest.fixture
def scene_of_edit(client):
    from uuid import uuid4

    from annotation.feedback.templates import TEMPLATES
    from annotation.models import Annotation
    from annotation.services.assignment import assignment_next, assignment_submit
    from annotation.services.projects import form_revise

    project = cast.project()
    form_revise(project=project, questions=TEMPLATES["edit"].questions)
    cast.comparison(project, "p", "a", "b")
    ben, ada = cast.person("Ben", project, "annotator"), cast.person("Ada", project, "project_admin")
    (lent,) = assignment_next(project_id=project.pk, user_id=ben.pk)
    answers = {**cast.vote(1), "edit": {"source": 0, "text": "Mended."}}
    assignment_submit(assignment_id=lent.id, user_id=ben.pk, submit_key=uuid4(), answers=answers)
    client.force_login(ada)
    return project, client, Annotation.objects.get(derived_from__isnull=False).comparison


def test_answers_of_every_type_are_told_in_words(client, tmp_path):
    from annotation.feedback.templates import TEMPLATES
    from annotation.models import Comparison
    from annotation.services.projects import form_revise
    from pipelines.services.importing import ImportOptions, import_file

    project = cast.project()
    questions = [TEMPLATES[name].questions[0] for name in ("listwise", "helpsteer2", "spans")]
    form_revise(project=project, questions=[{**one, "required": one["type"] == "listwise"} for one in questions])
    span = {"start": 0, "end": 1, "category": "style", "severity": "minor"}
    rating = {"values": {part["key"]: 3 for part in questions[1]["aspects"]}}
    answers = {
        "ranking": {"ranks": [2, 1, 3]}, "rating": {"completions": [rating, None, None]},
        "errors": {"completions": [{"spans": [span]}, None, None]},
    }  # fmt: skip
    completions = [{"id": n, "text": f"text {n}"} for n in range(3)]
    row = {"prompt": "p", "completions": completions, "annotations": [{"rater": "r", "answers": answers}]}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    import_file(project=project, path=path, options=ImportOptions())
    client.force_login(cast.person("Ada", project, "project_admin"))
    page = client.get(f"/p/{project.slug}/comparisons/{Comparison.objects.get(project=project).pk}/").content.decode()
    assert "style minor" in page and "Helpfulness 3" in page and "B &gt; A &gt; C" in page and "letters as stored" in page

"""From a form that ranks, rates and asks yes or no, through the pages, to an export: what a curator sees on the way."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from annotation.models import Comparison, Demand, FormRevision
from annotation.services.assignment import assignment_next, assignment_submit
from pipelines.models import AggregationRun, DatasetVersion, Derivation, Export
from pipelines.queue import DEFAULT
from tests import cast
from workers.loop import drain

pytestmark = pytest.mark.django_db(transaction=True)
QUESTIONS = [
    {
        "key": "rate", "type": "rating", "subject": "completion", "title": "Rate it", "required": True, "low": 1, "high": 5,
        "aspects": [{"key": "help", "label": "Helpful"}, {"key": "long", "label": "Long"}],
    },
    {"key": "thumb", "type": "binary", "subject": "completion", "title": "Good?", "required": True, "words": "thumbs"},
]  # fmt: skip


def answers(values: list[int]) -> dict[str, object]:
    return {
        "rate": {"completions": [{"values": {"help": v, "long": 6 - v}} for v in values]},
        "thumb": {"completions": [{"label": "yes" if v > 3 else "no"} for v in values]},
    }


@pytest.fixture
def client(settings, tmp_path) -> Client:
    """Ben and Eve answered four sets of three; Ada looks."""
    settings.EXPORTS_DIR = tmp_path
    project = cast.project("ours", wanted=2, split_train_percent=100, split_validation_percent=0)
    FormRevision.objects.filter(project=project).delete()
    FormRevision.objects.create(project=project, number=1, questions=QUESTIONS)
    for n in range(4):
        cast.comparison(project, f"Why {n}?", "One.", "Two.", "Three.", wanted=2)
    for name in ("Ben", "Eve"):
        person = cast.person(name, project, "annotator")
        for n in range(4):
            row = assignment_next(project_id=project.pk, user_id=person.pk)[0]
            given = answers([5, 3, 1] if n % 2 else [2, 4, 5])
            assignment_submit(assignment_id=row.id, user_id=person.pk, submit_key=uuid.uuid4(), answers=given)
    client = Client()
    client.force_login(cast.person("Ada", project, "project_admin"))
    return client


def test_a_rating_project_reaches_versions_of_pairs_and_of_completions(client: Client) -> None:
    page = client.get("/p/ours/raters/").content.decode()
    assert "How ratings become pairs" in page and "Weight of Helpful" in page
    rule = {"method": "majority", "weight-help": "1", "weight-long": "0", "gap": "0.1"}
    assert client.post("/p/ours/jobs/aggregate", rule).status_code == 302
    drain(queue=DEFAULT, worker="test")
    run = AggregationRun.objects.get()
    assert run.params["derived"]["rule"] == {"aspects": {"help": 1.0, "long": 0.0}, "gap": 0.1}
    page = client.get("/p/ours/raters/").content.decode()
    assert 'name="gap" inputmode="decimal" value="0.1' in page and "label 12 completions" in page
    # Nobody is asked about what was derived.
    assert Demand.objects.count() == 4 and Comparison.objects.count() == 4 + 12 + 12

    page = client.get("/p/ours/versions/freeze/?pairs=best-worst").content.decode()
    assert "Of a ranking take" in page and "A row is" in page and "places_span &gt;= 1" in page
    for name, fields in {"ends": {"pairs": "best-worst"}, "labels": {"unit": "completions"}}.items():
        client.post("/p/ours/versions/freeze/", {"name": name, **fields})
        drain(queue=DEFAULT, worker="test")
    assert dict(DatasetVersion.objects.values_list("name", "rows_out")) == {"ends": 4, "labels": 12}
    assert "rest on the rankings or ratings of 4 sets" in client.get("/p/ours/versions/ends/").content.decode()
    page = client.get("/p/ours/versions/labels/").content.decode()
    assert "12 labelled completions" in page and "TRL preference" not in page and "Train…" not in page
    row = client.get("/p/ours/versions/ends/rows/0/").content.decode()
    assert "Answers under it" in row and "Helpful" in row and "shared with the other pairs" in row
    assert "desirable" in client.get("/p/ours/versions/labels/rows/0/").content.decode()

    client.post("/p/ours/versions/labels/export", {"format": "trl-unpaired"})
    drain(queue=DEFAULT, worker="test")
    assert {file["path"] for file in Export.objects.get().files} >= {"parquet/train.parquet", "jsonl/train.jsonl"}


def test_a_set_and_what_is_derived_from_it_lead_to_each_other(client: Client) -> None:
    client.post("/p/ours/jobs/aggregate", {"method": "majority"})
    drain(queue=DEFAULT, worker="test")
    link = Derivation.objects.order_by("pk").first()
    assert f"c-{link.comparison_id}</a>" in client.get(f"/p/ours/comparisons/{link.source_id}/").content.decode()
    assert f"c-{link.source_id}</a>" in client.get(f"/p/ours/comparisons/{link.comparison_id}/").content.decode()
    for derived, count in (("no", 4), ("yes", 24)):
        assert f"{count} shown of {count}" in client.get(f"/p/ours/comparisons/?derived={derived}").content.decode()
    for outcome in ("yes", "no", "first"):
        assert client.get(f"/p/ours/comparisons/?outcome={outcome}").status_code == 200


def test_a_rule_that_cannot_be_is_refused_in_one_sentence(client: Client) -> None:
    reply = client.post("/p/ours/jobs/aggregate", {"method": "majority", "weight-help": "-1", "gap": "0"})
    assert reply.status_code == 400 and "weight is 0 or more" in reply.content.decode()

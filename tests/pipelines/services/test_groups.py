"""People who want different things are found as groups; each group's labels can be frozen and say so."""

from __future__ import annotations

import json
import random

import pytest
from django.core.management import call_command
from django.test import Client

from annotation.models import Rater
from pipelines.errors import InputRefused
from pipelines.models import GroupMember, PreferenceRevision, RaterGroup
from pipelines.selectors.lineage import rows_untraced, version_lineage
from pipelines.selectors.versions import version_row_get
from pipelines.services.aggregation import aggregate_full
from pipelines.services.analyses import ANALYSES, analysis_newest, analysis_start
from pipelines.services.exporting import version_export, version_rows_stream
from pipelines.services.versions import filter_preview, version_freeze
from tests import cast
from tests.pipelines.scene import annotate, rater
from workers.loop import drain

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place():
    """Ten people like lists, six do not; each is nearly steady."""
    project, draw = cast.project(), random.Random(7)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(3, 8))) for _ in range(200)]
    people = [rater(project, f"p{n:02}") for n in range(16)]
    for n in range(30):
        texts = ["".join(f"- {w}\n" for w in draw.choices(words, k=10)), " ".join(draw.choices(words, k=10))]
        pair = cast.comparison(project, f"Tell me {n}", *texts, wanted=None)
        first_is_list = pair.places.get(position=0).completion.text.body.startswith("-")
        for number, person in enumerate(people):
            likes = (number < 10) == (draw.random() < 0.98)
            annotate(pair, person, "first" if first_is_list == likes else "second", None)
    return project


def analysed(project):
    aggregate_full(project=project, method="majority")
    job = analysis_start(project=project, key="groups")
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert job.state == "done", job.error
    return analysis_newest(project=project, key="groups")


def test_two_tastes_are_two_groups_whose_ideals_lie_apart(place):
    found = analysed(place)
    large, small = found.result["groups"]
    at = found.result["names"].index("lists")
    assert (large["people"], small["people"], found.votes) == (10, 6, 480)
    assert large["low"][at] > 0 > small["high"][at]
    assert large["served"]["low"] > 0.8 > 0.2 > small["served"]["high"] and small["served_votes"] == 180
    assert large["gaps"][0]["q"] < 0.01 and large["gaps"][0]["votes"] == 16
    names = dict(GroupMember.objects.values_list("rater__name", "group__name"))
    assert {name for name, group in names.items() if group == "A"} == {f"p{n:02}" for n in range(10)}
    drawn = found.result["map"]
    assert drawn["prototypes"] >= 2 and drawn["gain_low"] > 0.1 and drawn["held_out"] == 96
    xs = {group: [(p["x"], p["y"]) for p in drawn["people"] if p["group"] == group] for group in "AB"}
    centre = {group: [sum(axis) / len(points) for axis in zip(*points, strict=True)] for group, points in xs.items()}
    between = sum((a - b) ** 2 for a, b in zip(centre["A"], centre["B"], strict=True)) ** 0.5
    assert between > max(p["spread"] for p in drawn["people"]) > 0


def test_raters_that_a_file_names_form_groups_where_nobody_votes_here(place):
    Rater.objects.filter(project=place).update(kind="source")
    assert [group["people"] for group in analysed(place).result["groups"]] == [10, 6]


def test_files_form_no_groups_beside_people(place):
    Rater.objects.filter(project=place, name__lt="p10").update(kind="source")
    assert analysed(place).result["reason"] == "6 people have voted; 10 are the least for groups."


def test_a_version_takes_the_labels_of_the_group_that_it_names(place, tmp_path):
    analysed(place)
    everybody = version_freeze(project=place, name="all")
    small = version_freeze(project=place, name="small", group="1-B")
    rows = {
        version.name: {row["comparison"]: row for row in (json.loads(raw) for _, raw in version_rows_stream(version=version))}
        for version in (everybody, small)
    }  # fmt: skip
    assert rows["all"].keys() == rows["small"].keys()
    assert all(rows["small"][key]["chosen"] == rows["all"][key]["rejected"] for key in rows["all"])
    assert {row["votes"] for row in rows["small"].values()} == {6}
    assert {row["method"] for row in rows["small"].values()} == {"majority/1 of group 1-B"}
    assert small.manifest["recipe"]["labels"]["group"] == {
        "name": "B", "analysis": 1, "method": "maxmin_em", "version": ANALYSES["groups"].version, "of": 2, "people": 6,
        "share": pytest.approx(6 / 16, abs=0.1),
    }  # fmt: skip
    assert "group" not in everybody.manifest["recipe"]["labels"]
    assert small.manifest["lineage"]["annotations"]["count"] == 180
    assert everybody.manifest["lineage"]["annotations"]["count"] == 480
    # What is exported is what was frozen, manifest and all.
    export = version_export(version=small, format="trl-preference", out=tmp_path / "out")
    assert export.state == "done"
    files = "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.suffix in {".jsonl", ".json"})
    assert "of group 1-B" in files and '"maxmin_em"' in files
    # Only the group's votes stand under its rows.
    assert rows_untraced(version=small) == 0
    assert {len(row["annotations"]) for row in version_lineage(version=small)} == {6}
    assert len(version_row_get(project=place, name="small", position=0).annotations) == 6


def test_votes_that_came_since_are_in_the_frozen_labels(place):
    """The members stay as the analysis recorded them; their labels follow the refit that the freeze rests on."""
    analysed(place)
    pair = place.comparisons.first()
    for name in ("p14", "p15"):
        vote = place.annotations.get(comparison=pair, rater__name=name)
        vote.state = "withdrawn"
        vote.save()
    annotate(pair, rater(place, "stranger"), "first", None)
    version = version_freeze(project=place, name="small", group="1-B")
    rows = {json.loads(raw)["comparison"]: json.loads(raw) for _, raw in version_rows_stream(version=version)}
    assert rows[bytes(pair.key).hex()]["votes"] == 4
    assert PreferenceRevision.objects.filter(group__name="B").values("run").distinct().count() == 2


def test_preview_pages_and_command_know_the_group_and_refuse_others_by_name(client: Client, place, capsys):
    analysed(place)
    steps = filter_preview(project=place, filters=["votes >= 8"], group="1-B")
    assert steps[-1].dropped == 30 and steps[-1].left == 0
    client.force_login(cast.person("ada", place, "curator", "researcher"))
    page = client.get(f"/p/{place.slug}/groups/").content.decode()
    assert "Group B is served worst" in page and "though not clearly" not in page and "?group=1-B" in page
    freeze = client.get(f"/p/{place.slug}/versions/freeze/?group=1-B&filter=votes >= 8").content.decode()
    assert '<option value="1-B" selected>' in freeze and "<b>0</b> preferences" in freeze
    version_freeze(project=place, name="small", group="1-B")
    assert "of group 1-B alone" in client.get(f"/p/{place.slug}/versions/small/").content.decode()
    call_command("freeze_version", project=place.slug, name="again", group="1-B", preview=True)
    assert "30 left" in capsys.readouterr().err
    for key in ("1-Z", "9-A", "B", "x-A"):
        with pytest.raises(InputRefused, match="There is no group"):
            version_freeze(project=place, name="v", group=key)
    RaterGroup.objects.filter(name="B").update(is_shown=False, people=3)
    with pytest.raises(InputRefused, match="5 people and 30 votes"):
        version_freeze(project=place, name="v", group="1-B")


def test_too_few_people_make_no_groups(client: Client):
    project = cast.project()
    for pair in cast.comparisons(project, 5):
        annotate(pair, rater(project, "ben"), "first", None)
    assert "10 are the least for groups" in analysed(project).result["reason"]
    client.force_login(cast.person("ada", project, "researcher"))
    assert "10 are the least" in client.get(f"/p/{project.slug}/groups/").content.decode()

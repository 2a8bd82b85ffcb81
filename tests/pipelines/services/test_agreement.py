"""People beside each other and each judge beside people: in all, by batch, by time, by group; drawn and opened."""

from __future__ import annotations

import random

import pytest
from django.test import Client

from annotation.models import Comparison, Group, Import, Participation
from pipelines.services.aggregation import aggregate_full, aggregate_start
from pipelines.services.analyses import analysis_newest, analysis_start
from tests import cast
from tests.pipelines.scene import annotate, judge, predict, rater
from tests.pipelines.services.test_derivation import RANK, THUMB, project_with, said
from workers.loop import drain

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place():
    """Three people, right 9 times of 10; a judge that is right 7 times of 10, and split by order now and then."""
    project, draw = cast.project(), random.Random(5)
    people = [rater(project, name) for name in ("ben", "dan", "eve")]
    machine = judge(project)
    imports = [Import.objects.create(project=project, file_name=f"{n}.jsonl", source_name=f"batch {n}") for n in (1, 2)]
    for n, pair in enumerate(cast.comparisons(project, 140, wanted=None)):
        pair.source_import = imports[n % 2]
        pair.save()
        truth = draw.choice(["first", "second"])
        other = {"first": "second", "second": "first"}[truth]
        for person in people:
            annotate(pair, person, truth if draw.random() < 0.9 else other, None)
        if n % 20 == 0:
            predict(pair, machine, 0.5, "inconsistent")
        else:
            predict(pair, machine, 0.8, truth if draw.random() < 0.7 else other)
    return project


def analysed(project):
    aggregate_full(project=project, method="majority")
    job = analysis_start(project=project, key="agreement")
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert job.state == "done", job.error
    return analysis_newest(project=project, key="agreement").result


def test_a_judge_stands_beside_the_peoples_own_ceiling(place):
    (whole, *_) = analysed(place)["scopes"]
    # Two people agree where both are right or both wrong.
    assert whole["people"]["share"] == pytest.approx(0.82, abs=0.05) and whole["people"]["pairs"] == 420
    assert whole["people"]["low"] < whole["people"]["share"] < whole["people"]["high"]
    (its,) = whole["judges"]
    assert its["votes"] == 420 and its["comparisons"] == 140 and its["inconsistent"] == pytest.approx(0.05)
    assert its["low"] < its["share"] < its["high"] < its["ceiling_low"] < its["ceiling"]
    assert its["below_low"] > 0 and its["below"] == pytest.approx(its["ceiling"] - its["share"])


def test_it_is_told_by_batch_time_and_group(place):
    ada = cast.person("ada", place, "annotator")
    taken = Participation.objects.create(project=place, annotator=ada)
    group = Group.objects.create(project=place, name="night shift")
    group.members.add(taken)
    one = rater(place, "ben")
    one.participation = taken
    one.save()
    scopes = analysed(place)["scopes"]
    batches = [scope for scope in scopes if scope["by"] == "batch"]
    assert [scope["title"].partition(":")[0] for scope in batches] == ["batch 1", "batch 2"]
    assert sum(scope["votes"] for scope in batches) == 420
    times = [scope for scope in scopes if scope["by"] == "time"]
    assert [scope["title"] for scope in times] == ["210", "420"]
    (shift,) = (scope for scope in scopes if scope["by"] == "group")
    assert (shift["title"], shift["votes"], shift["people"]) == ("night shift", 140, None)
    assert shift["judges"][0]["ceiling"] is None


def test_each_two_raters_have_a_cell(place):
    raters = analysed(place)["raters"]
    cells = raters["cells"]
    assert len(raters["ids"]) == 4 and raters["judges"] == [raters["ids"][3]]
    assert cells[0][1]["n"] == 140 and cells[0][1]["share"] == cells[1][0]["share"]
    assert cells[0][0] is None and cells[0][3]["share"] < cells[0][1]["share"]


def test_a_file_stands_for_people_only_where_nobody_votes_here(place):
    source = rater(place, "file", "source")
    for pair in place.comparisons.all()[:30]:
        annotate(pair, source, "first", None)
    assert analysed(place)["scopes"][0]["votes"] == 420
    other = cast.project()
    for pair in cast.comparisons(other, 5):
        for name in ("x", "y"):
            annotate(pair, rater(other, name, "source"), "first", None)
    assert analysed(other)["scopes"][0]["votes"] == 10


def test_the_page_draws_it_after_a_refit_and_opens_where_two_differ(client: Client, place):
    client.force_login(cast.person("ada", place, "curator"))
    address = f"/p/{place.slug}/agreement/"
    assert "Nothing computed yet" in client.get(address).content.decode()
    aggregate_start(project=place, method="majority")
    drain(queue="default", worker="test")
    page = client.get(address).content.decode()
    assert "Judges beside the ceiling" in page and "420 votes" in page and "batch 1" in page
    ids = analysis_newest(project=place, key="agreement").result["raters"]["ids"]
    differ = client.get(f"{address}?one={ids[0]}&other={ids[3]}").content.decode()
    assert differ.count(f"/p/{place.slug}/comparisons/") > 20 and "inconsistent" in differ
    stranger = rater(cast.project(), "cy")
    assert client.get(f"{address}?one={ids[0]}&other={stranger.pk}").status_code == 404
    client.force_login(cast.person("ben", place, "reviewer"))
    assert client.get(address).status_code == 404


def test_strengths_are_an_order_and_near_misses_count_for_less(client: Client):
    project, draw = cast.project(), random.Random(2)
    people = [rater(project, name) for name in ("ben", "dan", "eve")]
    for n, pair in enumerate(cast.comparisons(project, 60, wanted=None)):
        Comparison.objects.filter(pk=pair.pk).update(context=("", "medical")[n % 2])
        middle = draw.choice([-2, -1, 1, 2])
        for person in people:
            vote = max(-3, min(3, middle + draw.choice([-1, 0, 1])))
            annotate(pair, person, "tie" if vote == 0 else "first" if vote < 0 else "second", vote)
    found = analysed(project)
    whole, *parts = found["scopes"]
    strength = whole["strength"]
    assert (strength["scale"], strength["votes"], strength["ordinal"]["n_units"]) == (3, 180, 60)
    assert strength["ordinal"]["low"] < strength["ordinal"]["alpha"] < strength["interval"]["high"]
    assert strength["ordinal"]["alpha"] > whole["alpha"]["alpha"] + 0.05
    assert (whole["fleiss"]["n_units"], whole["fleiss"]["n_raters"]) == (60, 3)
    assert whole["fleiss"]["kappa"] == pytest.approx(whole["alpha"]["alpha"], abs=0.02)
    assert found["raters"]["cohen"]["pairs"] == 3 and found["raters"]["cells"][0][1]["kappa"] is not None
    assert [part["title"] for part in parts if part["by"] == "context"] == ["no context", "medical"]
    client.force_login(cast.person("ada", project, "curator"))
    page = client.get(f"/p/{project.slug}/agreement/").content.decode()
    for words in ("strengths of 7 steps", "60 comparisons with 3 votes each", "By context", "Alpha, ordinal", "3 pairs of people"):
        assert words in page, words


def test_rankings_have_kendalls_w_ratings_and_yes_or_no_their_alpha(client: Client):
    project = project_with(RANK, THUMB)
    for n in range(6):
        triple = cast.comparison(project, f"Which {n}?", *(f"{word} {n}" for word in ("one", "two", "three")), wanted=None)
        for who in ("ben", "dan"):
            labels = [{"label": ("yes", "no")[at == n % 3], "principles": {}} for at in range(3)]
            said(triple, who, rank={"ranks": [1, 2, 3] if n else [1, 2, 3][:: 1 if who == "ben" else -1]}, thumb={"completions": labels})
    orders, labels = analysed(project)["answers"]
    assert (orders["kind"], orders["n_sets"], orders["n_rankings"]) == ("orders", 6, 12)
    assert orders["w"] == pytest.approx(5 / 6) and orders["rank_correlation"] == pytest.approx(4 / 6)
    assert (labels["kind"], labels["level"], labels["alpha"], labels["n_units"]) == ("labels", "nominal", 1.0, 18)
    client.force_login(cast.person("ada", project, "curator"))
    page = client.get(f"/p/{project.slug}/agreement/").content.decode()
    assert "Kendall’s W" in page and "12 rankings of 6 comparisons" in page and "yes or no" in page


def test_a_project_without_votes_says_so(client: Client):
    project = cast.project()
    analysed_nothing = analysis_start(project=project, key="agreement")
    drain(queue="default", worker="test")
    analysed_nothing.refresh_from_db()
    assert analysed_nothing.state == "done", analysed_nothing.error
    client.force_login(cast.person("ada", project, "curator"))
    assert "No votes yet" in client.get(f"/p/{project.slug}/agreement/").content.decode()


def test_names_are_for_those_who_may_see_people(client: Client, place):
    analysed(place)
    client.force_login(cast.person("rob", place, "researcher"))
    page = client.get(f"/p/{place.slug}/agreement/").content.decode()
    assert "annotator ben" in page

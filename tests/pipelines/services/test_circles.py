"""Circles of models and completions in a project: found where they are planted, and told apart from noise."""

from __future__ import annotations

import random

import pytest
from django.test import Client

from annotation.models import Completion, LanguageModel
from pipelines.services.aggregation import aggregate_full, aggregate_start
from pipelines.services.analyses import analysis_newest, analysis_start
from tests import cast
from tests.pipelines.scene import annotate, rater
from workers.loop import drain

pytestmark = pytest.mark.django_db(transaction=True)


def written_by(comparison, models):
    """Say which model wrote each completion, by its text."""
    for place in comparison.places.select_related("completion__text"):
        name = place.completion.text.body.split()[0]
        Completion.objects.filter(pk=place.completion_id).update(model=models[name])


@pytest.fixture
def place():
    """Three models in a circle: rock loses to paper, paper to scissors, scissors to rock; each firmly."""
    project, draw = cast.project(), random.Random(3)
    names = ("paper", "rock", "scissors")
    models = {name: LanguageModel.objects.create(name=name, kind="named") for name in names}
    people = [rater(project, name) for name in ("ben", "dan", "eve")]
    for n in range(30):
        winner, loser = (("paper", "rock"), ("rock", "scissors"), ("scissors", "paper"))[n % 3]
        pair = cast.comparison(project, f"Question {n // 3}?", f"{winner} {n // 3}", f"{loser} {n // 3}", wanted=None)
        written_by(pair, models)
        first_wins = pair.places.get(position=0).completion.text.body.startswith(winner)
        for person in people:
            annotate(pair, person, "first" if first_wins == (draw.random() < 0.9) else "second", None)
    return project


def analysed(project, key="circles"):
    aggregate_full(project=project, method="majority")
    job = analysis_start(project=project, key=key)
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert job.state == "done", job.error
    return analysis_newest(project=project, key=key)


def test_models_in_a_circle_are_found_beside_what_noise_gives(place):
    found = analysed(place)
    models = found.result["models"]
    assert models["names"] == ["paper", "rock", "scissors"] and models["comparisons"] == 30 and found.votes == 90
    assert models["circles"]["cyclic"] == 1 and models["circles"]["share"] == 1.0
    assert models["circles"]["expected"] < 0.45
    assert all(0.2 < share < 0.5 for share in models["mixture"])
    assert all(low < share < high for low, share, high in
               zip(models["mixture_low"], models["mixture"], models["mixture_high"], strict=True))  # fmt: skip
    assert models["residual"] > models["residual_expected"]


def test_completions_of_a_prompt_in_a_circle_are_listed(place):
    completions = analysed(place).result["completions"]
    assert (completions["prompts"], completions["circles"]["observed"]) == (10, 10)
    assert completions["prompts_with_circles"] == len(completions["listed"]) >= 7
    (one, *_) = completions["listed"]
    assert len(one["ids"]) == 3 and sum(one["mixture"]) == pytest.approx(1)
    assert completions["circles"]["p_value"] < 0.05


def test_models_that_nobody_compares_say_so():
    project = cast.project()
    for pair in cast.comparisons(project, 4):
        annotate(pair, rater(project, "ben"), "first", None)
    found = analysed(project).result
    assert "No voted comparison is of two different models" in found["models"]["reason"]
    assert "No prompt has three voted comparisons" in found["completions"]["reason"]


def test_two_models_make_no_circle(place):
    place.comparisons.exclude(places__completion__model__name="scissors")
    rows = place.annotations.filter(comparison__places__completion__model__name="scissors")
    rows.update(state="withdrawn")
    assert "2 models were compared" in analysed(place).result["models"]["reason"]


def test_it_follows_a_refit_and_the_page_opens_down_to_the_votes(client: Client, place):
    client.force_login(cast.person("ada", place, "curator"))
    address = f"/p/{place.slug}/circles/"
    assert "Nothing computed yet" in client.get(address).content.decode()
    aggregate_start(project=place, method="majority")
    drain(queue="default", worker="test")
    page = client.get(address).content.decode()
    assert "scissors" in page and "90 votes" in page and "Minimax" in page
    ids = analysis_newest(project=place, key="circles").result["models"]["ids"]
    between = client.get(f"{address}?of=models&one={ids[0]}&other={ids[1]}").content.decode()
    assert between.count(f"/p/{place.slug}/comparisons/") >= 10
    assert client.get(f"{address}?of=models&one=x&other=1").status_code == 400
    data = client.get(f"{address}?data=json")
    assert data.headers["Content-Disposition"].startswith("attachment") and data.json()["votes"] == 90


def test_a_project_whose_models_do_not_recur_has_an_honest_page(client: Client):
    project = cast.project()
    (pair,) = cast.comparisons(project, 1)
    annotate(pair, rater(project, "ben"), "first", None)
    analysed(project)
    client.force_login(cast.person("ada", project, "researcher"))
    page = client.get(f"/p/{project.slug}/circles/").content.decode()
    assert "No voted comparison is of two different models" in page

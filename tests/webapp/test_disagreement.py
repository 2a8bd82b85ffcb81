"""A rater beside the others, and comparisons by what their disagreement is."""

from __future__ import annotations

import random

import pytest
from django.test import Client

from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, Project
from annotation.services.projects import form_revise
from pipelines.selectors.disagreement import (
    aspect_agreements,
    disagreement,
    flip_rate_proposed,
    flip_rates_apart,
    rater_shown,
)
from pipelines.selectors.raters import rater_list
from pipelines.services.aggregation import aggregate_full, preference_refresh
from tests import cast
from tests.pipelines.scene import annotate, rater

pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Project:
    """60 comparisons; Ben and Eve are steady, Dan tires after half of them; the first ten comparisons are open."""
    project, draw = cast.project(), random.Random(1)
    people = {name: rater(project, name) for name in ("ben", "eve", "dan")}
    for n in range(60):
        pair = cast.comparison(project, f"Question {n}?", f"yes {n}", f"no {n}", wanted=None)
        for name, person in people.items():
            vote = 2 if n % 2 else -2
            if n < 10:
                vote = draw.choice([-1, 0, 1])
            elif name == "dan" and n >= 35:
                vote = -vote
            made = annotate(pair, person, "tie" if vote == 0 else "first" if vote < 0 else "second", vote)
            Annotation.objects.filter(pk=made.pk).update(active_seconds=3 if name == "dan" else 9 + n)
    return project


def test_a_rater_is_compared_with_the_others_alone(place):
    dan = rater(place, "dan")
    shown = rater_shown(project=place, rater_id=dan.pk, run=None)
    assert shown.agrees.n >= 50 and 0.4 < shown.agrees.share < 0.7
    assert shown.agrees.low < shown.agrees.share < shown.agrees.high
    assert shown.drift[0].share > 0.8 > 0.3 > shown.drift[-1].share
    assert shown.against[0].outcome != shown.against[0].others
    assert shown.answers[0][1] + shown.answers[1][0] >= 25


def test_a_cell_of_the_confusion_opens_down_to_its_votes(client: Client, place):
    dan = rater(place, "dan")
    counts = rater_shown(project=place, rater_id=dan.pk, run=None).answers
    listed = rater_shown(project=place, rater_id=dan.pk, run=None, cell=("first", "second")).against
    assert len(listed) == counts[0][1] > 0 and {(one.outcome, one.others) for one in listed} == {("first", "second")}
    client.force_login(cast.person("ada", place, "curator"))
    address = f"/p/{place.slug}/raters/{dan.pk}/"
    page = client.get(f"{address}?own=first&others=second").content.decode()
    assert "Own: first, others second" in page and 'class="h over"' in page
    assert client.get(f"{address}?own=first&others=nobody").status_code == 400


def test_repeats_say_how_steady_a_rater_is(place):
    ben = rater(place, "ben")
    assert rater_shown(project=place, rater_id=ben.pk, run=None).steady is None
    again = Annotation.objects.filter(rater=ben, outcome="first").first()
    annotate(again.comparison, ben, "second", 2)
    steady = rater_shown(project=place, rater_id=ben.pk, run=None).steady
    assert (steady.share, steady.n) == (0.0, 1)


def test_open_comparisons_and_odd_votes_are_told_apart(place):
    aggregate_full(project=place, method="graded")
    found = disagreement(project=place)
    assert found.graded and found.several == 60
    prompts = {one.prompt for one in found.ambiguous[:5]}
    assert prompts <= {f"Question {n}?" for n in range(10)}
    assert all(one.agreement < 0.5 and one.confidence >= 0.8 for one in found.noisy)
    assert len(found.points) == 60


@pytest.mark.parametrize("method", ["graded", "dawid_skene", "glad"])
def test_flip_rates_stand_side_by_side_and_that_of_the_labels_is_proposed(client: Client, place, method):
    run = aggregate_full(project=place, method=method)
    rates = run.metrics["flip_rates"]
    assert 0 < rates["model"]["rate"] < rates["repeats"]["rate"] < 0.5
    for key in ("repeats", "em"):
        assert rates[key]["low"] < rates[key]["rate"] < rates[key]["high"]
    assert rates["em"]["rate"] > 1.5 * rates["model"]["rate"]
    assert rates["em"]["n"] == Annotation.objects.filter(project=place, outcome__in=["first", "second"]).count()
    assert flip_rate_proposed(run) == rates["model"]
    assert flip_rate_proposed(None) is None


def test_rates_of_votes_that_lie_far_apart_are_warned_of(client: Client, place):
    run = aggregate_full(project=place, method="dawid_skene")
    client.force_login(cast.person("ada", place, "curator"))
    for em, is_apart in ((0.21, False), (0.29, True)):
        run.metrics["flip_rates"] |= {"repeats": {"rate": 0.2, "low": 0.1, "high": 0.3, "n": 9}}
        run.metrics["flip_rates"] |= {"em": {"rate": em, "low": 0.1, "high": 0.4, "n": 9}}
        run.save()
        assert (flip_rates_apart(run) is not None) == is_apart
        page = client.get(f"/p/{place.slug}/disagreement/").content.decode()
        assert ("lie 0.090 apart" in page) == is_apart


def test_majority_proposes_no_flip_rate_as_it_knows_no_raters(client: Client, place):
    run = aggregate_full(project=place, method="majority")
    rates = run.metrics["flip_rates"]
    assert "reason" in rates["em"] and "reason" in rates["model"] and rates["repeats"]["rate"] > 0
    assert flip_rate_proposed(run) is None and flip_rates_apart(run) is None
    client.force_login(cast.person("ada", place, "curator"))
    assert "No epsilon can be proposed" in client.get(f"/p/{place.slug}/disagreement/").content.decode()


def test_each_aspect_has_an_agreement_of_its_own(place):
    form = form_revise(project=place, questions=TEMPLATES["pairwise-aspects"].questions)
    for n, pair in enumerate(place.comparisons.all()):
        for name, vote in (("fay", n % 3 - 1), ("gil", n % 3 - 1 if n % 4 else 1)):
            aspects = {"helpful": {"outcome": "tie" if vote == 0 else "first" if vote < 0 else "second", "vote": vote}}
            Annotation.objects.create(
                project=place, comparison=pair, rater=rater(place, name), outcome="tie", vote=0, vote_scale=2,
                answers={"preference": {"aspects": aspects}}, form_revision=form,
            )  # fmt: skip
    (helpful,) = aspect_agreements(project=place)
    assert helpful.title == "More helpful"
    assert helpful.found.low < helpful.found.alpha < helpful.found.high


def test_a_raters_repeat_is_no_second_rater_of_an_aspect(place):
    form = form_revise(project=place, questions=TEMPLATES["pairwise-aspects"].questions)

    def say(pair, name, vote):
        aspects = {"helpful": {"outcome": "first" if vote < 0 else "second", "vote": vote}}
        Annotation.objects.create(
            project=place, comparison=pair, rater=rater(place, name), outcome="tie", vote=0, vote_scale=2,
            answers={"preference": {"aspects": aspects}}, form_revision=form,
        )  # fmt: skip

    for n, pair in enumerate(place.comparisons.all()[:20]):
        say(pair, "fay", n % 2 * 2 - 1)
        say(pair, "gil", -1 if n % 3 else 1)
    (before,) = aspect_agreements(project=place)
    for n, pair in enumerate(place.comparisons.all()[:20]):
        say(pair, "fay", n % 2 * 2 - 1)
    (after,) = aspect_agreements(project=place)
    assert after.found == before.found


@pytest.mark.parametrize("method", ["dawid_skene", "graded"])
def test_the_pages_show_it_and_open_down_to_the_comparison(client: Client, place, method):
    aggregate_full(project=place, method=method)
    client.force_login(cast.person("ada", place, "curator"))
    page = client.get(f"/p/{place.slug}/disagreement/").content.decode()
    assert ("not told apart yet" in page) == (method == "dawid_skene")
    listed = client.get(f"/p/{place.slug}/raters/").content.decode()
    dan = rater(place, "dan")
    assert f"/p/{place.slug}/raters/{dan.pk}/" in listed
    own = client.get(f"/p/{place.slug}/raters/{dan.pk}/").content.decode()
    assert f"/p/{place.slug}/comparisons/" in own and "Does it change over time?" in own


def test_a_rater_of_another_project_is_as_unknown_as_none(client: Client, place):
    other = cast.project(slug="theirs")
    stranger = rater(other, "cy")
    client.force_login(cast.person("ada", place, "curator"))
    assert client.get(f"/p/{place.slug}/raters/{stranger.pk}/").status_code == 404


def test_a_rater_with_many_votes_is_told_by_the_newest(monkeypatch, place):
    dan = rater(place, "dan")
    whole = rater_shown(project=place, rater_id=dan.pk, run=None)
    monkeypatch.setattr("pipelines.selectors.disagreement.MOST_BESIDE", 25)
    newest = rater_shown(project=place, rater_id=dan.pk, run=None)
    assert (whole.is_cut, newest.is_cut) == (False, True)
    assert sum(map(sum, newest.answers)) == 25 < sum(map(sum, whole.answers))
    assert newest.agrees.share < 0.2 < whole.agrees.share  # Dan tired after 35 of 60
    assert newest.against[0] == whole.against[0]


def test_raters_say_what_came_since_the_refit(client: Client, place):
    run = aggregate_full(project=place, method="dawid_skene")
    assert {row.since for row in rater_list(project=place, run=run, sees_models=True)} == {0}
    dan, eve = rater(place, "dan"), rater(place, "eve")
    for n in range(3):
        pair = cast.comparison(place, f"New {n}?", f"yes new {n}", f"no new {n}", wanted=None)
        for name in ("ben", "eve"):
            annotate(pair, rater(place, name), "first", -2)
        annotate(pair, dan, "second", 2)
    preference_refresh(project_id=place.pk)
    shown = {row.rater: row for row in rater_list(project=place, run=run, sees_models=True)}
    assert (shown[eve].since, shown[dan].since) == (3, 3)
    assert shown[dan].since_right < 0.1 and shown[eve].since_right > 0.9
    client.force_login(cast.person("ada", place, "curator"))
    page = client.get(f"/p/{place.slug}/raters/").content.decode()
    assert "9 votes came since" in page and "3 since" in page

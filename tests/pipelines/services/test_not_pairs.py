"""What takes pairs leaves comparisons of another size, of several prompts and of a prompt known by name, and says how many."""

from __future__ import annotations

import json

import pytest

from annotation.models import Comparison, Demand
from pipelines.errors import NothingToDo
from pipelines.imports.errors import FileRefused
from pipelines.models import Preference
from pipelines.selectors.pairs import left_out_of
from pipelines.selectors.texts import WorkKey, lengths_without_score, pairs_of
from pipelines.services.aggregation import aggregate_full
from pipelines.services.importing import ImportOptions, import_file
from pipelines.services.routing import route_pilot
from pipelines.services.versions import version_freeze
from pipelines.services.vote_export import votes_export
from tests import cast
from tests.pipelines import scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(tmp_path):
    """A pair, a pair of two prompts, a pair whose prompt is a name, and three completions; one vote on each."""
    project = cast.project()
    answers = [{"rater": "r", "answers": {"preference": {"outcome": "first", "vote": -2}}}]
    rows = [
        {"prompt": "p", "completions": [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}], "annotations": answers},
        {"completions": [{"id": n, "text": f"j{n}", "prompt": f"q{n}"} for n in (1, 2)], "annotations": answers},
        {
            "prompt": {"name": "story"},
            "completions": [{"id": n, "text": f"s{n}"} for n in (1, 2)],
            "annotations": answers,
        },
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_file(project=project, path=path, options=ImportOptions())
    path.write_text(json.dumps({"prompt": "p", "completions": ["a", "b", "c"]}) + "\n")
    import_file(project=project, path=path, options=ImportOptions(together=True))
    scene.annotate(Comparison.objects.get(size=3), scene.rater(project, "r", "source"), "cannot_judge")
    return project


def ids(project) -> list[int]:
    return list(Comparison.objects.filter(project=project).order_by("id").values_list("id", flat=True))


def test_models_read_pairs_only(project):
    pair, *others = ids(project)
    assert [row.comparison_id for row in pairs_of(project.pk, ids(project))] == [pair]
    assert [found for found, _ in lengths_without_score(project.pk, WorkKey("ches", "1", "f", "h"))] == [pair]
    assert left_out_of(project) == {"left_out_not_pairs": 3} and len(others) == 3


def test_a_plan_speaks_of_pairs_and_closes_nothing_else(project):
    plan = route_pilot(project=project, share=1.0)
    assert (plan.counts["comparisons"], plan.counts["left_out_not_pairs"]) == (1, 3)
    assert Demand.objects.filter(wanted=1).count() == 4


def test_under_a_plan_what_it_cannot_route_stays_open_to_people(project, tmp_path):
    route_pilot(project=project, share=1.0)
    path = tmp_path / "more.jsonl"
    path.write_text(json.dumps({"prompt": "z", "completions": ["a", "b", "c"]}) + "\n")
    import_file(project=project, path=path, options=ImportOptions(together=True))
    import_file(project=project, path=path, options=ImportOptions())
    assert set(Demand.objects.filter(comparison__prompt__text__body="z").values_list("comparison__size", flat=True)) == {3}


@pytest.mark.django_db(transaction=True)
def test_preferences_are_of_two_and_versions_of_pairs(project, home):
    run = aggregate_full(project=project)
    assert (run.counts["comparisons"], run.counts["left_out_other_sizes"]) == (3, 1)
    assert not Preference.objects.filter(comparison__size=3).exists()
    version = version_freeze(project=project, name="v1")
    assert version.rows.count() == 1
    steps = {drop.cause: drop.dropped for drop in version.drops.all()}
    assert steps["not two texts that answer one known prompt"] == 3 and steps["no judgement yet"] == 0


def test_a_project_of_rankings_alone_says_why_nothing_is_aggregated(project):
    Comparison.objects.filter(project=project, size=2).update(size=1)
    with pytest.raises(NothingToDo, match="4 answered comparisons of one or of several completions are left out"):
        aggregate_full(project=project)


def test_votes_are_exported_of_two(project, tmp_path):
    assert votes_export(project=project, out=tmp_path / "votes.jsonl") == 3


def test_a_project_of_pairs_says_nothing_of_the_sort():
    project = cast.project()
    cast.comparison(project, "p", "a", "b")
    assert left_out_of(project) == {}


def test_a_row_of_ten_cannot_be_compared_together(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "p", "completions": [str(n) for n in range(10)]}) + "\n")
    with pytest.raises(FileRefused, match="there are 10 completions; at most 9"):
        import_file(project=cast.project(), path=path, options=ImportOptions(together=True))


@pytest.mark.django_db(transaction=True)
def test_a_version_leaves_media_out(tmp_path, home):
    """What reads texts cannot see a picture; people can."""
    project = cast.project()
    (tmp_path / "a.gif").write_bytes(b"GIF89a picture")
    seen = {
        "prompt": [{"role": "user", "content": [{"type": "image", "image": "a.gif"}, {"type": "text", "text": "What?"}]}],
        "chosen": [{"role": "assistant", "content": "A square."}],
        "rejected": [{"role": "assistant", "content": "A cat."}],
    }
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(seen) + "\n" + json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"}) + "\n")
    import_file(project=project, path=path, options=ImportOptions(media=str(tmp_path), shape="trl-preference"))
    aggregate_full(project=project)
    version = version_freeze(project=project, name="v1")
    steps = {drop.cause: drop.dropped for drop in version.drops.all()}
    assert version.rows.count() == 1 and steps["not two texts that answer one known prompt"] == 1

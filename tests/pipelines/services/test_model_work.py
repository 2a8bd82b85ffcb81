"""Judging and scoring with a tiny model: in slices, once a key, exactly what the passes say."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from annotation.models import Project, Rater
from pipelines import queue
from pipelines.errors import InputRefused, MissingExtra, NothingToDo
from pipelines.models import Prediction, Score, WorkItem
from pipelines.selectors.ches import ches_drawn
from pipelines.selectors.scores import ches_table, models_scored
from pipelines.services import model_work
from pipelines.services.aggregation import aggregate_full
from pipelines.services.judging import judge_start
from pipelines.services.models import model_register
from pipelines.services.scoring import score_start
from tests import cast
from tests.pipelines.scene import annotate, rater
from workers.loop import drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]

ANSWERS = [
    "the sun is red",
    "a rock",
    "the old hat is green and the new bag is not",
    "no help",
    "sand and wind",
]


@pytest.fixture
def project():
    return cast.project()


@pytest.fixture
def pairs(project):
    made = []
    for n, first in enumerate(ANSWERS):
        for second in ANSWERS[n + 1 :]:
            made.append(
                cast.comparison(project, f"which is better : {len(made)} ?", first, second, wanted=None)
            )
    return made


@pytest.fixture
def tiny(tiny_folder):
    return model_register(name="tiny", path=tiny_folder, judge_settings={"min_label_mass": 0.0})


def run_all() -> int:
    return drain(queue="ml", worker="w")


def test_a_judge_predicts_on_every_comparison_once(project, pairs, tiny):
    job = judge_start(project=project, model="tiny")
    run_all()
    job.refresh_from_db()
    assert job.state == "done" and job.result["counts"]["judged"] == len(pairs)
    rows = list(Prediction.objects.all())
    assert len(rows) == len(pairs) and {row.rater for row in rows} == {
        Rater.objects.get(kind="model", name="tiny")
    }
    row = rows[0]
    assert row.fingerprint == tiny.fingerprint and row.dtype == "float32" and row.params_hash
    assert 0 < row.p_first < 1 and row.p_first_ab is not None and row.p_first_ba is not None
    again = judge_start(project=project, model="tiny")
    run_all()
    again.refresh_from_db()
    assert again.result["counts"] == {"planned": 0, "judged": 0} and Prediction.objects.count() == len(pairs)


def test_other_judge_settings_are_another_key(project, pairs, tiny):
    judge_start(project=project, model="tiny")
    run_all()
    tiny.judge_settings = {"labels": ["yes", "no"], "min_label_mass": 0.0}
    tiny.save()
    judge_start(project=project, model="tiny")
    run_all()
    assert Prediction.objects.count() == 2 * len(pairs)


def test_a_judge_counts_what_it_could_not_read(project, pairs, tiny):
    tiny.judge_settings = {"min_label_mass": 1.0}
    tiny.save()
    job = judge_start(project=project, model="tiny")
    run_all()
    job.refresh_from_db()
    assert job.result["counts"]["unreadable"] == len(pairs)


def test_scores_do_not_depend_on_the_slices(project, pairs, tiny, monkeypatch):
    score_start(project=project, method="ches", model="tiny")
    run_all()
    whole = {row.comparison_id: row.values for row in Score.objects.all()}
    Score.objects.all().delete()
    monkeypatch.setattr(model_work, "SLICE_PAIRS", 3)
    score_start(project=project, method="ches", model="tiny")
    run_all()
    assert WorkItem.objects.filter(kind="score.slice").count() == 1 + 4
    for row in Score.objects.all():
        assert row.values["s12"] == pytest.approx(whole[row.comparison_id]["s12"], rel=1e-4)
    assert Score.objects.count() == len(pairs)


def test_a_large_model_gets_small_slices():
    lengths = [(n, 3000) for n in range(100)]
    small = list(model_work.slices_of(lengths, key="k", params={}, parameters=1_000_000, device="cpu"))
    large = list(model_work.slices_of(lengths, key="k", params={}, parameters=10**9, device="cpu"))
    assert len(small) == 1 and len(large) == 100
    assert sorted(n for part in large for n in part.params["ids"]) == list(range(100))


def test_a_pair_that_cannot_be_scored_is_kept_with_its_reason(project, tiny):
    cast.comparison(project, "which ?", " ", "a rock", wanted=None)
    job = score_start(project=project, method="ches", model="tiny")
    run_all()
    job.refresh_from_db()
    assert job.result["counts"] == {"planned": 1, "scored": 0, "failed": 1}
    assert Score.objects.get().values == {"flags": ["empty"]}


def test_ches_follows_the_direction_of_the_preference(project, pairs, tiny):
    ben = rater(project, "ben")
    for pair in pairs:
        annotate(pair, ben, "first")
    aggregate_full(project=project)
    score_start(project=project, method="ches", model="tiny")
    run_all()
    as_first = ches_table(project_id=project.pk, fingerprint=tiny.fingerprint)
    values = {row.comparison_id: row.values for row in Score.objects.all()}
    for n, comparison_id in enumerate(as_first.comparison.tolist()):
        stored = values[comparison_id]
        assert as_first.ches[n] == pytest.approx(stored["s12"] - stored["s11"])
        assert as_first.n_chosen[n] == stored["n1"]
    for name in ("eve", "dan"):
        for pair in pairs:
            annotate(pair, rater(project, name), "second")
    aggregate_full(project=project, method="majority")
    as_second = ches_table(project_id=project.pk, fingerprint=tiny.fingerprint)
    stored = values[int(as_second.comparison[0])]
    assert as_second.ln_ches[0] == pytest.approx(
        stored["s12"] / (stored["n1"] * stored["n2"]) - stored["s22"] / stored["n2"] ** 2
    )
    assert (min(as_second.percentile), max(as_second.percentile)) == (0, 100)


def test_a_preview_drops_the_riskiest_and_changes_nothing(project, pairs, tiny):
    for pair in pairs:
        annotate(pair, rater(project, "ben"), "first")
    aggregate_full(project=project)
    Project.objects.filter(pk=project.pk).update(split_train_percent=100, split_validation_percent=0)
    project.refresh_from_db()
    asked = {"project": project, "model": tiny, "by_length": True}
    with pytest.raises(NothingToDo):
        ches_drawn(**asked, share=0.2, threshold=None)
    score_start(project=project, method="ches", model="tiny")
    run_all()
    drawn = ches_drawn(**asked, share=0.2, threshold=None)
    assert (drawn.total, drawn.dropped) == (len(pairs), 2)
    assert ches_drawn(**asked, share=None, threshold=drawn.cut).dropped == 2
    assert models_scored(project_id=project.pk) == [tiny]


def test_without_the_extra_the_answer_is_the_command_that_adds_it(project, tiny, monkeypatch):
    monkeypatch.setattr("pipelines.extra.ml_installed", lambda: False)
    with pytest.raises(MissingExtra, match="python3 -m launcher setup --ml"):
        judge_start(project=project, model="tiny")
    queue.worker_seen(name="w", queue="ml")
    assert judge_start(project=project, model="tiny").state == "running"


def test_unknown_names_are_refused(project, tiny):
    with pytest.raises(InputRefused, match="no model 'huge'"):
        judge_start(project=project, model="huge")
    with pytest.raises(InputRefused, match="no method 'vibes'"):
        score_start(project=project, method="vibes", model="tiny")


def test_the_commands_do_the_work_and_count_it(project, pairs, tiny, capsys):
    call_command("judge", project=project.slug, model="tiny", as_json=True)
    call_command("score", project=project.slug, method="ches", model="tiny", as_json=True)
    judged, scored = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert judged["counts"]["judged"] == scored["counts"]["scored"] == len(pairs)

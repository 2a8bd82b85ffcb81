"""Rankings, ratings and yes or no reach versions: every label leads back to its answers, and none counts twice."""

from __future__ import annotations

import json

import pytest

from annotation.models import Annotation, Comparison, FormRevision
from annotation.outbox import outbox_add
from pipelines.errors import InputRefused
from pipelines.models import AggregationRun, Derivation, Preference, PreferenceRevision, RaterEstimate
from pipelines.pairs.answers import PairRule
from pipelines.selectors.lineage import rows_untraced, version_lineage
from pipelines.selectors.versions import version_row_get
from pipelines.services.aggregation import aggregate_full, preference_refresh
from pipelines.services.exporting import version_export
from pipelines.services.import_removal import import_remove
from pipelines.services.importing import ImportOptions, import_file
from pipelines.services.training import training_start
from pipelines.services.versions import filter_preview, version_freeze
from pipelines.versions.errors import NothingToFreeze
from tests import cast
from tests.pipelines.scene import annotate, rater, withdraw

pytestmark = pytest.mark.django_db(transaction=True)
RANK = {"key": "rank", "type": "listwise", "subject": "comparison", "title": "Order", "required": True}
RATE = {
    "key": "rate", "type": "rating", "subject": "completion", "title": "Rate", "required": True, "low": 1, "high": 5,
    "aspects": [{"key": "help", "label": "Help"}, {"key": "length", "label": "Length"}],
}  # fmt: skip
THUMB = {"key": "thumb", "type": "binary", "subject": "completion", "title": "Good?", "required": True, "words": "thumbs"}


def project_with(*questions, **fields):
    project = cast.project(split_train_percent=100, split_validation_percent=0, **fields)
    FormRevision.objects.filter(project=project).delete()
    FormRevision.objects.create(project=project, number=1, questions=list(questions))
    return project


def said(comparison: Comparison, who: str, **answers) -> Annotation:
    made = Annotation.objects.create(
        project=comparison.project,
        comparison=comparison,
        rater=rater(comparison.project, who),
        answers=answers,
        form_revision=FormRevision.objects.get(project=comparison.project),
    )
    outbox_add(project_id=comparison.project_id, kind="annotation.submitted", subject_id=made.pk)
    return made


def ranked(comparison: Comparison, who: str, *ranks: int) -> Annotation:
    return said(comparison, who, rank={"ranks": list(ranks)})


def rated(comparison: Comparison, who: str, *values: tuple[int, int]) -> Annotation:
    given = [{"values": {"help": one, "length": other}} for one, other in values]
    return said(comparison, who, rate={"completions": given})


def thumbs(comparison: Comparison, who: str, *labels: str) -> Annotation:
    return said(comparison, who, thumb={"completions": [{"label": label, "principles": {}} for label in labels]})


def current(project) -> list[PreferenceRevision]:
    found = Preference.objects.filter(project=project, current__isnull=False).select_related("current")
    return [row.current for row in found.order_by("comparison__key")]


def chosen_over(project) -> set[tuple[int, int]]:
    return {(row.chosen_id, row.rejected_id) for row in current(project) if row.outcome in {"first", "second"}}


def completions(comparison: Comparison) -> list[int]:
    return [place.completion_id for place in comparison.places.order_by("position")]


# Rankings


def test_a_ranking_gives_every_pair_with_weights_that_say_they_are_one_judgement():
    project = project_with(RANK)
    trio = cast.comparison(project, "Why?", "One.", "Two.", "Three.")
    ranked(trio, "ben", 2, 1, 3)
    run = aggregate_full(project=project, method="majority")
    a, b, c = completions(trio)
    assert chosen_over(project) == {(b, a), (b, c), (a, c)}
    rows = current(project)
    assert {(row.weight, row.votes, row.method, row.origin) for row in rows} == {(1 / 3, 1, "plackett_luce", "person")}
    # One answer is never sure, and is surer of best and worst than of neighbours.
    by_pair = {(row.chosen_id, row.rejected_id): row for row in rows}
    assert 0.2 < by_pair[b, a].flip_probability < 0.4 and by_pair[b, c].flip_probability < by_pair[b, a].flip_probability
    assert set(Derivation.objects.values_list("source_id", flat=True)) == {trio.pk}
    assert (run.counts["rankings"], run.counts["derived_preferences"]) == (1, 3)
    assert "left_out_other_sizes" not in run.counts


def test_a_tie_in_a_ranking_is_a_tie_and_pairs_that_several_sets_hold_are_told_together():
    project = project_with(RANK)
    one = cast.comparison(project, "Why?", "One.", "Two.", "Three.")
    other = cast.comparison(project, "Why?", "One.", "Two.", "Four.")
    shared = set(completions(one)) & set(completions(other))
    ranked(one, "ben", *(1 if c in shared else 3 for c in completions(one)))
    aggregate_full(project=project)
    assert sorted(row.outcome == "tie" for row in current(project)) == [False, False, True]
    best, worst = sorted(shared)
    ranked(other, "eve", *(1 if c == best else 3 if c == worst else 2 for c in completions(other)))
    ranked(other, "dan", *(1 if c == best else 3 if c == worst else 2 for c in completions(other)))
    aggregate_full(project=project)
    assert (best, worst) in chosen_over(project)
    pair = PreferenceRevision.objects.filter(chosen=best, rejected=worst).latest("pk")
    assert pair.votes == 3 and pair.agreement == pytest.approx(2 / 3)
    assert Derivation.objects.filter(comparison=pair.preference.comparison).count() == 2


def test_best_and_worst_say_nothing_of_those_between():
    project = project_with({**RANK, "method": "best_worst"})
    four = cast.comparison(project, "Why?", "One.", "Two.", "Three.", "Four.")
    said(four, "ben", rank={"best": 2, "worst": 0})
    aggregate_full(project=project)
    a, b, c, d = completions(four)
    assert chosen_over(project) == {(c, a), (c, b), (c, d), (b, a), (d, a)}
    assert {row.weight for row in current(project)} == {1 / 5}


def test_votes_on_the_pair_itself_decide():
    project = project_with(RANK)
    trio = cast.comparison(project, "Why?", "One.", "Two.", "Three.")
    ranked(trio, "ben", 1, 2, 3)
    aggregate_full(project=project)
    a, b, c = completions(trio)
    pair = Preference.objects.get(current__chosen=a, current__rejected=b).comparison
    annotate(pair, rater(project, "eve"), "second")
    preference_refresh(project_id=project.pk)
    assert chosen_over(project) == {(b, a), (a, c), (b, c)}
    own = Preference.objects.get(comparison=pair).current
    assert own.weight == 1 and own.method != "plackett_luce"
    annotation = Annotation.objects.get(comparison=pair)
    withdraw(annotation)
    preference_refresh(project_id=project.pk)
    assert chosen_over(project) == {(a, b), (a, c), (b, c)}


def test_online_steps_and_a_refit_agree_and_an_undone_ranking_leaves_nothing():
    project = project_with(RANK)
    trios = [cast.comparison(project, f"Why {n}?", "One.", "Two.", "Three.") for n in range(3)]
    for number, trio in enumerate(trios):
        ranked(trio, "ben", 1, 2, 3)
        ranked(trio, "eve", *((1, 3, 2) if number else (3, 2, 1)))
    preference_refresh(project_id=project.pk)
    online = [(row.outcome, row.p_first, row.weight) for row in current(project)]
    assert len(online) == 9
    aggregate_full(project=project)
    assert [(row.outcome, row.p_first, row.weight) for row in current(project)] == online
    for annotation in Annotation.objects.filter(comparison=trios[0]):
        withdraw(annotation)
    preference_refresh(project_id=project.pk)
    assert len(current(project)) == 6
    aggregate_full(project=project)
    assert len(current(project)) == 6


def test_raters_of_rankings_have_their_agreement_with_the_others():
    project = project_with(RANK)
    trio = cast.comparison(project, "Why?", "One.", "Two.", "Three.")
    for who, ranks in (("ben", (1, 2, 3)), ("eve", (1, 2, 3)), ("dan", (3, 2, 1))):
        ranked(trio, who, *ranks)
    run = aggregate_full(project=project)
    found = {e.rater.name: e for e in RaterEstimate.objects.filter(run=run).select_related("rater")}
    assert found["dan"].reliability == 0 and found["dan"].details["rankings"] == {"pairs": 3, "agreeing": 0}
    # Without their own, the other two cancel: nothing is said of them.
    assert found["ben"].reliability is None and found["ben"].votes == 1


def test_a_listwise_project_reaches_a_version_whose_rows_lead_back_to_the_rankings(tmp_path):
    project = project_with(RANK)
    fours = [cast.comparison(project, f"Why {n}?", "One.", "Two.", "Three.", "Four.") for n in range(4)]
    kept = [ranked(one, who, 1, 2, 3, 4) for one in fours for who in ("ben", "eve")]
    version = version_freeze(project=project, name="v1")
    assert (version.rows_in, version.rows_out) == (28, 24)
    drops = {d["cause"]: d["dropped"] for d in version.manifest["counts"]["drops"] if d["dropped"]}
    assert drops == {"sets whose pairs are rows of their own": 4}
    assert version.manifest["counts"]["dependent"] == {"rows": 24, "sources": 4, "weight": 4.0}
    assert version.manifest["lineage"]["annotations"]["count"] == len(kept)
    traced = version_lineage(version=version)
    assert rows_untraced(version=version) == 0
    assert {tuple(row["annotations"]) for row in traced} == {
        tuple(a.pk for a in kept if a.comparison_id == one.pk) for one in fours
    }
    row = version_row_get(project=project, name="v1", position=0)
    assert [a.answers["rank"]["ranks"] for a in row.annotations] == [[1, 2, 3, 4]] * 2
    assert row.payload["weight"] == round(1 / 6, 6) and row.payload["method"] == "plackett_luce/1"

    adjacent = version_freeze(project=project, name="v2", filters=["places_apart <= 1"])
    ends = version_freeze(project=project, name="v3", filters=["places_span >= 1"])
    assert (adjacent.rows_out, ends.rows_out) == (12, 4)
    export = version_export(version=ends, format="trl-preference", out=tmp_path / "out")
    lines = (tmp_path / "out" / "jsonl" / "train.jsonl").read_text().splitlines()
    assert export.state == "done" and len(lines) == 4


def test_the_same_answers_give_the_same_hash_and_other_answers_another():
    roots, evidence = [], []
    for ranks in ((1, 2, 3), (1, 2, 3), (1, 3, 2)):
        project = project_with(RANK)
        trio = cast.comparison(project, "Why?", "One.", "Two.", "Three.")
        ranked(trio, "ben", *ranks)
        manifest = version_freeze(project=project, name="v1").manifest
        roots.append(manifest["root_hash"])
        evidence.append(manifest["lineage"]["annotations"]["sha256"])
    assert roots[0] == roots[1] != roots[2] and evidence[0] == evidence[1] != evidence[2]


# Ratings


def test_ratings_become_pairs_by_a_declared_rule():
    project = project_with(RATE)
    trio = cast.comparison(project, "Why?", "One.", "Two.", "Three.")
    a, b, c = completions(trio)
    rated(trio, "ben", (5, 1), (3, 3), (1, 4))
    rated(trio, "eve", (4, 1), (3, 2), (1, 5))
    run = aggregate_full(project=project, rule=PairRule({"help": 1.0}))
    assert chosen_over(project) == {(a, b), (a, c), (b, c)}
    assert run.params["derived"]["rule"] == {"aspects": {"help": 1.0}, "gap": 0.0}
    rows = {(row.chosen_id, row.rejected_id): row for row in current(project)}
    assert rows[a, c].method == "ratings" and rows[a, c].strength is not None and rows[a, c].strength_se > 0
    assert abs(rows[a, c].strength) > abs(rows[a, b].strength) and rows[a, c].votes == 2
    # The next refit keeps the rule; another one turns the pairs round.
    assert aggregate_full(project=project).params["derived"]["rule"]["aspects"] == {"help": 1.0}
    aggregate_full(project=project, rule=PairRule({"length": 1.0}))
    assert (c, a) in chosen_over(project)
    aggregate_full(project=project, rule=PairRule({"help": 1.0}, gap=0.9))
    assert {row.outcome for row in current(project)} == {"tie"}


def test_a_rule_that_names_an_unknown_aspect_is_refused():
    project = project_with(RATE)
    rated(cast.comparison(project, "Why?", "One.", "Two."), "ben", (5, 1), (1, 1))
    with pytest.raises(InputRefused, match="have the aspects help, length; got a weight for truth"):
        aggregate_full(project=project, rule=PairRule({"truth": 1.0}))


def test_a_rated_pair_is_itself_the_unit_and_equal_ratings_tie():
    project = project_with(RATE)
    pair, even = (cast.comparison(project, f"Why {n}?", "One.", "Two.") for n in range(2))
    rated(pair, "ben", (2, 2), (5, 5))
    rated(even, "ben", (3, 3), (3, 3))
    aggregate_full(project=project)
    assert not Derivation.objects.exists()
    outcomes = {row.comparison_id: row.current.outcome for row in Preference.objects.filter(project=project)}
    assert outcomes == {pair.pk: "second", even.pk: "tie"}
    version = version_freeze(project=project, name="v1")
    assert version.rows_out == 1 and rows_untraced(version=version) == 0
    assert version.manifest["recipe"]["labels"]["ratings"] == {"aspects": {}, "gap": 0.0}


def test_new_ratings_between_refits_are_read_with_the_raters_held():
    project = project_with(RATE)
    for n in range(6):
        pair = cast.comparison(project, f"Why {n}?", "One.", "Two.")
        rated(pair, "ben", (2 + n % 3, 1), (5 - n % 2, 3))
        rated(pair, "eve", (1 + n % 3, 1), (4 - n % 2, 3))
    aggregate_full(project=project)
    late = cast.comparison(project, "Why late?", "One.", "Two.")
    rated(late, "ben", (5, 5), (1, 1))
    preference_refresh(project_id=project.pk)
    assert Preference.objects.get(comparison=late).current.outcome == "first"
    assert AggregationRun.objects.filter(project=project).count() == 1


# Yes and no


def test_thumbs_become_labels_and_an_unpaired_export_from_a_frozen_version(tmp_path):
    project = project_with(THUMB)
    single = cast.comparison(project, "Why?", "One.")
    pair = cast.comparison(project, "How?", "One.", "Two.")
    thumbs(single, "ben", "yes")
    thumbs(pair, "ben", "no", "yes")
    thumbs(pair, "eve", "no", "no")
    run = aggregate_full(project=project, method="majority")
    assert run.counts["labelled_completions"] == 2 and run.counts["ties"] == 1
    rows = current(project)
    assert sorted(row.outcome for row in rows) == ["no", "tie", "yes"]
    assert {(row.chosen_id is None, row.rejected_id is None) for row in rows if row.outcome == "no"} == {(True, False)}
    with pytest.raises(NothingToFreeze, match="no preference is left"):
        version_freeze(project=project, name="pairs")
    version = version_freeze(project=project, name="v1", unit="completions")
    assert (version.rows_in, version.rows_out) == (4, 2)
    assert {d["cause"]: d["dropped"] for d in version.manifest["counts"]["drops"] if d["dropped"]} == {
        "sets whose completions are rows of their own": 1, "ties": 1
    }  # fmt: skip
    assert rows_untraced(version=version) == 0 and version.manifest["lineage"]["annotations"]["count"] == 3
    version_export(version=version, format="trl-unpaired", out=tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "jsonl" / "train.jsonl").read_text().splitlines()]
    a = pair.places.get(position=0).completion.text.body
    assert {(line["prompt"], line["completion"], line["label"]) for line in lines} == {
        ("Why?", "One.", True), ("How?", a, False)
    }  # fmt: skip
    with pytest.raises(InputRefused, match="holds completions; trl-preference does not take those"):
        version_export(version=version, format="trl-preference", out=tmp_path / "pairs")
    with pytest.raises(InputRefused, match="takes pairs"):
        training_start(project=project, version="v1", model="none")


def test_likes_of_two_completions_never_become_a_pair():
    project = project_with(THUMB)
    pair = cast.comparison(project, "How?", "One.", "Two.")
    thumbs(pair, "ben", "no", "yes")
    aggregate_full(project=project)
    assert not chosen_over(project) and sorted(row.outcome for row in current(project)) == ["no", "yes"]


@pytest.mark.parametrize("method", ["dawid_skene", "graded"])
def test_yes_and_no_are_aggregated_by_the_projects_method_also_between_refits(method):
    project = project_with(THUMB)
    for n in range(12):
        good = n % 2
        pair = cast.comparison(project, f"Why {n}?", "One.", "Two.")
        for who in ("ben", "eve"):
            thumbs(pair, who, *(("yes", "no") if good else ("no", "yes")))
        thumbs(pair, "odd", *(("no", "yes") if good else ("yes", "no")))
    run = aggregate_full(project=project, method=method)
    assert run.counts["labelled_completions"] == 24
    late = cast.comparison(project, "Late?", "One.")
    thumbs(late, "ben", "yes")
    preference_refresh(project_id=project.pk)
    unit = Preference.objects.get(comparison=late).current
    assert unit.outcome == "yes" and unit.origin == "person"


def test_a_version_of_pairs_goes_out_unpaired_too(tmp_path):
    project = project_with(RANK)
    ranked(cast.comparison(project, "Why?", "One.", "Two.", "Three."), "ben", 1, 2, 3)
    version = version_freeze(project=project, name="v1", filters=["places_span >= 1"])
    version_export(version=version, format="trl-unpaired", form="messages", out=tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "jsonl" / "train.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == [True, False]
    assert lines[0]["completion"][0]["role"] == "assistant" and lines[0]["soft_label"] > 0.5 > lines[1]["soft_label"]


# Around


def test_a_preview_counts_the_same_steps():
    project = project_with(RANK)
    ranked(cast.comparison(project, "Why?", "One.", "Two.", "Three."), "ben", 1, 2, 3)
    aggregate_full(project=project)
    steps = filter_preview(project=project, filters=["places_apart <= 1"])
    assert [(step.dropped, step.left) for step in steps if step.dropped] == [(1, 3), (1, 2)]


def test_an_import_of_rankings_can_be_taken_back_with_its_pairs(tmp_path):
    project = project_with(RANK)
    row = {
        "prompt": "Why?", "completions": [{"id": k, "text": f"{k}."} for k in "abc"],
        "annotations": [{"rater": "r1", "answers": {"rank": {"ranks": [1, 2, 3]}}}],
    }  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    record = import_file(project=project, path=path, options=ImportOptions(shape="annotated"))
    aggregate_full(project=project)
    assert len(current(project)) == 3 and {row.origin for row in current(project)} == {"source"}
    import_remove(record=record)
    assert not Comparison.objects.filter(project=project).exists() and not Derivation.objects.exists()

"""Versions: one snapshot, recorded filters, the same bytes each time, and nothing changed afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid

import pytest
from django.db import DatabaseError, connection, transaction

from annotation.models import Annotation, Comparison, Project, Rater
from annotation.services.projects import project_archive, project_create
from pipelines.errors import Busy, InputRefused
from pipelines.models import (
    AggregationRun,
    DatasetVersion,
    Export,
    Job,
    Preference,
    Score,
    TrainingRun,
    VersionDrop,
    VersionRow,
)
from pipelines.selectors.ches import ches_drawn
from pipelines.selectors.lineage import rows_untraced, version_lineage
from pipelines.selectors.versions import version_get, version_row_get
from pipelines.services.aggregation import aggregate_full, preference_refresh
from pipelines.services.exporting import export_start, version_export, version_rows_stream
from pipelines.services.importing import ImportOptions, import_file
from pipelines.services.versions import filter_preview, version_freeze, version_freeze_start
from pipelines.versions.errors import FilterRefused, NothingToFreeze
from pipelines.versions.rows import root_hash
from tests.pipelines.scene import annotate, rater, withdraw
from workers.loop import drain

pytestmark = pytest.mark.django_db(transaction=True)
SALT = uuid.UUID(int=7)


def row(n: int) -> dict[str, str]:
    return {"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}"}


def filled(folder, slug: str, rows, source: str = "crowd", name: str = "rows.jsonl") -> Project:
    """A project with these rows imported as one source's votes."""
    project = Project.objects.filter(slug=slug).first() or project_create(slug=slug, salt=SALT)
    path = folder / name
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    import_file(project=project, path=path, options=ImportOptions(source=source))
    return project


@pytest.fixture
def project(tmp_path) -> Project:
    return filled(tmp_path, "birds", [row(n) for n in range(40)])


def model_with_scores(project: Project, name: str = "base"):
    """A model whose LN-CHES of each comparison is its place in the order of keys, the first the lowest."""
    from annotation.models import LanguageModel

    model = LanguageModel.objects.create(
        name=name, kind="local", location=name, fingerprint=hashlib.sha256(name.encode()).hexdigest()
    )
    for place, comparison in enumerate(Comparison.objects.filter(project=project).order_by("key")):
        Score.objects.create(
            project=project, comparison=comparison, method="ches", method_version="1", fingerprint=model.fingerprint,
            params_hash="x", dtype="float32",
            values={"s11": 0.0, "s22": 0.0, "s12": float(place), "n1": 1, "n2": 1, "edit_distance": 0.5,
                    "last_hidden": 0.0, "flags": []},
        )  # fmt: skip
    return model


def test_a_freeze_holds_every_preference_with_a_direction(project):
    version = version_freeze(project=project, name="v1")
    assert (version.state, version.rows_in, version.rows_out) == ("frozen", 40, 40)
    payloads = [json.loads(bytes(each.payload)) for each in VersionRow.objects.filter(version=version)]
    assert all(each["chosen"].startswith("good") and each["rejected"].startswith("bad") for each in payloads)
    assert all(0.5 < each["soft_label"] < 1 and each["origin"] == "source" for each in payloads)
    assert version.run_id == AggregationRun.objects.get().pk


def test_rows_in_are_rows_out_plus_reported_drops(project, tmp_path):
    filled(tmp_path, "birds", [{"prompt": "q", "completions": ["a", "b"]}], name="more.jsonl")
    tie = Comparison.objects.filter(project=project).first()
    rater = Rater.objects.create(project=project, kind="source", name="other")
    Annotation.objects.filter(comparison=tie).update(state="superseded")
    Annotation.objects.create(project=project, comparison=tie, rater=rater, outcome="tie", answers={})
    version = version_freeze(project=project, name="v1", filters=["votes >= 1", "flip < 0.4"])
    drops = list(VersionDrop.objects.filter(version=version).values_list("cause", "dropped", "left"))
    assert drops[:3] == [("no judgement yet", 1, 40), ("ties", 1, 39), ("identical completions", 0, 39)]
    assert [cause for cause, _, _ in drops[3:]] == ["votes >= 1", "flip < 0.4"]
    assert version.rows_in == version.rows_out + sum(dropped for _, dropped, _ in drops)
    assert version.rows_out == drops[-1][2]


def test_a_freeze_refits_when_votes_came_since_and_not_otherwise(project, tmp_path):
    version_freeze(project=project, name="v1")
    version_freeze(project=project, name="v2")
    assert AggregationRun.objects.count() == 1
    filled(tmp_path, "birds", [row(50)], name="more.jsonl")
    assert version_freeze(project=project, name="v3").rows_out == 41
    assert AggregationRun.objects.count() == 2


def test_a_version_says_which_one_it_is_used_instead_of(project):
    one = version_freeze(project=project, name="v1")
    two = version_freeze(project=project, name="v2", supersedes="v1")
    assert (two.supersedes, two.manifest["supersedes"]) == (one, one.root_hash)
    assert version_get(project=project, name="v1").successors == ["v2"]
    with pytest.raises(InputRefused, match="Only a frozen version can be superseded"):
        version_freeze(project=project, name="v3", supersedes="v9")


def test_the_same_state_gives_the_same_bytes_in_any_insert_order(tmp_path):
    rows = [row(n) for n in range(60)]
    one = version_freeze(project=filled(tmp_path, "one", rows), name="v1", filters=["flip < 0.4"])
    two = version_freeze(project=filled(tmp_path, "two", rows[::-1]), name="w", filters=["flip<0.40"])
    assert one.root_hash == two.root_hash
    assert list(version_rows_stream(version=one)) == list(version_rows_stream(version=two))
    same = ("recipe", "counts", "root_hash")
    assert [one.manifest[key] for key in same] == [two.manifest[key] for key in same]
    assert one.manifest["lineage"]["annotations"] == two.manifest["lineage"]["annotations"]


def test_another_process_zone_and_hash_seed_give_the_same_bytes(project, tmp_path, process_environment):
    version = version_freeze(project=project, name="v1")
    export = version_export(version=version, format="trl-preference", out=tmp_path / "one")
    out = tmp_path / "two"
    for arguments in (
        ["freeze_version", "--project", "birds", "--name", "v1-again", "--json"],
        [
            "export_version",
            "v1",
            "--project",
            "birds",
            "--format",
            "trl-preference",
            "--out",
            str(out),
            "--json",
        ],
    ):
        environment = {**process_environment, "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
        done = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    again = DatasetVersion.objects.get(name="v1-again")
    assert (again.root_hash, again.manifest) == (version.root_hash, version.manifest)
    assert json.loads(done.stdout.splitlines()[-1])["files"] == export.files


def test_frozen_bytes_hold_no_time_host_path_id_or_user(project, tmp_path):
    version = version_freeze(project=project, name="v1")
    version_export(version=version, format="trl-preference", out=tmp_path / "out")
    text = b"".join(
        p.read_bytes()
        for p in sorted((tmp_path / "out").rglob("*"))
        if p.suffix in {".jsonl", ".json", ".md"}
    )
    host = os.uname().nodename.encode()
    for word in (
        str(tmp_path).encode(),
        b"rows.jsonl",
        b"crowd",
        host,
        f"{version.frozen_at:%Y-%m-%d}".encode(),
    ):
        assert word not in text
    assert set(json.loads(bytes(VersionRow.objects.first().payload))) == {
        "agreement", "chosen", "comparison", "confidence", "flip_probability", "method", "origin", "p_tie", "prompt",
        "predictions", "rejected", "soft_label", "strength", "votes", "weight",
    }  # fmt: skip


def test_the_root_hash_covers_every_row_in_order(project):
    version = version_freeze(project=project, name="v1")
    rows = list(version_rows_stream(version=version))
    assert version.root_hash == root_hash(hashlib.sha256(payload).digest() for _, payload in rows)
    splits = [split for split, _ in rows]
    assert splits == sorted(splits, key=["train", "validation", "test"].index)


def test_a_prompt_never_crosses_splits(tmp_path):
    rows = [{"prompt": f"p{n % 30}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(150)]
    version = version_freeze(project=filled(tmp_path, "birds", rows), name="v1")
    of_prompt: dict[str, set[str]] = {}
    for split, payload in version_rows_stream(version=version):
        of_prompt.setdefault(json.loads(payload)["prompt"], set()).add(split)
    assert len(of_prompt) == 30 and all(len(splits) == 1 for splits in of_prompt.values())


def test_a_filter_on_a_model_drops_from_train_only_and_is_previewed(project):
    model = model_with_scores(project)
    splits = dict(
        VersionRow.objects.filter(version=version_freeze(project=project, name="all")).values_list(
            "position", "split"
        )
    )
    before = list(splits.values())
    preview = filter_preview(project=project, filters=["ches_ln_share <= 0.5"])
    version = version_freeze(project=project, name="v1", filters=["ches_ln_share <= 0.5"])
    assert preview[-1].cause == "ches_ln_share:base <= 0.5" and preview[-1].left == version.rows_out < 40
    after = list(VersionRow.objects.filter(version=version).values_list("split", flat=True))
    for split in ("validation", "test"):
        assert after.count(split) == before.count(split)
    assert version.recipe["filters"][0]["fingerprint"] == model.fingerprint
    everywhere = version_freeze(project=project, name="v2", filters=["ches_ln_share <= 0.5 in all"])
    assert everywhere.rows_out == 20


@pytest.mark.parametrize("asked", [{"share": 0.33}, {"threshold": 20.123456789}])
def test_the_picture_of_a_ches_filter_drops_what_the_freeze_drops(project, asked):
    """Of train alone, by the same rule with the same digits."""
    aggregate_full(project=project)
    drawn = ches_drawn(
        project=project,
        model=model_with_scores(project),
        by_length=True,
        **{"share": None, "threshold": None, **asked},
    )
    version = version_freeze(project=project, name="v1", filters=[drawn.rule])
    assert 0 < drawn.dropped == 40 - version.rows_out and drawn.total == 40


def test_scores_that_are_not_there_or_not_named_are_refused(project):
    with pytest.raises(Exception, match="no CHES scores; score it first"):
        version_freeze(project=project, name="v1", filters=["ches <= 0"])
    model_with_scores(project)
    model_with_scores(project, "other")
    with pytest.raises(Exception, match=r"Several models scored this project \(base, other\); name one"):
        version_freeze(project=project, name="v1", filters=["ches <= 0"])
    assert version_freeze(project=project, name="v1", filters=["ches:other <= 1000"]).rows_out == 40


def test_freezing_nothing_is_refused_in_one_sentence_and_leaves_nothing(project):
    empty = project_create(slug="empty")
    with pytest.raises(
        NothingToFreeze, match="^There is nothing to freeze: empty has no votes and no predictions.$"
    ):
        version_freeze(project=empty, name="v1")
    with pytest.raises(NothingToFreeze, match=r"no preference is left \(votes >= 5: 40\)"):
        version_freeze(project=project, name="v1", filters=["votes >= 5"])
    assert DatasetVersion.objects.count() == 0 and VersionRow.objects.count() == 0


def test_a_name_is_taken_once_and_what_cannot_be_frozen_is_refused(project):
    version_freeze(project=project, name="v1")
    with pytest.raises(InputRefused, match="a frozen one never changes"):
        version_freeze(project=project, name="v1")
    with pytest.raises(InputRefused, match="1 to 60 letters"):
        version_freeze(project=project, name="../evil")
    with pytest.raises(InputRefused, match="a meaning of its own"):
        version_freeze(project=project, name="freeze")
    with pytest.raises(FilterRefused):
        version_freeze_start(project=project, name="v2", filters=["nonsense"])
    project_archive(project=project)
    with pytest.raises(InputRefused, match="archived"):
        version_freeze(project=project, name="v2")


def test_a_version_that_a_killed_worker_left_is_built_anew(project):
    DatasetVersion.objects.create(project=project, name="v1", recipe={})
    assert version_freeze(project=project, name="v1").state == "frozen"


def test_the_database_refuses_every_change_of_a_frozen_version(project):
    version = version_freeze(project=project, name="v1")
    statements = (
        "UPDATE pipelines_datasetversion SET name = 'x' WHERE id = %s",
        "DELETE FROM pipelines_datasetversion WHERE id = %s",
        "UPDATE pipelines_versionrow SET split = 'test' WHERE version_id = %s",
        "DELETE FROM pipelines_versionrow WHERE version_id = %s",
        "DELETE FROM pipelines_versiondrop WHERE version_id = %s",
        "INSERT INTO pipelines_versionrow (version_id, position, split, revision_id, row_hash, payload)"
        " SELECT version_id, position + 99999, split, revision_id, row_hash, payload"
        " FROM pipelines_versionrow WHERE version_id = %s",
    )
    for statement in statements:
        with (
            pytest.raises(DatabaseError, match="frozen"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, [version.pk])


def test_both_forms_in_one_project_must_be_decided(project, tmp_path):
    user, good, bad = (
        {"role": r, "content": c} for r, c in (("user", "Hi"), ("assistant", "a"), ("assistant", "b"))
    )
    filled(tmp_path, "birds", [{"prompt": [user], "chosen": [good], "rejected": [bad]}], name="chat.jsonl")
    with pytest.raises(InputRefused, match="40 plain and 1 messages.*--form"):
        version_freeze(project=project, name="v1")
    for form, kind in (("plain", str), ("messages", list)):
        version = version_freeze(project=project, name=form, form=form)
        kinds = {type(json.loads(payload)["prompt"]) for _, payload in version_rows_stream(version=version)}
        assert kinds == {kind}


def test_every_row_is_traced_to_its_votes_and_its_line(project):
    version = version_freeze(project=project, name="v1")
    traced = version_lineage(version=version)
    assert len(traced) == 40 and rows_untraced(version=version) == 0
    for each in traced:
        (annotation_id,) = each["annotations"]
        assert Annotation.objects.get(pk=annotation_id).comparison.key.hex() == each["comparison"]
        assert (each["file_name"], each["source_line"]) == ("rows.jsonl", each["source_line"])


def test_a_row_keeps_the_votes_that_made_it_whatever_is_corrected_later(project):
    """The revision is an online step's, so it names the refit before the vote; the trace follows the version's refit."""
    aggregate_full(project=project)
    comparison = Comparison.objects.filter(project=project).earliest("pk")
    voted = annotate(comparison, rater(project, "ben"), "first", -2)
    preference_refresh(project_id=project.pk)
    version = version_freeze(project=project, name="v1")
    before = {each["comparison"]: each["annotations"] for each in version_lineage(version=version)}
    withdraw(voted)
    annotate(comparison, rater(project, "cy"), "second", 2)
    after = {each["comparison"]: each["annotations"] for each in version_lineage(version=version)}
    assert after == before and voted.pk in after[comparison.key.hex()]
    row = VersionRow.objects.get(version=version, revision__preference__comparison=comparison)
    shown = version_row_get(project=project, name="v1", position=row.position)
    assert [each.pk for each in shown.annotations] == after[comparison.key.hex()]


def test_a_worker_freezes_and_exports(project, settings):
    job = version_freeze_start(project=project, name="v1")
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert (job.state, job.error) == ("done", "")
    assert job.result["counts"]["rows_out"] == 40
    version = DatasetVersion.objects.get(name="v1", state="frozen")
    export, job = export_start(version=version, format="trl-preference")
    drain(queue="default", worker="test")
    export.refresh_from_db()
    assert (export.state, export.error) == ("done", "")
    assert (settings.EXPORTS_DIR / export.folder / "winnow.json").is_file()


def test_a_freeze_starts_the_run_it_was_asked_for(project, monkeypatch):
    monkeypatch.setattr("pipelines.services.versions.ml_reachable", lambda *_: None)
    monkeypatch.setattr("pipelines.services.training.ml_reachable", lambda *_: None)
    model = model_with_scores(project)
    job = version_freeze_start(project=project, name="v1", train=model.name, run="first")
    drain(queue="default", worker="test", job_id=job.pk)
    job.refresh_from_db()
    run = TrainingRun.objects.get(name="first")
    assert (job.state, job.result["run"]) == ("done", "first")
    assert (run.version.name, run.version.state, run.model) == ("v1", "frozen", model)
    assert Job.objects.get(pk=job.result["train_job"]).params == {"run_id": run.pk}
    with pytest.raises(InputRefused, match="run 'first' already"):
        version_freeze_start(project=project, name="v2", train=model.name, run="first")
    with pytest.raises(InputRefused, match="no model 'nobody'"):
        version_freeze_start(project=project, name="v2", train="nobody")


def test_a_run_that_cannot_start_leaves_the_version_frozen(project, monkeypatch):
    monkeypatch.setattr("pipelines.services.versions.ml_reachable", lambda *_: None)
    job = version_freeze_start(project=project, name="v1", train=model_with_scores(project).name)

    def refuse(**_):
        raise InputRefused("Nobody can train.")

    monkeypatch.setattr("pipelines.services.versions.training_start", refuse)
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "Nobody can train.")
    assert DatasetVersion.objects.get(name="v1").state == "frozen"


def test_one_name_is_frozen_by_one_job(project):
    job = version_freeze_start(project=project, name="v1")
    assert version_freeze_start(project=project, name="v1") == job
    with pytest.raises(InputRefused, match="being frozen already"):
        version_freeze_start(project=project, name="v1", filters=["flip < 0.4"])


def test_a_version_that_was_taken_away_meanwhile_is_not_said_to_be_frozen(project, monkeypatch):
    def taken(version, *rest):
        DatasetVersion.objects.filter(pk=version.pk).delete()

    monkeypatch.setattr("pipelines.services.versions._write_rows", lambda *_: "0" * 64)
    monkeypatch.setattr("pipelines.services.versions._describe", taken)
    with pytest.raises(Busy, match="took the name 'v1'"):
        version_freeze(project=project, name="v1")
    assert not DatasetVersion.objects.exists()


def test_a_worker_that_cannot_freeze_says_why(project):
    job = version_freeze_start(project=project, name="v1", filters=["votes >= 9"])
    drain(queue="default", worker="test")
    job.refresh_from_db()
    assert job.state == "failed" and "no preference is left" in job.error
    assert DatasetVersion.objects.count() == 0


def test_an_import_under_a_version_cannot_be_taken_back(project):
    from pipelines.services.import_removal import import_remove

    record = project.imports.get()
    version_freeze(project=project, name="v1")
    with pytest.raises(InputRefused, match="1 frozen versions rest on it"):
        import_remove(record=record)
    assert Preference.objects.count() == 40


def test_an_export_never_overwrites_and_never_leaves_half(project, tmp_path, monkeypatch):
    version = version_freeze(project=project, name="v1")
    out = tmp_path / "out"
    version_export(version=version, format="trl-preference", out=out)
    with pytest.raises(InputRefused, match="is not an empty folder; nothing is ever overwritten"):
        version_export(version=version, format="trl-preference", out=out)
    monkeypatch.setattr("pipelines.exports.tables.card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        version_export(version=version, format="trl-preference", out=tmp_path / "half")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["out"]
    assert Export.objects.latest("id").state == "failed"

"""Commands that import, freeze and export: their JSON, their exit codes, and one sentence for each bad input."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from annotation.models import Annotation, Comparison, Text
from annotation.services.projects import project_create
from pipelines.models import DatasetVersion, VersionRow

pytestmark = pytest.mark.django_db(transaction=True)
GOOD = {"prompt": "2+2=", "chosen": " 4", "rejected": " 5"}


def run(capsys, *words: str) -> dict:
    """The command's JSON, and its exit code under `exit`."""
    code = 0
    try:
        call_command(*words, "--json")
    except SystemExit as stop:
        code = stop.code
    return {**json.loads(capsys.readouterr().out.strip().splitlines()[-1]), "exit": code}


def lines(*records) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.fixture(autouse=True)
def project():
    return project_create(slug="birds")


@pytest.fixture
def bring(tmp_path, capsys):
    def bring(data: bytes, *words: str) -> dict:
        path = tmp_path / "rows.jsonl"
        path.write_bytes(data)
        return run(capsys, "import_comparisons", str(path), "--project", "birds", *words)

    return bring


def test_import_freeze_and_export_speak_the_documented_keys(bring, capsys, tmp_path):
    rows = [{**GOOD, "prompt": f"p{n}"} for n in range(50)]
    imported = bring(lines(*rows), "--source", "crowd")
    assert (imported["exit"], imported["ok"], imported["command"], imported["error"]) == (
        0,
        True,
        "import_comparisons",
        None,
    )
    assert imported["counts"] == {
        "rows_in": 50, "taken": 50, "merged": 0, "refused": 0, "comparisons": 50, "choices": 50
    }  # fmt: skip
    assert {
        "import_id",
        "shape",
        "shape_detected",
        "choices",
        "source",
        "notices",
        "faults",
    } <= imported.keys()
    assert (imported["shape"], imported["source"]) == ("trl-preference", "crowd")

    frozen = run(capsys, "freeze_version", "--name", "v1", "--project", "birds", "--filter", "flip < 0.4")
    assert frozen["exit"] == 0 and {"version", "root_hash", "form", "drops"} <= frozen.keys()
    counts = frozen["counts"]
    assert counts["rows_in"] == counts["rows_out"] + counts["dropped"] == 50
    assert sum(counts[f"rows_{split}"] for split in ("train", "validation", "test")) == counts["rows_out"]

    out = tmp_path / "out"
    words = ("export_version", "v1", "--project", "birds", "--format", "trl-preference", "--out", str(out))
    exported = run(capsys, *words)
    assert exported["exit"] == 0 and exported["counts"]["rows"] == 50
    assert {"export_id", "version", "root_hash", "form", "folder", "files"} <= exported.keys()
    again = run(capsys, *words)
    assert (again["exit"], again["ok"]) == (2, False) and "nothing is ever overwritten" in again["error"]


def test_an_import_is_taken_back_by_its_number(bring, capsys):
    number = bring(lines(GOOD))["import_id"]
    assert run(capsys, "remove_import", str(number), "--project", "birds")["exit"] == 0
    assert not Comparison.objects.exists()
    assert run(capsys, "remove_import", str(number), "--project", "birds")["exit"] == 2
    assert run(capsys, "remove_import", "999", "--project", "birds")["exit"] == 2


def test_too_many_refused_rows_need_a_yes(bring):
    data = lines(GOOD, {**GOOD, "prompt": "q", "rejected": " 4"})
    refused = bring(data)
    assert refused["exit"] == 2 and refused["error"].endswith("Add --yes to import the other rows.")
    assert (refused["counts"]["refused"], refused["faults"][0]["row"]) == (1, 2)
    assert not Comparison.objects.exists()
    assert bring(data, "--yes")["counts"]["taken"] == 1


def test_choices_of_a_model_are_asked_for_by_option(bring):
    assert bring(lines(GOOD), "--choices", "predictions", "--source", "judge")["choices"] == "predictions"
    assert not Annotation.objects.exists()


def parquet(**columns: list[str]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


BAD = {
    "not a JSON line": (lines(GOOD) + b"{broken\n", "Line 2 is not JSON"),
    "chosen equal to rejected": (lines({**GOOD, "rejected": " 4"}), "chosen and rejected are the same text"),
    "no common prompt": (lines({"chosen": "yes", "rejected": "no"}), "do not begin with the same prompt"),
    "NUL byte": (b'{"prompt": "a\0", "chosen": "b", "rejected": "c"}\n', "holds a NUL byte"),
    "20 MB line": (
        lines(GOOD, {**GOOD, "prompt": "x" * 20_000_000}),
        "Line 2 is longer than 10,000,000 bytes",
    ),
    "wrong encoding": (lines(GOOD).decode().encode("utf-16"), "UTF-16"),
    "Latin-1": ('{"prompt": "caf\u00e9"}\n'.encode("latin-1"), "Line 1 is not UTF-8"),
    "gzip bomb": (gzip.compress(lines(GOOD) + (b" " * 999_999 + b"\n") * 300, 9), "unpacks to"),
    "a Parquet with other columns": (parquet(question=["q"], answer=["a"]), "columns question, answer"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_sentence_with_nothing_half_done(bring, name):
    data, words = BAD[name]
    refused = bring(data)
    assert (refused["exit"], refused["ok"]) == (2, False)
    assert words in refused["error"] and "\n" not in refused["error"] and "Traceback" not in refused["error"]
    assert not Text.objects.exists() and not Comparison.objects.exists() and not Annotation.objects.exists()


def test_a_file_that_is_not_there_is_refused(capsys, tmp_path):
    refused = run(capsys, "import_comparisons", str(tmp_path / "none.jsonl"), "--project", "birds")
    assert refused["exit"] == 2 and "There is no file" in refused["error"]


def test_freezing_nothing_is_refused_in_one_sentence(capsys):
    refused = run(capsys, "freeze_version", "--name", "v1", "--project", "birds")
    assert (refused["exit"], refused["ok"]) == (2, False)
    assert refused["error"] == "There is nothing to freeze: birds has no votes and no predictions."
    assert not DatasetVersion.objects.exists() and not VersionRow.objects.exists()


def test_a_preview_drops_nothing(bring, capsys):
    bring(lines(*({**GOOD, "prompt": f"p{n}"} for n in range(10))))
    call_command("aggregate", project="birds")
    capsys.readouterr()
    shown = run(
        capsys, "freeze_version", "--name", "v1", "--project", "birds", "--filter", "votes >= 2", "--preview"
    )
    assert shown["counts"] == {"rows_in": 10, "rows_out": 0}
    assert not DatasetVersion.objects.exists()


def test_the_reference_transcripts_go_through_to_an_export_that_datasets_reads(
    capsys, tmp_path, reference_data
):
    datasets = pytest.importorskip("datasets", reason="the ml extra is not installed")
    path = reference_data / "hh-rlhf-harmless" / "harmless-base-test-first1500.jsonl.gz"
    counts = run(capsys, "import_comparisons", str(path), "--project", "birds")["counts"]
    assert counts["rows_in"] == counts["taken"] + counts["merged"] + counts["refused"] == 1500
    frozen = run(capsys, "freeze_version", "--name", "v1", "--project", "birds")
    assert frozen["counts"]["rows_in"] == counts["comparisons"]
    assert (
        frozen["counts"]["rows_out"] + sum(drop["dropped"] for drop in frozen["drops"])
        == counts["comparisons"]
    )
    out = tmp_path / "out"
    run(capsys, "export_version", "v1", "--project", "birds", "--format", "trl-preference", "--out", str(out))
    for place in (out, out / "jsonl"):
        splits = datasets.load_dataset(str(place), cache_dir=str(tmp_path / "cache"))
        assert {f"rows_{name}": len(rows) for name, rows in splits.items()} == {
            key: count
            for key, count in frozen["counts"].items()
            if key.startswith("rows_") and key[5:] in splits
        }
        assert sum(len(rows) for rows in splits.values()) == frozen["counts"]["rows_out"]

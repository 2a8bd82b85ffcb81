"""Votes leave by pseudonym, in stored order, with what a label method needs."""

from __future__ import annotations

import json
import uuid

import pytest
from django.core.management import call_command

from annotation.services.assignment import Shown, assignment_next, assignment_submit
from pipelines.errors import InputRefused, NothingToDo
from pipelines.labels.votefile.command import main
from pipelines.services.vote_export import votes_export
from tests import cast
from tests.pipelines.scene import annotate, rater, withdraw

pytestmark = pytest.mark.django_db


def test_a_vote_is_a_line_without_a_name(tmp_path, capsys):
    project = cast.project()
    pair = cast.comparison(project, "Why?", "Because.", "No reason.")
    ben = cast.person("Ben", project, "annotator")
    row = assignment_next(project_id=project.pk, user_id=ben.pk)[0]
    assignment_submit(
        assignment_id=row.id,
        user_id=ben.pk,
        submit_key=uuid.uuid4(),
        answers=cast.vote(-2),
        shown=Shown(active_seconds=4.5),
    )
    annotate(pair, rater(project, "file", "source"), "second")
    withdraw(annotate(pair, rater(project, "eve"), "first", -1))
    out = tmp_path / "votes.jsonl"
    call_command("export_votes", project=project.slug, out=out, as_json=True)
    person, source = [json.loads(line) for line in out.read_text().splitlines()]
    assert json.loads(capsys.readouterr().out)["counts"] == {"votes": 2}
    assert (person["vote"], person["kind"], person["active_seconds"]) == (-2, "person", 4.5)
    assert person["rater"] == ben.participations.get().pseudonym.hex and "Ben" not in out.read_text()
    assert person["first_shown_first"] is (row.option_order == [0, 1])
    assert person["item"] == bytes(pair.key).hex() and person["at"].endswith("Z")
    assert (source["label"], source["rater"], source["first_shown_first"]) == ("second", "file", None)


def test_the_vote_file_command_reads_what_a_graded_project_exports(tmp_path):
    project = cast.project()
    pairs = [cast.comparison(project, f"Why {n}?", "Because.", "No reason.") for n in range(4)]
    ben, eve, source = rater(project, "ben"), rater(project, "eve"), rater(project, "file", "source")
    for number, pair in enumerate(pairs):
        annotate(pair, ben, "first", -1 - number % 2)
        annotate(pair, eve, *(("first", -2), ("tie", 0), ("both_bad",), ("cannot_judge",))[number])
        annotate(pair, source, "second")
    votes_export(project=project, out=tmp_path / "votes.jsonl")
    assert main([str(tmp_path / "votes.jsonl"), "--steps", "7", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["votes"], report["choices_without_strength"], report["items"]) == (6, 5, 4)
    assert "1 lines say cannot_judge, which is no vote." in report["notes"]


def test_nothing_is_left_when_there_is_nothing_to_write(tmp_path):
    with pytest.raises(NothingToDo):
        votes_export(project=cast.project(), out=tmp_path / "votes.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_never_overwritten(tmp_path):
    (tmp_path / "votes.jsonl").write_text("mine")
    with pytest.raises(InputRefused, match="exists already"):
        votes_export(project=cast.project(), out=tmp_path / "votes.jsonl")

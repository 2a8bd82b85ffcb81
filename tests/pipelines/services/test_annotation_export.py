"""What was collected leaves in the shape `annotated`, and importing it gives the same again."""

from __future__ import annotations

import json
import random
import uuid
from itertools import count
from pathlib import Path

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.feedback import answers_from_form, answers_validate
from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, Project
from annotation.services.assignment import Shown, assignment_next, assignment_submit
from annotation.services.corrections import annotation_correct, annotation_undo
from annotation.services.projects import form_revise
from pipelines.errors import InputRefused, NothingToDo
from pipelines.services.annotation_export import annotations_export
from pipelines.services.importing import ImportOptions, import_file
from tests import cast
from tests.annotation.feedback.test_types import TEXTS, about, any_fields

pytestmark = pytest.mark.django_db
numbers = count(1)


def form_of(size: int) -> list[dict]:
    """Every template that suits so many completions, in one form, none of them but the first required."""
    suited = [(name, t) for name, t in TEMPLATES.items() if t.completions[0] <= size <= t.completions[1]]
    return [
        {**question, "key": f"{name.replace('-', '_')}_{question['key']}", "required": (name, at) == (suited[0][0], 0)}
        for name, template in suited
        for at, question in enumerate(template.questions)
    ][:20]


def rows_of(questions: list[dict], size: int, seed: int) -> list[dict]:
    """Comparisons with answers of several raters, drawn at random: some of two prompts, of a name, with a context."""
    draw = random.Random(seed)
    rows = []
    for n in range(draw.randint(1, 3)):
        ids = [f"c{place}" for place in range(size)]
        completions = [{"id": ids[place], "text": TEXTS[place], "model": "m"} for place in range(size)]
        prompt = draw.choice([f"p{n}", {"name": f"p{n}"}])
        if draw.random() < 0.3:
            completions[0]["prompt"] = f"another {n}"
        annotations = []
        for rater in draw.sample(["r1", "r2", "r3", None], draw.randint(1, 3)):
            some = [q for q in questions if q["required"] or draw.random() < 0.6]
            fields = any_fields(some, size, draw, list(range(size)))
            given_ = answers_from_form(some, fields, list(range(size)))
            annotations.append({
                "rater": rater, "at": f"2026-05-0{draw.randint(1, 9)}T12:00:00.5+00:00",
                "shown_order": draw.choice([None, draw.sample(ids, size)]),
                "answers": answers_validate(questions, given_, about(size)).answers,
            })  # fmt: skip
        rows.append({
            "prompt": prompt, "completions": completions, "context": draw.choice(["", f"context {n}"]),
            "annotations": annotations,
        })  # fmt: skip
    return rows


def exported(project: Project, folder: Path) -> list[dict]:
    out = folder / f"out-{next(numbers)}.jsonl"
    annotations_export(project=project, out=out)
    return [json.loads(line) for line in out.read_text().splitlines()]


def imported(rows: list[dict], questions: list[dict], folder: Path) -> Project:
    project = cast.project()
    form_revise(project=project, questions=questions)
    path = folder / f"in-{next(numbers)}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = import_file(project=project, path=path, options=ImportOptions(source="file"))
    assert record.counts["refused"] == 0, record.faults
    return project


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(size=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_an_export_comes_back_as_it_left(tmp_path, size, seed):
    questions = form_of(size)
    rows = rows_of(questions, size, seed)
    first = exported(imported(rows, questions, tmp_path), tmp_path)
    assert sum(len(row["annotations"]) for row in first) == sum(len(row["annotations"]) for row in rows)
    second = exported(imported(first, questions, tmp_path), tmp_path)
    assert second == first


def test_people_leave_by_pseudonym_and_only_with_what_stands(tmp_path, capsys):
    project = cast.project()
    form_revise(project=project, questions=TEMPLATES["edit"].questions)
    for n in range(2):
        cast.comparison(project, f"p{n}", "a", "b")
    ben = cast.person("Ben", project, "annotator")
    answers = {**cast.vote(-2), "edit": {"source": 0, "text": "Mine."}}
    stored = []
    for _ in range(2):
        (lent,) = assignment_next(project_id=project.pk, user_id=ben.pk)
        stored.append(
            assignment_submit(assignment_id=lent.id, user_id=ben.pk, submit_key=uuid.uuid4(), answers=answers)
        )
    annotation_undo(annotation_id=stored[-1].annotation_id, user_id=ben.pk)
    out = tmp_path / "answers.jsonl"
    call_command("export_annotations", "--project", project.slug, "--out", str(out), "--json")
    assert json.loads(capsys.readouterr().out)["counts"] == {"comparisons": 1, "annotations": 1}
    (line,) = (json.loads(line) for line in out.read_text().splitlines())
    (one,) = line["annotations"]
    kept = Annotation.objects.get(pk=stored[0].annotation_id)
    assert one["rater"] == kept.rater.participation.pseudonym.hex and "Ben" not in out.read_text()
    assert one["answers"]["preference"]["vote"] == -2 and one["answers"]["edit"]["text"] == "Mine."
    assert one["shown_order"] == [str(position + 1) for position in kept.shown_order] and one["form"] == 2


def test_what_the_page_measured_leaves_too_and_a_correction_keeps_the_arm_of_the_opinion(tmp_path):
    project = cast.project()
    cast.comparison(project, "p", "a", "b")
    ben = cast.person("Ben", project, "annotator")
    (lent,) = assignment_next(project_id=project.pk, user_id=ben.pk)
    exposure = {"dwell_a": 4.5, "played_b": 2.0, "opinion": "arm_shown"}
    shown = Shown(active_seconds=6.5, idle_seconds=1.0, exposure=exposure)
    own = {"user_id": ben.pk, "answers": cast.vote(1)}
    done = assignment_submit(assignment_id=lent.id, submit_key=uuid.uuid4(), shown=shown, **own)
    (line,) = exported(project, tmp_path)
    measured = {key: line["annotations"][0][key] for key in ("active_seconds", "idle_seconds", "exposure")}
    assert measured == {"active_seconds": 6.5, "idle_seconds": 1.0, "exposure": exposure}
    own["answers"] = cast.vote(2)
    annotation_correct(annotation_id=done.annotation_id, submit_key=uuid.uuid4(), **own)
    (line,) = exported(project, tmp_path)
    assert line["annotations"][0]["exposure"] == {"opinion": "arm_shown"}
    assert "active_seconds" not in line["annotations"][0]


def test_choices_of_files_without_a_form_are_counted_and_left_out(tmp_path):
    project = cast.project()
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"}) + "\n")
    import_file(project=project, path=path, options=ImportOptions())
    with pytest.raises(NothingToDo, match="no answers to a form"):
        annotations_export(project=project, out=tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    answer = {"rater": "r", "answers": cast.vote(1)}
    completions = [{"id": n, "text": text} for n, text in enumerate("ab")]
    path.write_text(json.dumps({"prompt": "p", "completions": completions, "annotations": [answer]}) + "\n")
    import_file(project=project, path=path, options=ImportOptions())
    counts = annotations_export(project=project, out=tmp_path / "out.jsonl")
    assert counts == {"comparisons": 1, "annotations": 1, "left_out_choices_without_form": 1}
    with pytest.raises(InputRefused, match="exists already"):
        annotations_export(project=project, out=tmp_path / "out.jsonl")

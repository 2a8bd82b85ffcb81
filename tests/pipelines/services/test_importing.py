"""Imports in the database: all or nothing, twice is once, and nothing tells which completion a file preferred."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils.timezone import now

from annotation.models import (
    Annotation,
    Comparison,
    ComparisonCompletion,
    Completion,
    Demand,
    Import,
    LanguageModel,
    Prompt,
    Text,
)
from annotation.services.projects import project_archive, project_create
from pipelines.errors import Busy, InputRefused
from pipelines.imports.errors import FileRefused
from pipelines.models import Prediction, RoutingPlan, WorkItem
from pipelines.services import importing
from pipelines.services.import_removal import import_remove
from pipelines.services.importing import (
    ImportOptions,
    TooManyFaults,
    import_accept,
    import_discard,
    import_file,
    import_stage,
    import_upload_path,
    imports_expire,
)
from tests import cast
from workers.clock import tick
from workers.loop import drain

pytestmark = pytest.mark.django_db
# What a worker does is seen by its own heartbeat thread, so it cannot stand in a test's transaction.
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project():
    return project_create(slug="birds")


@pytest.fixture
def bring(project, tmp_path):
    """Write rows to a file and import it."""

    def bring(*rows, name="rows.jsonl", into=None, **options) -> Import:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return import_file(project=into or project, path=path, options=ImportOptions(**options))

    return bring


def row(n: int, **fields):
    return {"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}", **fields}


def counts(record: Import) -> tuple[int, int, int, int]:
    return tuple(record.counts[name] for name in ("rows_in", "taken", "merged", "refused"))


def test_rows_become_comparisons_with_the_choice_as_annotation(bring):
    record = bring(*(row(n) for n in range(20)), source="crowd")
    assert (record.state, counts(record)) == ("done", (20, 20, 0, 0))
    for annotation in Annotation.objects.select_related("comparison", "rater"):
        places = annotation.comparison.places.order_by("position").select_related("completion__text")
        bodies = [place.completion.text.body for place in places]
        assert bodies[0 if annotation.outcome == "first" else 1].startswith("good")
        assert (annotation.vote, annotation.shown_order, annotation.assignment_id) == (None, None, None)
        assert (annotation.rater.kind, annotation.rater.name) == ("source", "crowd")
    assert {a.outcome for a in Annotation.objects.all()} == {"first", "second"}


def test_neither_ids_nor_places_tell_the_choice(bring):
    bring(*(row(n) for n in range(60)))
    for places in (list(c.places.order_by("position")) for c in Comparison.objects.all()):
        first, second = (place.completion for place in places)
        assert bytes(first.text_id) < bytes(second.text_id)
        assert first.pk < second.pk and places[0].pk < places[1].pk


def test_a_second_import_of_a_file_adds_nothing(bring):
    bring(row(1), row(2))
    tables = (Text, Prompt, Completion, Comparison, ComparisonCompletion, Annotation, Demand, LanguageModel)
    before = [table.objects.count() for table in tables]
    assert counts(bring(row(1), row(2))) == (2, 0, 2, 0)
    assert counts(bring(row(1), row(2), choices="predictions", source="x")) == (2, 0, 2, 0)
    assert [table.objects.count() for table in tables] == before
    assert Prediction.objects.count() == 0


def test_another_file_with_the_same_set_merges_and_adds_its_choice(bring):
    bring(row(1))
    record = bring({"prompt": "p1", "chosen": "bad 1", "rejected": "good 1"}, row(2), source="b")
    assert counts(record) == (2, 1, 1, 0)
    outcomes = Comparison.objects.get(prompt__text__body="p1").annotations.values_list(
        "rater__name", "outcome"
    )
    assert len(set(outcomes)) == 2 and {outcome for _, outcome in outcomes} == {"first", "second"}


def test_a_row_that_stands_twice_in_a_file_is_a_repeat(bring):
    assert counts(bring(row(1), row(1))) == (2, 1, 1, 0)
    assert sorted(Annotation.objects.values_list("source_line", flat=True)) == [1, 2]


def test_choices_may_be_predictions_of_a_source(bring):
    bring(row(1), choices="predictions", source="gpt")
    prediction = Prediction.objects.get()
    assert (prediction.rater.name, prediction.method, prediction.p_first, prediction.source_line) == (
        "gpt",
        "imported",
        None,
        1,
    )
    assert Annotation.objects.count() == 0


def test_completions_keep_model_and_sampling(bring):
    items = [{"text": f"c{n}", "model": f"m{n % 2}", "sampling": {"temperature": 0.7}} for n in range(4)]
    record = bring({"prompt": "p", "completions": items}, {"prompt": "q", "completions": ["a", "b"]})
    assert (counts(record), record.counts["comparisons"], record.choices) == ((2, 2, 0, 0), 7, "none")
    completion = Completion.objects.get(text__body="c1")
    assert (completion.model.name, completion.model.kind, completion.sampling) == (
        "m1",
        "named",
        {"temperature": 0.7},
    )
    assert Annotation.objects.count() == 0


def test_a_set_of_completions_is_judged_under_its_context(bring):
    rows = [{"prompt": "p", "completions": ["a", "b", "c"], "context": said} for said in ("for a child", "for a doctor", "")]
    assert bring(*rows).counts["comparisons"] == 9
    assert bring({"prompt": "p", "completions": ["a", "b"]}).counts["comparisons"] == 0
    bring(*rows, together=True)
    found = Comparison.objects.values_list("size", "context")
    assert Counter(found) == {(size, said): n for size, n in ((2, 3), (3, 1)) for said in ("for a child", "for a doctor", "")}


def test_pairs_per_prompt_keeps_only_texts_that_are_compared(bring):
    bring({"prompt": "p", "completions": [f"c{n}" for n in range(8)]}, pairs_per_prompt=2)
    assert Comparison.objects.count() == 2
    assert Text.objects.count() == 1 + Completion.objects.count() <= 5


def test_every_comparison_is_open_to_people_unless_a_plan_says_who(bring, project):
    project.wanted = 3
    project.save()
    bring(row(1))
    assert Demand.objects.get().wanted == 3
    plan = RoutingPlan.objects.create(project=project, state="routed", policy="x", policy_version="1")
    bring(row(2), name="two.jsonl")
    assert Demand.objects.count() == 1
    plan.state = "replaced"
    plan.save()
    bring(row(3), name="three.jsonl")
    assert Demand.objects.count() == 2


def test_an_imported_comparison_is_served(bring, project):
    from annotation.services.assignment import assignment_next

    bring(row(1))
    ben = cast.person("Ben", project, "annotator")
    (lent,) = assignment_next(project_id=project.pk, user_id=ben.pk)
    assert lent.comparison_id == Comparison.objects.get().pk


def test_refused_rows_are_named_and_the_others_imported(bring):
    rows = [row(n) for n in range(40)]
    rows[6] = {"prompt": "p", "chosen": "same", "rejected": "same"}
    record = bring(*rows)
    assert counts(record) == (40, 39, 0, 1)
    assert record.counts["refused_chosen_equals_rejected"] == 1
    assert record.faults == [
        {
            "row": 7,
            "cause": "chosen_equals_rejected",
            "message": "Row 7: chosen and rejected are the same text.",
        }
    ]


def test_too_many_refused_rows_import_nothing_unless_accepted(bring):
    rows = [row(1), row(2), row(3, rejected="")]
    with pytest.raises(TooManyFaults, match="1 of 3 rows are refused .*Row 3: rejected is empty"):
        bring(*rows)
    assert (Comparison.objects.count(), Text.objects.count()) == (0, 0)
    assert Import.objects.get().state == "refused"
    assert counts(bring(*rows, accept_faults=True)) == (3, 2, 0, 1)


def test_a_person_may_accept_while_nothing_is_locked(project, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row(1)) + "\n" + json.dumps(row(2, chosen="")) + "\n")
    asked = []

    def confirm(sentence, record):
        asked.append(sentence)
        return True

    record = import_file(project=project, path=path, options=ImportOptions(), confirm=confirm)
    assert (len(asked), counts(record)) == (1, (2, 1, 0, 1))


def test_a_file_of_refused_rows_alone_imports_nothing_even_if_accepted(bring):
    with pytest.raises(FileRefused, match="Every row of the file is refused .*same text"):
        bring({"prompt": "p", "chosen": "a", "rejected": "a"}, accept_faults=True)


def test_strict_makes_a_refused_row_refuse_the_file(bring):
    with pytest.raises(FileRefused, match="Row 100: chosen is empty; with --strict"):
        bring(*(row(n) for n in range(99)), row(99, chosen=""), strict=True)
    assert Comparison.objects.count() == 0


def test_a_fault_of_the_file_imports_nothing(project, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(json.dumps(row(n)).encode() + b"\n" for n in range(100)) + b"{broken\n")
    with pytest.raises(FileRefused, match="Line 101 is not JSON"):
        import_file(project=project, path=path, options=ImportOptions())
    record = Import.objects.get()
    assert (record.state, Text.objects.count()) == ("refused", 0)
    assert "Line 101" in record.error


def test_texts_are_kept_as_they_came_and_warned_about(bring):
    bring(row(1, chosen="I am ChatGPT by OpenAI", rejected="a\u202eb"), row(2))
    assert Comparison.objects.get(prompt__text__body="p1").warnings == ["identity_leak", "control_characters"]
    assert Comparison.objects.get(prompt__text__body="p2").warnings == []
    assert Text.objects.filter(body="a\u202eb").exists()


def test_an_archived_project_takes_no_import(bring, project):
    project_archive(project=project)
    with pytest.raises(InputRefused, match="archived"):
        bring(row(1))


# Uploads


def stage(project, rows, **options) -> Import:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    record, _ = import_stage(
        project=project,
        chunks=[data[:50], data[50:]],
        file_name="../evil/na\u202eme.jsonl",
        options=ImportOptions(**options),
        created_by=None,
    )
    return record


def run(record: Import) -> Import:
    drain(queue="default", worker="test")
    return Import.objects.get(pk=record.pk)


@committed
def test_an_upload_is_kept_under_a_name_of_ours_and_loaded_by_a_job(project):
    record = stage(project, [row(1)])
    assert "evil" not in str(import_upload_path(record))
    assert run(record).state == "done"


@committed
def test_an_upload_with_many_faults_waits_for_an_answer(project):
    record = run(stage(project, [row(1), row(2, chosen="")]))
    assert (record.state, Comparison.objects.count()) == ("staged", 0)
    import_accept(record=record)
    record = run(Import.objects.get(pk=record.pk))
    assert (record.state, Comparison.objects.count()) == ("done", 1)


@committed
def test_a_staged_upload_can_be_discarded_and_expires(project):
    discarded, waiting = (run(stage(project, [row(n), row(9, chosen="")])) for n in (1, 2))
    path = import_upload_path(discarded)
    assert import_discard(record=discarded).state == "refused"
    assert not path.exists()
    assert imports_expire() == 0
    Import.objects.filter(pk=waiting.pk).update(created_at="2020-01-01T00:00Z")
    assert imports_expire() == 1
    with pytest.raises(InputRefused):
        import_accept(record=waiting)


@committed
def test_a_load_that_was_rolled_back_keeps_its_file_and_is_tried_again(project, monkeypatch):
    record = stage(project, [row(n) for n in range(3)])
    real = importing._save

    def fail(record, state, error=""):
        real(record, state, error)
        raise Busy("The database went away.")

    monkeypatch.setattr(importing, "_save", fail)
    drain(queue="default", worker="test", seconds=0)
    record.refresh_from_db()
    assert record.state == "reading" and import_upload_path(record).is_file()
    monkeypatch.setattr(importing, "_save", real)
    WorkItem.objects.update(due_at=Now())
    drain(queue="default", worker="test")
    record.refresh_from_db()
    assert record.state == "done" and Comparison.objects.filter(project=project).count() == 3
    with pytest.raises(FileRefused):
        import_upload_path(record)


@committed
def test_the_clock_refuses_what_waited_a_day_and_leaves_what_somebody_accepted(project):
    rows = [row(n) for n in range(9)] + [{"prompt": "p"}] * 3
    waited, accepted = run(stage(project, rows)), run(stage(project, rows))
    Import.objects.filter(pk__in=[waited.pk, accepted.pk]).update(created_at=now() - timedelta(hours=25))
    import_accept(record=accepted)
    drain(queue="default", worker="test")
    tick()
    states = dict(Import.objects.values_list("pk", "state"))
    assert states[waited.pk] == "refused" and states[accepted.pk] == "done"


def test_an_upload_over_the_limit_leaves_no_file(project, settings):
    settings.LIMIT_UPLOAD_BYTES = 60
    with pytest.raises(FileRefused, match="limit for uploads"):
        stage(project, [row(1), row(2)])
    assert not any(settings.UPLOADS_DIR.iterdir()) if settings.UPLOADS_DIR.exists() else True


# Taking back


def test_an_import_can_be_taken_back_without_a_trace(bring, project):
    kept = bring(row(1))
    record = bring(row(1), row(2), name="two.jsonl", source="b")
    import_remove(record=record)
    assert list(Comparison.objects.values_list("source_import", flat=True)) == [kept.pk]
    assert Annotation.objects.count() == 1
    assert set(Text.objects.values_list("body", flat=True)) == {"p1", "good 1", "bad 1"}
    assert counts(bring(row(1), row(2), name="two.jsonl", source="b")) == (2, 1, 1, 0)
    assert Annotation.objects.count() == 3


def test_an_import_that_people_voted_on_stays(bring, project):
    from uuid import uuid4

    from annotation.services.assignment import assignment_next, assignment_submit

    record = bring(row(1))
    ben = cast.person("Ben", project, "annotator")
    (lent,) = assignment_next(project_id=project.pk, user_id=ben.pk)
    assignment_submit(assignment_id=lent.id, user_id=ben.pk, submit_key=uuid4(), answers=cast.vote(-2))
    with pytest.raises(InputRefused, match="people gave 1 annotations"):
        import_remove(record=record)


def test_an_import_that_others_merged_into_stays(bring):
    record = bring(row(1))
    bring(row(1), row(2), name="two.jsonl", source="b")
    with pytest.raises(InputRefused, match="a later import gave 1 choices"):
        import_remove(record=record)


# Real data


def test_the_reference_transcripts_come_in_with_their_faulty_rows_named(project, reference_data):
    path = reference_data / "hh-rlhf-harmless" / "harmless-base-test-first1500.jsonl.gz"
    record = import_file(project=project, path=path, options=ImportOptions())
    assert (record.shape, counts(record)) == ("hh-rlhf", (1500, 1495, 0, 5))
    assert [fault["row"] for fault in record.faults] == [87, 517, 926, 1104, 1255]
    assert (record.counts["refused_empty_completion"], record.counts["refused_no_common_prompt"]) == (4, 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, count(*) FROM annotation_annotation GROUP BY 1")
        shares = dict(cursor.fetchall())
    assert 0.4 < shares["first"] / 1495 < 0.6

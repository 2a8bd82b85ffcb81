"""An edit's text becomes a completion with its author, preferred over its source; undo and correction take that back."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, Comparison, Completion, Demand, OutboxEvent, Text
from annotation.selectors.judging import judged_today, own_answers
from annotation.services.assignment import assignment_next, assignment_submit
from annotation.services.corrections import annotation_correct, annotation_undo
from annotation.services.edits import edits_derive
from annotation.services.projects import form_revise
from pipelines.selectors.lineage import version_lineage
from pipelines.services.aggregation import aggregate_full
from pipelines.services.importing import ImportOptions, import_file
from pipelines.services.routing import route_pilot
from pipelines.services.versions import version_freeze
from tests import cast

pytestmark = pytest.mark.django_db
QUESTIONS = TEMPLATES["edit"].questions


@pytest.fixture
def project():
    project = cast.project()
    form_revise(project=project, questions=QUESTIONS)
    return project


@pytest.fixture
def ben(project):
    return cast.person("Ben", project, "annotator")


def edit(text="A better one.", source=1):
    return {**cast.vote(2), "edit": {"source": source, "text": text}}


def submit(project, ben, answers, key=None) -> Annotation:
    (lent,) = assignment_next(project_id=project.pk, user_id=ben.pk)
    stored = assignment_submit(assignment_id=lent.id, user_id=ben.pk, submit_key=key or uuid4(), answers=answers)
    return Annotation.objects.get(pk=stored.annotation_id)


def derived(state="current") -> list[Annotation]:
    return list(Annotation.objects.filter(derived_from__isnull=False, state=state).select_related("comparison"))


def test_the_edited_text_is_a_completion_of_its_author_preferred_over_its_source(project, ben):
    judged = cast.comparison(project, "p", "a", "b")
    answer = submit(project, ben, edit())
    (row,) = derived()
    new = Completion.objects.get(text__body="A better one.")
    assert (new.author, new.prompt, row.rater, row.derived_from) == (answer.rater, judged.prompt, answer.rater, answer)
    places = list(row.comparison.places.order_by("position").select_related("completion__text"))
    source = judged.places.get(position=1).completion
    assert {place.completion for place in places} == {new, source}
    assert bytes(places[0].completion.text_id) < bytes(places[1].completion.text_id)
    assert places[0 if row.outcome == "first" else 1].completion == new
    assert (row.vote, row.assignment, row.shown_order) == (None, None, None)
    assert not Demand.objects.filter(comparison=row.comparison).exists()
    assert OutboxEvent.objects.filter(subject_id=row.pk, kind="annotation.submitted").exists()


def test_doing_it_twice_changes_nothing(project, ben):
    cast.comparison(project, "p", "a", "b")
    key = uuid4()
    answer = submit(project, ben, edit(), key)
    counts = [table.objects.count() for table in (Annotation, Comparison, Completion, Text, OutboxEvent)]
    assert edits_derive(annotation_id=answer.pk, questions=QUESTIONS, answers=answer.answers) == 0
    again = assignment_submit(assignment_id=answer.assignment_id, user_id=ben.pk, submit_key=key, answers=edit())
    assert again.replay
    assert [t.objects.count() for t in (Annotation, Comparison, Completion, Text, OutboxEvent)] == counts


def test_undo_withdraws_it(project, ben):
    cast.comparison(project, "p", "a", "b")
    answer = submit(project, ben, edit())
    assert annotation_undo(annotation_id=answer.pk, user_id=ben.pk) is not None
    (gone,) = derived("withdrawn")
    assert not derived() and gone.retracted_by.state == "retraction"
    assert OutboxEvent.objects.filter(subject_id=gone.pk, kind="annotation.withdrawn").exists()


def test_a_correction_withdraws_the_old_text_and_keeps_the_new_one(project, ben):
    cast.comparison(project, "p", "a", "b")
    answer = submit(project, ben, edit())
    annotation_correct(annotation_id=answer.pk, user_id=ben.pk, submit_key=uuid4(), answers=edit("Best of all."))
    (row,) = derived()
    bodies = set(row.comparison.places.values_list("completion__text__body", flat=True))
    assert "Best of all." in bodies and len(derived("withdrawn")) == 1
    annotation_correct(
        annotation_id=row.derived_from_id, user_id=ben.pk, submit_key=uuid4(), answers=cast.vote(1)
    )
    assert not derived() and len(derived("withdrawn")) == 2


def test_an_answer_without_an_edit_makes_nothing_and_asks_nothing(project, ben, django_assert_num_queries):
    cast.comparison(project, "p", "a", "b")
    answer = submit(project, ben, cast.vote(1))
    with django_assert_num_queries(0):
        assert edits_derive(annotation_id=answer.pk, questions=QUESTIONS, answers=answer.answers) == 0
    assert Comparison.objects.count() == 1


def test_it_is_no_answer_of_its_own_in_history_and_counts(project, ben):
    cast.comparison(project, "p", "a", "b")
    answer = submit(project, ben, edit())
    answers, _ = own_answers(project=project, user_id=ben.pk)
    assert answers == [answer] and judged_today(project_id=project.pk, user_id=ben.pk) == 1


def test_the_last_message_of_a_chat_is_replaced(project, ben, tmp_path):
    turns = [{"role": "user", "content": "Hi"}]
    rows = {"prompt": turns, "completions": [[{"role": "assistant", "content": c}] for c in ("x", "y")]}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**rows, "completions": [{"text": c} for c in rows["completions"]]}) + "\n")
    import_file(project=project, path=path, options=ImportOptions())
    submit(project, ben, edit("z"))
    new = Completion.objects.get(author__isnull=False)
    assert (new.text.form, new.text.body) == ("messages", '[{"content":"z","role":"assistant"}]')
    assert derived()[0].comparison.one_prompt


def test_an_edit_under_a_prompt_of_unknown_text_is_no_pair(project, ben, tmp_path):
    answers = [{"rater": "r", "answers": {**cast.vote(-1), "edit": {"source": 0, "text": "Mended."}}}]
    path = tmp_path / "rows.jsonl"
    completions = [{"id": n, "text": f"c{n}"} for n in (1, 2)]
    path.write_text(json.dumps({"prompt": {"name": "p"}, "completions": completions, "annotations": answers}) + "\n")
    import_file(project=project, path=path, options=ImportOptions())
    assert not derived()[0].comparison.one_prompt


def test_it_becomes_a_preference_and_no_plan_hands_it_out_again(project, ben):
    cast.comparison(project, "p", "a", "b")
    submit(project, ben, edit())
    (row,) = derived()
    aggregate_full(project=project)
    preference = row.comparison.preference.current
    assert preference.chosen.text.body == "A better one."
    assert preference.origin == "person"
    assert route_pilot(project=project, share=1.0).counts["comparisons"] == 1


def test_imported_edits_become_preferences_too_and_go_with_their_import(project, tmp_path):
    from pipelines.services.import_removal import import_remove

    answers = [{"rater": "r", "answers": {**cast.vote(-1), "edit": {"source": 0, "text": "Mended."}}}]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({
        "prompt": "p", "completions": [{"id": n, "text": f"c{n}"} for n in (1, 2)], "annotations": answers
    }) + "\n")  # fmt: skip
    record = import_file(project=project, path=path, options=ImportOptions())
    (row,) = derived()
    bodies = set(row.comparison.places.values_list("completion__text__body", flat=True))
    assert (record.counts["annotations"], record.counts["edits"], bodies) == (1, 1, {"c1", "Mended."})
    assert row.comparison.source_import == record
    import_remove(record=record)
    assert (Comparison.objects.count(), Annotation.objects.count(), Text.objects.count()) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_it_is_frozen_into_a_version_that_names_the_edit():
    project = cast.project()
    form_revise(project=project, questions=QUESTIONS)
    cast.comparison(project, "p", "a", "b")
    answer = submit(project, cast.person("Ben", project, "annotator"), edit())
    version = version_freeze(project=project, name="v1")
    rows = {json.loads(bytes(row.payload))["chosen"]: row.position for row in version.rows.all()}
    assert len(rows) == 2 and "A better one." in rows
    edits = {row["position"]: row["edits"] for row in version_lineage(version=version)}
    assert edits[rows.pop("A better one.")] == [answer.pk] and edits[rows.popitem()[1]] is None


@pytest.mark.django_db(transaction=True)
def test_two_people_who_write_the_same_at_once_share_the_completion():
    """Whoever comes second waits for the first one's text, and finds it."""
    from threading import Barrier, Thread

    from django.db import connection

    project = cast.project()
    form_revise(project=project, questions=QUESTIONS)
    cast.comparison(project, "p", "a", "b", wanted=2)
    people = [cast.person(name, project, "annotator") for name in ("Ben", "Cora")]
    lent = [assignment_next(project_id=project.pk, user_id=one.pk)[0] for one in people]
    barrier, wrong = Barrier(2), []

    def answer(person, row) -> None:
        try:
            barrier.wait()
            assignment_submit(assignment_id=row.id, user_id=person.pk, submit_key=uuid4(), answers=edit("Same."))
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append(error)
        finally:
            connection.close()

    threads = [Thread(target=answer, args=pair) for pair in zip(people, lent, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and Completion.objects.filter(text__body="Same.").count() == 1
    assert len(derived()) == 2 and len({row.comparison_id for row in derived()}) == 1

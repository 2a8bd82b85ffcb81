"""Comparisons of one to nine completions, with people's answers, from a file."""

from __future__ import annotations

import json

import pytest

from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, Comparison, Completion, Demand, Import, Prompt, Rater, Text
from annotation.services.projects import form_revise, project_create
from pipelines.errors import InputRefused
from pipelines.imports.errors import FileRefused
from pipelines.services.import_removal import import_remove
from pipelines.services.importing import ImportOptions, import_file

pytestmark = pytest.mark.django_db
PAIR = [{"id": "a", "text": "Four."}, {"id": "b", "text": "Five.", "model": "m"}]


@pytest.fixture
def project():
    return project_create(slug="birds")


@pytest.fixture
def bring(project, tmp_path):
    def bring(*rows, name="rows.jsonl", **options) -> Import:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return import_file(project=project, path=path, options=ImportOptions(**options))

    return bring


def vote(strength, rater="r1", **fields):
    outcome = "tie" if strength == 0 else "first" if strength < 0 else "second"
    return {"rater": rater, "answers": {"preference": {"outcome": outcome, "vote": strength}}, **fields}


def row(*annotations, completions=PAIR, prompt="2+2=", **fields):
    return {"prompt": prompt, "completions": completions, "annotations": list(annotations), **fields}


def stored(comparison) -> list[str]:
    places = comparison.places.order_by("position").select_related("completion__text")
    return [place.completion.text.body for place in places]


def test_a_row_that_nobody_has_answered_is_one_comparison_to_be_judged(bring, project):
    """Context, own prompts and three completions come in before anybody has voted."""
    three = [*PAIR, {"id": "c", "text": "Six.", "prompt": "3+3="}]
    record = bring(row(completions=three, context="Judge as a teacher."))
    comparison = Comparison.objects.get()
    assert (comparison.size, comparison.context) == (3, "Judge as a teacher.")
    assert record.counts["comparisons"] == 1 and not Annotation.objects.exists()
    assert Demand.objects.get().comparison == comparison


def test_answers_become_annotations_of_named_raters_in_stored_order(bring, project):
    times = {"at": "2026-05-01T12:30:00+02:00", "shown_order": ["b", "a"]}
    record = bring(row(vote(-2, **times), vote(3, "r2"), vote(0, None)), source="crowd")
    assert (record.shape, record.choices, record.counts["annotations"]) == ("annotated", "annotations", 3)
    comparison = Comparison.objects.get()
    first = stored(comparison)[0] == "Four."
    by_rater = {a.rater.name: a for a in Annotation.objects.select_related("rater")}
    assert set(by_rater) == {"r1", "r2", "crowd"} and {a.rater.kind for a in by_rater.values()} == {"source"}
    one = by_rater["r1"]
    assert (one.outcome, one.vote, one.vote_scale) == (("first", -2, 3) if first else ("second", 2, 3))
    assert one.shown_order == ([1, 0] if first else [0, 1])
    assert one.created_at.isoformat() == "2026-05-01T10:30:00+00:00"
    assert one.form_revision == project.form_revisions.get() and one.assignment is None
    assert by_rater["crowd"].outcome == "tie" and by_rater["r2"].shown_order is None


def test_imported_answers_fill_no_wanted_place(bring):
    bring(row(vote(1)))
    assert Demand.objects.values_list("wanted", "done", "leased").get() == (1, 0, 0)


def test_a_file_twice_adds_nothing_and_a_rater_twice_is_a_repeat(bring):
    rows = [row(vote(1), vote(2)), row(vote(-1))]
    assert bring(*rows).counts["annotations"] == 3
    again = bring(*rows, name="other.jsonl", source="x")
    assert (again.counts["annotations"], again.counts["merged"]) == (0, 2)
    assert Annotation.objects.count() == 3 and Comparison.objects.count() == 1


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({}, "The question 'Which answer is better?' needs an answer"),
        ({"preference": {"outcome": "first", "vote": 7}}, "Preference strength must be -3 to 3; got 7"),
        ({"other": {}}, "The form has no question 'other'"),
        ({"preference": {"outcome": [], "vote": 7}}, "The outcome must be one of"),
    ],
)
def test_an_answer_that_does_not_fit_the_form_is_a_fault_of_its_row(bring, answers, sentence):
    rows = [row(vote(1), prompt=f"p{n}") for n in range(30)]
    rows[4] = row(vote(1), {"rater": "r", "answers": answers})
    record = bring(*rows)
    assert (record.counts["refused"], record.counts["refused_answer_refused"]) == (1, 1)
    assert record.faults[0]["message"].startswith(f"Row 5: annotation 2: {sentence}")
    assert Comparison.objects.count() == 29


def test_answers_are_held_against_the_newest_form(bring, project):
    form = form_revise(project=project, questions=TEMPLATES["listwise"].questions)
    three = [{"id": n, "text": f"text {n}"} for n in (1, 2, 3)]
    bring(row({"rater": "r", "answers": {"ranking": {"ranks": [2, 3, 1]}}}, completions=three))
    annotation = Annotation.objects.get()
    ranks = dict(zip(stored(annotation.comparison), annotation.answers["ranking"]["ranks"], strict=True))
    assert ranks == {"text 1": 2, "text 2": 3, "text 3": 1}
    assert (annotation.outcome, annotation.form_revision) == ("", form)


def test_completions_may_answer_different_prompts(bring, project):
    form_revise(project=project, questions=TEMPLATES["joint"].questions)
    both = [{"id": "a", "text": "Yes.", "prompt": "Is it?"}, {"id": "b", "text": "Yes.", "prompt": "Was it?"}]
    record = bring({"completions": both, "annotations": [vote(-3)]})
    comparison = Comparison.objects.get()
    assert (comparison.size, comparison.one_prompt) == (2, False)
    places = comparison.places.order_by("position").select_related("completion__prompt__text")
    prompts = [place.completion.prompt.text.body for place in places]
    assert sorted(prompts) == ["Is it?", "Was it?"] and comparison.prompt.text.body == prompts[0]
    assert Annotation.objects.get().outcome == ("first" if prompts[0] == "Is it?" else "second")
    assert Completion.objects.count() == 2 and Text.objects.filter(body="Yes.").count() == 1
    import_remove(record=record)
    assert (Prompt.objects.count(), Text.objects.count()) == (0, 0)


def test_a_prompt_may_be_a_name_only(bring):
    bring(row(vote(1), prompt={"name": "story 7"}))
    comparison = Comparison.objects.get()
    assert (comparison.prompt.text.form, comparison.prompt.text.body) == ("name", "story 7")
    assert not comparison.one_prompt


def test_a_context_makes_another_comparison(bring):
    bring(row(vote(1)), row(vote(1), context="For a child."))
    assert set(Comparison.objects.values_list("context", flat=True)) == {"", "For a child."}


def test_one_completion_alone_and_nine_are_compared_and_ten_are_refused(bring, project):
    form_revise(project=project, questions=TEMPLATES["thumbs"].questions)

    def thumbs(n):
        answers = {"thumb": {"completions": [{"label": "yes"}] * n}}
        return row({"rater": "r", "answers": answers}, completions=[{"id": i, "text": f"c{i}"} for i in range(n)])

    record = bring(thumbs(1), thumbs(9), thumbs(10), accept_faults=True)
    assert record.faults[0]["cause"] == "completions_too_many"
    assert sorted(Comparison.objects.values_list("size", flat=True)) == [1, 9]


def test_equal_completions_are_refused(bring):
    with pytest.raises(FileRefused, match="two of its completions are the same text"):
        bring(row(vote(1), completions=[{"id": 1, "text": "x"}, {"id": 2, "text": "x"}]))


def test_answers_of_people_are_never_predictions(bring):
    with pytest.raises(FileRefused, match="only be kept as annotations"):
        bring(row(vote(1)), choices="predictions")


def test_the_completions_of_a_row_may_be_one_comparison(bring):
    rows = [{"prompt": "p", "completions": ["a", "b", "c"]}, {"prompt": "q", "completions": ["a", "b"]}]
    record = bring(*rows, together=True)
    assert record.counts["comparisons"] == 2
    assert sorted(Comparison.objects.values_list("size", flat=True)) == [2, 3]
    assert record.options["notices"][-1] == (
        "New comparisons that cannot be answered on the project's form: 1. It takes 2 completions; change the form, or take"
        " the import back."
    )
    assert bring(rows[1]).counts["merged"] == 1, "a pair has the same key either way"
    with pytest.raises(InputRefused, match="either pairs per prompt or together"):
        bring(*rows, together=True, pairs_per_prompt=1)


def test_an_import_with_answers_can_be_taken_back(bring):
    record = bring(row(vote(1), vote(2, "r2")))
    import_remove(record=record)
    assert (Annotation.objects.count(), Comparison.objects.count(), Text.objects.count()) == (0, 0, 0)
    assert Rater.objects.count() == 2
    assert bring(row(vote(1), vote(2, "r2"))).counts["annotations"] == 2

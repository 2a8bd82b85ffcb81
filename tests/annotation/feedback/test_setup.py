"""The editor's drafts: a form and back, and what a person does to them."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from annotation.errors import FormRefused, QuestionRefused
from annotation.feedback import FEEDBACK_TYPES, answer_module, questions_check
from annotation.feedback.draft_order import draft_moved, draft_removed
from annotation.feedback.setup import (
    draft_add,
    draft_drawn,
    draft_faults,
    draft_from,
    draft_questions,
    draft_read,
    part_key,
    questions_from_json,
    sample_size,
    type_setup,
)
from annotation.feedback.spans.answer import ASKED_OF_SPANS
from annotation.feedback.templates import TEMPLATES


def posted(draft) -> dict[str, str]:
    return {f"q.{at}.{name}": text for at, fields in enumerate(draft) for name, text in fields.items()}


def same(question, other) -> bool:
    """Equal but for settings that say nothing."""
    said = [{k: v for k, v in one.items() if v not in ([], "", None, False)} for one in (question, other)]
    return said[0] == said[1]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_goes_through_the_editor_unchanged(name):
    questions = TEMPLATES[name].questions
    draft = draft_from(questions)
    assert draft_read(posted(draft)) == draft
    again = draft_questions(draft)
    settings = {one.name: one.absent for q in questions for one in type_setup(q["type"]).SETTINGS}
    for question, other in zip(questions, again, strict=True):
        assert same({**settings, **question}, {**settings, **other})
    assert draft_from(again) == draft


@pytest.mark.parametrize("type_key", FEEDBACK_TYPES)
def test_a_question_of_each_type_can_be_added_as_it_is(type_key):
    draft = draft_add([], type_key)
    questions = draft_questions(draft)
    assert questions[0]["required"] and questions[0]["type"] == type_key
    questions_check(questions)
    (drawn,) = draft_drawn(draft)
    assert drawn.label == FEEDBACK_TYPES[type_key].label and drawn.settings
    of_spans = ["span"] if type_key in ASKED_OF_SPANS else []
    assert [value for value, _ in drawn.subjects] == [*answer_module(type_key).SUBJECTS, *of_spans]
    assert sample_size(questions) == type_setup(type_key).SAMPLE


def test_each_setting_is_one_that_its_type_checks_or_reads():
    """A default that the type would refuse, or two settings of one name, would only show in a person's hands."""
    for type_key in FEEDBACK_TYPES:
        names = [setting.name for setting in type_setup(type_key).SETTINGS]
        assert len(set(names)) == len(names)
        for setting in type_setup(type_key).SETTINGS:
            assert setting.kind != "choice" or setting.default in [value for value, _ in setting.choices]


def test_questions_are_added_moved_and_removed():
    draft = draft_add(draft_add(draft_add([], "pairwise"), "pairwise"), "edit")
    assert [fields["key"] for fields in draft] == ["pairwise", "pairwise_2", "edit"]
    assert ["required" in fields for fields in draft] == [True, False, False]
    moved = draft_moved(draft, 2, -1)
    assert [fields["key"] for fields in moved] == ["pairwise", "edit", "pairwise_2"]
    assert draft_moved(draft, 0, -1) == draft == draft_moved(draft, 2, 1)
    assert draft_removed(draft, 1) == [draft[0], draft[2]]


def test_an_error_names_its_question_and_number():
    draft = draft_add(draft_add([], "pairwise"), "rating")
    draft[1] |= {"title": "How good?", "high": "many"}
    with pytest.raises(QuestionRefused, match="Question 2, “How good\\?”: Highest is a whole number; got 'many'") as caught:
        draft_questions(draft)
    assert caught.value.number == 2
    draft[1]["high"] = "0"
    with pytest.raises(QuestionRefused, match="Question 2.*from low to a larger high"):
        draft_questions(draft)


@pytest.mark.parametrize(
    "change",
    [{"key": "9x"}, {"title": " "}, {"subject": "span"}, {"steps": "4"}, {"more": "[]"}, {"more": "{"}, {"words": "one"}],
)
def test_what_does_not_fit_is_refused(change):
    draft = draft_add([], "pairwise")
    draft[0] |= change
    with pytest.raises(QuestionRefused, match="Question 1"):
        draft_questions(draft)


def test_parts_keep_their_keys():
    aspects = [{"key": "helpful", "label": "More helpful"}, {"key": "more_correct", "label": "More correct"}]
    question = {**TEMPLATES["pairwise"].questions[0], "aspects": aspects}
    (fields,) = draft_from([question])
    assert fields["aspects"] == "helpful = More helpful\nMore correct"
    assert draft_questions([fields])[0]["aspects"] == aspects
    fields["aspects"] = "E = mc2\n2nd"
    assert [part["key"] for part in draft_questions([fields])[0]["aspects"]] == [part_key("E = mc2"), "p_2nd"]


def test_what_the_editor_does_not_show_is_carried_along():
    question = {**TEMPLATES["spans"].questions[0], "colour": ["red"]}
    draft = draft_from([question])
    assert json.loads(draft[0]["more"]) == {"colour": ["red"]}
    assert draft_questions(draft)[0]["colour"] == ["red"]


# Questions of marked passages


def asked_of_span(type_key: str = "binary", key: str = "sure", **more: str) -> dict[str, str]:
    return {**draft_add([], type_key)[0], "subject": "span", "key": key, "title": "Sure?"} | more


def keys_of(draft) -> list[str]:
    return [fields["key"] for fields in draft]


MARKING = draft_add([], "spans")


def test_a_question_of_a_passage_stands_inside_its_spans_question():
    draft = [*draft_add(MARKING, "pairwise"), asked_of_span(), asked_of_span("rating", "weight")]
    marking, choice = draft_questions(draft)
    assert choice["type"] == "pairwise" and keys_of(marking["questions"]) == ["sure", "weight"]
    assert all("subject" not in asked for asked in marking["questions"])
    questions_check([marking, choice])
    again = draft_from([marking, choice])
    assert keys_of(again) == ["spans", "sure", "weight", "pairwise"] and draft_questions(again) == [marking, choice]
    assert [one.marks for one in draft_drawn(again)] == [None, 1, 1, None]


@pytest.mark.parametrize(
    ("draft", "field", "sentence"),
    [
        ([asked_of_span(), *MARKING], "subject", "Question 1, “Sure?”: it is asked of marked passages, and no question above"),
        ([*MARKING, asked_of_span("pairwise")], "subject", "a marked passage is asked binary and rating questions only"),
        ([*MARKING, asked_of_span(), asked_of_span()], "key", "another question of the same passages is named 'sure' already"),
        ([*MARKING, asked_of_span(overall="1")], "overall", "what is said of a passage decides no preference"),
        ([*MARKING, asked_of_span(reasons="Clear")], "reasons", "Reasons to tick does not go with a marked passage"),
        ([*MARKING, asked_of_span("rating", slider="1")], "slider", "As a slider, its number hidden does not go with"),
        ([*MARKING, asked_of_span("rating", high="0")], "", "from low to a larger high"),
    ],
)
def test_a_passage_that_cannot_be_asked_is_told_of_beside_the_field(draft, field, sentence):
    (fault,) = draft_faults(draft)
    assert fault.field == field and sentence in fault.sentence
    drawn = draft_drawn(draft, [fault])[fault.place]
    assert drawn.faults[field][0].isupper()
    assert field in {"", "subject", "key"} or drawn.decides or field in [one.setting.name for one in drawn.settings]


def test_a_passage_is_offered_what_it_can_be_asked_alone():
    (_, drawn) = draft_drawn([*MARKING, asked_of_span()])
    assert [one.setting.name for one in drawn.settings] == ["words", "does_not_apply", "principles"]
    assert not drawn.decides


def test_a_spans_question_moves_and_goes_with_what_is_asked_of_its_passages():
    draft = [*draft_add(MARKING, "pairwise"), *draft_add(draft_add([], "spans"), "spans")[1:]]
    draft[1:1] = [asked_of_span(), asked_of_span(key="weight")]
    assert keys_of(draft) == ["spans", "sure", "weight", "pairwise", "spans_2"]
    assert keys_of(draft_moved(draft, 0, 1)) == ["pairwise", "spans", "sure", "weight", "spans_2"]
    assert keys_of(draft_moved(draft, 3, -1)) == ["pairwise", "spans", "sure", "weight", "spans_2"]
    assert keys_of(draft_moved(draft, 2, -1)) == ["spans", "weight", "sure", "pairwise", "spans_2"]
    other = draft_moved(draft, 2, 1)
    assert keys_of(other) == ["spans", "sure", "pairwise", "spans_2", "weight"], "to the other spans question"
    assert keys_of(draft_moved(other, 4, -1)) == keys_of(draft), "and back"
    assert draft_moved(draft, 1, -1) == draft, "not above all that marks"
    assert keys_of(draft_removed(draft, 0)) == ["pairwise", "spans_2"]
    assert keys_of(draft_removed(draft, 1)) == ["spans", "weight", "pairwise", "spans_2"]
    (first, *_) = draft_drawn([*MARKING, asked_of_span()])
    assert not first.goes_out, "nothing would be left"


def test_a_required_question_of_passages_is_not_the_forms_own():
    assert "required" not in draft_add([*MARKING, asked_of_span()], "edit")[2]
    optional = {name: text for name, text in MARKING[0].items() if name != "required"}
    assert "required" in draft_add([optional, asked_of_span()], "edit")[2]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ([{"type": "edit"}], "binary and rating questions only"),
        ("sure", "must be a list"),
        ([{"type": "binary", "title": "Sure?"}], "A question's key has small letters"),
        ([{"type": "binary", "key": "sure"}], "needs a title"),
        ([{"type": "binary", "key": "sure", "title": "Sure?", "subject": "span"}], "has no subject"),
        ([{"type": "binary", "key": "sure", "title": "Sure?", "cannot_judge": True}], "cannot have cannot_judge"),
        ([{"type": "binary", "key": "sure", "title": "Sure?"}] * 2, "needs a key of its own; got 'sure', 'sure'"),
        ([{"type": "binary", "key": f"q{n}", "title": "Sure?"} for n in range(20)], "at most 20 questions; got 1 and 20"),
    ],
)
def test_json_is_held_to_the_same(asked, sentence):
    with pytest.raises(FormRefused, match=sentence):
        questions_from_json(json.dumps([{**TEMPLATES["spans"].questions[0], "questions": asked}]))


def test_a_form_may_be_json():
    questions = list(TEMPLATES["listwise"].questions)
    assert questions_from_json(json.dumps(questions)) == questions
    assert questions_from_json(json.dumps({"questions": questions})) == questions
    nul = json.dumps([{**questions[0], "reasons": ["a\x00"]}])
    half = json.dumps([{**questions[0], "help": "\ud800"}])
    for text in ("{", "3", '["a"]', "[]", '{"questions": 1}', nul, half, json.dumps([{**questions[0], "help": 5}])):
        with pytest.raises(FormRefused):
            questions_from_json(text)


def test_a_posted_question_of_no_type_is_refused():
    with pytest.raises(FormRefused, match="each of a feedback type"):
        draft_read({"q.0.type": "poem"})
    assert draft_read({"title": "x", "q.0.type": "edit", "q.x.type": "edit"}) == [{"type": "edit"}]


NAMES = sorted({one.name for key in FEEDBACK_TYPES for one in type_setup(key).SETTINGS} | {"key", "title", "subject", "more"})
TEXTS = st.sampled_from(["", "span", "1", "7", "rank", "each", "lines", "a\nb", "x = y", "completion", "{}", '{"a": 1}', "[]"])


# How fast a loaded machine draws texts is not what this is about.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    type_key=st.sampled_from(list(FEEDBACK_TYPES)),
    fields=st.dictionaries(st.sampled_from(NAMES), TEXTS | st.text(max_size=6), max_size=8),
)
@example(type_key="segments", fields={"most": ""})
def test_whatever_is_posted_is_a_form_or_refused_in_a_sentence(type_key, fields):
    draft = draft_add([], type_key)
    draft[0] |= fields
    draft = draft_read(posted(draft))
    assert len(draft_drawn(draft)) == 1
    try:
        questions, refused = draft_questions(draft), ""
    except FormRefused as error:
        questions, refused = [], str(error)
    assert refused.startswith("Question 1") if refused else draft_questions(draft_from(questions)) == questions


@st.composite
def marked_forms(draw):
    """Forms as the editor writes them, some of whose spans questions ask of each passage, some with a setting it lacks."""

    def question(type_key, number):
        fields = draft_add([], type_key)[0] | {"key": f"{type_key}_{number}", "title": draw(st.text("abc ?", min_size=1)) + "x"}
        made = draft_questions([fields | ({} if draw(st.booleans()) else {"more": '{"colour": ["red"]}'})])[0]
        made["required"] = draw(st.booleans())
        return made

    def marking(number):
        asked = [question(draw(st.sampled_from(ASKED_OF_SPANS)), n) for n in range(draw(st.integers(0, 3)))]
        of_spans = [{name: value for name, value in one.items() if name != "subject"} for one in asked]
        return question("spans", number) | ({"questions": of_spans} if of_spans else {})

    types = draw(st.lists(st.sampled_from(["spans", "spans", "pairwise", "binary"]), min_size=1, max_size=4))
    form = [marking(n) if type_key == "spans" else question(type_key, n) for n, type_key in enumerate(types)]
    form[0]["required"] = True
    return form


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(form=marked_forms())
def test_a_form_that_marks_passages_goes_through_the_editor_and_json_unchanged(form):
    draft = draft_from(form)
    assert draft_read(posted(draft)) == draft and draft_questions(draft) == form
    assert questions_from_json(json.dumps(form)) == form


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(form=marked_forms(), steps=st.lists(st.tuples(st.integers(0, 15), st.sampled_from([-1, 1])), max_size=8))
def test_whatever_is_moved_nothing_is_lost_and_every_passage_keeps_a_question_that_marks_it(form, steps):
    draft = draft_from(form)
    for place, by in steps:
        drawn = draft_drawn(draft)
        moved = draft_moved(draft, place, by)
        if place < len(draft):
            assert (moved != draft) == (drawn[place].goes_up if by < 0 else drawn[place].goes_down)
        assert sorted(map(id, moved)) == sorted(map(id, draft))
        draft = moved
    assert [fault for fault in draft_faults(draft) if fault.field not in {"key"}] == []
    for place in range(len(draft)):
        assert [fault for fault in draft_faults(draft_removed(draft, place)) if fault.field == "subject"] == []

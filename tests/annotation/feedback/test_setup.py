"""The editor's drafts: a form and back, and what a person does to them."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from annotation.errors import FormRefused, QuestionRefused
from annotation.feedback import FEEDBACK_TYPES, answer_module, questions_check
from annotation.feedback.setup import (
    draft_add,
    draft_drawn,
    draft_from,
    draft_moved,
    draft_questions,
    draft_read,
    draft_removed,
    part_key,
    questions_from_json,
    sample_size,
    type_setup,
)
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
    assert [value for value, _ in drawn.subjects] == list(answer_module(type_key).SUBJECTS)
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
    asked = {"key": "sure", "type": "binary", "title": "Sure?", "subject": "span"}
    question = {**TEMPLATES["spans"].questions[0], "questions": [asked]}
    draft = draft_from([question])
    assert json.loads(draft[0]["more"]) == {"questions": [asked]}
    assert draft_questions(draft)[0]["questions"] == [asked]


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
TEXTS = st.sampled_from(["", "1", "7", "rank", "each", "lines", "a\nb", "x = y", "completion", "{}", '{"a": 1}', "[]"])


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

"""Every form template, every feedback type: what is posted is what is stored, whatever side was shown where."""

from __future__ import annotations

import json
import random
from itertools import product
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.errors import FormRefused
from annotation.feedback import (
    FEEDBACK_TYPES,
    SIDES,
    About,
    answer_module,
    answers_from_form,
    answers_placed,
    answers_summary,
    answers_to_form,
    answers_validate,
    gives_place_back,
    needs_texts,
    questions_check,
    sizes_taken,
)
from annotation.feedback.drawing import answer_words
from annotation.feedback.edit.answer import common_subsequence, edit_distance
from annotation.feedback.stepwise.answer import steps_of
from annotation.feedback.templates import TEMPLATES

TEXTS = ["One line.\nAnother line.\n\nA third, after a gap.", "Only one line here.", "Alpha\nbeta", "Gamma", "Delta"]

SECONDS = 60.0


def about(size: int) -> About:
    return About(size, [("plain", text) for text in TEXTS[:size]], SECONDS)


def any_fields(questions: list[dict], size: int, draw: random.Random, order: list[int]) -> dict[str, str]:
    """Fields that an annotator could post: every question answered, each at random."""
    fields: dict[str, str] = {}
    for question in questions:
        sides = SIDES[:size] if question["subject"] == "completion" else [""]
        for place, side in enumerate(sides):
            name = f"{question['key']}.{side}".rstrip(".")
            fields |= ANSWERS[question["type"]](question, name, size, draw, order[place])
    return fields


def any_choice(question, draw):
    steps = [str(step) for step in range(1, question["steps"] + 1)]
    return draw.choice([*steps, "tie", *(["both_bad"] if question.get("both_bad") else [])])


def any_pairwise(question, name, size, draw, position):
    fields = {name: any_choice(question, draw)}
    for aspect in question.get("aspects", []):
        fields[f"{name}.aspect.{aspect['key']}"] = any_choice(question, draw)
    if question.get("reasons"):
        fields |= {f"{name}.reasons": question["reasons"][0], f"{name}.sentence": "A says more."}
    if question.get("confidence"):
        fields[f"{name}.confidence"] = "0"
    return fields


def any_listwise(question, name, size, draw, position):
    if question.get("method") == "best_worst":
        best, worst = draw.sample(SIDES[:size], 2)
        return {f"{name}.best": best, f"{name}.worst": worst}
    return {f"{name}.rank.{side}": str(draw.randint(1, size)) for side in SIDES[:size]}


def any_binary(question, name, size, draw, position):
    labels = ["yes", "no", *(["does_not_apply"] if question.get("does_not_apply") else [])]
    if question.get("principles"):
        return {f"{name}.principle.{p['key']}": draw.choice(labels) for p in question["principles"]}
    return {name: draw.choice(labels), f"{name}.sentence": "Because."}


def any_rating(question, name, size, draw, position):
    return {f"{name}.{a['key']}": str(draw.randint(question["low"], question["high"])) for a in question["aspects"]}


def any_stepwise(question, name, size, draw, position):
    if question["mode"] == "siblings":
        return any_listwise(question, name, size, draw, position)
    if question["mode"] == "first_bad":
        return {f"{name}.first_bad": draw.choice(["none", "1"])}
    steps = [line for line in TEXTS[position].split("\n") if line]
    return {f"{name}.step.{n}": draw.choice(question["labels"]) for n in range(1, len(steps) + 1)}


def any_edit(question, name, size, draw, position):
    return {f"{name}.source": draw.choice(SIDES[:size]), f"{name}.text": "Better\nthan both."}


def any_spans(question, name, size, draw, position):
    text = TEXTS[position]
    start = draw.randint(0, len(text) - 1)
    end = draw.randint(start + 1, len(text))
    span = {
        "start": start, "end": end, "quote": text[start:end], "category": draw.choice(question["categories"]),
        "severity": question["severities"][0], "comment": "why",
    }  # fmt: skip
    return {f"{name}.marks": json.dumps([span])}


def any_segments(question, name, size, draw, position):
    ends = sorted(draw.sample(range(1, 6_000), 6))
    marks = [
        {"start": start / 100, "end": end / 100, "choice": any_choice(question, draw), "comment": "Louder."}
        for start, end in zip(ends[::2], ends[1::2], strict=True)
    ]
    return {f"{name}.marks": json.dumps(marks)}


ANSWERS = {
    "pairwise": any_pairwise, "joint": any_pairwise, "listwise": any_listwise, "binary": any_binary,
    "rating": any_rating, "stepwise": any_stepwise, "edit": any_edit, "spans": any_spans,
    "segments": any_segments,
}  # fmt: skip


def test_every_type_has_a_template_to_begin_from():
    used = {question["type"] for template in TEMPLATES.values() for question in template.questions}
    assert used == set(FEEDBACK_TYPES) == set(ANSWERS)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_a_form(name):
    questions_check(TEMPLATES[name].questions)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_form_takes_the_sizes_that_its_template_says(name):
    least, most = sizes_taken(TEMPLATES[name].questions)
    assert least <= TEMPLATES[name].completions[0] and most >= TEMPLATES[name].completions[1]


def test_only_required_questions_decide_how_many_completions_a_form_takes():
    thumbs, pair = TEMPLATES["thumbs"].questions[0], TEMPLATES["pairwise"].questions[0]
    assert sizes_taken([thumbs, pair]) == (2, 2) and sizes_taken([thumbs, {**pair, "required": False}]) == (1, 9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_posted_is_what_is_stored_and_what_a_correction_shows(name, seed):
    draw = random.Random(seed)
    template = TEMPLATES[name]
    size = draw.randint(template.completions[0], min(template.completions[1], len(TEXTS)))
    order = draw.sample(range(size), size)
    fields = any_fields(template.questions, size, draw, order)
    answers = answers_from_form(template.questions, fields, order)
    stored = answers_validate(template.questions, answers, about(size)).answers
    again = answers_from_form(template.questions, answers_to_form(template.questions, stored, order), order)
    assert answers_validate(template.questions, again, about(size)).answers == stored
    assert set(stored) == {question["key"] for question in template.questions}


@pytest.mark.parametrize("name", ["pairwise", "pairwise-aspects", "listwise", "best-worst", "joint", "siblings", "segments"])
def test_the_sides_shown_change_nothing_but_the_fields(name):
    """The same judgement, seen the other way round, is stored alike."""
    questions = TEMPLATES[name].questions
    size = max(2, TEMPLATES[name].completions[0])
    straight, turned = list(range(size)), list(reversed(range(size)))
    fields = any_fields(questions, size, random.Random(3), straight)
    stored = answers_validate(questions, answers_from_form(questions, fields, straight), about(size)).answers
    other = answers_to_form(questions, stored, turned)
    assert answers_validate(questions, answers_from_form(questions, other, turned), about(size)).answers == stored


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_required_question_left_out_is_named(name):
    template = TEMPLATES[name]
    with pytest.raises(FormRefused, match=r"needs an answer|Nothing was answered"):
        answers_validate(template.questions, answers_from_form(template.questions, {}, [0, 1]), about(2))


@pytest.mark.parametrize("name", TEMPLATES)
def test_cannot_judge_everywhere_gives_the_place_back(name):
    """Every template offers it of all that must be answered; with it stands what else was touched, which says nothing."""
    questions = [question for question in TEMPLATES[name].questions if question["required"]]
    fields = any_fields(questions, 2, random.Random(5), [1, 0])
    unable = {
        f"{question['key']}{side}": "cannot_judge"
        for question in questions
        for side in ([".A", ".B"] if question["subject"] == "completion" else [""])
    }
    valid = answers_validate(questions, answers_from_form(questions, fields | unable, [1, 0]), about(2))
    assert valid.gives_place_back
    assert valid.summary.outcome == "cannot_judge"
    assert gives_place_back(questions, valid.answers)
    assert answer_words(questions, valid.answers, [1, 0]).count("Cannot judge") == len(unable)
    again = answers_from_form(questions, answers_to_form(questions, valid.answers, [1, 0]), [1, 0])
    assert answers_validate(questions, again, about(2)).answers == valid.answers


def test_cannot_judge_of_one_completion_keeps_the_place():
    questions = TEMPLATES["thumbs"].questions
    fields = {"thumb.A": "cannot_judge", "thumb.B": "yes"}
    assert not answers_validate(questions, answers_from_form(questions, fields, [0, 1]), about(2)).gives_place_back


def test_two_single_judgements_are_never_made_into_a_preference():
    questions = TEMPLATES["thumbs"].questions
    answers = answers_from_form(questions, {"thumb.A": "yes", "thumb.B": "no"}, [0, 1])
    assert answers_validate(questions, answers, about(2)).summary.outcome == ""


def test_a_ranking_keeps_the_places_that_a_tie_skips():
    questions = TEMPLATES["listwise"].questions
    fields = {"ranking.rank.A": "2", "ranking.rank.B": "2", "ranking.rank.C": "3", "ranking.rank.D": "1"}
    answers = answers_from_form(questions, fields, [3, 2, 1, 0])
    assert answers_validate(questions, answers, about(4)).answers["ranking"]["ranks"] == [1, 4, 2, 2]


def test_the_overall_question_decides_the_vote_wherever_it_stands():
    first = TEMPLATES["pairwise"].questions[0] | {"key": "accuracy"}
    overall = TEMPLATES["pairwise"].questions[0] | {"overall": True}
    answers = answers_from_form([first, overall], {"accuracy": "1", "preference": "7"}, [0, 1])
    assert answers_validate([first, overall], answers, about(2)).summary.outcome == "second"


def test_only_forms_that_speak_of_texts_ask_for_them():
    asked = {name for name, template in TEMPLATES.items() if needs_texts(template.questions)}
    assert asked == {"steps", "first-bad-step", "siblings", "edit", "spans", "segments"}


REFUSED = [
    ("pairwise", {"preference": {"outcome": "first", "vote": 5}}, "must be -3 to 3; got 5"),
    ("pairwise", {"preference": {"outcome": "first", "vote": -1, "speed": 3}}, "no field 'speed'"),
    ("pairwise-aspects", {"preference": {"outcome": "first", "vote": -1}}, "aspect 'More helpful' needs"),
    ("listwise", {"ranking": {"ranks": [1, 2, 3]}}, "each of the 2 completions"),
    ("listwise", {"ranking": {"ranks": [0, 1]}}, "a place must be 1 to 2; got 0"),
    ("best-worst", {"ends": {"best": 1, "worst": 1}}, "two different ones"),
    ("thumbs", {"thumb": {"completions": [{"label": "yes"}]}}, "with that many completions"),
    ("thumbs", {"thumb": {"completions": [{"label": "maybe"}, {"label": "no"}]}}, "got 'maybe'"),
    ("thumbs", {"thumb": {"completions": [{"label": "does_not_apply"}, {"label": "no"}]}}, "does_not_apply"),
    ("helpsteer2", {"rating": {"completions": [{"values": {"helpfulness": 9}}] * 2}}, "needs a rating"),
    ("slider", {"rating": {"completions": [{"values": {"quality": 101}}] * 2}}, "1 to 100; got 101"),
    ("slider", {"rating": {"completions": [{"values": {"quality": True}}] * 2}}, "got True"),
    ("steps", {"steps": {"completions": [{"labels": ["right"]}, {"labels": ["right"]}]}}, "has 3 steps"),
    ("first-bad-step", {"steps": {"completions": [{"first_bad": 3}, {"first_bad": 0}]}}, "0 to 2; got 3"),
    ("spans", {"errors": {"completions": [{"spans": [{"start": 0, "end": 999}]}, {"spans": []}]}}, "end of a span"),
    (
        "spans",
        {"errors": {"completions": [{"spans": [{"start": 0, "end": 3, "quote": "Two"}]}, {"spans": []}]}},
        "does not hold the passage",
    ),
]


@pytest.mark.parametrize(("name", "answers", "sentence"), REFUSED)
def test_an_answer_outside_the_form_is_refused_in_one_sentence(name, answers, sentence):
    questions = TEMPLATES[name].questions
    with pytest.raises(FormRefused) as caught:
        answers_validate(questions, answers, about(2))
    assert sentence.lower() in str(caught.value).lower()


def test_an_edit_that_changes_nothing_is_refused():
    edit = [TEMPLATES["edit"].questions[1] | {"required": True}]
    answers = answers_from_form(edit, {"edit.source": "A", "edit.text": TEXTS[1]}, [1, 0])
    with pytest.raises(FormRefused, match="was not changed"):
        answers_validate(edit, answers, about(2))


def test_an_edit_says_how_much_of_the_text_changed():
    edit = [TEMPLATES["edit"].questions[1] | {"required": True}]
    answers = answers_from_form(edit, {"edit.source": "B", "edit.text": "Only two lines here."}, [0, 1])
    assert answers_validate(edit, answers, about(2)).answers["edit"] == {
        "source": 1, "text": "Only two lines here.", "distance": 0.5,
    }  # fmt: skip


@given(st.lists(st.sampled_from(["", "a", "b\n"])), st.lists(st.sampled_from(["", "a", "b\n"])))
def test_the_share_that_changed_follows_the_longest_common_subsequence(a: list[str], b: list[str]) -> None:
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, j in product(range(len(a)), range(len(b))):
        lengths[i + 1][j + 1] = lengths[i][j] + 1 if a[i] == b[j] else max(lengths[i][j + 1], lengths[i + 1][j])
    assert common_subsequence(a, b) == lengths[-1][-1]
    one, other = " ".join(a).split(" "), " ".join(b).split(" ")
    expected = 1 - 2 * common_subsequence(one, other) / (len(one) + len(other))
    assert edit_distance(" ".join(a), " ".join(b)) == round(expected, 4)


HALF_BLANK = ["\n".join(f"line {at}{word}\n" for at in range(3_000)) for word in ("", " more")]
SCRAMBLED = [" ".join(f"{at * step % 40_009}" for at in range(33_000)) for step in (1, 7)]
SHORT_WORDS = [" ".join("ab"[at % 2] for at in range(1_000_000)), " ".join("bc"[at % 2] for at in range(199))]


@pytest.mark.parametrize("texts", [HALF_BLANK, SCRAMBLED, SHORT_WORDS])
def test_the_longest_texts_are_measured_in_a_moment(texts: list[str]) -> None:
    start = process_time()
    assert 0 < edit_distance(*texts) < 1
    assert process_time() - start < 2.0


def test_spans_count_code_points_and_name_the_message_of_a_chat():
    questions = TEMPLATES["spans"].questions
    chat = json.dumps([{"role": "assistant", "content": "a 😀 b"}])
    span = {"message": 0, "start": 2, "end": 3, "quote": "😀", "category": "style", "severity": "minor"}
    answers = {"errors": {"completions": [{"spans": [span]}]}}
    valid = answers_validate(questions, answers, About(1, [("messages", chat)]))
    assert valid.answers["errors"]["completions"][0]["spans"][0]["quote"] == "😀"


def test_a_span_is_asked_questions_of_its_own():
    asked = {"key": "sure", "type": "binary", "title": "Sure?", "required": True, "subject": "span"}
    question = TEMPLATES["spans"].questions[0] | {"questions": [asked]}
    span = {"start": 0, "end": 3, "category": "style", "severity": "minor"}
    with pytest.raises(FormRefused, match="Each span needs an answer to 'Sure\\?'"):
        answers_validate([question], {"errors": {"completions": [{"spans": [span]}]}}, about(1))
    said = span | {"answers": {"sure": {"label": "yes"}}}
    valid = answers_validate([question], {"errors": {"completions": [{"spans": [said]}]}}, about(1))
    assert valid.answers["errors"]["completions"][0]["spans"][0]["answers"]["sure"]["label"] == "yes"


def segment(start, end, **more):
    return {"start": start, "end": end, "outcome": "first", "vote": -1} | more


def segments_of(*given, seconds=SECONDS, **question):
    asked = TEMPLATES["segments"].questions[1] | question
    return answers_validate([asked], {"segments": {"segments": list(given)}}, About(2, [], seconds)).answers["segments"]


def test_segments_are_kept_in_order_of_time_to_the_hundredth():
    stored = segments_of(segment(8, 9.999), segment(1.004, 8, outcome="second", vote=2))
    assert [(one["start"], one["end"], one["vote"]) for one in stored["segments"]] == [(1.0, 8.0, 2), (8.0, 10.0, -1)]
    assert segments_of() == {"segments": []}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([segment(1, 3), segment(2.5, 4)], "touch, not overlap: 1 to 3 s and 2.5 to 4 s"),
        ([segment(3, 3.001)], "ends after it starts"),
        ([segment(3, 2)], "ends after it starts"),
        ([segment(59, 60.3)], "ends at 60.3 s; what is judged lasts 60 s"),
        ([segment(-1, 2)], "start of a segment is a number"),
        ([segment(1, float("nan"))], "end of a segment is a number"),
        ([segment(1, True)], "end of a segment is a number"),
        ([segment("1", 2)], "start of a segment is a number"),
        ([segment(1, 2, vote=3)], "must be -2 to 2; got 3"),
        ([segment(1, 2, outcome="both_bad", vote=None)], "got 'both_bad'"),
        ([segment(1, 2, side="A")], "no field 'side'"),
        ([segment(n, n + 1) for n in range(21)], "a list of at most 20"),
        ("all", "a list of at most 20"),
    ],
)
def test_a_segment_that_cannot_be_is_refused(given, sentence):
    with pytest.raises(FormRefused, match=sentence):
        answers_validate([TEMPLATES["segments"].questions[1]], {"segments": {"segments": given}}, About(2, [], SECONDS))


def test_a_segment_may_end_anywhere_where_lengths_are_not_known():
    assert segments_of(segment(59, 300), seconds=None)["segments"][0]["end"] == 300


def test_a_posted_segment_without_a_choice_is_refused():
    question = TEMPLATES["segments"].questions[1]
    for marks, sentence in [('[{"start": 1, "end": 2, "choice": ""}]', "needs a choice"), ("[1]", "list of objects"), ("{", "not JSON")]:
        with pytest.raises(FormRefused, match=sentence):
            answers_from_form([question], {"segments.marks": marks}, [0, 1])


@pytest.mark.parametrize("steps", [1, 4, "5"])
def test_a_scale_of_segments_has_known_steps(steps):
    with pytest.raises(FormRefused, match="2, 3, 5 or 7 steps"):
        questions_check([TEMPLATES["segments"].questions[1] | {"steps": steps}])


@pytest.mark.parametrize("type_key", FEEDBACK_TYPES)
def test_a_type_says_of_what_it_is_asked(type_key):
    module = answer_module(type_key)
    assert set(module.SUBJECTS) <= {"comparison", "completion"}
    assert isinstance(module.NEEDS_TEXTS, bool)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"key": "Preference!"}, "small letters"),
        ({"title": ""}, "needs a title"),
        ({"subject": "completion"}, "asked of the comparison"),
        ({"type": "guess"}, "no feedback type 'guess'"),
        ({"steps": 4}, "2, 3, 5 or 7 steps; got 4"),
        ({"reasons": ["a", "a"]}, "twice"),
        ({"reasons": "abc"}, "list of words"),
        ({"words": ["better"]}, "needs 3 words"),
        ({"required": False}, "at least one required"),
    ],
)
def test_a_form_that_could_not_be_answered_is_refused(change, sentence):
    with pytest.raises(FormRefused, match=sentence):
        questions_check([TEMPLATES["pairwise"].questions[0] | change])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", TEMPLATES)
def test_answers_about_another_order_are_stored_as_if_they_were_shown_so(name, seed):
    """Placing and the form's own mapping of sides are two ways to the same answers."""
    draw = random.Random(seed)
    questions = TEMPLATES[name].questions
    size = draw.randint(TEMPLATES[name].completions[0], min(TEMPLATES[name].completions[1], len(TEXTS)))
    straight, places = list(range(size)), draw.sample(range(size), size)
    fields = any_fields(questions, size, draw, straight)
    given = answers_validate(questions, answers_from_form(questions, fields, straight), about(size)).answers
    texts = [("plain", TEXTS[places.index(place)]) for place in range(size)]
    posted = answers_from_form(questions, answers_to_form(questions, given, straight), places)
    stored = answers_validate(questions, posted, About(size, texts, SECONDS))
    assert answers_placed(questions, given, places) == stored.answers
    assert answers_summary(questions, stored.answers) == stored.summary


AGENT = json.dumps(
    [
        {"role": "assistant", "content": "I look it up.\nThen I answer.", "tool_calls": [{"function": {"name": "find"}}]},
        {"role": "tool", "content": "Nothing\nwas found."},
        {"role": "assistant", "content": [{"type": "image", "image": "sha256:ab"}]},
        {"role": "assistant", "content": "It is four.\n\nI am sure.", "tool_calls": None},
    ]
)


def test_nothing_of_a_chat_is_lost_however_it_is_cut():
    for cut, words in {"lines": 2, "paragraphs": 2, "messages": 0, "auto": 0}.items():
        steps = steps_of(cut, "messages", AGENT)
        assert [step.is_message for step in steps] == [True] * (len(steps) - words) + [False] * words, cut
        assert len(steps) == (5 if words else 4)
        for piece in ("find", "Nothing", "sha256:ab", "It is four.", "I am sure."):
            assert sum(piece in step.text for step in steps) == 1, (cut, piece)


@pytest.mark.parametrize("cut", ["lines", "paragraphs"])
@pytest.mark.parametrize(
    "block",
    [
        "```python\nx = 1\n\nprint(x)\n```",
        "   ~~~~\n```\n~~~~",
        "    ```js\n    f()\n    ```",
        "```\nnever closed\n\nto the end",
    ],
)
def test_a_block_of_code_is_one_step(cut, block):
    after = [] if "never" in block else ["Then run it."]
    text = "\n".join(["Write this:", block, *after])
    assert [step.text for step in steps_of(cut, "plain", text)] == ["Write this:", block, *after]


@pytest.mark.parametrize(
    "block",
    [
        "$$\nx = 1\ny = 2\n$$",
        "$$x = 1\n+ 2$$",
        "  \\[\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n  \\]",
        "| way | steps |\n|---|---|\n| sorted | n |\n| merge | n log n |",
    ],
)
def test_a_formula_or_a_table_of_several_lines_is_one_step(block):
    text = f"So it is:\n{block}\nand that is all.\n\n| a bar"
    assert [step.text for step in steps_of("lines", "plain", text)] == ["So it is:", block, "and that is all.", "| a bar"]
    assert [step.text for step in steps_of("paragraphs", "plain", text)][1:] == ["| a bar"]


@pytest.mark.parametrize("text", ["$$x$$ and\n$$y$$ too", "$$ were spent\n\nand lost $$", "$$a\nb$$ and more\nc", "\\[a\nb"])
def test_a_mark_that_opens_no_formula_of_several_lines_opens_no_block(text):
    lines = [line for line in text.split("\n") if line]
    assert [step.text for step in steps_of("lines", "plain", text)] == lines


def test_code_in_a_line_opens_no_block():
    lines = ["```x``` is short", "and goes on."]
    assert [step.text for step in steps_of("lines", "plain", "\n".join(lines))] == lines


def test_a_line_that_says_nothing_goes_with_the_one_before_it():
    text = "{\nint main() {\n  return 0;\n\n  }\n}\n---\nThen run it."
    steps = ["{", "int main() {", "  return 0;\n  }\n}\n---", "Then run it."]
    assert [step.text for step in steps_of("lines", "plain", text)] == steps


def test_presets_cut_a_chat_by_its_turns_and_a_solution_by_its_lines():
    lines = "First 2 + 2 = 4.\n\nSo it is 4."
    alone = json.dumps([{"role": "assistant", "content": lines}])
    assert {TEMPLATES[name].questions[0]["cut"] for name in ("steps", "first-bad-step")} == {"auto"}
    for form, body in (("plain", lines), ("messages", alone)):
        assert [step.text for step in steps_of("auto", form, body)] == ["First 2 + 2 = 4.", "So it is 4."]

"""What an answer says in words: every value, by the letters that its annotator saw."""

from __future__ import annotations

from typing import Any

import pytest

from annotation.feedback import About, answers_from_form, answers_to_form, answers_validate, questions_check
from annotation.feedback.drawing import answer_parts, answer_words
from annotation.feedback.templates import TEMPLATES

LABELS = ["right"] * 5 + ["wrong", "right", "neutral", "wrong"]
PRINCIPLES = {"sources": "no", "on_topic": "yes", "admits": "does_not_apply", "no_harm": "yes"}
HELPSTEER2 = {"helpfulness": 4, "correctness": 3, "coherence": 2, "complexity": 1, "verbosity": 0}


def of(name: str, *given: Any, order: list[int] | None = None) -> str:
    """The words of an answer to a template's one question, asked of each completion where several are given."""
    [question] = [one for one in TEMPLATES[name].questions if one["required"]][:1]
    answer = {"completions": list(given)} if question["subject"] == "completion" else given[0]
    return answer_words([question], {question["key"]: answer}, order or list(range(len(given))))


@pytest.mark.parametrize(
    ("ranks", "order", "words"),
    [
        ([4, 1, 1, 3], [0, 1, 2, 3], "B = C > D > A"),
        ([4, 1, 1, 3], [3, 2, 1, 0], "B = C > A > D"),
        ([1, 1, 1], [0, 1, 2], "A = B = C"),
    ],
)
def test_a_ranking_is_said_by_place(ranks: list[int], order: list[int], words: str) -> None:
    assert of("listwise", {"ranks": ranks}, order=order) == words
    assert of("siblings", {"ranks": ranks}, order=order) == words


def test_the_best_and_the_worst_of_siblings_are_said_as_of_a_list() -> None:
    asked = {**TEMPLATES["siblings"].questions[0], "method": "best_worst"}
    questions_check([asked])
    posted = answers_from_form([asked], {"siblings.best": "A", "siblings.worst": "C"}, [2, 1, 0])
    answers = answers_validate([asked], posted, About(3, [("plain", text) for text in "abc"])).answers
    assert answer_words([asked], answers, [2, 1, 0]) == "Best: A, Worst: C"
    assert answers_to_form([asked], answers, [2, 1, 0]) == {"siblings.best": "A", "siblings.worst": "C"}


def test_all_values_are_said() -> None:
    no = {"label": None, "principles": PRINCIPLES}
    said = "Cites a source: No, Stays on the topic: Yes, Says what it does not know: Does not apply, Does no harm: Yes"
    assert of("principles", no) == said
    numbers = "Helpfulness 4, Correctness 3, Coherence 2, Complexity 1, Verbosity 0"
    assert of("helpsteer2", {"values": HELPSTEER2}, {"values": HELPSTEER2}) == f"A: {numbers}; B: {numbers}"


def test_one_completion_alone_has_no_letter() -> None:
    assert of("thumbs", {"label": "yes", "principles": {}}) == "Desirable"
    unable, bad = {"outcome": "cannot_judge"}, {"label": "no", "principles": {}}
    assert of("thumbs", unable) == "Cannot judge"
    assert of("thumbs", bad, unable, order=[1, 0]) == "A: Cannot judge; B: Not desirable"


def test_steps_are_counted_and_those_that_differ_named() -> None:
    assert of("steps", {"labels": LABELS}) == "6 right, 1 neutral (8), 2 wrong (6, 9)"
    assert of("steps", {"labels": ["right"] * 14 + ["wrong"] * 13}).endswith("13 wrong (15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, …)")
    assert of("first-bad-step", {"first_bad": 2, "steps": 4}) == "Step 3: Goes wrong here"
    assert of("first-bad-step", {"first_bad": None, "steps": 4}) == "No step is wrong"


def test_passages_are_quoted_in_one_short_line() -> None:
    def span(quote: str) -> dict[str, Any]:
        return {"quote": quote, "category": "style", "severity": "minor", "answers": {}}

    assert of("spans", {"spans": []}) == "Nothing marked"
    assert of("spans", {"spans": [span("one\nword")]}) == "style minor “one word”"
    assert of("spans", {"spans": [span("x" * 100)] * 8}) == ", ".join([f"style minor “{'x' * 39}…”"] * 6) + ", 2 more"


def test_a_passage_says_what_else_it_was_asked() -> None:
    sure = {"key": "sure", "type": "binary", "title": "Sure?", "words": "yes_no"}
    weight = {
        "key": "weight", "type": "rating", "title": "How bad?", "low": 1, "high": 5,
        "aspects": [{"key": "harm", "label": "Harm"}, {"key": "effort", "label": "Effort"}],
    }  # fmt: skip
    question = TEMPLATES["spans"].questions[0] | {"questions": [sure, weight]}
    spans = [
        {"quote": "moon", "category": "style", "severity": "", "answers": {
            "sure": {"label": "yes", "principles": {}}, "weight": {"values": {"harm": 4, "effort": 1}}}},
        {"quote": "sun", "category": "", "severity": "", "answers": {}},
    ]  # fmt: skip
    answers = {question["key"]: {"completions": [{"spans": spans}]}}
    assert answer_words([question], answers, [0]) == "style “moon” (Sure? Yes; How bad? Harm 4, Effort 1), “sun”"


def test_an_edit_says_which_completion_was_repaired() -> None:
    [question] = [one for one in TEMPLATES["edit"].questions if one["type"] == "edit"]
    answer = {question["key"]: {"source": 0, "text": "new", "distance": 1.0}}
    assert answer_words([question], answer, [1, 0]) == "B repaired"


def test_segments_say_when_and_what() -> None:
    one = {"start": 0.5, "end": 3.0, "outcome": "second", "vote": 1, "comment": ""}
    two = {**one, "start": 4.0, "end": 5.25, "outcome": "tie", "vote": 0}
    [question] = [one for one in TEMPLATES["segments"].questions if one["type"] == "segments"]
    words = answer_words([question], {question["key"]: {"segments": [one, two]}}, [1, 0])
    assert words == "0.5–3 s: A slightly, 4–5.25 s: Equally good"


def test_parts_are_apart_so_that_each_runs_in_its_own_direction() -> None:
    questions = TEMPLATES["thumbs"].questions
    thumb = {"label": "yes", "principles": {}}
    assert answer_parts(questions, {"thumb": {"completions": [thumb, thumb]}}, [0, 1]) == [["A: Desirable"], ["B: Desirable"]]
    assert answer_words(questions, {}, [0, 1]) == "–"

"""Each property counts what it says, from the Markdown tree, and says nothing of what it does not see."""

from __future__ import annotations

import pytest

from pipelines.scoring.text_properties import PROPERTIES, properties_of


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("words", "One two, three's four.", 4),
        ("lists", "- a\n- b\n\n1. c", 3),
        ("lists", "2 - 1 = 1 and * is no list", 0),
        ("headings", "# A\n\ntext\n\n## B", 2),
        ("headings", "#notaheading", 0),
        ("emphasis", "**a** and *b*, not 2 * 3 * 4", 2),
        ("code", "`x` and\n\n```\ny\n```", 2),
        ("tables", "|a|b|\n|-|-|\n|1|2|", 1),
        ("references", "See [1], https://a.example and according to Ann.", 3),
        ("numbers", "3.5 of 10", 2),
        ("refusal", "I'm sorry, but I can't help with that.", 1),
        ("refusal", "You can't do that in Python 2.", 0),
        ("questions", "Shall I go on?", 1),
        ("exclamations", "Yes! Sure!", 2),
        ("sentence_length", "One two. Three four five six.", 3),
        ("word_length", "ab abcd", 3),
        ("unknown_words", "I recieve teh letter today", 0.5),
        ("unknown_words", "Ann met NASA at Xqzt; `qwrt zzkk` and 12.", 0),
        ("grade", "The cat sat on the mat.", 0),
        ("grade", "Investigators summarized considerable observational information.", 0.39 * 5 + 11.8 * 21 / 5 - 15.59),
    ],
)
def test_it_counts(key, text, value):
    assert properties_of(text, "")[key] == pytest.approx(value)


def test_overlap_is_the_share_of_the_prompts_long_words():
    assert properties_of("The harbour is small.", "Describe the harbour of Genoa")["overlap"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("text", ["", "\u202e\u200b", "a" * 100_000, "[" * 5_000, "*" * 5_000, "مرحبا. كيف حالك؟"])
def test_odd_texts_give_numbers(text):
    assert set(properties_of(text, text)) == set(PROPERTIES)

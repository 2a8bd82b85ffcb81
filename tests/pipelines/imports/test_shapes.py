"""Shapes: what a record becomes, and what is refused with which cause."""

from __future__ import annotations

import hashlib

import pytest

from pipelines.imports import SHAPES, shape_detect
from pipelines.imports.errors import FileRefused, RowRefused
from pipelines.imports.rows import Limits, row_pairs, text_sha256
from pipelines.imports.text_warnings import has_control_characters, leaks_identity

LIMITS = Limits()
USER = {"role": "user", "content": "Name a prime."}
SEVEN = {"role": "assistant", "content": "7"}
NINE = {"role": "assistant", "content": "9"}
TOOLS = {**SEVEN, "tool_calls": [1]}
BOSS = {"role": "boss", "content": ""}
INFINITE = {"text": "b", "sampling": {"t": float("inf")}}
EXAMPLES = {
    "annotated": {
        "prompt": "2+2=",
        "completions": [{"id": "a", "text": "4"}, {"id": "b", "text": "5", "model": "m"}],
        "annotations": [{"rater": "r1", "answers": {}}],
    },
    "trl-preference": {"prompt": "2+2=", "chosen": " 4", "rejected": " 5"},
    "trl-implicit": {"chosen": [USER, SEVEN], "rejected": [USER, NINE]},
    "hh-rlhf": {
        "chosen": "\n\nHuman: Name a prime.\n\nAssistant: 7",
        "rejected": "\n\nHuman: Name a prime.\n\nAssistant: 9",
    },
    "prompt-completions": {
        "prompt": "Name a prime.",
        "completions": ["7", {"text": "9", "model": "m", "sampling": {"t": 1}}],
    },
}


def talk(question: str, answer: str) -> str:
    return f"\n\nHuman: {question}\n\nAssistant: {answer}"


def annotated(**fields):
    return {**EXAMPLES["annotated"], **fields}


def parse(key, record):
    return SHAPES[key].load()(record, LIMITS)


def cause(key, record) -> str:
    with pytest.raises(RowRefused) as refused:
        parse(key, record)
    return refused.value.cause


@pytest.mark.parametrize("key", SHAPES)
def test_each_shape_sees_and_reads_its_example(key):
    assert shape_detect([EXAMPLES[key]]).key == key
    row = parse(key, EXAMPLES[key])
    assert len(row.completions) == 2
    assert (row.chosen == 0) == SHAPES[key].has_choice


def test_joined_again_prompt_and_completion_are_the_text():
    record = EXAMPLES["hh-rlhf"]
    row = parse("hh-rlhf", record)
    assert row.prompt.body + row.completions[0].text.body == record["chosen"]
    plain = {"chosen": "2+2= 4", "rejected": "2+2= 5"}
    row = parse("trl-implicit", plain)
    assert (row.prompt.body, row.completions[0].text.body) == ("2+2=", " 4")


def test_messages_become_canonical_json():
    row = parse("trl-preference", {"prompt": [USER], "chosen": [SEVEN], "rejected": [NINE]})
    assert row.prompt.body == '[{"content":"Name a prime.","role":"user"}]'
    assert row.prompt.sha256 == hashlib.sha256(b"messages\0" + row.prompt.encoded).digest()


def test_a_plain_prompt_beside_messages_that_hold_it_is_implicit():
    record = {"prompt": "Name a prime.", "chosen": [USER, SEVEN], "rejected": [USER, NINE]}
    assert shape_detect([record]).key == "trl-implicit"


def test_steps_with_labels_are_named():
    with pytest.raises(FileRefused, match="stepwise"):
        shape_detect([{"prompt": "p", "completions": ["a", "b"], "labels": [True, False]}])


def test_other_columns_are_named_with_what_is_known():
    with pytest.raises(FileRefused, match="columns question, answer, which fit no known shape"):
        shape_detect([{"question": 1, "answer": 2}])


@pytest.mark.parametrize(
    ("key", "record", "expected"),
    [
        ("trl-preference", {"prompt": "p", "chosen": "a", "rejected": "a"}, "chosen_equals_rejected"),
        ("trl-preference", {"prompt": "p", "chosen": "a", "rejected": " \n"}, "empty_completion"),
        ("trl-preference", {"prompt": "p", "chosen": "a", "rejected": []}, "empty_completion"),
        ("trl-preference", {"prompt": " ", "chosen": "a", "rejected": "b"}, "no_common_prompt"),
        ("trl-preference", {"prompt": "p", "chosen": "a\x00", "rejected": "b"}, "nul_character"),
        ("trl-preference", {"prompt": "p", "chosen": "a\ud800", "rejected": "b"}, "lone_surrogate"),
        ("trl-preference", {"prompt": [USER], "chosen": "a", "rejected": "b"}, "mixed_forms"),
        ("trl-preference", {"prompt": "p", "chosen": 3, "rejected": "b"}, "wrong_type"),
        ("trl-preference", {"prompt": [BOSS], "chosen": [SEVEN], "rejected": [NINE]}, "wrong_type"),
        ("trl-preference", {"prompt": [USER], "chosen": [TOOLS], "rejected": [NINE]}, "content_not_text"),
        ("trl-implicit", {"chosen": "yes", "rejected": "no"}, "no_common_prompt"),
        ("trl-implicit", {"chosen": [USER, SEVEN], "rejected": [SEVEN, USER]}, "no_common_prompt"),
        ("trl-implicit", {"chosen": [USER, SEVEN], "rejected": [USER]}, "empty_completion"),
        ("trl-implicit", {"chosen": [USER, SEVEN], "rejected": [USER, SEVEN]}, "chosen_equals_rejected"),
        ("hh-rlhf", {"chosen": talk("a", "1"), "rejected": talk("b", "2")}, "no_common_prompt"),
        ("hh-rlhf", {"chosen": talk("a", ""), "rejected": talk("a", "2")}, "empty_completion"),
        ("annotated", annotated(prompt=None), "missing_field"),
        ("annotated", annotated(prompt={"name": ""}), "wrong_type"),
        ("annotated", annotated(completions=[{"id": 1, "messages": [SEVEN]}]), "mixed_forms"),
        ("annotated", annotated(completions=[]), "completions_too_few"),
        ("annotated", annotated(completions=[{"id": 1, "text": "a"}, {"id": "1", "text": "b"}]), "wrong_type"),
        ("annotated", annotated(completions=[{"text": "a"}]), "missing_field"),
        ("annotated", annotated(completions=[{"id": 1}]), "text_not_in_file"),
        ("annotated", annotated(completions=[{"id": 1, "text": " "}]), "empty_completion"),
        ("annotated", annotated(annotations="none"), "wrong_type"),
        ("annotated", annotated(annotations=[{"rater": 7, "answers": {}}]), "wrong_type"),
        ("annotated", annotated(annotations=[{"at": "2026-01-01T10:00:00", "answers": {}}]), "wrong_type"),
        ("annotated", annotated(annotations=[{"shown_order": ["a"], "answers": {}}]), "wrong_type"),
        ("prompt-completions", {"prompt": "p", "completions": ["a"]}, "completions_too_few"),
        ("prompt-completions", {"prompt": "p", "completions": ["a", "a"]}, "completions_equal"),
        ("prompt-completions", {"prompt": "p", "completions": ["a"] * 65}, "completions_too_many"),
        ("prompt-completions", {"prompt": "p", "completions": ["a", INFINITE]}, "number_out_of_range"),
        ("prompt-completions", {"prompt": "p", "completions": ["a", "b"], "context": ["c"]}, "wrong_type"),
        ("prompt-completions", {"prompt": "p", "completions": ["a", "b"], "context": "c\x00"}, "nul_character"),
    ],
)  # fmt: skip
def test_it_refuses_a_row_with_its_cause(key, record, expected):
    assert cause(key, record) == expected


def test_a_completion_over_the_limit_refuses_the_file():
    with pytest.raises(FileRefused, match="chosen has 11 bytes; the limit is 10"):
        SHAPES["trl-preference"].load()(
            {"prompt": "p", "chosen": "x" * 11, "rejected": "b"}, Limits(completion_bytes=10)
        )


def test_stored_order_follows_the_hash_whoever_was_chosen():
    low, high = sorted(["a", "b"], key=lambda text: text_sha256("plain", text.encode()))
    for chosen, rejected, outcome in ((low, high, "first"), (high, low, "second")):
        (pair,) = row_pairs(parse("trl-preference", {"prompt": "p", "chosen": chosen, "rejected": rejected}))
        assert (*(c.text.body for c in pair.completions), pair.outcome) == (low, high, outcome)


def test_all_pairs_of_different_completions_or_k_by_the_salt():
    row = parse("prompt-completions", {"prompt": "p", "completions": ["a", "b", "c", "d", "a"]})
    assert len(row_pairs(row)) == 6
    some = row_pairs(row, per_prompt=2, salt=b"one")
    assert some == row_pairs(row, per_prompt=2, salt=b"one")
    assert any(row_pairs(row, per_prompt=2, salt=bytes([i])) != some for i in range(8))


def test_warnings_see_what_fools_people():
    assert leaks_identity("As an AI language model developed by OpenAI, I cannot.")
    assert leaks_identity("I'm Claude, made by Anthropic.")
    assert not leaks_identity("Google it, and you will find a claude monet.")
    for text in ("\u202eabc", "a\u200bb", "\x1b[31m", "\u2066x\u2069", "e" + "\u0301" * 10):
        assert has_control_characters(text, text.encode())
    for text in ("plain\ttext\r\n", "caf\u00e9 \u4e2d\u6587", "e\u0301"):
        assert not has_control_characters(text, text.encode())

"""Filters, splits, forms and canonical rows, worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipelines.versions.errors import FilterRefused, FormRefused
from pipelines.versions.filters import FILTERS, Candidates, ScoreColumns, rule_apply, rule_parse
from pipelines.versions.forms import PairTexts, in_form
from pipelines.versions.rows import FrozenRow, canonical_bytes
from pipelines.versions.split_by_prompt import SPLITS, split_of

NAN = np.nan
CANDIDATES = Candidates(
    flip=np.array([0.1, 0.2, 0.3, 0.4]),
    p_tie=np.array([0.0, 0.1, 0.2, 0.3]),
    confidence=np.array([0.9, 0.8, 0.7, 0.6]),
    agreement=np.array([1.0, 0.75, NAN, NAN]),
    strength=np.array([1.0, 0.5, NAN, NAN]),
    votes=np.array([3.0, 4.0, 0.0, 0.0]),
    origin=np.array(["person", "source", "model", "model"]),
    is_train=np.array([True, False, True, False]),
    chosen_length=np.array([10.0, 20.0, 30.0, 40.0]),
    rejected_length=np.array([15.0, 15.0, 15.0, 15.0]),
    warnings=np.array(["identity_leak", "", "control_characters identity_leak", ""]),
)
SCORES = ScoreColumns(
    "base",
    "f" * 64,
    ches=np.array([4.0, 3.0, 2.0, NAN]),
    ches_ln=np.array([-1.0, 0.5, 2.0, NAN]),
    edit_distance=np.zeros(4),
    longer=np.zeros(4),
)


@pytest.mark.parametrize(
    ("text", "keeps", "without"),
    [
        ("flip < 0.3", [1, 1, 0, 0], 0),
        ("flip<=0.3", [1, 1, 1, 0], 0),
        ("agreement >= 0.8", [1, 0, 1, 1], 2),
        ("votes >= 1", [1, 1, 0, 0], 0),
        ("origin = person", [1, 0, 0, 0], 0),
        ("origin != model", [1, 1, 0, 0], 0),
        ("origin != model in train", [1, 1, 0, 1], 0),
        ("warning != identity_leak", [0, 1, 0, 1], 0),
        ("length_difference <= 5", [1, 1, 0, 0], 0),
        ("judge_confidence >= 0.8", [1, 1, 0, 1], 2),
        ("judge_confidence >= 0.8 in all", [1, 1, 0, 0], 2),
        ("ches_ln <= 0", [1, 1, 0, 1], 1),
        ("ches_ln:base <= 0 in all", [1, 0, 0, 1], 1),
        ("ches_ln_share <= 0.67", [1, 1, 0, 1], 1),
        ("ches_share <= 0.67", [0, 1, 1, 1], 1),
        ("ches_ln_share <= 1", [1, 1, 1, 1], 1),
    ],
)
def test_a_rule_keeps_what_fits_and_leaves_alone_what_has_no_number(text, keeps, without):
    rule = rule_parse(text)
    verdict = rule_apply(rule, CANDIDATES, SCORES if rule.key.of_model else None)
    assert verdict.keeps.astype(int).tolist() == keeps
    assert verdict.without == without


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flip", "is written 'KEY OP VALUE'"),
        ("user__password < 1", "There is no filter"),
        ("flip ~ 1", "is written"),
        ("flip < many", "takes a number"),
        ("flip < nan", "finite"),
        ("origin < person", "takes = or !="),
        ("flip:base < 1", "does not read a model's scores"),
        ("ches_ln_share >= 0.5", "takes <= and a share"),
        ("ches_ln_share <= 1.5", "takes <= and a share"),
        ("flip < 1 in test", "'in all' or 'in train'"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(text, words):
    with pytest.raises(FilterRefused, match=words):
        rule_parse(text)


@pytest.mark.parametrize("number", [1 / 3, 0.123456789, 1e-9, 1234567.5, 3.0, 1e20])
def test_a_rule_is_written_with_every_digit(number):
    rule = rule_parse(f"flip < {number!r}")
    assert rule_parse(rule.text).value == number


@pytest.mark.parametrize("key", FILTERS)
def test_every_filter_can_be_read_written_and_applied(key):
    entry = FILTERS[key]
    text = f"{key} = x" if entry.kind == "text" else f"{key} <= 0.5"
    rule = rule_parse(text)
    assert rule_parse(rule.text) == rule
    assert rule_apply(rule, CANDIDATES, SCORES if entry.of_model else None).keeps.shape == (4,)


def test_a_prompt_keeps_its_split_and_the_shares_are_met():
    def split(number: int, salt: bytes = b"salt") -> str:
        return split_of(salt, number.to_bytes(4, "big"), train_percent=90, validation_percent=5)

    found = [split(number) for number in range(20_000)]
    shares = [found.count(name) / len(found) for name in SPLITS]
    assert shares == pytest.approx([0.9, 0.05, 0.05], abs=0.006)
    assert [split(number) for number in range(100)] == found[:100]
    assert [split(number, b"other") for number in range(100)] != found[:100]


def test_messages_and_transcripts_go_both_ways():
    plain = PairTexts("\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Name a prime.\n\nAssistant:", " 7", " 9")
    messages = in_form(plain, "messages")
    assert [message["role"] for message in messages.prompt] == ["user", "assistant", "user"]
    assert messages.chosen == [{"content": "7", "role": "assistant"}]
    assert in_form(messages, "plain") == plain


def test_one_question_goes_both_ways():
    plain = PairTexts("2+2=", " 4", " 5")
    assert in_form(in_form(plain, "messages"), "plain") == plain
    assert in_form(plain, "plain") is plain


def test_what_plain_text_cannot_hold_is_refused():
    system = [{"content": "Be brief.", "role": "system"}, {"content": "Hi", "role": "user"}]
    answer = [{"content": "a", "role": "assistant"}]
    with pytest.raises(FormRefused, match="system message"):
        in_form(PairTexts(system, answer, answer), "plain")


def row(**fields) -> FrozenRow:
    given = {
        "comparison": b"\x01" * 32, "texts": PairTexts("p", "caf\u00e9", "b"), "soft_label": 2 / 3,
        "flip_probability": 0.25,
        "p_tie": 0.0, "confidence": 0.75, "strength": -0.0, "agreement": None, "votes": 3, "predictions": 0, "origin": "person",
        "method": "majority/1", "weight": 1.0,
    }  # fmt: skip
    return FrozenRow(**{**given, **fields})


def test_a_canonical_row_has_sorted_keys_rounded_numbers_and_no_spaces():
    payload = canonical_bytes(row())
    assert payload.decode() == json.dumps(
        json.loads(payload), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert (
        b'"soft_label":0.666667' in payload
        and b'"strength":0.0' in payload
        and "caf\u00e9".encode() in payload
    )


def test_a_sum_taken_in_another_order_gives_the_same_bytes():
    assert canonical_bytes(row(soft_label=0.1 + 0.2 + 0.3)) == canonical_bytes(
        row(soft_label=0.3 + 0.2 + 0.1)
    )

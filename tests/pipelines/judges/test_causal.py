"""A causal model as judge: labels read by hand give the same verdict, and rules hold before any call."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipelines.engine.models import LoadedModel
from pipelines.engine.passes import PairText
from pipelines.judges.causal import judge_pairs, judge_params, label_tokens
from pipelines.judges.errors import LabelsNotDistinct
from pipelines.judges.template import JudgeTemplate, template_from_settings
from tests.tiny_model import tiny_model, tiny_tokenizer

WORLD = JudgeTemplate(text="{prompt} A : {a} B : {b} better :", chat=False, fenced=False, min_label_mass=0.0)


def loaded(*, chat: bool = False) -> LoadedModel:
    tokenizer = tiny_tokenizer(chat=chat)
    return LoadedModel(tiny_model(len(tokenizer)), tokenizer, torch.device("cpu"), "float32", Path())


def label_logits(model: LoadedModel, text: str) -> tuple[float, float]:
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([model.tokenizer(text)["input_ids"]])).logits[0, -1]
    a, b = model.tokenizer.convert_tokens_to_ids(["A", "B"])
    return float(logits[a]), float(logits[b])


def test_the_verdict_is_the_hand_made_softmax_of_both_orders() -> None:
    model = loaded()
    found = judge_pairs(model, [PairText(5, "pick ?", "sun .", "the red rock")], template=WORLD)[0]
    a1, b1 = label_logits(model, "pick ? A : sun . B : the red rock better :")
    a2, b2 = label_logits(model, "pick ? A : the red rock B : sun . better :")
    expected = torch.sigmoid(torch.tensor(((a1 - b1) + (b2 - a2)) / 2))
    assert found.key == 5 and found.p_first == pytest.approx(float(expected), abs=1e-4)
    assert found.p_first_ab == pytest.approx(float(torch.sigmoid(torch.tensor(a1 - b1))), abs=1e-4)
    assert found.p_first_ba == pytest.approx(float(torch.sigmoid(torch.tensor(b2 - a2))), abs=1e-4)
    assert found.label_mass is not None and 0 < found.label_mass < 1


def test_batch_size_and_company_change_no_verdict() -> None:
    model = loaded()
    pairs = [PairText(row, "pick ?", "sun " * (row + 1), "rock " * (9 - row)) for row in range(8)]
    alone = [judge_pairs(model, [pair], template=WORLD, batch_tokens=1)[0] for pair in pairs]
    for one, many in zip(alone, judge_pairs(model, pairs, template=WORLD), strict=True):
        assert one.outcome == many.outcome and one.p_first == pytest.approx(many.p_first, abs=1e-5)


def test_an_empty_answer_loses_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded()
    monkeypatch.setattr(model.model, "forward", lambda *args, **kwargs: pytest.fail("the model was called"))
    pairs = [PairText(1, "q", "", "sun"), PairText(2, "q", "sun", " \n"), PairText(3, "q", "", "")]
    found = judge_pairs(model, pairs, template=WORLD)
    assert [(verdict.outcome, verdict.p_first) for verdict in found] == [
        ("second", 0.0),
        ("first", 1.0),
        ("tie", 0.5),
    ]
    assert found[0].flags == ("empty_first",) and found[0].label_mass is None


def test_identical_answers_tie_and_still_show_the_position_bias() -> None:
    found = judge_pairs(loaded(), [PairText(1, "pick ?", "sun", "sun")], template=WORLD)[0]
    assert (found.outcome, found.p_first, found.flags) == ("tie", 0.5, ("identical",))
    assert found.p_first_ab is not None and found.p_first_ba == pytest.approx(1 - found.p_first_ab)


def test_a_question_beyond_the_limit_is_not_asked() -> None:
    found = judge_pairs(loaded(), [PairText(1, "pick ?", "sun " * 300, "rock")], template=WORLD)[0]
    assert (found.outcome, found.p_first, found.flags) == ("unreadable", None, ("too_long",))


def test_an_untrained_model_with_the_usual_mass_is_unreadable() -> None:
    template = template_from_settings({"template": WORLD.text}, has_chat_template=False)
    assert (
        judge_pairs(loaded(), [PairText(1, "pick ?", "sun", "rock")], template=template)[0].outcome
        == "unreadable"
    )


def test_a_chat_model_gets_one_user_message() -> None:
    model = loaded(chat=True)
    template = JudgeTemplate(text="{prompt} A : {a} B : {b}", min_label_mass=0.0, fenced=False)
    pair = PairText(
        1,
        [{"role": "user", "content": "pick ?"}],
        [{"role": "assistant", "content": "sun"}],
        [{"role": "assistant", "content": "rock"}],
    )
    found = judge_pairs(model, [pair], template=template)[0]
    ids = model.tokenizer("user : pick ? A : sun B : rock </s> assistant :")["input_ids"]
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([ids])).logits[0, -1]
    a, b = model.tokenizer.convert_tokens_to_ids(["A", "B"])
    assert found.p_first_ab == pytest.approx(float(torch.sigmoid(logits[a] - logits[b])), abs=1e-4)


def test_labels_that_cannot_be_told_apart_are_refused() -> None:
    for labels in (("unheard", "B"), ("sun rock", "sun hat")):
        with pytest.raises(LabelsNotDistinct):
            label_tokens(loaded(), JudgeTemplate(text=WORLD.text, labels=labels))


def test_everything_that_changes_a_verdict_is_in_its_parameters() -> None:
    params = judge_params(loaded(), WORLD)
    assert {
        "text",
        "labels",
        "chat",
        "fenced",
        "max_length",
        "min_label_mass",
        "dtype",
        "verdict_version",
    } <= set(params)

"""Model passes: padding, batch size and one at a time agree, and the states are the ones that predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.engine.models import LoadedModel
from pipelines.engine.passes import (
    ChesPair,
    PairText,
    TokenSequence,
    ches_pass,
    completion_logprobs,
    hidden_sums,
    next_token_logprobs,
)
from pipelines.engine.tokens import TokenConfig
from pipelines.scoring.ches import hidden_sum
from tests.tiny_model import WORDS, tiny_model, tiny_tokenizer

ARCHITECTURES = ["llama", "gpt2", "gemma2"]


def loaded(architecture: str = "llama", **shape: int) -> LoadedModel:
    tokenizer = tiny_tokenizer()
    model = tiny_model(len(tokenizer), architecture=architecture, **shape)
    return LoadedModel(model, tokenizer, torch.device("cpu"), "float32", Path())


def sequences(seed: int, count: int = 24) -> list[TokenSequence]:
    random = np.random.default_rng(seed)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(random.integers(3, 40, random.integers(low, high)).tolist())

    return [TokenSequence(ids(1, 12), ids(1, 30)) for _ in range(count)]


def texts(seed: int, count: int = 20) -> list[PairText]:
    random = np.random.default_rng(seed)

    def text(low: int, high: int) -> str:
        return " ".join(random.choice(WORDS, random.integers(low, high)))

    return [PairText(row, text(2, 10), text(1, 30), text(1, 30)) for row in range(count)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("batch_tokens", [1, 64, 100_000])
def test_batched_sums_equal_explicit_ones_one_at_a_time(architecture: str, batch_tokens: int) -> None:
    model, rows = loaded(architecture), sequences(0)
    found = hidden_sums(model, rows, batch_tokens=batch_tokens)
    for place, row in enumerate(rows):
        ids = torch.tensor([row.prompt_ids + row.completion_ids])
        with torch.inference_mode():
            states = (
                model.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0].double().numpy()
            )
        mask = np.zeros(len(row))
        mask[len(row.prompt_ids) - 1 : len(row) - 1] = 1
        expected, count = hidden_sum(states, mask)
        assert count == len(row.completion_ids)
        assert np.abs(found.sums[place] - expected).max() < 1e-4 * np.sqrt(expected @ expected)
        np.testing.assert_allclose(found.last[place], states[len(row) - 2], atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_unembedding_the_last_kept_state_gives_the_logits_of_the_last_token(architecture: str) -> None:
    """Layer, norm and position at once: the head on that state must be what the model itself predicts."""
    model, rows = loaded(architecture), sequences(1, 5)
    found = hidden_sums(model, rows)
    cap = getattr(model.model.config, "final_logit_softcapping", None)
    for place, row in enumerate(rows):
        with torch.inference_mode():
            ids = torch.tensor([row.prompt_ids + row.completion_ids[:-1]])
            logits = model.model(input_ids=ids).logits[0, -1]
            own = model.model.get_output_embeddings()(torch.tensor(found.last[place]))
        torch.testing.assert_close(cap * torch.tanh(own / cap) if cap else own, logits, atol=1e-4, rtol=1e-4)


def test_batch_size_changes_no_score_by_more_than_the_tolerance() -> None:
    model, pairs = loaded(), texts(2)
    alone = ches_pass(model, pairs, config=TokenConfig(), batch_tokens=1)
    together = ches_pass(model, pairs, config=TokenConfig(), batch_tokens=100_000)
    for one, many in zip(alone, together, strict=True):
        assert one.values is not None and many.values is not None
        for name in ("s11", "s22", "s12"):
            assert abs(getattr(one.values, name) - getattr(many.values, name)) < 1e-4 * one.values.s11
        assert one.values.edit_distance == many.values.edit_distance and one.flags == many.flags


def test_what_stands_in_the_pads_changes_nothing() -> None:
    model = loaded()
    short, long = TokenSequence((5, 6), (7, 8)), TokenSequence((5,), tuple(range(3, 33)))
    beside_long = hidden_sums(model, [short, long], batch_tokens=1000).sums[0]
    np.testing.assert_allclose(beside_long, hidden_sums(model, [short]).sums[0], atol=1e-5)


def test_swapping_the_completions_swaps_the_values() -> None:
    model, pairs = loaded(), texts(3, 6)
    plain = ches_pass(model, pairs, config=TokenConfig())
    swapped = ches_pass(
        model,
        [PairText(pair.key, pair.prompt, pair.second, pair.first) for pair in pairs],
        config=TokenConfig(),
    )
    for one, other in zip(plain, swapped, strict=True):
        assert one.values is not None and other.values is not None
        assert (one.values.n1, one.values.n2) == (other.values.n2, other.values.n1)
        assert one.values.s11 == pytest.approx(other.values.s22, rel=1e-5)
        assert one.values.s12 == pytest.approx(other.values.s12, rel=1e-4, abs=1e-4 * one.values.s11)


def only(pair: PairText, config: TokenConfig | None = None) -> ChesPair:
    return ches_pass(loaded(), [pair], config=config or TokenConfig())[0]


def test_identical_completions_score_exactly_zero_and_are_flagged() -> None:
    found = only(PairText(1, "pick sun ?", "the sun .", "the sun ."))
    assert found.values is not None
    assert found.values.s12 - found.values.s11 == 0.0 and found.values.edit_distance == 0.0
    assert found.flags == ("identical",)


@pytest.mark.parametrize(
    ("pair", "limit", "flags", "scored"),
    [
        (PairText(1, "pick sun ?", "  ", "rock"), 64, ("empty",), False),
        (PairText(1, "pick sun ? pick rock ?", "sun", "rock"), 6, ("prompt_too_long",), False),
        (PairText(1, "pick sun ?", "sun sun sun sun sun", "rock"), 7, ("cut_first",), True),
    ],
)
def test_what_cannot_be_scored_is_flagged_and_not_guessed(
    pair: PairText, limit: int, flags: tuple[str, ...], scored: bool
) -> None:
    found = only(pair, TokenConfig(max_length=limit))
    assert (found.flags, found.values is not None) == (flags, scored)
    assert found.stored()["flags"] == list(flags)


def test_a_model_gone_wrong_is_flagged_and_never_ranked() -> None:
    model = loaded()
    with torch.no_grad():
        model.model.get_output_embeddings().weight.fill_(float("nan"))
    found = ches_pass(model, [PairText(1, "pick sun ?", "sun", "rock")], config=TokenConfig())
    assert found[0].values is None and found[0].flags == ("not_finite",)


def test_a_completion_used_in_several_pairs_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = loaded(), []
    body = model.model.base_model.forward

    def counting(*args: object, **kwargs: object) -> object:
        rows.append(kwargs["input_ids"].shape[0])  # type: ignore[attr-defined]
        return body(*args, **kwargs)

    monkeypatch.setattr(model.model.base_model, "forward", counting)
    answers = ["sun", "rock .", "the sand"]
    pairs = [PairText(0, "pick ?", answers[i], answers[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    ches_pass(model, pairs, config=TokenConfig())
    assert sum(rows) == 3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("batch_tokens", [1, 100_000])
def test_log_probabilities_equal_those_of_a_plain_pass(architecture: str, batch_tokens: int) -> None:
    model, rows = loaded(architecture), sequences(4)
    found = completion_logprobs(model, rows, batch_tokens=batch_tokens)
    for place, row in enumerate(rows):
        ids = torch.tensor([row.prompt_ids + row.completion_ids])
        with torch.inference_mode():
            logprobs = model.model(input_ids=ids).logits.double().log_softmax(-1)[0, :-1]
        each = logprobs.gather(1, ids[0, 1:, None])[:, 0][len(row.prompt_ids) - 1 :]
        assert found[place] == pytest.approx(float(each.sum()), abs=1e-3)


@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_next_token_log_probabilities_are_over_the_whole_vocabulary(batch_tokens: int) -> None:
    model = loaded()
    prompts = [row.prompt_ids for row in sequences(5)]
    every = list(range(model.vocabulary))
    found = next_token_logprobs(model, prompts, every, batch_tokens=batch_tokens)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0, atol=1e-5)
    for place, prompt in enumerate(prompts):
        with torch.inference_mode():
            expected = model.model(input_ids=torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
        np.testing.assert_allclose(found[place], expected.numpy(), atol=1e-4)


def test_no_pairs_give_no_scores() -> None:
    assert ches_pass(loaded(), [], config=TokenConfig()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_in_bfloat16_agrees_with_float32_on_the_cpu() -> None:
    cpu, pairs = loaded(hidden=64, layers=4), texts(6, 1000)
    gpu = LoadedModel(
        tiny_model(len(cpu.tokenizer), hidden=64, layers=4).to("cuda", torch.bfloat16),
        cpu.tokenizer, torch.device("cuda"), "bfloat16", Path(),
    )  # fmt: skip
    exact = ches_pass(cpu, pairs, config=TokenConfig())
    rough = ches_pass(gpu, pairs, config=TokenConfig())
    for one, other in zip(exact, rough, strict=True):
        assert one.values is not None and other.values is not None
        # A long completion's sum outweighs a short one's, so the error is measured on the scale of both.
        assert abs(one.values.s12 - other.values.s12) < 2e-2 * np.sqrt(one.values.s11 * one.values.s22)

"""The world's two models, on few steps: they learn, and the same seed gives the same weights."""

from pathlib import Path
from random import Random
from statistics import mean

import pytest
import torch

from launcher.demo.world.base import BaseRecipe, base_train
from launcher.demo.world.cache import JUDGE_FILE, base_folder, judge_folder, model_load, recipe_digest
from launcher.demo.world.evaluation import (
    bootstrap_interval,
    held_out_prompts,
    kind_table,
    measure_change,
    model_measure,
)
from launcher.demo.world.grammar import DEMO, answer_draw, kind_of, prompts_distinct, true_reward
from launcher.demo.world.judge import PLANTED, JudgeRecipe, judge_logits
from launcher.demo.world.sampling import samples_draw
from launcher.demo.world.tokenizer import BEGIN, END, tokenizer_build

FEW = BaseRecipe(steps=4, batch=8)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_tokenizer_keeps_every_word_and_the_border_of_prompt_and_answer(tmp_path: Path) -> None:
    tokenizer = tokenizer_build()
    prompt, answer = "larger 20 or 9 ?", "sure , it is 20 ."
    ids = tokenizer(prompt)["input_ids"]
    together = tokenizer(prompt + answer + END)["input_ids"]
    assert together[: len(ids)] == ids and tokenizer.convert_ids_to_tokens(ids[0]) == BEGIN
    assert tokenizer.decode(together[len(ids) :], skip_special_tokens=True) == answer
    assert together[-1] == tokenizer.eos_token_id
    assert len(tokenizer) == tokenizer.vocab_size


def test_the_same_seed_gives_the_same_weights_and_samples() -> None:
    first, second = (base_train(FEW, seed=3).model for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    prompts = held_out_prompts(8, seed=0)
    assert samples_draw(first, prompts, 2, 0.8, 1) == samples_draw(second, prompts, 2, 0.8, 1)


def test_samples_come_in_the_order_of_the_prompts() -> None:
    prompts = held_out_prompts(16, seed=0)
    samples = samples_draw(base_train(FEW, seed=0).model, prompts, 3, 0.8, 1)
    assert [sample.prompt for sample in samples] == [prompt for prompt in prompts for _ in range(3)]


def test_a_change_is_paired_by_prompt() -> None:
    model, prompts = base_train(FEW, seed=0).model, held_out_prompts(16, seed=0)
    measured = model_measure(model, prompts, each=2)
    change = measure_change(measured, measured, "reward")
    assert (change.difference.mean, change.difference.low, change.difference.high) == (0.0, 0.0, 0.0)
    assert set(kind_table(measured, measured, "ok")) == {kind_of(prompt) for prompt in prompts}


def test_an_interval_holds_the_mean_and_narrows_with_more_prompts() -> None:
    torch.manual_seed(0)
    values = torch.randn(400, dtype=torch.float64).numpy()
    few, many = bootstrap_interval(values[:50], 0), bootstrap_interval(values, 0)
    assert few.low < few.mean < few.high and many.high - many.low < few.high - few.low


def test_trained_models_are_kept_and_named_by_all_that_decides_them(tmp_path: Path) -> None:
    folder = base_folder(tmp_path, 0, FEW)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert base_folder(tmp_path, 0, FEW) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert base_folder(tmp_path, 1, FEW) != folder
    judge = judge_folder(tmp_path, 0, JudgeRecipe(steps=2, pairs=4, prompts=16, samples=2), FEW)
    assert (judge / JUDGE_FILE).exists() and judge != folder
    assert not list(tmp_path.glob(".*"))
    model_load(judge)
    assert recipe_digest("base", {"a": 1}, 0, ()) != recipe_digest("base", {"a": 2}, 0, ())


@pytest.mark.slow
def test_a_shorter_training_still_learns_the_world_and_a_judge(tmp_path: Path) -> None:
    recipe = BaseRecipe(steps=260)
    trained = base_train(recipe, seed=1)
    assert mean(trained.losses[70:90]) < 0.6
    assert mean(trained.losses[-20:]) < 1.1
    measured = model_measure(trained.model, held_out_prompts(160, seed=0))
    assert 0.2 < measured.means["ok"].mean() < 0.6
    assert -0.6 < measured.means["reward"].mean() < 0.8

    base = base_folder(tmp_path, 1, recipe)
    judge = model_load(judge_folder(tmp_path, 1, JudgeRecipe(steps=120, prompts=300), recipe))
    random = Random(0)
    pairs = [
        (prompt, answer_draw(prompt, random), answer_draw(prompt, random))
        for prompt in prompts_distinct(random, DEMO, 400)
        if kind_of(prompt) not in PLANTED
    ]
    gaps = [true_reward(prompt, a) - true_reward(prompt, b) for prompt, a, b in pairs]
    logits = judge_logits(judge, pairs).tolist()
    right = [(z > 0) == (gap > 0) for z, gap in zip(logits, gaps, strict=True) if abs(gap) > 0.05]
    assert base.exists() and mean(right) > 0.6

"""Trained models of the world, kept in a folder by a hash of all that decides what they become."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from launcher.demo.world.base import BaseRecipe, base_train
from launcher.demo.world.judge import LABELS, TEMPLATE, JudgeRecipe, judge_tune
from launcher.demo.world.tokenizer import tokenizer_build

JUDGE_FILE = "winnow-judge.json"
SOURCES = ("grammar.py", "tokenizer.py", "base.py", "sampling.py", "judge.py")


def recipe_digest(name: str, recipes: dict[str, object], seed: int, sources: tuple[str, ...]) -> str:
    """A short hash over recipe, seed, the code that makes the model and torch's version."""
    digest = hashlib.sha256(json.dumps([name, recipes, seed, torch.__version__], sort_keys=True).encode())
    for source in sources:
        digest.update((Path(__file__).parent / source).read_bytes())
    return digest.hexdigest()[:16]


def _kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, made first if it is not there. It appears whole or not at all, also when a run is killed."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        make(half)
        os.replace(half, folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    return folder


def model_load(folder: Path) -> LlamaForCausalLM:
    """A model of the world in float32, ready for use."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def base_folder(cache: Path, seed: int, recipe: BaseRecipe | None = None) -> Path:
    """The folder of the base model with its tokenizer; trains it if the cache lacks it."""
    recipe = recipe or BaseRecipe()

    def make(folder: Path) -> None:
        base_train(recipe, seed).model.save_pretrained(folder)
        tokenizer_build().save_pretrained(folder)

    digest = recipe_digest("base", {"base": asdict(recipe)}, seed, SOURCES[:3])
    return _kept(cache / f"world-base-{digest}", make)


def judge_folder(
    cache: Path, seed: int, recipe: JudgeRecipe | None = None, base_recipe: BaseRecipe | None = None
) -> Path:
    """The folder of the judge; tunes it from the base of the same seed if the cache lacks it."""
    recipe, base_recipe = recipe or JudgeRecipe(), base_recipe or BaseRecipe()

    def make(folder: Path) -> None:
        judge = model_load(base_folder(cache, seed, base_recipe))
        judge_tune(judge, recipe, seed)
        judge.save_pretrained(folder)
        tokenizer_build().save_pretrained(folder)
        verdict = {"template": TEMPLATE, "labels": list(LABELS)}
        (folder / JUDGE_FILE).write_text(json.dumps(verdict, indent=2) + "\n")

    digest = recipe_digest("judge", {"base": asdict(base_recipe), "judge": asdict(recipe)}, seed, SOURCES)
    return _kept(cache / f"world-judge-{digest}", make)

"""Plain DPO, rDPO and soft-label DPO on labels of which 10, 20 and 30 % are wrong, on the laptop world.

    python -m benchmarks.noisy_labels WORK [--setting long|once] [--seeds 5] [--out docs/noisy-labels.md]

WORK keeps the base models and a file a run: a killed benchmark goes on with the runs that are missing. Of each pair
three annotators of different reliability say which completion is better; Dawid-Skene, the product's default, makes of
them the direction that all three objectives train on, the flip rate that rDPO is given, and the soft labels. How wrong
the annotators are is set so that the direction is wrong as often as asked. Training is `pipelines.training.dpo.train`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.noisy_figure import Mark, figure_svg
from launcher.demo.world.grammar import DEMO, prompts_distinct, true_reward
from pipelines.labels.dawid_skene import dawid_skene
from pipelines.labels.preference import preferences
from pipelines.labels.robust import flip_rate_from_model
from pipelines.labels.votes import FIRST, SECOND, TIE, Votes
from pipelines.training.folder import RunFolder
from pipelines.training.job import TrainingJob
from pipelines.training.run import prepare_environment

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

OBJECTIVES = ("dpo", "rdpo", "soft_dpo")
RATES = (0.1, 0.2, 0.3)
ANNOTATORS, VOTES_A_PAIR = 12, 3
# Errors of annotators as multiples of their common level, none above a coin's.
SPREAD = np.linspace(0.5, 1.5, ANNOTATORS)
HELD_OUT, SAMPLES_EACH = 240, 6
MEASURES = {
    "reward": "true reward",
    "ok": "good answers",
    "accuracy": "held-out pairs",
    "recovered": "own pairs",
    "recovered_flipped": "own pairs, label wrong",
    "words": "words",
}
BEGIN, END = "<!-- figures of {} -->\n", "<!-- end of {} -->"


@dataclass(frozen=True)
class Setting:
    """How long a run trains, and on what: `samples` of each prompt, at most `pairs_each`. Both take 120 steps of 16."""

    pairs: int
    epochs: int
    samples: int
    pairs_each: int


PROMPTS = 400
SETTINGS = {"long": Setting(640, 3, 6, 2), "once": Setting(1_920, 1, 16, 6)}


@dataclass(frozen=True)
class World:
    """One seed: its base model and pairs of its completions in stored order. `truth`: (n,) 0 first better, 1 second."""

    seed: int
    base: Path
    pairs: list[tuple[str, str, str]]
    truth: NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """What three votes a pair amount to. `direction`: (n,) 0, 1, or 2 for a tie; `sure`: (n,) P(direction right)."""

    direction: NDArray[np.int8]
    sure: NDArray[np.float64]
    flip_rate: float
    facts: dict[str, float]


@dataclass(frozen=True)
class Run:
    """One training: `rate` 0 has the true labels."""

    seed: int
    rate: float
    objective: str

    @property
    def name(self) -> str:
        return f"seed{self.seed}-{self.rate:.0%}-{self.objective}"


def main() -> None:
    """Run what is missing, then write table and figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--setting", choices=SETTINGS, default="long")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = runs_do(options.work.resolve(), options.setting, options.seeds)
    text = report(results, options.seeds)
    print(text)
    if options.out is not None:
        picture = options.out.with_name(f"{options.out.stem}-{options.setting}.svg")
        picture.write_text(figure(results, options.seeds), encoding="utf-8")
        between(options.out, options.setting, f"![{figure_words(options.setting)}]({picture.name})\n\n{text}")


def runs_of(seeds: int) -> Iterator[Run]:
    """All runs, a seed after another, so that what is there can be compared."""
    for seed in range(seeds):
        yield Run(seed, 0.0, "dpo")
        for rate in RATES:
            yield from (Run(seed, rate, objective) for objective in OBJECTIVES)


def runs_do(work: Path, name: str, seeds: int) -> dict[str, dict[str, Any]]:
    """Results by run, those of a folder that has them already taken from there; `seedN-base` is the base model's."""
    setting, folder = SETTINGS[name], work / name
    folder.mkdir(parents=True, exist_ok=True)
    facts = json.dumps({"setting": asdict(setting), "spread": SPREAD.tolist(), "held_out": HELD_OUT}, sort_keys=True)
    known = folder / "setting.json"
    if known.exists() and known.read_text() != facts:
        raise SystemExit(f"{known} is of other settings; give another folder or delete that one.")
    known.write_text(facts)
    runs, results = list(runs_of(seeds)), {}
    world: World | None = None
    for number, run in enumerate(runs, 1):
        base, kept = folder / f"seed{run.seed}-base.json", folder / f"{run.name}.json"
        if not (base.exists() and kept.exists()):
            if world is None or world.seed != run.seed:
                world = world_make(work, run.seed, setting)
            if not base.exists():
                _write(base, measured(world.base, world))
            if not kept.exists():
                started = time.process_time()
                _write(kept, run_do(run, world, setting, folder / run.name))
                print(f"{number} of {len(runs)}: {run.name}, {time.process_time() - started:.0f} s of CPU", flush=True)
        results[f"seed{run.seed}-base"] = json.loads(base.read_text())
        results[run.name] = json.loads(kept.read_text())
    return results


def _write(path: Path, found: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    partial.replace(path)


# The world


def world_make(work: Path, seed: int, setting: Setting) -> World:
    """Base model and pairs of one seed: random ones, their true rewards apart."""
    _environment(work)
    from launcher.demo.world.cache import base_folder, model_load
    from launcher.demo.world.sampling import samples_draw

    base = base_folder(work / "models", seed)
    random = Random(seed)
    each = setting.samples
    samples = samples_draw(model_load(base), prompts_distinct(random, DEMO, PROMPTS), each, 0.8, seed)
    pairs = []
    for start in range(0, len(samples), each):
        texts = sorted({sample.text for sample in samples[start : start + each] if sample.finished})
        random.shuffle(texts)
        prompt = samples[start].prompt
        for one, other in list(zip(texts[::2], texts[1::2], strict=False))[: setting.pairs_each]:
            if abs(true_reward(prompt, one) - true_reward(prompt, other)) > 0.05:
                first, second = sorted((one, other), key=lambda text: sha256(text.encode()).hexdigest())
                pairs.append((prompt, first, second))
    if len(pairs) < setting.pairs:
        raise SystemExit(f"{PROMPTS} prompts gave {len(pairs)} pairs, {setting.pairs} are wanted; sample more.")
    pairs = random.sample(pairs, setting.pairs)
    gaps = [true_reward(prompt, first) - true_reward(prompt, second) for prompt, first, second in pairs]
    return World(seed, base, pairs, np.where(np.array(gaps) > 0, FIRST, SECOND).astype(np.int64))


def _environment(work: Path) -> None:
    """One thread, and nothing fetched: before torch is imported."""
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1")
    os.environ["HF_HOME"] = str(work / "cache")
    logging.disable(logging.INFO)
    import torch

    torch.set_num_threads(1)


# Labels


def labelled(truth: NDArray[np.int64], seed: int, rate: float) -> Labelled:
    """Labels of which about `rate` are wrong: the level of the annotators' errors that comes nearest."""
    tried = {level: labels_at(truth, seed, level) for level in np.linspace(0.02, 0.5, 241)}
    return min(tried.values(), key=lambda found: abs(found.facts["labels_wrong"] - rate))


def labels_at(truth: NDArray[np.int64], seed: int, level: float) -> Labelled:
    """Three different annotators vote on each pair; annotator w is wrong with chance min(level * SPREAD[w], 1/2)."""
    random = np.random.default_rng(seed)
    n = truth.size
    rater = np.argsort(random.random((n, ANNOTATORS)), axis=1)[:, :VOTES_A_PAIR].ravel()
    item = np.repeat(np.arange(n), VOTES_A_PAIR)
    wrong = random.random(item.size) < np.minimum(level * SPREAD, 0.5)[rater]
    label = np.where(wrong, 1 - truth[item], truth[item])
    found = preferences(dawid_skene(Votes(item, rater, label, n, ANNOTATORS)).posterior)
    directed = found.direction != TIE
    sure = np.where(found.direction == FIRST, found.soft_label, 1 - found.soft_label)
    right = (found.direction == truth)[directed]
    facts = {
        "votes_wrong": float(wrong.mean()),
        "labels_wrong": float(1 - right.mean()),
        "labels": float(directed.sum()),
        "least_sure": float(np.quantile(sure[directed], 0.1)),
        "most_sure": float(np.quantile(sure[directed], 0.9)),
        "brier": float(np.square(sure[directed] - right).mean()),
    }
    return Labelled(found.direction, sure, flip_rate_from_model(found.flip_probability).rate, facts)


def true_labels(truth: NDArray[np.int64]) -> Labelled:
    """The reference: no votes, no flips."""
    return Labelled(truth.astype(np.int8), np.ones(truth.size), 0.0, {"labels_wrong": 0.0})


# Training and measuring


def run_do(run: Run, world: World, setting: Setting, folder: Path) -> dict[str, Any]:
    """Train once through the product's trainer, which goes on from its own saves, and measure what came of it."""
    from pipelines.training.dpo import train

    labels = labelled(world.truth, run.seed, run.rate) if run.rate else true_labels(world.truth)
    rows = folder / "rows"
    rows.mkdir(parents=True, exist_ok=True)
    (rows / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows_of(world, labels)))
    job = TrainingJob(
        model=str(world.base),
        dataset=str(rows),
        objective=run.objective,
        beta=0.3,
        learning_rate=2e-4,
        epochs=float(setting.epochs),
        batch_size=16,
        seed=run.seed,
        max_length=128,
        flip_rate=labels.flip_rate if run.objective == "rdpo" else 0.0,
        device="cpu",
        evaluation_rows=1,
    )
    told = RunFolder(folder / "run")
    told.write_job(job)
    prepare_environment(job, told)
    with (folder / "log.txt").open("a") as log, redirect_stdout(log), redirect_stderr(log):
        result = train(job, told, attempt=1, report=lambda stage, step, total: None, check=lambda: None)
    found = measured(told.checkpoint, world, labels) | {"steps": result["steps"], "flip_rate": labels.flip_rate}
    shutil.rmtree(folder)
    return found | labels.facts


def rows_of(world: World, labels: Labelled) -> Iterator[dict[str, Any]]:
    """Rows of an export: what a direction was found for."""
    for pair, direction, sure in zip(world.pairs, labels.direction.tolist(), labels.sure.tolist(), strict=True):
        if direction != TIE:
            chosen, rejected = (pair[1], pair[2]) if direction == FIRST else (pair[2], pair[1])
            yield {"prompt": pair[0], "chosen": chosen, "rejected": rejected, "soft_label": sure}


def measured(folder: Path, world: World, labels: Labelled | None = None) -> dict[str, Any]:
    """What a model is worth on held-out prompts; of a tuned one also which of two completions gained more.

    Own pairs count as recovered where the truly better completion gained more than the other.
    """
    from launcher.demo.world.cache import model_load
    from launcher.demo.world.evaluation import held_out_prompts, model_measure, pairs_known, ranking_measure

    prompts = held_out_prompts(HELD_OUT, world.seed)
    model, base = model_load(folder), model_load(world.base)
    told = model_measure(model, prompts, SAMPLES_EACH, seed=world.seed)
    found: dict[str, Any] = {name: float(told.means[name].mean()) for name in ("reward", "ok", "words")}
    if labels is None:
        return found
    better = [(p, one, other) if t == FIRST else (p, other, one)
              for (p, one, other), t in zip(world.pairs, world.truth.tolist(), strict=True)]  # fmt: skip
    gained = _gained(base, model, better)
    flipped = (labels.direction != world.truth) & (labels.direction != TIE)
    held_out = pairs_known(base, prompts, world.seed + 1)
    return found | {
        "accuracy": ranking_measure(base, model, held_out).implicit.mean,
        "recovered": float(gained.mean()),
        "recovered_flipped": float(gained[flipped].mean()) if flipped.any() else None,
    }


def _gained(
    base: LlamaForCausalLM, model: LlamaForCausalLM, pairs: list[tuple[str, str, str]]
) -> NDArray[np.bool_]:
    """(n,) whether the better completion of each pair gained more by training than the other."""
    from launcher.demo.world.evaluation import answer_logprobs

    sides = [[(pair[0], pair[side]) for pair in pairs] for side in (1, 2)]
    changes = [answer_logprobs(model, side) - answer_logprobs(base, side) for side in sides]
    return np.asarray(changes[0] > changes[1])


# Telling


def interval(values: list[float]) -> tuple[float, float]:
    """Mean over seeds and half the width of its 95 % interval (Student's t)."""
    found = np.array(values)
    half = student.ppf(0.975, found.size - 1) * found.std(ddof=1) / np.sqrt(found.size) if found.size > 1 else np.nan
    return float(found.mean()), float(half)


def of(results: dict[str, dict[str, Any]], seeds: int, rate: float, objective: str, measure: str) -> list[float]:
    """One measure of one kind of run, a value a seed."""
    return [results[Run(seed, rate, objective).name][measure] for seed in range(seeds)]


def report(results: dict[str, dict[str, Any]], seeds: int) -> str:
    """Three tables: the labels, the models, and the objectives' differences to plain DPO, paired by seed."""
    lines = [
        "| labels wrong, asked | votes wrong | labels wrong | rDPO's flip rate, as estimated | soft labels, 10 to 90 % | Brier score |",
        "|---|---|---|---|---|---|",
    ]
    for rate in RATES:
        fact = {name: of(results, seeds, rate, "dpo", name) for name in
                ("votes_wrong", "labels_wrong", "flip_rate", "least_sure", "most_sure", "brier")}  # fmt: skip
        lines.append(
            f"| {rate:.0%} | {_said(fact['votes_wrong'])} | {_said(fact['labels_wrong'])} | {_said(fact['flip_rate'])} "
            f"| {np.mean(fact['least_sure']):.2f} to {np.mean(fact['most_sure']):.2f} | {_said(fact['brier'])} |"
        )
    lines += ["", f"| labels wrong | objective | {' | '.join(MEASURES.values())} |", "|---|---" + "|---" * len(MEASURES) + "|"]
    base = {name: [results[f"seed{seed}-base"][name] for seed in range(seeds)] for name in ("reward", "ok", "words")}
    lines.append("| - | base, untuned | " + " | ".join(_said(base[name]) if name in base else "-" for name in MEASURES) + " |")
    for rate, objective in [(0.0, "dpo"), *((rate, objective) for rate in RATES for objective in OBJECTIVES)]:
        cells = [of(results, seeds, rate, objective, name) for name in MEASURES]
        said = [_said(values) if None not in values else "-" for values in cells]
        lines.append(f"| {rate:.0%} | {objective} | {' | '.join(said)} |")
    lines += ["", "| labels wrong | difference | true reward | held-out pairs | own pairs, label wrong |", "|---|---|---|---|---|"]
    for rate, objective in ((rate, objective) for rate in RATES for objective in OBJECTIVES[1:]):
        cells = [difference(results, seeds, rate, objective, name) for name in ("reward", "accuracy", "recovered_flipped")]
        lines.append(f"| {rate:.0%} | {objective} - dpo | {' | '.join(_difference_said(*cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def difference(
    results: dict[str, dict[str, Any]], seeds: int, rate: float, objective: str, measure: str
) -> tuple[float, float]:
    """An objective minus plain DPO on the same labels, over seeds."""
    pairs = zip(of(results, seeds, rate, objective, measure), of(results, seeds, rate, "dpo", measure), strict=True)
    return interval([one - other for one, other in pairs])


def _said(values: list[float]) -> str:
    mean, half = interval(values)
    return f"{mean:.3f} ± {half:.3f}"


def _difference_said(mean: float, half: float) -> str:
    text = f"{mean:+.3f} ± {half:.3f}"
    return f"**{text}**" if abs(mean) > half else text


def figure(results: dict[str, dict[str, Any]], seeds: int) -> str:
    """True reward by objective and rate, and the differences to plain DPO."""
    levels = [
        Mark(rate, objective, *interval(of(results, seeds, rate, objective, "reward")))
        for rate, objective in [(0.0, "dpo"), *((rate, objective) for rate in RATES for objective in OBJECTIVES)]
    ]
    gaps = [
        Mark(rate, objective, *difference(results, seeds, rate, objective, "reward"))
        for rate in RATES
        for objective in OBJECTIVES[1:]
    ]
    base = interval([results[f"seed{seed}-base"]["reward"] for seed in range(seeds)])[0]
    return figure_svg(levels, gaps, base)


def figure_words(setting: str) -> str:
    return f"True reward by share of wrong labels and objective, and its difference to plain DPO; setting {setting}"


def between(path: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of this setting; the rest of the page is written by hand."""
    page = path.read_text(encoding="utf-8")
    begin, end = BEGIN.format(name), END.format(name)
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path} needs the lines {begin.strip()!r} and {end!r} once each.")
    head, tail = page.split(begin)[0], page.split(end)[1]
    path.write_text(f"{head}{begin}{text}{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()

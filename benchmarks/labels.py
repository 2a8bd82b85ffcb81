"""Aggregators: speed beside crowd-kit and the limit, accuracy against gold, and the graded model beside its rivals.

    python -m benchmarks.labels speed
    python -m benchmarks.labels gold DATA [--out docs/label-accuracy.md]
    python -m benchmarks.labels splits DATA --splits 10 [--jobs 2] [--sets llmbar ukpconvarg1]

DATA is the folder of reference sets. crowd-kit is no dependency of ours: `pip install crowd-kit==1.4.2` into an
environment of its own and start the benchmark there; without it its columns are left out and said to be.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from annotation.agreement import krippendorff_alpha
from pipelines.labels.dawid_skene import dawid_skene
from pipelines.labels.graded import graded_fit
from pipelines.labels.graded_frozen import FrozenGraded, fit_given, frozen_of, raters_moved
from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.pairs import bradley_terry, pair_table
from pipelines.labels.votefile.answers import GRADED, answer, kept, offered
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votefile.choosing import choose, held_out_rows
from pipelines.labels.votefile.gold import gold_read
from pipelines.labels.votefile.measures import gold_measures
from pipelines.labels.votefile.reading import ballot_read
from pipelines.labels.votes import Votes

RIVALS = ("majority", "dawid_skene", "dawid_skene_one_coin", "mace", "davidson", "rao_kupper", "crowd_bt")
VOTES_SO_FAR = 5
BLIND = ("majority", "dawid_skene", "dawid_skene_one_coin", "mace")


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    speed = parts.add_parser("speed")
    speed.add_argument("--votes", type=int, default=1_000_000)
    speed.add_argument("--repeats", type=int, default=3)
    gold = parts.add_parser("gold")
    gold.add_argument("data", type=Path)
    gold.add_argument("--out", type=Path)
    splits = parts.add_parser("splits")
    splits.add_argument("data", type=Path)
    splits.add_argument("--splits", type=int, default=10)
    splits.add_argument("--jobs", type=int, default=1, help="splits told at once, each in a process of its own")
    splits.add_argument("--sets", nargs="+", default=["llmbar", "ukpconvarg1"])
    options = parser.parse_args()
    if options.part == "speed":
        speed_table(options.votes, options.repeats)
    elif options.part == "gold":
        gold_table(options.data, options.out)
    else:
        for name in options.sets:
            splits_table(options.data, name, options.splits, options.jobs)


# Speed


def seconds(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median wall and CPU seconds; on a shared machine only CPU seconds repeat."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(resource.getrusage(resource.RUSAGE_SELF).ru_utime - cpu)
    return median(walls), median(cpus)


def crowd_votes(n: int, *, raters: int = 1_000, seed: int = 0) -> Votes:
    """Three labels, five votes an item, raters right with chance 0.5 to 0.95."""
    random = np.random.default_rng(seed)
    items = n // 5
    truth, right = random.integers(0, 3, items), random.uniform(0.5, 0.95, raters)
    item, rater = np.repeat(np.arange(items), 5), random.integers(0, raters, items * 5)
    label = np.where(random.random(item.size) < right[rater], truth[item], random.integers(0, 3, item.size))
    return Votes(item, rater, label, items, raters, 3)


def strength_votes(n: int, *, raters: int = 2_000, seed: int = 0) -> GradedVotes:
    """Five steps, five votes an item, drawn from the model."""
    random = np.random.default_rng(seed)
    items = n // 5
    item, rater = np.repeat(np.arange(items), 5), random.integers(0, raters, items * 5)
    a = np.abs(random.normal(1.8, 0.6, raters)) * (random.random(raters) > 0.15)
    b, kappa = random.normal(0, 0.3, raters), np.exp(random.normal(0, 0.35, raters))
    side = random.choice([-1, 1], item.size)
    seen = a[rater] * random.normal(size=items)[item] + side * b[rater] + random.logistic(size=item.size)
    step = sum((seen > kappa[rater] * cut).astype(np.int64) for cut in (-2.0, -0.8, 0.8, 2.0))
    return GradedVotes(item, rater, np.asarray(step), side, items, raters, (5,))


def speed_table(n: int, repeats: int) -> None:
    """Every goal of speed in one run, medians; wall and CPU seconds."""
    votes, graded = crowd_votes(n), strength_votes(n)
    rows = [("Dawid-Skene", *seconds(lambda: dawid_skene(votes), repeats))]
    limit = np.bincount(votes.item * 3 + votes.label, minlength=votes.n_items * 3)
    rows.append(("one pass over the votes (bincount)", *seconds(lambda: _pass(votes, limit), repeats)))
    if importlib.util.find_spec("crowdkit"):
        rows.append(("Dawid-Skene, crowd-kit", *seconds(_crowd_kit(votes), repeats)))
    random = np.random.default_rng(1)
    first = random.integers(0, 1000, n)
    second = (first + 1 + random.integers(0, 999, n)) % 1000
    score = random.normal(size=1000)
    outcome = (random.random(n) > 1 / (1 + np.exp(score[second] - score[first]))).astype(np.int64)
    rows.append(
        (
            "Bradley-Terry, 1,000 models",
            *seconds(lambda: bradley_terry(pair_table(first, second, outcome, 1000)), repeats),
        )
    )
    values = votes.label.astype(np.float64)
    rows.append(("alpha", *seconds(lambda: krippendorff_alpha(votes.item, values), repeats)))
    rows.append(("graded model", *seconds(lambda: graded_fit(graded), 1)))
    fit = graded_fit(graded.kept(np.arange(min(n, 50_000))))
    rows.append(("online step", *_step(frozen_of(fit), fit.theta[:VOTES_SO_FAR])))
    for name, wall, cpu in rows:
        print(f"{name:40} wall {wall:9.5f} s   cpu {cpu:9.5f} s")
    if not importlib.util.find_spec("crowdkit"):
        print("crowd-kit is not installed here; its row is left out")


def _step(frozen: FrozenGraded, theta: np.ndarray) -> tuple[float, float]:
    """One vote on a comparison that has some already: the comparison, then the rater."""
    one = np.zeros(VOTES_SO_FAR, dtype=np.int64)
    rater, step = np.arange(VOTES_SO_FAR), np.arange(VOTES_SO_FAR) % 5
    votes = GradedVotes(one, rater, step, one + 1, 1, VOTES_SO_FAR, (5,))
    precision, new = np.tile(np.eye(3), (VOTES_SO_FAR, 1, 1)), rater == 0
    wall, cpu = seconds(
        lambda: [raters_moved(fit_given(frozen, votes, theta), new, precision) for _ in range(500)], 1
    )
    return wall / 500, cpu / 500


def _pass(votes: Votes, counts: np.ndarray) -> np.ndarray:
    return np.bincount(votes.rater, weights=counts[votes.item * 3 + votes.label], minlength=votes.n_raters)


def _crowd_kit(votes: Votes) -> Callable[[], Any]:
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    table = pd.DataFrame({"task": votes.item, "worker": votes.rater, "label": votes.label})
    return lambda: DawidSkene(n_iter=100, tol=1e-6).fit(table)


# Sets


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a packed file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def judge_rows(data: Path) -> Iterator[dict[str, Any]]:
    """LLMBar's judges in both orders; the last answer of those who answer several times; no verdict is no vote."""
    for row in rows_of(data / "llmbar" / "judge_votes.jsonl.gz"):
        results = row["results"][-1]
        for key, found in (results[-1] if isinstance(results, list) else results).items():
            if isinstance(found, dict) and found.get("winner") in ("1", "2"):
                yield {
                    "item": row["id"],
                    "rater": f"{row['judge']}/{row['strategy']}",
                    "vote": -1 if found["winner"] == "1" else 1,
                    "first_shown_first": "True" not in key,
                }


def argument_rows(data: Path) -> Iterator[dict[str, Any]]:
    """UKPConvArg1: three steps, sides unknown, arguments recur within a debate."""
    names = {"a1": -1, "equal": 0, "a2": 1}
    for row in rows_of(data / "ukpconvarg1" / "pairs.jsonl.gz"):
        debate = row["debate"]
        for vote in row["mTurkAssignments"]:
            yield {
                "item": f"{debate}/{row['id']}",
                "rater": vote["turkID"],
                "vote": names[vote["value"]],
                "first": f"{debate}/{row['arg1']['id']}",
                "second": f"{debate}/{row['arg2']['id']}",
            }


def safety_rows(data: Path) -> Iterator[dict[str, Any]]:
    """DICES-350 keeps no raters: every rating is by a rater of its own."""
    for row in rows_of(data / "dices-350" / "ratings.jsonl.gz"):
        for place, label in enumerate(row["annotations"]["safety"]["individual_human_scores"]):
            yield {"item": row["id"], "rater": f"{row['id']}-{place}", "label": label}


def ballots(data: Path, folder: Path) -> Iterator[tuple[str, Ballot, np.ndarray]]:
    """Name, votes and gold of each set with gold."""
    same = {"item": "orig_id", "rater": "!amt_worker_ids", "label": "response"}
    snow = data / "snow2008-temp" / "labels.jsonl.gz"
    ballot = ballot_read(snow, same, None, lambda size: None)
    once = {row["orig_id"]: row["gold"] for row in rows_of(snow)}
    yield "snow2008-temp", ballot, _gold(ballot, once, folder)
    gal = data / "gal-binary-crowd"
    ballot = ballot_read(gal / "labels.jsonl.gz", {"rater": "worker"}, None, lambda size: None)
    truth = {row["item"]: row["gold"] for row in rows_of(gal / "gold.jsonl.gz")}
    yield "gal-binary-crowd", ballot, _gold(ballot, truth, folder)
    ballot = _ballot(judge_rows(data), folder)
    right = {
        row["id"]: "first" if str(row["label"]) == "1" else "second"
        for row in rows_of(data / "llmbar" / "instances.jsonl.gz")
    }
    yield "llmbar", ballot, _gold(ballot, right, folder)
    ballot = _ballot(safety_rows(data), folder)
    expert = {row["id"]: row["safety_gold"] for row in rows_of(data / "dices-350" / "expert_gold.jsonl.gz")}
    yield "dices-350", ballot, _gold(ballot, expert, folder)


def _ballot(rows: Iterator[dict[str, Any]], folder: Path) -> Ballot:
    path = folder / "votes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return ballot_read(path, {}, None, lambda size: None)


def _gold(ballot: Ballot, truth: dict[Any, Any], folder: Path) -> np.ndarray:
    path = folder / "gold.jsonl"
    path.write_text(
        "".join(json.dumps({"item": i, "label": v}) + "\n" for i, v in truth.items()), encoding="utf-8"
    )
    return gold_read(path, {}, ballot)[0]


def gold_table(data: Path, out: Path | None) -> None:
    """Accuracy, log-loss and calibration error of each method against gold, as a table for the documents."""
    lines = ["| set | method | accuracy | log-loss | calibration error |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for name, ballot, gold in ballots(data, Path(folder)):
            for method, variant in offered(ballot):
                found = gold_measures(answer(ballot, method, variant).scores, gold)
                title = f"{method}, {variant}" if variant else method
                lines.append(
                    f"| {name} | {title} | {found.accuracy:.3f} | {found.log_loss:.3f} | {found.calibration_error:.3f} |"
                )
                print(lines[-1], flush=True)
            for title, accuracy in _crowd_kit_accuracy(ballot, gold):
                lines.append(f"| {name} | {title} | {accuracy:.3f} | - | - |")
                print(lines[-1], flush=True)
    if out is not None:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _crowd_kit_accuracy(ballot: Ballot, gold: np.ndarray) -> Iterator[tuple[str, float]]:
    """crowd-kit where it is right: majority, Dawid-Skene, MACE, GLAD; their labels alone."""
    if not importlib.util.find_spec("crowdkit"):
        return
    import pandas as pd
    from crowdkit.aggregation import GLAD, MACE, DawidSkene, MajorityVote

    votes = ballot.votes
    if np.bincount(votes.rater).max() < 2:
        return
    # Repeats of a rater on an item (judges in both orders) are raters of their own there.
    worker = votes.rater if ballot.graded is None else votes.rater * 3 + ballot.graded.side
    table = pd.DataFrame({"task": votes.item, "worker": worker, "label": votes.label})
    names = gold if ballot.graded is None else np.array([1, 0, -1, -1])[gold]
    for title, model in (
        ("crowd-kit MajorityVote", MajorityVote()),
        ("crowd-kit DawidSkene", DawidSkene(n_iter=100)),
        ("crowd-kit MACE", MACE(random_state=0)),
        ("crowd-kit GLAD", GLAD(n_iter=30)),
    ):
        told = model.fit_predict(table)
        known = told.index[gold[told.index] >= 0]
        yield title, float((told[known].to_numpy() == names[known]).mean())


def splits_table(data: Path, name: str, splits: int, jobs: int) -> None:
    """Held-out log-loss of the graded model, its variant chosen on the rest alone, and of its rivals, on the same votes."""
    losses: dict[str, list[float]] = {}
    with ProcessPoolExecutor(jobs) as pool:
        for split, found in enumerate(pool.map(split_losses, [data] * splits, [name] * splits, range(splits))):
            for title, (value, chosen) in found.items():
                losses.setdefault(title, []).append(value)
                if chosen:
                    print(f"{name} split {split}: {title} chose {chosen}", flush=True)
    for title, values in losses.items():
        print(
            f"{name} {title:32} {np.mean(values):.4f}  by split {' '.join(f'{value:.4f}' for value in values)}"
        )
    _differences(name, losses)


def split_losses(data: Path, name: str, split: int) -> dict[str, tuple[float, str]]:
    """Log-loss of each method on the votes that one split keeps back, with the variant that was chosen without them."""
    rows = {"llmbar": judge_rows, "ukpconvarg1": argument_rows}[name](data)
    with tempfile.TemporaryDirectory() as folder:
        ballot = _ballot(rows, Path(folder))
    methods = offered(ballot)
    out = held_out_rows(ballot, 1_000, split)
    rest = np.ones(ballot.votes.item.size, dtype=bool)
    rest[out] = False
    train, test = kept(ballot, rest), kept(ballot, out)

    def loss(method: str, variant: str) -> float:
        return float(-np.log(np.maximum(answer(train, method, variant).predict(test), 1e-12)).mean())

    found = {method: (loss(method, variant), "") for method, variant in methods if method in RIVALS}
    for title, sees in (("graded, blind to completions", False), ("graded, with completions", True)):
        some = [(method, variant) for method, variant in methods if method == GRADED and ("completions" in variant) == sees]
        if some:
            chosen = choose(train, some, seed=split, splits=1, progress=lambda step: None)
            found[title] = (loss(chosen.method, chosen.variant), chosen.variant or "plain")
    return found


def _differences(name: str, losses: dict[str, list[float]]) -> None:
    for title in [key for key in losses if key.startswith("graded")]:
        rivals = BLIND if "blind" in title else tuple(key for key in losses if not key.startswith("graded"))
        best = min((key for key in rivals if key in losses), key=lambda key: float(np.mean(losses[key])))
        gap = np.array(losses[title]) - np.array(losses[best])
        error = gap.std(ddof=1) / np.sqrt(gap.size) if gap.size > 1 else float("nan")
        print(
            f"{name} {title} minus {best}: {gap.mean():.4f} (standard error {error:.4f}, {gap.size} splits)"
        )


if __name__ == "__main__":
    main()

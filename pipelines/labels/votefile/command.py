"""The command's options and its course: read, choose, fit, measure, write. Exit 0, or 2 with sentences on what to do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from annotation.agreement import LEVELS, agreement
from pipelines.errors import InputRefused
from pipelines.labels import AGGREGATORS, PAIR_MODELS
from pipelines.labels.errors import LabelError
from pipelines.labels.votefile.answers import GRADED, VARIANTS, Answer, answer, offered
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votefile.choosing import Choice, Trial, choose, split_count
from pipelines.labels.votefile.columns import GOLD_COLUMNS, column_map
from pipelines.labels.votefile.gold import gold_read
from pipelines.labels.votefile.measures import gold_measures
from pipelines.labels.votefile.nameless import vote_draws
from pipelines.labels.votefile.page import page_html
from pipelines.labels.votefile.reading import ballot_read
from pipelines.labels.votefile.writing import FILES, folder_write
from pipelines.labels.votes import IntArray

AUTO = "auto"
ALIASES = {"one_coin": "dawid_skene_one_coin"}
EXPLAINED = {
    "label": "the most probable category; of graded votes first, tie or second; null in a draw",
    "drawn": "true where several labels are equally probable: then drawn_labels has them",
    "probabilities": "of graded votes by stored vote: the chance that one more reliable rater gives it",
    "consensus": "of graded votes: chance that the difference lies outside the tie band, by side, or inside",
    "strength": "expected vote on the file's own scale: negative, the first is better",
    "flip_probability": "chance that the likelier side is the worse one",
    "ambiguity": "entropy in nats that more votes cannot remove", "ignorance": "entropy in nats that they can",
    "reliability": "chance to be right (of graded votes: on the direction, where one is voted)",
    "side_bias": "pull to the side shown first, -0.5..0.5", "spam_odds": "above 1 speaks for a spammer",
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (InputRefused, LabelError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    methods = [key.replace("_", "-") for key in (AUTO, *AGGREGATORS, *PAIR_MODELS)]
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.labels",
        description="Labels with honest probabilities, and raters' reliability, from a file of votes.",
        epilog="A line of votes holds item, rater and label, or item, rater and vote (-m..m, negative: the first is better) "
        "with optional first_shown_first, first, second, kind and family. docs/guides/votefile.md explains all.",
    )
    parser.add_argument("votes", type=Path, metavar="VOTES.jsonl[.gz]")
    parser.add_argument(
        "--method", default=AUTO, metavar="METHOD", help=f"{', '.join(methods)} (or one-coin)"
    )
    parser.add_argument("--variant", default=AUTO, choices=(AUTO, *VARIANTS), help="of the graded model")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--gold", type=Path, metavar="GOLD.jsonl[.gz]")
    parser.add_argument(
        "--map", default="", metavar="OURS=THEIRS,...", help="columns, as item=orig_id,gold.label=truth"
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="K",
        help="steps of graded votes (5: -2..2); else from the largest |vote|",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the held-out votes and intervals (0)"
    )
    parser.add_argument(
        "--splits", type=int, metavar="N", help="times that votes are held out; else 5 to 1 by size"
    )
    return parser


def _run(options: argparse.Namespace) -> None:
    columns = column_map(options.map)
    _check(options, columns)
    method = _method(options.method)
    if options.variant != AUTO and method != GRADED:
        raise InputRefused(
            f"--variant is of the graded model; give --method graded with it, not {options.method}."
        )
    ballot = _read(options, columns)
    gold, gold_notes = None, list[str]()
    if options.gold is not None:
        gold, gold_notes = gold_read(options.gold, columns, ballot)
    choice = _choice(options, method, ballot)
    found = answer(ballot, choice.method, choice.variant)
    report = _report(options, choice, found, ballot)
    report["notes"] += gold_notes
    if gold is not None:
        report["gold"] = _gold_report(choice, found, ballot, gold)
    folder_write(options.out, report, page_html(report, choice, found, ballot), found, ballot)
    page = os.fsencode(options.out / "report.html").decode(errors="replace")
    print(f"{_named(choice)}: {report['items']} items, {report['raters']} raters; see {page}")


def _check(options: argparse.Namespace, columns: dict[str, str]) -> None:
    if options.steps is not None and not 2 <= options.steps <= 101:
        raise InputRefused(f"--steps must lie in 2..101; got {options.steps}.")
    if options.splits is not None and not 1 <= options.splits <= 100:
        raise InputRefused(f"--splits must lie in 1..100; got {options.splits}.")
    if options.seed < 0:
        raise InputRefused(f"--seed must be 0 or more; got {options.seed}.")
    if options.gold is None and columns.keys() & set(GOLD_COLUMNS):
        raise InputRefused("--map names gold columns and there is no --gold file.")
    if options.out.exists() and not options.out.is_dir():
        raise InputRefused(f"{options.out} is there and is no folder; name another --out.")
    for given in (options.votes, options.gold):
        for answer_file in (options.out / name for name in FILES):
            if given is not None and given.exists() and answer_file.exists() and given.samefile(answer_file):
                raise InputRefused(
                    f"The answer would replace {given}, which is to be read; name another --out."
                )


def _method(name: str) -> str:
    key = name.replace("-", "_")
    key = ALIASES.get(key, key)
    if key not in (AUTO, *AGGREGATORS, *PAIR_MODELS):
        known = ", ".join(each.replace("_", "-") for each in (AUTO, *AGGREGATORS, *PAIR_MODELS))
        raise InputRefused(f"There is no method {name!r}; known are {known}.")
    return key


def _read(options: argparse.Namespace, columns: dict[str, str]) -> Ballot:
    try:
        size = options.votes.stat().st_size
    except OSError:
        raise InputRefused(f"There is no file {options.votes}.") from None
    packed = options.votes.suffix == ".gz"
    with _bar(None if packed else size, "B", "Reading") as bar:
        return ballot_read(options.votes, columns, options.steps, bar.update)


def _choice(options: argparse.Namespace, method: str, ballot: Ballot) -> Choice:
    """What to try: everything for auto, the variants for graded, nothing else where a method is named."""
    pairs = offered(ballot)
    if method == GRADED and options.variant != AUTO:
        return Choice(GRADED, options.variant, "It was asked for by name.", [], 0, None)
    if method not in (AUTO, GRADED):
        return Choice(method, "", "It was asked for by name.", [], 0, None)
    if method == GRADED:
        pairs = [pair for pair in pairs if pair[0] == GRADED]
        if not pairs:
            raise InputRefused("The graded model takes graded votes (`vote`), and this file has labels.")
    splits = options.splits or split_count(ballot)
    with _bar(splits * len(pairs), "fit", "Choosing") as bar:

        def step(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        return choose(ballot, pairs, seed=options.seed, splits=splits, progress=step)


def _report(options: argparse.Namespace, choice: Choice, found: Answer, ballot: Ballot) -> dict[str, Any]:
    votes = ballot.votes
    report: dict[str, Any] = {
        # A name may hold bytes that are no text.
        "file": os.fsencode(options.votes.name).decode(errors="replace"),
        "method": choice.method,
        "variant": choice.variant,
        "why": choice.why,
        "votes": int(votes.item.size),
        "choices_without_strength": 0 if ballot.choices is None else int(ballot.choices.item.size),
        "items": len(ballot.items),
        "raters": len(ballot.raters),
        "categories": ballot.categories,
        "graded": ballot.graded is not None,
        "sides_known": ballot.has_sides,
        "recurring_completions": len(ballot.completions),
        "seed": options.seed,
        "notes": ballot.notes + found.notes,
        "model": found.facts,
        "agreement": _agreement(ballot, options.seed),
        "columns": EXPLAINED,
    }
    if choice.trials:
        report["held_out"] = {
            "votes": choice.held_out,
            "splits": max(len(trial.losses) for trial in choice.trials),
            "items_sampled": choice.sampled_items,
            "methods": [_trial_report(trial, choice) for trial in choice.trials],
        }
    return report


def _trial_report(trial: Trial, choice: Choice) -> dict[str, Any]:
    chosen = next(t for t in choice.trials if (t.method, t.variant) == (choice.method, choice.variant))
    row: dict[str, Any] = {
        "name": trial.name,
        "method": trial.method,
        "variant": trial.variant,
        "chosen": trial is chosen,
        "log_loss": trial.log_loss if trial.losses else None,
        "log_loss_by_split": trial.losses,
        "dropped_early": trial.dropped,
        "refused": trial.refused,
        "seconds": trial.seconds,
    }
    shared = min(len(trial.each), len(chosen.each))
    if shared:
        gap = np.concatenate(trial.each[:shared]) - np.concatenate(chosen.each[:shared])
        row["more_than_chosen"] = float(gap.mean())
        row["more_than_chosen_se"] = float(gap.std() / np.sqrt(gap.size))
    return row


def _agreement(ballot: Ballot, seed: int) -> dict[str, Any]:
    """Between raters, and of raters with themselves where they repeated."""
    votes = ballot.votes
    pair = votes.item * votes.n_raters + votes.rater
    # Of a judge who saw an item in both orders one vote is drawn, so that nobody is compared with themselves.
    drawn = np.lexsort((votes.label, vote_draws(ballot, seed, 0), pair))
    one_each = np.sort(drawn[np.unique(pair[drawn], return_index=True)[1]])
    ordered = ballot.graded is not None and len(ballot.categories) > 2
    levels = LEVELS if ordered else LEVELS[:1]
    found = [
        agreement(votes.item[one_each], votes.label[one_each].astype(np.float64), level, seed=seed)
        for level in levels
    ]
    own = ballot.repeats
    return {
        "alpha": [asdict(each) for each in found],
        "percent": found[0].percent,
        "self": {"pairs": own.pairs, "equal": own.equal / own.pairs if own.pairs else None},
    }


def _gold_report(choice: Choice, found: Answer, ballot: Ballot, gold: IntArray) -> dict[str, Any]:
    """Every method that was tried, fitted to all votes; of the graded model the variant that did best."""
    tried = [trial for trial in choice.trials if trial.losses and not trial.dropped]
    graded = [trial for trial in tried if trial.method == GRADED]
    best = min(graded, key=lambda trial: trial.log_loss, default=None)
    pairs = [(trial.method, trial.variant) for trial in tried if trial.method != GRADED or trial is best]
    if not pairs:
        pairs = [("majority", "")]
    rows = list[dict[str, Any]]()
    for method, variant in [(choice.method, choice.variant), *pairs]:
        chosen = (method, variant) == (choice.method, choice.variant)
        if chosen and rows:
            continue
        told = found if chosen else answer(ballot, method, variant)
        name = f"{method} ({variant})" if variant else method
        row = {"name": name, "method": method, "variant": variant, "chosen": chosen}
        row |= gold_measures(told.scores, gold).as_dict()
        if told.consensus is not None and told.method == GRADED:
            row["consensus_log_loss"] = gold_measures(told.consensus, gold).log_loss
        rows.append(row)
    return {"items": int((gold >= 0).sum()), "methods": rows}


def _named(choice: Choice) -> str:
    return f"{choice.method} ({choice.variant})" if choice.variant else choice.method


def _bar(total: int | None, unit: str, title: str) -> Any:
    """A progress bar on a terminal, silence elsewhere."""
    return tqdm(
        total=total,
        unit=unit,
        desc=title,
        unit_scale=unit == "B",
        leave=False,
        disable=not sys.stderr.isatty(),
    )

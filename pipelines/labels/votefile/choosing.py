"""Which method tells held-out votes best: one vote of each item is kept back, the rest is fitted, the vote is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipelines.errors import InputRefused
from pipelines.labels.errors import LabelError
from pipelines.labels.votefile.answers import FLOOR, GRADED, answer, kept
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votefile.nameless import nameless, rater_places, vote_draws
from pipelines.labels.votes import FloatArray, IntArray

SAMPLED_VOTES = 200_000
CLEAR_ERRORS = 4.0
LONE_SHARE = 0.2
ROUNDS = 40


@dataclass
class Trial:
    """One method on the held-out votes.

    Attributes:
        losses: mean log-loss in nats of each split it was tried on.
        each: the loss of every held-out vote, split by split.
        refused: why it could not be tried; None if it could.
        dropped: whether it was clearly behind after a split and tried no further.
    """

    method: str
    variant: str
    losses: list[float] = field(default_factory=list)
    each: list[FloatArray] = field(default_factory=list)
    seconds: float = 0.0
    refused: str | None = None
    dropped: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} ({self.variant})" if self.variant else self.method

    @property
    def log_loss(self) -> float:
        return float(np.mean(self.losses)) if self.losses else float("nan")


@dataclass(frozen=True)
class Choice:
    """What was chosen and the trials behind it; without trials the reason says by which rule."""

    method: str
    variant: str
    why: str
    trials: list[Trial]
    held_out: int
    sampled_items: int | None


def held_out_rows(ballot: Ballot, seed: int, split: int) -> IntArray:
    """Rows of the votes kept back: a random one of each item with 3 votes, or 2 where fewer than half have 3.

    Where no item has two votes, a fifth of the votes if completions recur (the others of an item's completions tell
    it), else none. Names of raters and the order of lines do not matter, nor do swapped sides.
    """
    votes = ballot.votes
    counts = votes.item_counts()
    voted = int(np.count_nonzero(counts))
    least = 3 if 2 * int((counts >= 3).sum()) >= voted else 2
    draw = vote_draws(ballot, seed, split)
    # Equal draws are of raters who voted alike, or mirrored; the order of raters that only votes tell decides.
    order = np.lexsort((rater_places(ballot)[votes.rater], draw, votes.item))
    if counts.max() < 2:
        chosen = order[draw[order] < LONE_SHARE * 2.0**64]
        return np.asarray(chosen) if ballot.completions else order[:0]
    starts = np.cumsum(counts[counts > 0]) - counts[counts > 0]
    return np.asarray(order[starts[counts[counts > 0] >= least]])


def split_count(ballot: Ballot) -> int:
    """How many splits are worth their time."""
    votes = ballot.votes.item.size
    return 5 if votes <= 20_000 else 3 if votes <= 100_000 else 1


def choose(
    ballot: Ballot,
    methods: Sequence[tuple[str, str]],
    *,
    seed: int,
    splits: int,
    progress: Callable[[str], object],
) -> Choice:
    """Try methods on held-out votes and choose the one of least log-loss.

    Args:
        methods: (method, variant) pairs, in order of preference where losses are equal.
        seed: of the splits and the sample.
        progress: called with the name of each trial before it starts.

    Raises:
        InputRefused: no method could be tried.
    """
    sampled, some = _sample(nameless(ballot), seed)
    trials = [Trial(method, variant) for method, variant in methods]
    held_out = 0
    for split in range(splits):
        out = held_out_rows(some, seed, split)
        if not out.size:
            return _by_rule(ballot, methods)
        held_out += out.size
        rest = np.ones(some.votes.item.size, dtype=bool)
        rest[out] = False
        train, test = kept(some, rest), kept(some, out)
        for trial in trials:
            progress(f"{trial.name}, split {split + 1} of {splits}")
            if trial.refused is None and not trial.dropped:
                _try(trial, train, test)
        _drop_losers(trials)
    tried = [trial for trial in trials if trial.losses and not trial.dropped]
    if not tried:
        raise InputRefused(f"No method could be tried: {trials[0].refused}")
    best = min(tried, key=lambda trial: trial.log_loss)
    return Choice(best.method, best.variant, _why(best, trials, held_out, splits), trials, held_out, sampled)


def _try(trial: Trial, train: Ballot, test: Ballot) -> None:
    start = time.perf_counter()
    try:
        found = answer(train, trial.method, trial.variant, rounds=ROUNDS)
        each = -np.log(np.maximum(found.predict(test), FLOOR))
    except LabelError as error:
        trial.refused = str(error)
        return
    if not np.isfinite(each).all():
        trial.refused = (
            "It cannot tell some held-out votes: their completions are in parts that were never compared."
        )
        return
    trial.seconds += time.perf_counter() - start
    trial.each.append(each)
    trial.losses.append(float(each.mean()))


def _drop_losers(trials: list[Trial]) -> None:
    """Variants of the graded model that are clearly behind cost the most and change nothing."""
    live = [trial for trial in trials if trial.losses and not trial.dropped]
    if not live:
        return
    best = min(live, key=lambda trial: trial.log_loss)
    for trial in live:
        if trial is best or trial.method != GRADED:
            continue
        gap = np.concatenate(trial.each) - np.concatenate(best.each)
        error = float(gap.std() / np.sqrt(gap.size))
        trial.dropped = bool(gap.mean() > CLEAR_ERRORS * error and gap.mean() > 0.01)


def _sample(ballot: Ballot, seed: int) -> tuple[int | None, Ballot]:
    """Votes of a random part of the items, where all would take too long."""
    votes = ballot.votes
    if votes.item.size <= SAMPLED_VOTES:
        return None, ballot
    share = SAMPLED_VOTES / votes.item.size
    chosen = np.random.default_rng([seed, 2**16]).random(votes.n_items) < share
    if ballot.choices is not None:
        there = chosen[ballot.choices.item]
        ballot = replace(ballot, choices=ballot.choices.kept(there) if there.any() else None)
    return int(chosen.sum()), kept(ballot, chosen[votes.item])


def _by_rule(ballot: Ballot, methods: Sequence[tuple[str, str]]) -> Choice:
    """Without held-out votes: the graded model for graded votes, else majority."""
    graded = [pair for pair in methods if pair[0] == GRADED]
    method, variant = graded[0] if graded else methods[0]
    why = "No item has two votes, so none could be held out; without them the first method that suits such votes answers."
    return Choice(method, variant, why, [], 0, None)


def _why(best: Trial, trials: list[Trial], held_out: int, splits: int) -> str:
    others = [trial for trial in trials if trial.losses and trial is not best]
    start = f"{best.name} has the least log-loss on {held_out} held-out votes in {splits} splits, {best.log_loss:.4f}"
    if not others:
        return f"{start}."
    second = min(others, key=lambda trial: trial.log_loss)
    shared = min(len(second.each), len(best.each))
    gap = np.concatenate(second.each[:shared]) - np.concatenate(best.each[:shared])
    error = gap.std() / np.sqrt(gap.size)
    return f"{start}; next is {second.name}, {gap.mean():.4f} (standard error {error:.4f}) more on the same votes."

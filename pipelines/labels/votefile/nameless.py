"""An order of raters and votes, and draws among votes, from what was voted alone: no name and no line number tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votes import IntArray, Votes

HashArray = NDArray[np.uint64]


def nameless(ballot: Ballot) -> Ballot:
    """The same votes, raters numbered by their votes and rows in order of item and rater.

    Other names or another order of lines give the very same arrays, so sums of floats are the same to the last bit.
    Raters who voted exactly alike are exchangeable.
    """
    place = rater_places(ballot)
    old = np.argsort(place)
    rows = _rows_in_order(ballot.votes, ballot.graded, place)
    votes = ballot.votes
    return replace(
        ballot,
        votes=replace(votes, item=votes.item[rows], rater=place[votes.rater[rows]], label=votes.label[rows]),
        graded=None if ballot.graded is None else _renumbered(ballot.graded, rows, place),
        choices=_renumbered_choices(ballot, place),
        raters=[ballot.raters[w] for w in old] if ballot.raters else [],
        kinds=[ballot.kinds[w] for w in old] if ballot.kinds else [],
    )


def _rows_in_order(votes: Votes, graded: GradedVotes | None, place: IntArray) -> IntArray:
    side = np.zeros_like(votes.item) if graded is None else graded.side
    return np.lexsort((side, votes.label, place[votes.rater], votes.item))


def _renumbered(votes: GradedVotes, rows: IntArray, place: IntArray) -> GradedVotes:
    population = None if votes.population is None else votes.population[np.argsort(place)]
    return replace(votes.kept(rows), rater=place[votes.rater[rows]], population=population)


def _renumbered_choices(ballot: Ballot, place: IntArray) -> GradedVotes | None:
    choices = ballot.choices
    return (
        None
        if choices is None
        else _renumbered(choices, _rows_in_order(choices.as_labels(), choices, place), place)
    )


def rater_places(ballot: Ballot) -> IntArray:
    """(n_raters,) place of each rater in an order that only their votes tell."""
    loose, exact = (_by_rater(ballot, hashes) for hashes in _hashes(ballot.votes, ballot.graded))
    if ballot.choices is not None:
        others = replace(ballot, votes=ballot.choices.as_labels(), graded=ballot.choices, choices=None)
        more = (_by_rater(others, hashes) for hashes in _hashes(others.votes, others.graded))
        loose, exact = (_mixed(one, two) for one, two in zip((loose, exact), more, strict=True))
    order = np.lexsort((np.arange(loose.size), exact, loose))
    place = np.empty(loose.size, dtype=np.int64)
    place[order] = np.arange(loose.size)
    return place


def vote_draws(ballot: Ballot, seed: int, split: int) -> HashArray:
    """(n,) a random number for each vote, from seed, split, item, the vote and its rater's votes.

    Swapped sides and renamed categories give the same numbers: a vote is told by how far it lies from the middle, whether
    it is for the side shown first, and how many others say the same.
    """
    loose, _ = _hashes(ballot.votes, ballot.graded)
    rater = _by_rater(ballot, loose)[ballot.votes.rater]
    return _mixed(ballot.votes.item, loose, rater, np.full(loose.size, seed), np.full(loose.size, split))


def _hashes(votes: Votes, graded: GradedVotes | None) -> tuple[HashArray, HashArray]:
    """(n,) of each vote: of what swapping sides and renaming categories leave as it is, and of the vote itself."""
    cell = votes.item * votes.n_labels + votes.label
    _, place, counts = np.unique(cell, return_inverse=True, return_counts=True)
    loose = [votes.item, counts[place]]
    if graded is None:
        return _mixed(*loose), _mixed(votes.item, votes.label)
    middle = 2 * graded.step - (np.array(graded.n_steps)[graded.scales] - 1)
    loose += [graded.scales, np.abs(middle), middle * graded.side, graded.weights.view(np.int64)]
    return _mixed(*loose), _mixed(votes.item, graded.scales, graded.step, graded.side)


def _by_rater(ballot: Ballot, hashes: HashArray) -> HashArray:
    """(n_raters,) sum over a rater's votes, which no order changes, and the rater's kind."""
    total = np.zeros(ballot.votes.n_raters, dtype=np.uint64)
    np.add.at(total, ballot.votes.rater, hashes)
    return total if ballot.graded is None else _mixed(total, ballot.graded.populations)


def _mixed(*columns: NDArray[np.int64] | HashArray) -> HashArray:
    """(n,) one number from several, each bit of which depends on all of theirs (splitmix64's finaliser)."""
    found = np.zeros(columns[0].size, dtype=np.uint64)
    for column in columns:
        found = (found ^ column.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found ^= found >> np.uint64(31)
    return found

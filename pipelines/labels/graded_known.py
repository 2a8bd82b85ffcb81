"""Whose reliability the votes can tell at all, before any fit."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import BoolArray

MIN_VOTES_AN_ITEM = 1.5

ONE_RATER = "one_rater"
ONE_VOTE_EACH = "one_vote_an_item"
NO_SHARED_ITEMS = "no_shared_items"


def unidentified_reason(votes: GradedVotes, *, completions: bool) -> str | None:
    """Why no rater's reliability can be told from the others' votes, or None."""
    if np.count_nonzero(votes.rater_counts()) < 2:
        return ONE_RATER
    if completions:
        return None
    if not _shares_an_item(votes).any():
        counts = votes.item_counts()
        return ONE_VOTE_EACH if counts.max() == 1 else NO_SHARED_ITEMS
    if votes.item.size / np.count_nonzero(votes.item_counts()) < MIN_VOTES_AN_ITEM:
        return ONE_VOTE_EACH
    return None


def identified(votes: GradedVotes, *, completions: bool, reason: str | None) -> BoolArray:
    if reason is not None:
        return np.zeros(votes.n_raters, dtype=bool)
    if completions:
        return votes.rater_counts() > 0
    return _shares_an_item(votes)


def _shares_an_item(votes: GradedVotes) -> BoolArray:
    """(W,) whether somebody else voted on one of the rater's items."""
    one_rater = np.zeros(votes.n_items, dtype=np.int64)
    one_rater[votes.item] = votes.rater
    shared = np.zeros(votes.n_items, dtype=bool)
    shared[votes.item[one_rater[votes.item] != votes.rater]] = True
    return np.bincount(votes.rater[shared[votes.item]], minlength=votes.n_raters) > 0


def component_count(votes: GradedVotes) -> int:
    """Number of groups of raters that no shared item connects; more than 1 are tied by the prior alone."""
    graph = sparse.coo_array(
        (np.ones(votes.item.size), (votes.item, votes.n_items + votes.rater)),
        shape=(votes.n_items + votes.n_raters,) * 2,
    )
    _, component = csgraph.connected_components(graph, directed=False)
    return int(np.unique(component[votes.n_items + votes.rater]).size)

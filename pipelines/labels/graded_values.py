"""The graded model where completions recur: each has a value, and a comparison's prior mean is the difference of two."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from pipelines.labels.graded_votes import GradedVotes
from pipelines.labels.votes import BoolArray, FloatArray

DENSE_COMPLETIONS = 2_000


def design_of(votes: GradedVotes, *, completions: bool, mean: bool, voted: BoolArray) -> sparse.csr_array | None:
    """(T, C) +1 for the first completion and -1 for the second, or (T, 1) ones; rows of items voted on."""
    if mean:
        return sparse.csr_array(voted.astype(np.float64)[:, None])
    if not completions or votes.first is None or votes.second is None:
        return None
    columns = int(max(votes.first.max(), votes.second.max())) + 1
    parts = []
    for sign, completion in ((1.0, votes.first), (-1.0, votes.second)):
        rows = np.flatnonzero(voted & (completion >= 0))
        parts.append((np.full(rows.size, sign), rows, completion[rows]))
    values, rows, places = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_array((values, (rows, places)), shape=(votes.n_items, columns))


class Ridge:
    """The regression of E[d] on completions, prepared once: components small enough are diagonalised."""

    def __init__(self, design: sparse.csr_array) -> None:
        self.design = design
        gram = (design.T @ design).tocsr()
        _, component = csgraph.connected_components(gram, directed=False)
        order = np.argsort(component, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
        small = [part for part in parts if part.size <= DENSE_COMPLETIONS]
        self.parts = [(part, *np.linalg.eigh(gram[part][:, part].toarray())) for part in small]
        self.large = [(part, gram[part][:, part].tocsc()) for part in parts if part.size > DENSE_COMPLETIONS]

    def solve(self, target: FloatArray, spread: float) -> tuple[FloatArray, float]:
        """Posterior mean of the values, and the trace of their covariance."""
        right = self.design.T @ target
        values, trace, precision = np.zeros(right.size), 0.0, spread**-2
        for part, eigenvalues, vectors in self.parts:
            shrunk = 1.0 / (eigenvalues + precision)
            values[part] = vectors @ (shrunk * (vectors.T @ right[part]))
            trace += float(shrunk.sum())
        for part, gram in self.large:
            penalised = (gram + precision * sparse.eye_array(part.size, format="csc")).tocsc()
            values[part] = splu(penalised).solve(right[part])
            # The trace would need the inverse; this bound is close where completions meet several others.
            trace += float((1.0 / penalised.diagonal()).sum())
        return values, trace

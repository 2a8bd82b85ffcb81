"""All votes of a file as arrays, made of what its lines said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.errors import InputRefused
from pipelines.labels.graded_votes import GradedVotes, family_weights, steps_of_signed
from pipelines.labels.votefile.names import Names, short
from pipelines.labels.votefile.repeats import Repeats, counted_votes
from pipelines.labels.votes import BoolArray, IntArray, Votes

SHOWN_NAMES = 10
FAMILY_EXPONENT = 0.5
MOST_CATEGORIES = 1_000
PEOPLE = ("person", "people", "human", "annotator")
# What a label says in a file of graded votes: 0 first, 1 second, 2 tie. Both bad is a tie for the direction.
CHOICES = {"first": 0, "second": 1, "tie": 2, "both_bad": 2}


@dataclass(frozen=True)
class Ballot:
    """All votes of a file.

    Attributes:
        votes: as labels; of graded votes the steps 0..K-1.
        graded: as graded votes; None for a file of labels.
        items, raters: names by number.
        categories: the labels by number, or the signed votes m..-m by step.
        has_sides: whether any line tells which completion was shown first.
        completions: names of recurring completions; empty where none recur.
        kinds: (n_raters,) kind of each rater; empty strings where none is given.
        notes: sentences about how the file was read.
        repeats: what was done with second votes of a rater on an item.
        choices: of graded votes, those without strength, on a scale of their own; of the same items and raters.
    """

    votes: Votes
    graded: GradedVotes | None
    items: list[Any]
    raters: list[Any]
    categories: list[Any]
    has_sides: bool
    completions: list[Any]
    kinds: list[str]
    notes: list[str]
    repeats: Repeats = Repeats()
    choices: GradedVotes | None = None


@dataclass
class Collected:
    """What the lines of a file said, as they came, and the ballot that this makes.

    Attributes:
        n_steps: of graded votes; None takes the largest |vote| as m. label_column: what the file calls `label`.
        item, rater, value, side, at, is_label: a vote a place; `value` is a signed vote or the number of a label.
        cannot_judge: lines that say so, which are no votes.
        pairs: of an item its first and second completion. kinds, family: of a rater.
    """

    n_steps: int | None
    label_column: str = "label"
    items: Names = field(default_factory=Names)
    raters: Names = field(default_factory=Names)
    labels: Names = field(default_factory=Names)
    completions: Names = field(default_factory=Names)
    families: Names = field(default_factory=Names)
    item: list[int] = field(default_factory=list)
    rater: list[int] = field(default_factory=list)
    value: list[int] = field(default_factory=list)
    side: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    is_label: list[bool] = field(default_factory=list)
    cannot_judge: int = 0
    pairs: dict[int, tuple[int, int]] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    family: dict[int, int] = field(default_factory=dict)

    def ballot(self) -> Ballot:
        """Votes in the order of their names, with repeats sorted out.

        Raises:
            InputRefused: no vote counts, too many categories, or a scale that is not told.
        """
        is_label = np.array(self.is_label, dtype=bool)
        item, rater, value, side = (
            np.array(column, dtype=np.int64) for column in (self.item, self.rater, self.value, self.side)
        )
        self._renumber(item, rater, value, is_label)
        if is_label.all():
            side[:] = 0
        kinds = [self.kinds.get(number, "") for number in range(len(self.raters))]
        person = np.array([_is_person(kind) for kind in kinds])
        said = np.where(is_label, value + 1000, value)
        counted, repeats = counted_votes(item, rater, said, side, np.array(self.at), person)
        if is_label[counted].all() != is_label.all() or not counted.any():
            raise InputRefused("Every rater contradicts themselves on every item, so no vote counts.")
        notes = repeats.notes() + self._contradictory(rater, rater[counted])
        if self.cannot_judge:
            notes.append(f"{self.cannot_judge} lines say cannot_judge, which is no vote.")
        if is_label.all():
            return self._of_labels(item[counted], rater[counted], value[counted], kinds, notes, repeats)
        n_steps, scale_notes = self._scale(value[~is_label])
        family_notes, weight = self._weights(item[counted], rater[counted], kinds)
        first, second, completions = self._recurring()

        def on_scale(rows: BoolArray, steps: IntArray, n_steps: int) -> GradedVotes:
            return GradedVotes(
                item[rows], rater[rows], steps, side[rows], len(self.items), len(self.raters), (n_steps,),
                weight=None if weight is None else weight[rows[counted]], population=_populations(kinds),
                first=first, second=second,
            )  # fmt: skip

        rows, other = counted & ~is_label, counted & is_label
        graded, choices = on_scale(rows, steps_of_signed(value[rows], n_steps), n_steps), None
        if other.any():
            choices = on_scale(other, *_steps_of_choices(value[other]))
            notes.append(
                f"{int(other.sum())} votes have no strength: the graded model reads them as directions, on a scale of their "
                "own; the other methods leave them out."
            )
        half = n_steps // 2
        signed = [vote for vote in range(half, -half - 1, -1) if vote or n_steps % 2]
        return Ballot(
            graded.as_labels(), graded, self.items.values, self.raters.values, signed,
            bool(side[counted].any()), completions, kinds, scale_notes + family_notes + notes, repeats, choices,
        )  # fmt: skip

    def _of_labels(
        self,
        item: IntArray,
        rater: IntArray,
        value: IntArray,
        kinds: list[str],
        notes: list[str],
        repeats: Repeats,
    ) -> Ballot:
        if len(self.labels) > MOST_CATEGORIES:
            raise InputRefused(
                f"The labels are {len(self.labels):,} different ones and at most {MOST_CATEGORIES:,} can be categories; is "
                f"{self.label_column!r} the right column? --map label=COLUMN names another."
            )
        if len(self.labels) < 2:
            raise InputRefused(
                f"Every vote says {short(self.labels.values[0])}; at least two categories are needed."
            )
        votes = Votes(item, rater, value, len(self.items), len(self.raters), len(self.labels))
        return Ballot(
            votes,
            None,
            self.items.values,
            self.raters.values,
            self.labels.values,
            False,
            [],
            kinds,
            notes,
            repeats,
        )

    def _contradictory(self, rater: IntArray, counted: IntArray) -> list[str]:
        """A sentence that names the raters of whom no vote counts."""
        names = [short(self.raters.values[w]) for w in np.setdiff1d(rater, counted).tolist()]
        if not names:
            return []
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        return [
            f"Of {', '.join(names[:SHOWN_NAMES])}{more} no vote counts: every one contradicts another of theirs."
        ]

    def _renumber(self, item: IntArray, rater: IntArray, value: IntArray, is_label: BoolArray) -> None:
        """Numbers in the order of the names, so that a file in another order gives the same answer."""
        place = self.items.sort()
        item[:] = place[item]
        self.pairs = {int(place[old]): pair for old, pair in self.pairs.items()}
        place = self.raters.sort()
        rater[:] = place[rater]
        self.kinds = {int(place[old]): kind for old, kind in self.kinds.items()}
        self.family = {int(place[old]): family for old, family in self.family.items()}
        place = self.completions.sort()
        self.pairs = {number: (int(place[a]), int(place[b])) for number, (a, b) in self.pairs.items()}
        if is_label.all():
            place = self.labels.sort()
            value[:] = place[value]
        elif is_label.any():
            place = np.array([CHOICES[label] for label in self.labels.values])
            value[is_label] = place[value[is_label]]

    def _scale(self, value: IntArray) -> tuple[int, list[str]]:
        if self.n_steps is not None:
            return self.n_steps, []
        half = int(np.abs(value).max())
        if half == 0:
            raise InputRefused(
                "Every vote is 0, so the scale is not told; give it with --steps, as --steps 5."
            )
        if (value == 0).any():
            return 2 * half + 1, []
        note = (
            f"No vote is 0, so the scale is read as {2 * half} steps without a tie; "
            f"--steps {2 * half + 1} says otherwise."
        )
        return 2 * half, [note]

    def _recurring(self) -> tuple[IntArray | None, IntArray | None, list[Any]]:
        """First and second completion of each item, where some completion is in two items."""
        pairs = np.full((len(self.items), 2), -1, dtype=np.int64)
        for item, pair in self.pairs.items():
            pairs[item] = pair
        known = pairs[pairs >= 0]
        if not known.size or np.bincount(known).max() < 2:
            return None, None, []
        return pairs[:, 0].copy(), pairs[:, 1].copy(), self.completions.values

    def _weights(
        self, item: IntArray, rater: IntArray, kinds: list[str]
    ) -> tuple[list[str], np.ndarray | None]:
        if not self.family:
            return [], None
        n_raters = len(self.raters)
        # Raters without a family are families of their own.
        family = np.array([self.family.get(w, len(self.families) + w) for w in range(n_raters)])
        exponent = np.array(
            [
                FAMILY_EXPONENT if w in self.family and not _is_person(kinds[w]) else 0.0
                for w in range(n_raters)
            ]
        )
        note = f"Of the n votes that a family of judges casts on one item each counts n^-{FAMILY_EXPONENT}."
        return [note] if exponent.any() else [], family_weights(item, rater, family, exponent)


def _steps_of_choices(outcome: IntArray) -> tuple[IntArray, int]:
    """Steps of first, second, tie, and how many steps their scale has: two, or three where somebody says tie."""
    n_steps = 3 if (outcome == CHOICES["tie"]).any() else 2
    return np.array([n_steps - 1, 0, 1])[outcome], n_steps


def _populations(kinds: list[str]) -> IntArray | None:
    """Kinds by number: people first; without people the kind of most raters, the reference of the model."""
    named = ["person" if _is_person(kind) else kind for kind in kinds]
    order = sorted(set(named), key=lambda kind: (kind != "person", -named.count(kind), kind))
    if len(order) < 2:
        return None
    return np.array([order.index(kind) for kind in named], dtype=np.int64)


def _is_person(kind: str) -> bool:
    return kind.lower() in PEOPLE

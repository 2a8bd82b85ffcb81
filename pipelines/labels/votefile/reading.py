"""Votes and gold from JSON Lines, plain or gzip, with one sentence for each bad line."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pipelines.errors import InputRefused
from pipelines.labels.graded_votes import GradedVotes, family_weights, steps_of_signed
from pipelines.labels.votefile.repeats import Repeats, counted_votes
from pipelines.labels.votes import BoolArray, IntArray, Votes

LINE_BYTES = 10_000_000
SHOWN_FAULTS, SHOWN_NAMES = 20, 10
FAMILY_EXPONENT = 0.5
EXACT = 2.0**53
MOST_CATEGORIES = 1_000
PEOPLE = ("person", "people", "human", "annotator")
# What a label says in a file of graded votes: 0 first, 1 second, 2 tie. Both bad is a tie for the direction.
CHOICES = {"first": 0, "second": 1, "tie": 2, "both_bad": 2}
CANNOT_JUDGE = "cannot_judge"
VOTE_COLUMNS = (
    "item", "rater", "label", "vote", "first_shown_first", "first", "second", "kind", "family", "at",
)  # fmt: skip
GOLD_COLUMNS = ("gold.item", "gold.label")


class BadLines(InputRefused):
    """Some lines cannot be read; `sentences` has one for each that is shown."""

    def __init__(self, sentences: list[str], count: int) -> None:
        self.sentences, self.count = sentences, count
        more = [f"... and {count - len(sentences)} more bad lines."] if count > len(sentences) else []
        super().__init__("\n".join([*sentences, *more]))


@dataclass
class Names:
    """Numbers for values as they come: equal as text are one, as are 3, 3.0 and "3"; shown as they first came."""

    values: list[Any] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict)

    def number(self, value: Any) -> int:
        key = value if isinstance(value, str) else _key(value)
        found = self._index.setdefault(key, len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found

    def find(self, value: Any) -> int | None:
        return self._index.get(_key(value))

    def sort(self) -> IntArray:
        """Put the values in order of their text; returns the new number of each old one."""
        keys = list(self._index)
        order = sorted(range(len(keys)), key=keys.__getitem__)
        place = np.empty(len(keys), dtype=np.int64)
        place[order] = np.arange(len(keys))
        self.values = [self.values[old] for old in order]
        self._index = {keys[old]: new for new, old in enumerate(order)}
        return place

    def __len__(self) -> int:
        return len(self.values)


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


def column_map(text: str | None) -> dict[str, str]:
    """`item=orig_id,gold.label=truth` as a dict from our column to the file's.

    Raises:
        InputRefused: a part without `=`, a column that we do not read, one given twice, or two read from one.
    """
    found: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        ours, equals, theirs = part.partition("=")
        if not equals or not theirs.strip():
            raise InputRefused(f"--map takes OURS=THEIRS parts with commas between; got {part!r}.")
        if ours.strip() not in VOTE_COLUMNS + GOLD_COLUMNS:
            known = ", ".join(VOTE_COLUMNS + GOLD_COLUMNS)
            raise InputRefused(f"--map knows the columns {known}; got {ours.strip()!r}.")
        if ours.strip() in found:
            raise InputRefused(f"--map gives {ours.strip()} twice; one column can be read for it.")
        found[ours.strip()] = theirs.strip()
    for columns in (VOTE_COLUMNS, GOLD_COLUMNS):
        _check_apart(found, columns)
    return found


def _check_apart(given: Mapping[str, str], columns: Sequence[str]) -> None:
    """Refuse two of our columns that would be read from one of the file's; of label and vote the other one rests."""
    resting = {"label": "vote", "vote": "label"}
    seen = dict[str, str]()
    for ours in columns:
        if ours not in given and resting.get(ours) in given:
            continue
        theirs = given.get(ours, ours.removeprefix("gold."))
        if theirs in seen:
            raise InputRefused(
                f"--map reads both {seen[theirs]} and {ours} from {theirs!r}; each needs a column of its own."
            )
        seen[theirs] = ours


def ballot_read(
    path: Path, columns: Mapping[str, str], n_steps: int | None, progress: Callable[[int], object]
) -> Ballot:
    """Read a file of votes.

    Args:
        path: JSON Lines, gzip where the content is.
        columns: from our column names to the file's.
        n_steps: of graded votes; None takes the largest |vote| as m.
        progress: called with the number of bytes of each line.

    Raises:
        BadLines: some line is no vote; nothing is taken from the others.
        InputRefused: the file as a whole cannot be read or holds no votes.
    """
    reader = _Reader(columns, n_steps)
    for number, row in _rows(path, reader.fault, progress):
        reader.take(number, row)
    return reader.ballot()


def gold_read(path: Path, columns: Mapping[str, str], ballot: Ballot) -> tuple[IntArray, list[str]]:
    """(n_items,) gold category or outcome of each item, -1 unknown; and sentences about what did not fit.

    Of graded votes the outcomes are 0 first, 1 second, 2 tie.

    Raises:
        BadLines, InputRefused: as `ballot_read`.
    """
    faults = _Faults("gold line")
    items, gold, unknown, never = Names(), np.full(len(ballot.items), -1, dtype=np.int64), 0, 0
    for item in ballot.items:
        items.number(item)
    labels = Names()
    for category in ballot.categories:
        labels.number(category)
    names = {"first": 0, "second": 1, "tie": 2}
    count = 0
    for number, row in _rows(path, faults.add, lambda size: None):
        item, label = (row.get(columns.get(f"gold.{name}", name)) for name in ("item", "label"))
        if label is None:
            faults.add(number, "needs `item` (a text or a number) and `label`")
            continue
        if (detail := _name_fault("item", item)) is not None:
            faults.add(number, detail)
            continue
        if (detail := _label_fault(label)) is not None:
            faults.add(number, detail)
            continue
        if ballot.graded is not None and label not in names:
            faults.add(number, f"`label` must be first, tie or second; got {_short(label)}")
            continue
        count += 1
        place = items.find(item)
        if place is None:
            unknown += 1
            continue
        value = names[label] if ballot.graded is not None else labels.find(label)
        if value is None:
            value, never = len(labels), never + 1
        if gold[place] not in (-1, value):
            faults.add(number, f"item {_short(item)} has another label in an earlier line")
        gold[place] = value
    faults.stop()
    if not (gold >= 0).any():
        raise InputRefused(f"No item of {path.name} has votes; {count} gold labels are for other items.")
    notes = []
    if unknown:
        notes.append(f"{unknown} gold labels are for items without votes and are left out.")
    if never:
        notes.append(
            f"{never} gold labels are categories that nobody voted for; no method can be right there."
        )
    return gold, notes


class _Faults:
    def __init__(self, what: str) -> None:
        self.what, self.sentences, self.count = what, list[str](), 0

    def add(self, number: int, detail: str) -> None:
        self.count += 1
        if len(self.sentences) < SHOWN_FAULTS:
            self.sentences.append(f"{self.what.capitalize()} {number}: {detail}.")

    def join(self, others: _Faults) -> None:
        self.count += others.count
        self.sentences = (self.sentences + others.sentences)[:SHOWN_FAULTS]

    def stop(self) -> None:
        if self.count:
            raise BadLines(self.sentences, self.count)


class _Reader:
    """Collects votes line by line; every fault is kept and told at the end."""

    def __init__(self, columns: Mapping[str, str], n_steps: int | None) -> None:
        self.columns = {name: columns.get(name, name) for name in VOTE_COLUMNS}
        mapped = {"label", "vote"} & columns.keys()
        # A map that names one of the two says which; the other may then be any column of the file.
        self.value_columns = tuple(mapped) if len(mapped) == 1 else ("label", "vote")
        self.n_steps, self.faults = n_steps, _Faults("line")
        self.items, self.raters, self.labels, self.completions, self.families = (Names() for _ in range(5))
        self.item, self.rater, self.value, self.side = (list[int]() for _ in range(4))
        self.at, self.is_label, self.cannot_judge = list[float](), list[bool](), 0
        # What is a fault only in a file of graded votes, which a later line may turn out to make it.
        self.late = _Faults("line")
        self.unseen = {name for name in VOTE_COLUMNS if name in columns}
        self.number = 0
        self.pairs: dict[int, tuple[int, int]] = {}
        self.kinds: dict[int, str] = {}
        self.family: dict[int, int] = {}

    def fault(self, number: int, detail: str) -> None:
        self.faults.add(number, detail)

    def take(self, number: int, row: dict[str, Any]) -> None:
        self.number = number
        if self.unseen:
            self.unseen -= {name for name in self.unseen if self.columns[name] in row}
        detail = self._fault_in(row)
        if detail is not None:
            self.fault(number, detail)

    def _get(self, row: dict[str, Any], name: str) -> Any:
        return row.get(self.columns[name])

    def _fault_in(self, row: dict[str, Any]) -> str | None:
        """Take one vote, or say why it is none."""
        for name in ("item", "rater"):
            value = self._get(row, name)
            is_text = isinstance(value, str) and value
            if not is_text and (detail := _name_fault(self.columns[name], value)) is not None:
                return detail
        given = [name for name in self.value_columns if self._get(row, name) is not None]
        if len(given) != 1:
            return f"needs `label` or `vote`, one of them; it has {' and '.join(given) or 'neither'}"
        value = self._get(row, given[0])
        detail = self._graded_fault(row, value) if given[0] == "vote" else _label_fault(value)
        if detail is None:
            detail = self._rater_fault(row)
        at = self._get(row, "at")
        time = math.nan if at is None else _seconds(at)
        if detail is None and time is None:
            detail = f"`at` must be a time such as 2026-01-31T12:00:00Z, or a number; got {_short(at)}"
        if detail is not None or time is None:
            return detail
        if given[0] == "label" and value == CANNOT_JUDGE:
            self.cannot_judge += 1
            return None
        if given[0] == "label":
            self._look_at_choice(row, value)
        self.is_label.append(given[0] == "label")
        self.item.append(self.items.number(self._get(row, "item")))
        self.rater.append(self.raters.number(self._get(row, "rater")))
        self.value.append(int(value) if given[0] == "vote" else self.labels.number(value))
        shown = self._get(row, "first_shown_first")
        self.side.append(0 if not isinstance(shown, bool) else (1 if shown else -1))
        self.at.append(time)
        return None

    def _graded_fault(self, row: dict[str, Any], value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            return f"`vote` must be a whole number; got {_short(value)}"
        if self.n_steps is not None:
            half = self.n_steps // 2
            if abs(value) > half or (value == 0 and self.n_steps % 2 == 0):
                zero = "" if self.n_steps % 2 else " without 0"
                return (
                    f"`vote` must lie in -{half}..{half}{zero} on {self.n_steps} steps; got {_short(value)}"
                )
        if abs(value) > 50:
            return f"`vote` must lie in -50..50; got {_short(value)}"
        return self._pair_fault(row)

    def _look_at_choice(self, row: dict[str, Any], value: Any) -> None:
        """Keep what would be wrong if the file turns out to hold graded votes."""
        if value in CHOICES:
            if (detail := self._pair_fault(row)) is not None:
                self.late.add(self.number, detail)
        elif self.late.count >= SHOWN_FAULTS:
            self.late.count += 1  # most often a file of labels, whose lines should cost no sentence each
        else:
            known = ", ".join([*CHOICES, CANNOT_JUDGE])
            self.late.add(
                self.number,
                f"has the label {_short(value)} in a file of graded votes, where a label is one of {known}",
            )

    def _pair_fault(self, row: dict[str, Any]) -> str | None:
        shown, first, second = (
            self._get(row, "first_shown_first"),
            self._get(row, "first"),
            self._get(row, "second"),
        )
        if shown is not None and not isinstance(shown, bool):
            return f"`first_shown_first` must be true, false or left out; got {_short(shown)}"
        if first is None and second is None:
            return None
        if first is None or second is None:
            return "`first` and `second` must both be texts or numbers, or both be left out"
        for name, value in (("first", first), ("second", second)):
            if (detail := _name_fault(self.columns[name], value)) is not None:
                return detail
        if _key(first) == _key(second):
            return f"`first` and `second` are the same, {_short(first)}"
        item = self.items.number(self._get(row, "item"))
        pair = (self.completions.number(first), self.completions.number(second))
        if self.pairs.setdefault(item, pair) != pair:
            return f"item {_short(self._get(row, 'item'))} has other `first` and `second` in an earlier line"
        return None

    def _rater_fault(self, row: dict[str, Any]) -> str | None:
        kind, family = self._get(row, "kind"), self._get(row, "family")
        if kind is None and family is None:
            return None
        rater = self.raters.number(self._get(row, "rater"))
        if kind is not None and (not isinstance(kind, str) or self.kinds.setdefault(rater, kind) != kind):
            return f"`kind` must be one text for each rater; got {_short(kind)}"
        if family is not None:
            if (detail := _name_fault(self.columns["family"], family)) is not None:
                return detail
            number = self.families.number(family)
            if self.family.setdefault(rater, number) != number:
                return f"`family` must be one for each rater; got {_short(family)}"
        return None

    def ballot(self) -> Ballot:
        is_label = np.array(self.is_label, dtype=bool)
        if not is_label.all():
            self.faults.join(self.late)
        self.faults.stop()
        if self.unseen and self.item:
            missing = ", ".join(f"{name} from {self.columns[name]!r}" for name in sorted(self.unseen))
            raise InputRefused(
                f"--map reads {missing}, which no line has; leave it out or name a column of the file."
            )
        if not self.item:
            raise InputRefused(
                "The file holds no votes; each line needs `item`, `rater` and `label` or `vote`."
            )
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
                f"{self.columns['label']!r} the right column? --map label=COLUMN names another."
            )
        if len(self.labels) < 2:
            raise InputRefused(
                f"Every vote says {_short(self.labels.values[0])}; at least two categories are needed."
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
        names = [_short(self.raters.values[w]) for w in np.setdiff1d(rater, counted).tolist()]
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


def _rows(
    path: Path, fault: Callable[[int, str], None], progress: Callable[[int], object]
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as lines:
            number = 0
            while line := lines.readline(LINE_BYTES + 1):
                number += 1
                progress(len(line))
                if len(line) > LINE_BYTES:
                    raise InputRefused(
                        f"{path.name}: line {number} is longer than {LINE_BYTES // 1_000_000} MB."
                    )
                if not line.strip():
                    continue
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    fault(number, f"is not JSON ({error.msg})")
                    continue
                if isinstance(row, dict):
                    yield number, row
                else:
                    fault(number, f"must be an object; got {_short(row)}")
    except FileNotFoundError:
        raise InputRefused(f"There is no file {path}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputRefused(f"{path} cannot be read: {error}.") from None


def _seconds(at: Any) -> float | None:
    """A time as seconds; None where it is no time. Without a zone it is UTC."""
    if isinstance(at, int | float) and not isinstance(at, bool):
        return float(at)
    try:
        time = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _name_fault(column: str, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return f"`{column}` must be a text or a number; got {_short(value)}"
    return _number_fault(column, value)


def _label_fault(value: Any) -> str | None:
    if not isinstance(value, str | int | float) or value == "":
        return f"`label` must be a text, a number or true or false; got {_short(value)}"
    return _number_fault("label", value)


def _number_fault(column: str, value: Any) -> str | None:
    """Numbers of JSON past 64 bits, or with a point past 2^53, arrive rounded: different ones would be one name."""
    if isinstance(value, float) and abs(value) >= EXACT:
        return f"`{column}` is a number too large to be told from its neighbours, about {value:.6g}; write it as a text"
    return None


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return orjson.dumps(value).decode()


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode(errors="replace") if value is not None else "nothing"
    return text if len(text) <= 60 else text[:57] + "..."

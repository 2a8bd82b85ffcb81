"""Votes from the lines of a file: every line is a vote or a sentence that says why it is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import InputRefused
from pipelines.labels.votefile.ballot import CHOICES, Ballot, Collected
from pipelines.labels.votefile.columns import VOTE_COLUMNS
from pipelines.labels.votefile.lines import SHOWN_FAULTS, Faults, rows_of
from pipelines.labels.votefile.names import label_fault, name_fault, name_key, seconds, short

CANNOT_JUDGE = "cannot_judge"


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
    for number, row in rows_of(path, reader.fault, progress):
        reader.take(number, row)
    return reader.ballot()


class _Reader:
    """Collects votes line by line; every fault is kept and told at the end."""

    def __init__(self, columns: Mapping[str, str], n_steps: int | None) -> None:
        self.columns = {name: columns.get(name, name) for name in VOTE_COLUMNS}
        mapped = {"label", "vote"} & columns.keys()
        # A map that names one of the two says which; the other may then be any column of the file.
        self.value_columns = tuple(mapped) if len(mapped) == 1 else ("label", "vote")
        self.said = Collected(n_steps, self.columns["label"])
        self.faults = Faults("line")
        # What is a fault only in a file of graded votes, which a later line may turn out to make it.
        self.late = Faults("line")
        self.unseen = {name for name in VOTE_COLUMNS if name in columns}
        self.number = 0

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
            if not is_text and (detail := name_fault(self.columns[name], value)) is not None:
                return detail
        given = [name for name in self.value_columns if self._get(row, name) is not None]
        if len(given) != 1:
            return f"needs `label` or `vote`, one of them; it has {' and '.join(given) or 'neither'}"
        value = self._get(row, given[0])
        detail = self._graded_fault(row, value) if given[0] == "vote" else label_fault(value)
        if detail is None:
            detail = self._rater_fault(row)
        at = self._get(row, "at")
        time = math.nan if at is None else seconds(at)
        if detail is None and time is None:
            detail = f"`at` must be a time such as 2026-01-31T12:00:00Z, or a number; got {short(at)}"
        if detail is not None or time is None:
            return detail
        if given[0] == "label" and value == CANNOT_JUDGE:
            self.said.cannot_judge += 1
            return None
        if given[0] == "label":
            self._look_at_choice(row, value)
        self.said.is_label.append(given[0] == "label")
        self.said.item.append(self.said.items.number(self._get(row, "item")))
        self.said.rater.append(self.said.raters.number(self._get(row, "rater")))
        self.said.value.append(int(value) if given[0] == "vote" else self.said.labels.number(value))
        shown = self._get(row, "first_shown_first")
        self.said.side.append(0 if not isinstance(shown, bool) else (1 if shown else -1))
        self.said.at.append(time)
        return None

    def _graded_fault(self, row: dict[str, Any], value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            return f"`vote` must be a whole number; got {short(value)}"
        if self.said.n_steps is not None:
            half = self.said.n_steps // 2
            if abs(value) > half or (value == 0 and self.said.n_steps % 2 == 0):
                zero = "" if self.said.n_steps % 2 else " without 0"
                return f"`vote` must lie in -{half}..{half}{zero} on {self.said.n_steps} steps; got {short(value)}"
        if abs(value) > 50:
            return f"`vote` must lie in -50..50; got {short(value)}"
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
                f"has the label {short(value)} in a file of graded votes, where a label is one of {known}",
            )

    def _pair_fault(self, row: dict[str, Any]) -> str | None:
        shown, first, second = (
            self._get(row, "first_shown_first"),
            self._get(row, "first"),
            self._get(row, "second"),
        )
        if shown is not None and not isinstance(shown, bool):
            return f"`first_shown_first` must be true, false or left out; got {short(shown)}"
        if first is None and second is None:
            return None
        if first is None or second is None:
            return "`first` and `second` must both be texts or numbers, or both be left out"
        for name, value in (("first", first), ("second", second)):
            if (detail := name_fault(self.columns[name], value)) is not None:
                return detail
        if name_key(first) == name_key(second):
            return f"`first` and `second` are the same, {short(first)}"
        item = self.said.items.number(self._get(row, "item"))
        pair = (self.said.completions.number(first), self.said.completions.number(second))
        if self.said.pairs.setdefault(item, pair) != pair:
            return f"item {short(self._get(row, 'item'))} has other `first` and `second` in an earlier line"
        return None

    def _rater_fault(self, row: dict[str, Any]) -> str | None:
        kind, family = self._get(row, "kind"), self._get(row, "family")
        if kind is None and family is None:
            return None
        rater = self.said.raters.number(self._get(row, "rater"))
        if kind is not None and (
            not isinstance(kind, str) or self.said.kinds.setdefault(rater, kind) != kind
        ):
            return f"`kind` must be one text for each rater; got {short(kind)}"
        if family is not None:
            if (detail := name_fault(self.columns["family"], family)) is not None:
                return detail
            number = self.said.families.number(family)
            if self.said.family.setdefault(rater, number) != number:
                return f"`family` must be one for each rater; got {short(family)}"
        return None

    def ballot(self) -> Ballot:
        if not all(self.said.is_label):
            self.faults.join(self.late)
        self.faults.stop()
        if self.unseen and self.said.item:
            missing = ", ".join(f"{name} from {self.columns[name]!r}" for name in sorted(self.unseen))
            raise InputRefused(
                f"--map reads {missing}, which no line has; leave it out or name a column of the file."
            )
        if not self.said.item:
            raise InputRefused(
                "The file holds no votes; each line needs `item`, `rater` and `label` or `vote`."
            )
        return self.said.ballot()

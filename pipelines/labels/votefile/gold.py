"""The labels of gold, for the items of a ballot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipelines.errors import InputRefused
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votefile.lines import Faults, rows_of
from pipelines.labels.votefile.names import Names, label_fault, name_fault, short
from pipelines.labels.votes import IntArray


def gold_read(path: Path, columns: Mapping[str, str], ballot: Ballot) -> tuple[IntArray, list[str]]:
    """(n_items,) gold category or outcome of each item, -1 unknown; and sentences about what did not fit.

    Of graded votes the outcomes are 0 first, 1 second, 2 tie.

    Raises:
        BadLines, InputRefused: as `ballot_read`.
    """
    faults = Faults("gold line")
    items, gold, unknown, never = Names(), np.full(len(ballot.items), -1, dtype=np.int64), 0, 0
    for item in ballot.items:
        items.number(item)
    labels = Names()
    for category in ballot.categories:
        labels.number(category)
    names = {"first": 0, "second": 1, "tie": 2}
    count = 0
    for number, row in rows_of(path, faults.add, lambda size: None):
        item, label = (row.get(columns.get(f"gold.{name}", name)) for name in ("item", "label"))
        if label is None:
            faults.add(number, "needs `item` (a text or a number) and `label`")
            continue
        if (detail := name_fault("item", item)) is not None:
            faults.add(number, detail)
            continue
        if (detail := label_fault(label)) is not None:
            faults.add(number, detail)
            continue
        if ballot.graded is not None and label not in names:
            faults.add(number, f"`label` must be first, tie or second; got {short(label)}")
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
            faults.add(number, f"item {short(item)} has another label in an earlier line")
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

"""Which column of a file is read for which of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.errors import InputRefused

VOTE_COLUMNS = (
    "item", "rater", "label", "vote", "first_shown_first", "first", "second", "kind", "family", "at",
)  # fmt: skip
GOLD_COLUMNS = ("gold.item", "gold.label")


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

"""The order of a draft's questions: what moves and goes together. Pure.

A draft is flat (`setup.py`): what is asked of marked passages belongs to the nearest spans question above it.
"""

from __future__ import annotations

from collections.abc import Mapping

Draft = list[dict[str, str]]
SPANS, SPAN = "spans", "span"


def draft_removed(draft: Draft, place: int) -> Draft:
    """Without one question, and without what is asked of its passages."""
    gone = next((block for block in _blocks(draft) if block.start == place), range(place, place + 1))
    return [fields for at, fields in enumerate(draft) if at not in gone]


def draft_moved(draft: Draft, place: int, by: int) -> Draft:
    """With one question moved up (-1) or down (1); at an end nothing moves.

    What is asked of its passages moves along. A question of a passage changes places with its neighbours of the same
    passages, and goes from one spans question to another.
    """
    if not 0 <= place < len(draft):
        return draft
    if is_of_span(draft[place]):
        return _moved_of_span(draft, place, by)
    blocks = _blocks(draft)
    at = next(number for number, block in enumerate(blocks) if block.start == place)
    if not 0 <= at + by < len(blocks):
        return draft
    blocks.insert(at + by, blocks.pop(at))
    return [draft[at] for block in blocks for at in block]


def _moved_of_span(draft: Draft, place: int, by: int) -> Draft:
    """With a question of a passage moved past the next of its kind, or past the spans question that parts them."""
    stops = [at for at, fields in enumerate(draft) if is_of_span(fields) or fields["type"] == SPANS]
    at = stops.index(place) + by
    if by < 0 and at >= 0 and not is_of_span(draft[stops[at]]):
        # It was the first of its passages, and becomes the last of those of the spans question above.
        at -= 1
        if at < 0 or all(is_of_span(draft[stop]) for stop in stops[: at + 1]):
            return draft
        to = stops[at] + 1
    elif 0 <= at < len(stops):
        to = stops[at]
    else:
        return draft
    moved = list(draft)
    moved.insert(to, moved.pop(place))
    return moved


def is_of_span(fields: Mapping[str, str]) -> bool:
    return fields.get("subject") == SPAN


def _blocks(draft: Draft) -> list[range]:
    """The places of each question; of a spans question together with what is asked of its passages right after it."""
    blocks: list[range] = []
    for at, fields in enumerate(draft):
        if blocks and is_of_span(fields) and draft[blocks[-1].start]["type"] == SPANS:
            blocks[-1] = range(blocks[-1].start, at + 1)
        else:
            blocks.append(range(at, at + 1))
    return blocks


def marking_of(draft: Draft, place: int) -> int | None:
    """The place of the spans question whose passages the question at `place` is asked of; None without one above it."""
    above = (at for at in range(place - 1, -1, -1) if draft[at]["type"] == SPANS)
    return next(above, None) if is_of_span(draft[place]) else None

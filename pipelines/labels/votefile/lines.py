"""JSON Lines, plain or gzip, as objects; and one sentence for each line that does not fit."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from pipelines.errors import InputRefused
from pipelines.labels.votefile.names import short

LINE_BYTES = 10_000_000
SHOWN_FAULTS = 20


class BadLines(InputRefused):
    """Some lines cannot be read; `sentences` has one for each that is shown."""

    def __init__(self, sentences: list[str], count: int) -> None:
        self.sentences, self.count = sentences, count
        more = [f"... and {count - len(sentences)} more bad lines."] if count > len(sentences) else []
        super().__init__("\n".join([*sentences, *more]))


class Faults:
    def __init__(self, what: str) -> None:
        self.what, self.sentences, self.count = what, list[str](), 0

    def add(self, number: int, detail: str) -> None:
        self.count += 1
        if len(self.sentences) < SHOWN_FAULTS:
            self.sentences.append(f"{self.what.capitalize()} {number}: {detail}.")

    def join(self, others: Faults) -> None:
        self.count += others.count
        self.sentences = (self.sentences + others.sentences)[:SHOWN_FAULTS]

    def stop(self) -> None:
        if self.count:
            raise BadLines(self.sentences, self.count)


def rows_of(
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
                    fault(number, f"must be an object; got {short(row)}")
    except FileNotFoundError:
        raise InputRefused(f"There is no file {path}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputRefused(f"{path} cannot be read: {error}.") from None

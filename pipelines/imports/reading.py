"""From a file to numbered rows of one shape. Pure but for the file that it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipelines.imports import MEANINGFUL_FIELDS, READ_FIELDS, Shape, shape_detect, shape_get
from pipelines.imports.errors import FileRefused, RowRefused
from pipelines.imports.media import MediaReader
from pipelines.imports.readers import NumberedRecord, Record, RowFile
from pipelines.imports.rows import Compared, Limits, Row, row_comparisons, shown

SAMPLE_ROWS = 20
KEPT_FAULTS = 1_000


class Reading:
    """One pass over a file. `shape`, `detected` and `notices` are known at once, counts and faults when it is over.

    `questions`: of the project's form, against which a shape with answers holds them. `compare`: what of a row is compared.

    Raises (also while iterating):
        FileRefused: the file as a whole does not fit.
    """

    def __init__(
        self,
        path: Path,
        *,
        shape: str | None = None,
        limits: Limits | None = None,
        questions: Sequence[Mapping[str, Any]] = (),
        compare: Callable[[Row], list[Compared]] = row_comparisons,
        media: MediaReader | None = None,
    ) -> None:
        self._media = media or MediaReader()
        self.limits, self._questions, self._compare = limits or Limits(), questions, compare
        self.file = RowFile(path, self.limits)
        self._records = iter(self.file)
        self._sample: list[NumberedRecord] = list(islice(self._records, SAMPLE_ROWS))
        records = [record for _, record in self._sample if not isinstance(record, RowRefused)]
        self.detected = shape is None
        self.shape = shape_detect(records) if shape is None and records else self._given(shape, records)
        self.rows_in = 0
        self.refused: Counter[str] = Counter()
        self.faults: list[dict[str, object]] = []
        self._notice_spare_fields(records)

    @property
    def notices(self) -> list[str]:
        return self.file.notices

    def __iter__(self) -> Iterator[tuple[int, Row, list[Compared]]]:
        """Rows that fit, each with its line (Parquet: row) number and its comparisons; the others are counted."""
        parse = self.shape.load()
        for number, record in chain(self._sample, self._records):
            self.rows_in += 1
            try:
                row = self._parse(parse, record)
                compared = self._compare(row)
            except RowRefused as refused:
                self._refuse(number, refused)
            except RecursionError:
                self._refuse(
                    number, RowRefused("nested_too_deep", "its lists and objects are nested too deep")
                )
            except FileRefused as refused:
                raise FileRefused(f"Row {number:,}: {refused}") from None
            else:
                yield number, row, compared
        if self.rows_in == 0:
            raise FileRefused("The file has no rows.")

    def _parse(self, parse: object, record: Record | RowRefused) -> Row:
        if isinstance(record, RowRefused):
            raise record
        record, media = self._media.read(record)
        for field in self.shape.fields:
            if record.get(field) is None:
                raise RowRefused("missing_field", f"it has no {field}")
        for field in MEANINGFUL_FIELDS & record.keys():
            if record[field]:
                raise RowRefused(
                    "content_not_text", f"{field} is set, which shape {self.shape.key} does not read"
                )
        row: Row = parse(record, self.limits)  # type: ignore[operator]
        row = replace(row, media=media) if media else row
        return self.shape.check(row, self._questions) if self.shape.has_annotations else row

    def _refuse(self, number: int, refused: RowRefused) -> None:
        self.refused[refused.cause] += 1
        if len(self.faults) < KEPT_FAULTS:
            self.faults.append(
                {"row": number, "cause": refused.cause, "message": f"Row {number:,}: {refused}."}
            )

    def _given(self, key: str | None, records: list[Record]) -> Shape:
        """The shape asked for; without one, no record was readable and the first fault tells why."""
        if key is None:
            faults = [record for _, record in self._sample if isinstance(record, RowRefused)]
            raise FileRefused(
                f"None of the first rows can be read; the first: {faults[0]}."
                if faults
                else "The file has no rows."
            )
        shape = shape_get(key)
        if records and not any(set(shape.fields) <= record.keys() for record in records):
            names = dict.fromkeys(shown(name) for record in records for name in record)
            columns = ", ".join(list(names)[:12])
            raise FileRefused(f"Shape {key} needs {', '.join(shape.fields)}; the file has {columns}.")
        return shape

    def _notice_spare_fields(self, records: list[Record]) -> None:
        spare = {name for record in records for name in record} - READ_FIELDS - MEANINGFUL_FIELDS
        if spare:
            names = ", ".join(sorted(map(shown, spare))[:12])
            self.notices.append(f"Fields that were not read: {names}.")
        if self.shape.key == "trl-implicit" and any(
            isinstance(record.get("chosen"), str) for record in records
        ):
            self.notices.append(
                "The file does not mark where the prompt ends; it was cut where the texts part."
            )

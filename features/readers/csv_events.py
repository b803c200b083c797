"""From a CSV file to rows of the event store, some thousand at a time.

Rows are put together as text, ten times as fast as through the model of an event; the two are tested to agree.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from features.columns import microseconds
from features.events import row_event_id
from features.readers.csv_fields import FieldReader, Fields
from features.readers.csv_header import Header, read_header
from features.readers.csv_map import CsvMap
from features.readers.csv_text import Broken, Cells, FileError, Record, check_file, opened, records
from features.readers.csv_verdict import Verdict

Prepared = tuple[Any, ...]
"""The values of a `features.store.StoredEvent`, in the order of `features.store.STORED`."""
Occurrences = Callable[[list[int]], list[int]]
"""How often each of these keys came before, as `features.seen.Seen.occurrences` says it."""


@dataclass(frozen=True)
class CsvFile:
    """A file, what its columns mean, for which tenant, and the moment of its import (aware)."""

    path: Path
    csv_map: CsvMap
    tenant: str
    now: datetime


@dataclass
class Batch:
    """Some rows up to the line that was read last (`offset`: bytes up to there): the good ones, their lines, the refused.

    `good` counts the good ones; `rows` and `lines` are empty where they were only checked. `notes` come with the last batch.
    """

    line: int
    offset: int
    good: int = 0
    lines: list[int] = field(default_factory=list)
    rows: list[Prepared] = field(default_factory=list)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def beyond(self, line: int) -> "Batch":
        """What of it comes after a line."""
        first = bisect_right(self.lines, line)
        refused = [one for one in self.refused if one[0] > line]
        return replace(self, lines=self.lines[first:], rows=self.rows[first:], refused=refused)

    def part(self, rows: slice) -> "Batch":
        """These of its rows and what was refused before and among them; with the last ones, up to the batch's own end."""
        lines, last = self.lines[rows], rows.stop == len(self.rows)
        since, line = self.lines[rows.start - 1] if rows.start else 0, self.line if last else lines[-1]
        refused = [one for one in self.refused if since < one[0] <= line]
        return replace(self, line=line, lines=lines, rows=self.rows[rows], refused=refused)


def batches(given: CsvFile, occurrences: Occurrences | None, *, after: int = 0) -> Iterator[Batch]:
    """All rows of the file but those up to line `after`, of which only the share in later ids is kept.

    Rows without ids get theirs by `occurrences`; where it is None they are checked only. FileError where the file as a whole
    cannot be read; what was yielded before stands.
    """
    check_file(given.path, given.csv_map.encoding)
    with opened(given.path, given.csv_map.encoding) as lines:
        header = read_header(lines, given.csv_map)
        reader = _Reader(header, given)
        some = False
        for found in records(lines, header.separator):
            batch = Batch(lines.number, lines.offset)
            reader.fill(batch, found, occurrences)
            some = some or bool(batch.good or batch.refused)
            yield batch if batch.line > after else Batch(batch.line, batch.offset)
        if not some:
            raise FileError("the file is empty: a header and no rows")
        yield Batch(lines.number, lines.offset, notes=[*header.notes, *reader.fields.notes()])


class _Reader:
    def __init__(self, header: Header, given: CsvFile) -> None:
        self._width = header.width
        self.fields = FieldReader(header)
        self._verdict = Verdict(header, given.tenant, given.now)
        self._tenant, self._source, self._now = given.tenant, header.csv_map.source, microseconds(given.now)
        self._has_ids = "event_id" in header.places

    def fill(self, batch: Batch, found: list[Record], occurrences: Occurrences | None) -> None:
        """Puts the rows of these records into the batch, the good and the refused."""
        good: list[Fields] = []
        for line, cells in found:
            row = self._row(line, cells)
            if isinstance(row, Fields):
                good.append(row)
            elif row is not None:
                batch.refused.append((line, *row))
        batch.good = len(good)
        if self._has_ids or occurrences is not None:
            ids = [row.event_id or "" for row in good] if occurrences is None or self._has_ids else _ids(good, occurrences)
            batch.lines = [row.line for row in good]
            batch.rows = [self._prepared(row, event_id) for row, event_id in zip(good, ids, strict=True)]

    def _row(self, line: int, cells: Cells | Broken) -> Fields | tuple[str, str] | None:
        """The row, or (column, reason) of its refusal; None for a row of empty cells, which is none."""
        if isinstance(cells, Broken):
            return "", cells.reason
        if len(cells) != self._width:
            # Spreadsheets write empty cells beyond the last column.
            if not any(map(str.strip, cells)):
                return None
            if len(cells) < self._width or any(cells[self._width :]):
                return "", f"broken CSV line: {len(cells)} cells under {self._width} columns"
        try:
            row = self.fields.read(line, cells)
        except ValueError:
            return self.fields.explain(cells) if any(map(str.strip, cells)) else None
        return row if self._verdict.plain(row) else self._verdict.refusal(row) or row

    def _prepared(self, row: Fields, event_id: str) -> Prepared:
        """As `features.store.TenantSession.prepare` makes it of an `Event`."""
        text = encode_basestring
        decision = "null" if row.decision is None else text(row.decision)
        content = (
            f'{{"tenant":"{self._tenant}","event_id":{text(event_id)},"learner_id":{text(row.learner)},"verb":"{row.verb}",'
            f'"object_id":{text(row.thing)},"occurred_at":"{row.at_text}","decision_id":{decision},"result":{row.result},'
            f'"schema_version":1}}{row.context}'
        )
        recorded = row.recorded
        return (
            self._tenant,
            event_id,
            row.learner,
            row.verb,
            row.thing,
            row.at,
            self._now if recorded is None else recorded,
            row.at if recorded is None else recorded,
            row.decision,
            row.result_stored,
            row.context_stored,
            self._source,
            int(recorded is None),
            1,
            sha256(content.encode()).hexdigest(),
        )


def _ids(rows: list[Fields], occurrences: Occurrences) -> list[str]:
    """Ids made of what the rows say, not of how they write it: an overlapping export has the same ones."""
    said = [(row.learner, row.verb, row.thing, row.at_text, row.decision or "", row.result, row.context) for row in rows]
    first = [row_event_id(fields, 0) for fields in said]
    times = occurrences([int(one[:8] + one[9:13] + one[15:18], 16) for one in first])
    return [one if time == 0 else row_event_id(fields, time) for one, fields, time in zip(first, said, times, strict=True)]

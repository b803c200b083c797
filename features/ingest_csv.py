"""A CSV file into the store, in memory that does not grow with the file, and going on where a killed run ended.

Without `skip_bad` the whole file is checked before the first row is stored. Then, or at once with `skip_bad`, batches are
stored, each in one transaction with the place up to which the file is read. That place belongs to one content of the file, read
in one way: another content or map has another key, and begins anew.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from features.ingest import OTHER_CONTENT, Advance, Ingested, Refusals, summary
from features.pace import Pace
from features.readers.base import Refusal
from features.readers.csv_events import Batch, CsvFile
from features.readers.csv_process import read_apart, read_here
from features.readers.csv_text import FileError, check_file
from features.seen import Seen, key
from features.store import STORED, Progress, TenantSession

APART_BYTES: Final = 4_000_000
"""From this size on a file is read by a process of its own, while this one writes."""
_READING: Final = 2
"""Changes with the meaning of a line number or an id, so that an older program's progress is not taken up."""
_ID, _HASH = STORED.index("event_id"), STORED.index("content_hash")


def ingest_csv(
    session: TenantSession,
    given: CsvFile,
    *,
    skip_bad: bool,
    refused: Path | None = None,
    facts: Mapping[str, Any],
    advance: Advance,
    apart_bytes: int = APART_BYTES,
) -> Ingested:
    """Stores the events of a file. Counts are those of the whole file, those of a run that was killed included.

    `facts` are recorded with the import once it is complete. Raises OSError where a temporary file cannot be written.
    """
    found = Ingested()
    try:
        run = _Run(session, given, skip_bad, found, advance, apart_bytes)
    except FileError as error:
        found.refuse(_of_file(given, error))
        return found
    with Refusals(found, refused if skip_bad else None, keep=run.after) as run.refusals:
        try:
            run.check()
            run.store()
        except FileError as error:
            run.stop(error)
    if found.stored:
        session.record_import({**facts, **summary(found)})
    if run.complete:
        session.forget_progress(run.key)
    return found


def _of_file(given: CsvFile, error: FileError) -> Refusal:
    return Refusal(given.path.name, error.line, error.column, str(error))


class _Run:
    refusals: Refusals
    complete = False
    """Whether all rows were read and the good ones stored."""

    def __init__(
        self, session: TenantSession, given: CsvFile, skip_bad: bool, found: Ingested, advance: Advance, apart_bytes: int
    ) -> None:
        check_file(given.path, given.csv_map.encoding)
        self._session, self._given, self._skip_bad, self._found, self._advance = session, given, skip_bad, found, advance
        self._state = _state(given.path)
        self._read = read_apart if self._state[0] >= apart_bytes else read_here
        self.key = reading_key(given, skip_bad)
        before = session.progress(self.key)
        self.after = before.line if before else 0
        if before:
            found.accepted, found.duplicates = before.accepted, before.duplicates
            found.refused, found.suppressed = before.refused, before.suppressed
            found.resumed_after = before.line

    def check(self) -> None:
        """Reads all rows without storing any, unless bad ones are skipped or an earlier run did so."""
        if self._skip_bad or self.after:
            return
        with Seen() as seen, closing(self._read(self._given, ids=False)) as batches:
            for batch in batches:
                self._unchanged()
                self._refuse(batch)
                self._check_ids(batch, seen)
                self._advance(batch.good)

    def _check_ids(self, batch: Batch, seen: Seen) -> None:
        """Refuses ids that stand in the file or in the store with other content; a batch without ids has none to check."""
        if not batch.rows:
            return
        ids = [row[_ID] for row in batch.rows]
        twice = seen.differs([key(one) for one in ids], [int(row[_HASH][:15], 16) for row in batch.rows])
        known = self._session.known(ids)
        for line, row, other in zip(batch.lines, batch.rows, twice, strict=True):
            if other:
                self._conflict(line, row[_ID], "file")
            elif known.get(row[_ID], row[_HASH]) != row[_HASH]:
                self._conflict(line, row[_ID], "store")

    def store(self) -> None:
        """Stores all rows that are not stored yet, unless the check found a bad one."""
        found = self._found
        if found.bad and not self._skip_bad and not self.after:
            return
        pace = Pace(self._session)
        with closing(self._read(self._given, ids=True, after=self.after)) as batches:
            for batch in batches:
                self._unchanged()
                found.notes = [*found.notes, *batch.notes]
                if batch.line > self.after:
                    self._store(batch.beyond(self.after), pace)
                self._advance(batch.good)
        self.complete = True
        found.stored = bool(found.accepted or found.duplicates or found.suppressed)

    def _store(self, batch: Batch, pace: Pace) -> None:
        for rows in pace.parts(len(batch.rows)):
            part = batch.part(rows)
            self._refuse(part)
            self._append(part)

    def _append(self, batch: Batch) -> None:
        found = self._found
        self.refusals.flush()
        counts = found.accepted, found.duplicates, found.refused, found.suppressed
        place = Progress(self.key, batch.offset, batch.line, *counts)
        done = self._session.append_values(batch.rows, progress=place)
        found.accepted += done.accepted
        found.duplicates += done.duplicates
        found.suppressed += done.suppressed
        if done.conflicts:
            for line, row, outcome in zip(batch.lines, batch.rows, done.outcomes, strict=True):
                if outcome == "conflict":
                    self._conflict(line, row[_ID], "store")

    def stop(self, error: FileError) -> None:
        """The file cannot be read on: says so, and whether some rows are stored already."""
        if self._found.accepted or self._found.duplicates:
            self._found.stopped = str(_of_file(self._given, error))
        else:
            self.refusals.event(_of_file(self._given, error))

    def _refuse(self, batch: Batch) -> None:
        for line, column, reason in batch.refused:
            self.refusals.event(Refusal(self._given.path.name, line, column, reason))

    def _conflict(self, line: int, event_id: str, where: str) -> None:
        reason = f"{event_id!r}: {OTHER_CONTENT.format(where=f'in the {where}')}"
        column = self._given.csv_map.columns.get("event_id", "event_id")
        self.refusals.event(Refusal(self._given.path.name, line, column, reason))

    def _unchanged(self) -> None:
        if _state(self._given.path) != self._state:
            raise FileError("the file was changed while it was read; once it is complete, ingest it again")


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise FileError("the file vanished while it was read") from None
    return found.st_size, found.st_mtime_ns, found.st_ino


def reading_key(given: CsvFile, skip_bad: bool) -> str:
    """Names one way to read one content of a file: what has been stored of another is no part of this reading."""
    with given.path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    way = f"csv {_READING} {given.csv_map.model_dump_json()} {skip_bad} {content}"
    return hashlib.sha256(way.encode()).hexdigest()

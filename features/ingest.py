"""From files to the store: all rows are checked before the first is written.

The first pass validates, and lays the good rows aside in a temporary file in the form the store takes; the second writes
them in batches. So no row is validated twice, and without `skip_bad` a bad row means that nothing was stored.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Self

from features.catalogue import CatalogueRow, canonical_json, kind_of
from features.pace import Pace
from features.readers.base import Reading, Refusal
from features.seen import Seen, key
from features.store import MAX_BATCH, STORED, PutResult, StoredEvent, TenantSession

SHOWN: Final = 10
"""How many refusals are listed."""

OTHER_CONTENT: Final = "this id stands {where} already, with other content"
Advance = Callable[[int], None]
_Spooled = tuple[str, int, StoredEvent]


@dataclass
class Ingested:
    """What became of a file's rows. Events: rows = accepted + duplicates + refused + suppressed. `suppressed`: of learners
    who were erased after them. `first` holds up to ten refusals.
    """

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    suppressed: int = 0
    catalogue: PutResult = field(default_factory=PutResult)
    catalogue_refused: int = 0
    first: list[Refusal] = field(default_factory=list)
    notes: Sequence[str] = ()
    stored: bool = False
    resumed_after: int = 0
    """The line up to which an earlier, unfinished run had come, whose counts are part of these; 0: there was none."""
    stopped: str = ""
    """Why the file could not be read to its end, although rows are stored already; empty: it was."""

    @property
    def rows(self) -> int:
        return self.accepted + self.duplicates + self.refused + self.suppressed

    @property
    def bad(self) -> int:
        return self.refused + self.catalogue_refused

    def refuse(self, refusal: Refusal) -> None:
        """Counts a refused event, and keeps it if it is among the first."""
        self.refused += 1
        self.keep(refusal)

    def keep(self, refusal: Refusal) -> None:
        """Keeps a refusal if it is among the first."""
        if len(self.first) < SHOWN:
            self.first.append(refusal)


def ingest(
    session: TenantSession, reading: Reading, *, now: datetime, skip_bad: bool, refused: Path | None = None, advance: Advance
) -> Ingested:
    """Stores the rows of `reading`. With `skip_bad` the good ones are kept and the others written to the file `refused`;
    without it one bad row means that nothing is stored. `advance` is called with the number of rows just done.
    """
    found = Ingested()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool, Refusals(found, refused if skip_bad else None) as refusals:
        catalogue = list(_catalogue(reading, refusals))
        good = _spool(session, reading, refusals, spool, advance)
        found.notes = tuple(reading.notes)
        if (found.bad and not skip_bad) or not (good or catalogue):
            return found
        pace = Pace(session)
        for part in pace.parts(len(catalogue)):
            found.catalogue += session.put(catalogue[part], at=now)
        for batch in _batches(spool):
            for part in pace.parts(len(batch)):
                _append(session, batch[part], found, refusals, advance)
        found.stored = True
    return found


class Refusals:
    """Counts refusals, keeps the first few, and writes all of them to a file, if one is wanted and there are any.

    `keep`: of a file that stands already, the refusals up to this line stay; it goes on from there.
    """

    def __init__(self, found: Ingested, path: Path | None, keep: int = 0) -> None:
        self.found, self.path, self._keep_until = found, path, keep
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def event(self, refusal: Refusal) -> None:
        self.found.refuse(refusal)
        self._write(refusal)

    def catalogue(self, refusal: Refusal) -> None:
        self.found.catalogue_refused += 1
        self.found.keep(refusal)
        self._write(refusal)

    def flush(self) -> None:
        """Gives what was written to the operating system, which keeps it when this process is killed."""
        if self._file:
            self._file.flush()

    def _write(self, refusal: Refusal) -> None:
        if self.path and not self._file:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _cut(self.path, self._keep_until)
            self._file = self.path.open("a", encoding="utf-8")
        if self._file:
            self._file.write(json.dumps(asdict(refusal), ensure_ascii=False) + "\n")


def _cut(path: Path, line: int) -> None:
    """Leaves the refusals up to this line in a file; half a line, of a run that was killed, goes too."""
    if not line or not path.exists():
        path.write_text("")
        return
    rest = path.with_name(path.name + ".part")
    with path.open(encoding="utf-8", errors="replace") as old, rest.open("w", encoding="utf-8") as new:
        new.writelines(one for one in old if _until(one, line))
    rest.replace(path)


def _until(refusal: str, line: int) -> bool:
    try:
        return refusal.endswith("\n") and int(json.loads(refusal)["line"]) <= line
    except (ValueError, KeyError, TypeError):
        return False  # of another file, that had this name before


def _catalogue(reading: Reading, refusals: Refusals) -> Iterator[CatalogueRow]:
    seen: dict[tuple[str, str], str] = {}
    for row in reading.catalogue:
        if isinstance(row, Refusal):
            refusals.catalogue(row)
            continue
        name, body = (kind_of(row.row), row.row.id), canonical_json(row.row)
        if seen.setdefault(name, body) != body:
            refusals.catalogue(row.refuse("id", f"{row.row.id!r}: " + OTHER_CONTENT.format(where="in the file")))
        else:
            yield row.row


def _spool(session: TenantSession, reading: Reading, refusals: Refusals, spool: IO[str], advance: Advance) -> int:
    """Lays the good events aside, a batch a line; their number."""
    batch: list[_Spooled] = []
    good = 0
    with Seen() as seen:
        for row in reading.events:
            if isinstance(row, Refusal):
                refusals.event(row)
            else:
                batch.append((row.file, row.line, session.prepare(row.row)))
            if len(batch) == MAX_BATCH:
                good += _lay_aside(session, batch, refusals, spool, seen)
                advance(len(batch))
                batch = []
        return good + _lay_aside(session, batch, refusals, spool, seen)


def _lay_aside(session: TenantSession, batch: list[_Spooled], refusals: Refusals, spool: IO[str], seen: Seen) -> int:
    known = session.known([stored["event_id"] for _, _, stored in batch])
    keys = [key(stored["event_id"]) for _, _, stored in batch]
    twice = seen.differs(keys, [int(stored["content_hash"][:15], 16) for _, _, stored in batch])
    kept: list[_Spooled] = []
    for (file, line, stored), other in zip(batch, twice, strict=True):
        if other or known.get(stored["event_id"], stored["content_hash"]) != stored["content_hash"]:
            refusals.event(_conflict(file, line, stored, "file" if other else "store"))
        else:
            kept.append((file, line, stored))
    # Values without their names: half the text, half the time.
    spool.write(json.dumps([(file, line, *stored.values()) for file, line, stored in kept]) + "\n")
    return len(kept)


def _conflict(file: str, line: int, stored: StoredEvent, where: str) -> Refusal:
    return Refusal(file, line, "event_id", f"{stored['event_id']!r}: " + OTHER_CONTENT.format(where=f"in the {where}"))


def _batches(spool: IO[str]) -> Iterator[list[_Spooled]]:
    spool.seek(0)
    for line in spool:
        yield [(file, number, dict(zip(STORED, values, strict=True))) for file, number, *values in json.loads(line)]


def _append(session: TenantSession, batch: list[_Spooled], found: Ingested, refusals: Refusals, advance: Advance) -> None:
    done = session.append_prepared([stored for _, _, stored in batch])
    found.accepted += done.accepted
    found.duplicates += done.duplicates
    found.suppressed += done.suppressed
    for (file, line, stored), outcome in zip(batch, done.outcomes, strict=True):
        if outcome == "conflict":  # someone else wrote the id since the first pass
            refusals.event(_conflict(file, line, stored, "store"))
    advance(len(batch))


def refused_file(tenant: str, source: Path) -> Path:
    """Where refused rows are written unless the user says otherwise."""
    return Path("var", "refused", f"{tenant}-{source.resolve().stem}.jsonl")


def summary(found: Ingested) -> dict[str, Any]:
    """The counts, JSON-ready."""
    return {
        "rows": found.rows,
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "refused": found.refused,
        "suppressed": found.suppressed,
        "catalogue": asdict(found.catalogue) | {"refused": found.catalogue_refused},
    }

"""The audit log as values: what was done, by whom and on whom. Each row holds the hash of the one before it.

Rows hold pseudonyms and never names: `subject` is a keyed hash of a learner's id, `by` the id of a key.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

COMMAND_LINE: Final = "command line"
"""Who did what no key was needed for."""
INSTALLATION: Final = ""
"""Whose chain holds what is no one tenant's: whole backups, restores, migrations."""
FIRST: Final = "0" * 64
"""What stands for the hash before the first row."""

Details = Mapping[str, int | str | list[str]]


class Act(StrEnum):
    """What is written down."""

    KEY_ADDED = "key added"
    KEY_ROTATED = "key rotated"
    KEY_REVOKED = "key revoked"
    CATALOGUE_CHANGED = "catalogue changed"
    CATALOGUE_SYNCED = "catalogue synced"
    CATALOGUE_RETIRED = "catalogue retired"
    LEARNERS_MERGED = "learners merged"
    LEARNERS_UNMERGED = "learners unmerged"
    GRANT_ADDED = "grant added"
    GRANT_REVOKED = "grant revoked"
    EVENTS_VOIDED = "events voided"
    FILE_INGESTED = "file ingested"
    LEARNER_EXPORTED = "learner exported"
    LEARNER_ERASED = "learner erased"
    TOKEN_ISSUED = "token issued"
    BACKED_UP = "backed up"
    ERASURES_WRITTEN = "erasures written"
    RESTORED = "restored"
    MIGRATED = "migrated"


@dataclass(frozen=True)
class AuditRow:
    """One row of a chain. `seq`: 1, 2, ... without gaps. `at`: microseconds since 1970, by the clock of who wrote it.

    `details`: JSON with sorted keys, as it is stored and hashed. `previous`: the hash of the row before.
    """

    tenant: str
    seq: int
    at: int
    by: str
    action: str
    subject: str | None
    outcome: str
    details: str
    previous: str
    hash: str

    def digest(self) -> str:
        """SHA-256 (hex) of the row: of the JSON array of all fields before `hash`, in this order, without spaces, in UTF-8."""
        fields = astuple(self)[:-1]
        return sha256(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Verdict:
    """How a chain stands. `newest`: SEQ:HASH of its last good row. `broken`: the first thing that is wrong."""

    rows: int
    newest: str | None
    broken: str | None


def written(details: Details) -> str:
    """Details as they are stored."""
    return json.dumps(dict(details), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def verify(rows: Iterable[AuditRow], anchors: Mapping[int, str] | None = None) -> Verdict:
    """Walks a chain, oldest row first. `anchors`: seq to the hash that was its row's when somebody wrote it down.

    Without an anchor nobody can say whether rows are missing at the end, or all of it was written anew.
    """
    left, last, count = dict(anchors or {}), None, 0
    for row in rows:
        broken = _broken(row, last) or _moved(row, left.pop(row.seq, None))
        if broken:
            return Verdict(count, _anchor(last), broken)
        last, count = row, count + 1
    missing = (
        f"row {min(left)} is missing: the chain ends at row {count}, and went on when the anchor was taken" if left else None
    )
    return Verdict(count, _anchor(last), missing)


def _broken(row: AuditRow, last: AuditRow | None) -> str | None:
    expected, before = (1, FIRST) if last is None else (last.seq + 1, last.hash)
    if row.seq > expected:
        return f"row {expected} is missing: row {row.seq} comes in its place"
    if row.seq < expected:
        return f"row {row.seq} is out of place: row {expected} should come"
    if row.hash != row.digest():
        return f"row {row.seq} was changed: its hash is not that of what it says"
    if row.previous != before:
        return f"row {row.seq} does not follow the one before it, which was changed, put in, or exchanged"
    return None


def _moved(row: AuditRow, anchor: str | None) -> str | None:
    if anchor is None or anchor == row.hash:
        return None
    return f"row {row.seq} is not the one of the anchor: it, or one before it, was written anew"


def _anchor(row: AuditRow | None) -> str | None:
    return None if row is None else f"{row.seq}:{row.hash}"

"""Rows that are no more: retired by name, or because a snapshot of the whole catalogue does not hold them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from features.audit import Act
from features.catalogue import CatalogueRow
from features.columns import microseconds
from features.store.catalogue import CURRENT, Standing, StoredRow, learners_of, stored_row
from features.store.lent import LentRows
from features.store.outcomes import PutResult
from features.store.rows import among
from features.store.tables import CATALOGUE, OPEN

MOST_VANISH: Final = 0.1
"""The share of a catalogue that a snapshot may retire unless it says otherwise: more is rather a broken export."""
_NAMED_FIRST: Final = 5


class VanishError(ValueError):
    """A snapshot leaves out too much of what stands; nothing was stored. `vanishing`: the ids it would retire, sorted."""

    def __init__(self, kind: str, standing: int, vanishing: Sequence[str], given: int, most_vanish: float) -> None:
        self.kind, self.standing, self.vanishing = kind, standing, tuple(vanishing)
        first = ", ".join(map(repr, vanishing[:_NAMED_FIRST])) + (", ..." if len(vanishing) > _NAMED_FIRST else "")
        words = f"{len(vanishing):,} of {standing:,} {kind}s would vanish ({first})"
        allowed = f"that is {len(vanishing) / standing:.1%}, more than {most_vanish:.4g} of them as most_vanish allows"
        super().__init__(f"{words}; {allowed if given else 'an empty snapshot is always refused'}")


class SnapshotRows(LentRows):
    """The part of a session that ends rows."""

    def retire(self, kind: str, ids: Iterable[str], *, at: datetime) -> int:
        """Ends the current versions of these rows as of `at`; how many there were. `put` brings a row back.

        VersionError when `at` lies before one of these versions, GrantedError for an item of another tenant; nothing is ended
        then.
        """
        ids = sorted(set(ids))
        self.refuse_granted(kind, ids)
        with self._writing(CATALOGUE) as connection:
            found = among(connection, CURRENT, (self.tenant, kind), ids)
            standing: Standing = {(kind, row_id): (version, digest, since) for row_id, version, digest, since in found}
            self._end(connection, standing, microseconds(at))
            if standing:
                self._tell(connection, Act.CATALOGUE_RETIRED, {"kind": kind, "retired": len(standing)})
        return len(standing)

    def sync(
        self, kind: str, rows: Iterable[CatalogueRow | StoredRow], *, at: datetime, most_vanish: float = MOST_VANISH
    ) -> PutResult:
        """Makes these rows all that stand of a kind as of `at`, in one transaction: the others are retired.

        Errors, after which nothing is changed: VanishError when more than the share `most_vanish` (0..1) of the current rows
        would be retired, and always when `rows` is empty and the catalogue is not; VersionError, GrantedError and TakenError as
        `put`;
        ValueError for a row of another kind.
        """
        given = [stored_row(row) for row in rows]
        for row in given:
            if row.kind != kind:
                raise ValueError(f"{row.kind} {row.id!r} stands in a snapshot of {kind}s")
        self.refuse_granted(kind, {row.id for row in given})
        with self._writing(CATALOGUE) as connection:
            standing = self._all_current(connection, kind)
            kept = {(kind, row.id) for row in given}
            gone = {key: standing[key] for key in sorted(standing) if key not in kept}
            if gone and (not given or len(gone) / len(standing) > most_vanish):
                raise VanishError(kind, len(standing), [row_id for _, row_id in gone], len(given), most_vanish)
            self._end(connection, gone, microseconds(at))
            current = self._with_ended(connection, given, standing)
            done = self._put(connection, given, learners_of(given), current, microseconds(at)) + PutResult(retired=len(gone))
            self._tell(connection, Act.CATALOGUE_SYNCED, {"kind": kind, **asdict(done)})
        return done

    def _all_current(self, connection: sa.Connection, kind: str) -> Standing:
        query = sa.select(CATALOGUE.c.id, CATALOGUE.c.version, CATALOGUE.c.content_hash, CATALOGUE.c.valid_from)
        query = query.where(CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind, OPEN)
        return {(kind, row_id): (version, digest, since) for row_id, version, digest, since in connection.execute(query)}

    def _end(self, connection: sa.Connection, rows: Standing, at: int) -> None:
        for key, (_, _, since) in rows.items():
            self._in_order(key, since, at)
        self._close(connection, [version for version, _, _ in rows.values() if version is not None], at)

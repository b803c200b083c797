"""The store as a whole: opening it, its tenants, whether it is still the file that was opened."""

import os
import time
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from features.assigned import AssignedCache
from features.audit import COMMAND_LINE
from features.histories import HistoryCache
from features.store.grants import GrantRows
from features.store.keys import KeyRows
from features.store.locks import writing
from features.store.opening import SQLITE_CHECKPOINT, SQLITE_OFTEN, connect
from features.store.reading import Readers
from features.store.session import TenantSession
from features.store.tables import CATALOGUE, EVENTS, HEARTBEAT, insert_of
from features.store.versions import ready
from features.store.wall import across, warn_without

Place = Literal["here", "gone", "replaced"]


class EventStore:
    """A database of events, catalogue versions and decisions. Safe to use from several threads."""

    def __init__(self, engine: sa.Engine, file: Path | None = None, histories: HistoryCache | None = None) -> None:
        self.engine = engine
        self.histories = histories
        self._assigned = None if histories is None else AssignedCache()
        self._readers = Readers(engine)
        self._file, self._identity = file, None if file is None else _identity(file)

    @classmethod
    def open(cls, url: str, *, wait_s: float = 10.0, remember: int = 0, live: bool = False) -> "EventStore":
        """Connects, and creates the tables in an empty database (and for SQLite the folder of the file).

        ValueError for a bad URL, and SchemaError, which is one, for a store of another version.

        `wait_s`: how long a statement waits while another writer holds a lock. `remember`: how many events of
        histories that were read are kept in memory (about a kilobyte each). `live`: somebody waits for each commit, so that
        none may take long.
        """
        engine, file = connect(url, wait_s, SQLITE_OFTEN if live else SQLITE_CHECKPOINT)
        try:
            ready(engine)
            warn_without(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, file, HistoryCache(remember) if remember else None)

    def place(self) -> Place:
        """Whether the file at the store's path is the opened one (always `here` for a server).

        What is written to a file that is gone or replaced is lost to everybody who opens the path.
        """
        if self._file is None or self._identity is None:
            return "here"
        found = _identity(self._file)
        return "gone" if found is None else "here" if found == self._identity else "replaced"

    def probe(self) -> None:
        """One small synced write, to a row that is written over each time. Raises what any write would raise now."""
        row = {"id": 1, "at": time.time_ns() // 1000}
        with writing(self.engine, HEARTBEAT.name) as connection:
            insert = insert_of(connection)(HEARTBEAT).values(row)
            connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"at": row["at"]}))

    def tenant(self, tenant: str, *, by: str = COMMAND_LINE) -> TenantSession:
        """The rows of one tenant, and no way to any other's. `by`: the id of the key whose work it is, for the audit log."""
        return TenantSession(self.engine, tenant, self._readers, self.histories, by, self._assigned)

    def keys(self) -> KeyRows:
        """The API keys of all tenants."""
        return KeyRows(self.engine, self._readers)

    def grants(self) -> GrantRows:
        """What each tenant may use of the others' catalogues."""
        return GrantRows(self.engine)

    def tenants(self) -> tuple[str, ...]:
        """The tenants that have an event or a catalogue row, sorted."""
        found = sa.union(sa.select(EVENTS.c.tenant), sa.select(CATALOGUE.c.tenant))
        with across(self.engine).connect() as connection:
            return tuple(sorted(connection.execute(found).scalars()))

    def close(self) -> None:
        """Closes all connections; the store cannot be used afterwards."""
        self._readers.close()
        self.engine.dispose()


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

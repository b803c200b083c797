"""Single statements, compiled once and read by the driver's own cursor: the hot path of serving."""

import threading
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from features.store.opening import for_reading
from features.store.wall import entered

Compiled = tuple[str, tuple[str, ...]]
"""SQL for the driver's cursor and the order of its parameters (empty: by name)."""


def compiled(query: sa.SelectBase, dialect: sa.Dialect) -> Compiled:
    """Its parameter `tenant` says whose rows it may see, also where the query itself has none."""
    found = query.compile(dialect=dialect)
    sql = entered(str(found)) if dialect.name == "postgresql" else str(found)
    return sql, tuple(getattr(found, "positiontup", None) or ())


class Readers:
    """Where single statements are read: for SQLite one open connection a thread, else one of a pool for each.

    A request of the service makes five small reads; fetching a connection from the pool costs as much as a read of SQLite,
    which ends with its last row: an open connection holds no lock and sees every commit.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = for_reading(engine)
        self._own = threading.local()
        self._open: list[Any] = []

    def fetch(self, statement: Compiled, values: dict[str, Any]) -> list[Any]:
        """All rows of a compiled statement. DBAPIError, as by every other way to the database, where they cannot be read."""
        driver = self._engine.dialect.loaded_dbapi.Error
        try:
            return self._rows_of(statement, values)
        except driver as error:
            raise sa.exc.DBAPIError.instance(statement[0], None, error, driver, dialect=self._engine.dialect) from error

    def _rows_of(self, statement: Compiled, values: dict[str, Any]) -> list[Any]:
        sql, order = statement
        given = tuple(values[name] for name in order) if order else values
        if self._engine.dialect.name != "sqlite":
            return self._from_server(sql, given)
        if not hasattr(self._own, "connection"):
            self._own.connection = self._engine.raw_connection()
            self._open.append(self._own.connection)
        return _rows(self._own.connection, sql, given)

    def _from_server(self, sql: str, given: Any) -> list[Any]:
        with closing(self._engine.raw_connection()) as connection:
            try:
                return _rows(connection, sql, given)
            except self._engine.dialect.loaded_dbapi.Error as error:
                if not self._engine.dialect.is_disconnect(error, connection.driver_connection, None):
                    raise
                connection.invalidate(error)
        # The server was restarted, and every connection that waits in the pool is as dead as this one.
        self._engine.dispose()
        with closing(self._engine.raw_connection()) as connection:
            return _rows(connection, sql, given)

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._own = threading.local()
        self._engine.dispose()


def _rows(connection: Any, sql: str, given: Any) -> list[Any]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())

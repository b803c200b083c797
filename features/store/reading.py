"""Single statements, compiled once and read by the driver's own cursor: the hot path of serving."""

import threading
from contextlib import closing
from typing import Any

import sqlalchemy as sa

Compiled = tuple[str, tuple[str, ...]]
"""SQL for the driver's cursor and the order of its parameters (empty: by name)."""


def compiled(query: sa.SelectBase, dialect: sa.Dialect) -> Compiled:
    found = query.compile(dialect=dialect)
    return str(found), tuple(getattr(found, "positiontup", None) or ())


class Readers:
    """Where single statements are read: for SQLite one open connection a thread, else one of the pool for each.

    A request of the service makes five small reads; fetching a connection from the pool costs as much as a read. SQLite
    ends a read with its last row, so an open connection holds no lock and sees every commit.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._open: list[Any] = []

    def fetch(self, statement: Compiled, values: dict[str, Any]) -> list[Any]:
        """All rows of a compiled statement."""
        sql, order = statement
        given = tuple(values[name] for name in order) if order else values
        if self._engine.dialect.name != "sqlite":
            with closing(self._engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
                cursor.execute(sql, given)
                return list(cursor.fetchall())
        if not hasattr(self._own, "connection"):
            self._own.connection = self._engine.raw_connection()
            self._open.append(self._own.connection)
        with closing(self._own.connection.cursor()) as cursor:
            cursor.execute(sql, given)
            return list(cursor.fetchall())

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._own = threading.local()

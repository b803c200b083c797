"""What all rows of one tenant have in common: how they are read page by page, and how they are written."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import sqlalchemy as sa

from features.assigned import AssignedCache
from features.audit import COMMAND_LINE, Act, Details
from features.histories import HistoryCache
from features.store.chain import tell
from features.store.locks import writing
from features.store.reading import Compiled, Readers
from features.store.tables import insert_of
from features.store.wall import within

MAX_BATCH: Final = 5_000
"""Events in one transaction: how long a writer may keep the others waiting."""
NO_LIMIT: Final = 2**62


class TenantRows:
    """Rows of one tenant. Every statement of a subclass names it, so a query without a tenant cannot be written."""

    def __init__(
        self,
        engine: sa.Engine,
        tenant: str,
        readers: Readers,
        histories: HistoryCache | None = None,
        by: str = COMMAND_LINE,
        assigned: AssignedCache | None = None,
    ) -> None:
        self._engine = within(engine, tenant)
        self._readers = readers
        self._histories = histories
        self._assigned = assigned
        self.tenant, self.by = tenant, by

    def _fetch(self, statement: Compiled, values: dict[str, Any]) -> list[Any]:
        return self._readers.fetch(statement, values)

    def _writing(self, table: sa.Table) -> AbstractContextManager[sa.Connection]:
        return writing(self._engine, table.name, self.tenant)

    def _tell(self, connection: sa.Connection, action: Act, details: Details, *, learner: str | None = None) -> None:
        """Adds a row to the audit log within the transaction of what it tells; `learner`: the id of whom it is about."""
        tell(connection, self.tenant, self.by, action, details, learner=learner)

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            connection.execute(insert_of(connection)(table).on_conflict_do_nothing(), rows)

    def _pages(self, query: Any, seq: Any, after: int, limit: int | None) -> Iterator[Any]:
        # By key, a page at a time: no read transaction stays open while the caller thinks.
        left = NO_LIMIT if limit is None else limit
        while left > 0:
            with self._engine.connect() as connection:
                page = connection.execute(query.where(seq > after).limit(min(left, MAX_BATCH))).all()
            yield from page
            if not page:
                return
            after, left = page[-1][0], left - len(page)


def place_of(dialect: sa.Dialect) -> str:
    """The function that says where a text stands within another, from 1; 0 where it does not. Unlike LIKE it tells A from a."""
    return "strpos" if dialect.name == "postgresql" else "instr"


def among(connection: sa.Connection, query: str, given: Sequence[str], ids: Sequence[str]) -> Iterator[Any]:
    """The rows of a query whose `{}` stand for the given values and whose last one is `one of these ids`.

    All ids are one parameter: thousands of placeholders take longer to compile than to look up. PostgreSQL is told to look each
    one up by itself: while it has no statistics of a new table it would read all rows of a tenant instead.
    """
    if connection.dialect.name == "postgresql":
        each = query.format(*["%s"] * len(given), "= wanted.id")
        sql = f"SELECT found.* FROM unnest(%s::text[]) AS wanted(id) CROSS JOIN LATERAL ({each} OFFSET 0) AS found"
        return iter(connection.exec_driver_sql(sql, (list(dict.fromkeys(ids)), *given)))
    values = (*given, json.dumps(list(ids)))
    return iter(connection.exec_driver_sql(query.format(*["?"] * len(given), "IN (SELECT value FROM json_each(?))"), values))

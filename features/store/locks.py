"""Who writes what, one at a time: SQLite locks its file, PostgreSQL an advisory lock of the transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import sqlalchemy as sa


@contextmanager
def writing(engine: sa.Engine, *what: str) -> Iterator[sa.Connection]:
    """A transaction that holds the lock named `what` from before its first statement until its end.

    Sequences number rows when they are drawn, and rows are seen when their transaction commits. The lock makes both one
    order, so that a reader who has seen row n need never look below n again.
    """
    with engine.connect().execution_options(nextwise_write=True) as connection, connection.begin():
        hold(connection, *what)
        yield connection


def hold(connection: sa.Connection, *what: str) -> None:
    """Takes one more lock in a transaction of `writing`. Whoever needs several takes them in the order of their names."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_number("/".join(("nextwise", *what))),))


def _number(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)

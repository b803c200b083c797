"""One unchanging view of a whole store, for what reads all tenants while others write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from features.audit import COMMAND_LINE, INSTALLATION, Act, Details
from features.migrate import exists
from features.store.chain import tell
from features.store.locks import writing
from features.store.opening import connect, shown
from features.store.tables import AUDIT
from features.store.versions import require, version
from features.store.wall import across, within

WAIT_S: Final = 10.0
"""How long a command waits for another's lock."""


@contextmanager
def viewed(url: str) -> Iterator[sa.Connection]:
    """SQLite gives one view to every transaction that reads, PostgreSQL to one that asks for it.

    ValueError: there is no store at the URL, or one of another version.
    """
    if not exists(url):
        raise ValueError(f"there is no store at {shown(url)}")
    engine, _ = connect(url, WAIT_S)
    server = engine.dialect.name == "postgresql"
    view = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if server else {}
    try:
        with across(engine).execution_options(**view).connect() as connection:
            found = version(connection)
            if found is None:
                raise ValueError(f"there is no store at {shown(url)}: the database is empty")
            require(found, engine.url)
            yield connection
    finally:
        engine.dispose()


def tell_of(url: str, action: Act, details: Details, *, tenant: str = INSTALLATION) -> None:
    """Tells the audit log of what was read of the whole store; before it is handed out, so that nobody has it without."""
    engine, _ = connect(url, WAIT_S)
    try:
        with writing(within(engine, tenant), AUDIT.name, tenant) as connection:
            tell(connection, tenant, COMMAND_LINE, action, details)
    finally:
        engine.dispose()

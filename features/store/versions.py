"""Which version of the tables a database holds, and which this program reads and writes."""

from typing import Final

import sqlalchemy as sa

from features.store.locks import writing
from features.store.opening import shown
from features.store.tables import EVENTS, METADATA, VERSION
from features.store.wall import build

KNOWN: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""All versions, oldest first; `features/store/migrations` holds the way from each to the next."""
NEWEST: Final = KNOWN[-1]
UNNUMBERED: Final = KNOWN[0]
"""What a store without a version is: versions were not written down then."""


class SchemaError(ValueError):
    """The database holds another version of the tables than this program reads and writes."""


def ready(engine: sa.Engine) -> None:
    """Creates the tables in an empty database. SchemaError when they stand there in another version."""
    with engine.connect() as connection:
        found = version(connection)
    if found is None:
        with writing(engine, "schema") as connection:
            found = version(connection) or create(connection)
    require(found, engine.url)


def create(connection: sa.Connection) -> str:
    """Creates the tables in their newest version, within the caller's transaction."""
    METADATA.create_all(connection)
    build(connection)
    connection.execute(sa.insert(VERSION).values(version_num=NEWEST))
    return NEWEST


def version(connection: sa.Connection) -> str | None:
    """The version of the tables in a database, None when there are none."""
    tables = set(sa.inspect(connection).get_table_names())
    found = connection.execute(sa.select(VERSION.c.version_num)).scalar() if VERSION.name in tables else None
    return found or (UNNUMBERED if EVENTS.name in tables else None)


def require(found: str, url: sa.URL) -> None:
    """SchemaError unless `found` is the newest version; it says what to do."""
    if found not in KNOWN:
        raise SchemaError(
            f"the store is of version {found}, newer than this program, which knows {NEWEST}: upgrade the program"
        )
    if found != NEWEST:
        command = f"python -m features migrate --store {shown(url)}"
        raise SchemaError(
            f"the store is of version {found}, this program works with {NEWEST}: back it up, then run `{command}`"
        )

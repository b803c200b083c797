"""Connecting to the database of a URL, and creating what is missing there."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from features.store.tables import METADATA


def connect(url: str, wait_s: float) -> tuple[sa.Engine, Path | None]:
    """The engine of a URL and its file, None for a server. ValueError for a bad URL."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise ValueError(f"{url!r} is not a database URL; write for example sqlite:///var/events.db") from None
    local = parsed.get_backend_name() == "sqlite"
    file = Path(parsed.database) if local and parsed.database and parsed.database != ":memory:" else None
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": wait_s} if local else {})
    if local:
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    METADATA.create_all(engine)
    return engine, file


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not in the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the lock at once: two that begin as readers could not both go on.
    writes = connection.get_execution_options().get("nextwise_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

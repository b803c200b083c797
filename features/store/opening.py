"""Connecting to the database of a URL: SQLite by a file, PostgreSQL by its driver psycopg."""

import math
import re
import sqlite3
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import sqlalchemy as sa

from features.store import wall

SQLITE_CACHE_KIB: Final = 65_536
"""Pages a connection may keep: a batch of random event ids touches thousands, and each must be read and written once only."""
SQLITE_PAGE: Final = 4_096
"""Bytes of a page in a new file (an existing one keeps its own). What a commit writes is whole pages: twice the size took 1.7
times as long for two million events with random ids, half the size about the same."""
SQLITE_CHECKPOINT: Final = 32_768
"""Pages in the log (128 MB) before they are moved to the file: pages written by many batches are moved once."""
SQLITE_OFTEN: Final = 2_048
"""The same where somebody waits for the commit that moves them: 8 MB take some milliseconds, 128 MB up to a second."""

_LOOK_S: Final = 0.001
_GONE: Final = {
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""After some ten seconds without a sign of life from the server's host a connection counts as broken: else whoever waits for
an answer on it would do so for a quarter of an hour. Whatever the URL says comes first."""


class UrlError(ValueError):
    """The URL itself is wrong, whatever stands there."""


def connect(url: str, wait_s: float, checkpoint: int = SQLITE_CHECKPOINT) -> tuple[sa.Engine, Path | None]:
    """The engine of a URL and its file, None for a server. UrlError for a bad URL, ImportError without its driver,
    FileNotFoundError for a file that was moved away while it was open.

    `checkpoint`: pages in the log of SQLite from which on a commit moves them to the file.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise UrlError(f"{shown(url)} is not a database URL; write for example sqlite:///var/events.db") from None
    if "@" in (parsed.host or ""):
        raise UrlError(f"{shown(url)}: write an @ in a name or password as %40")
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return _postgresql(parsed, wait_s), None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(parsed, wait_s, checkpoint)
    raise UrlError(f"no store on {parsed.drivername!r}: write sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE")


def shown(url: str | sa.URL) -> str:
    """The URL without its password, for messages: a wrong URL may hold one too."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    return repr(_IN_QUERY.sub(r"\1***", _BEFORE_HOST.sub(r"\1***", text)))


_BEFORE_HOST: Final = re.compile(r"^((?:[^:/?#]+://)?[^:/@?]*:)(?!//).*(?=@)")
_IN_QUERY: Final = re.compile(r"([?&][a-z]*password=)[^&]*", re.IGNORECASE)


def sqlite_file(url: str) -> Path | None:
    """The file of a URL, None for a server and for what is no URL. Opening it would make it."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _sqlite(url: sa.URL, wait_s: float, checkpoint: int) -> tuple[sa.Engine, Path | None]:
    file = Path(url.database) if url.database and url.database != ":memory:" else None
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        _not_moved(file)
    pool = {} if file is None else {"pool_timeout": wait_s}
    engine = sa.create_engine(url, connect_args={"timeout": wait_s}, **pool)
    sa.event.listen(engine, "connect", partial(_configure_sqlite, checkpoint))
    sa.event.listen(engine, "begin", partial(_begin_sqlite, wait_s))
    return engine, file


def _not_moved(file: Path) -> None:
    """FileNotFoundError where a file was moved away while it was open: an empty one in its place would destroy its log."""
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and not file.exists():
        raise FileNotFoundError(
            f"{file}: the file is gone, but its log {log.name} is there; put the file back, or move both away"
        )


def for_reading(engine: sa.Engine) -> sa.Engine:
    """An engine for single statements. On PostgreSQL they open no transaction: that would be two more ways to the server."""
    if engine.dialect.name == "sqlite":
        return engine
    reading = sa.create_engine(engine.url, isolation_level="AUTOCOMMIT")
    sa.event.listen(reading, "connect", _plan_each_time)
    return reading


def _postgresql(url: sa.URL, wait_s: float) -> sa.Engine:
    query = {"connect_timeout": str(max(2, math.ceil(wait_s))), **_GONE, **url.query}
    try:
        # A pooled connection is asked whether it lives: a restart of the server costs no write.
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg", query=query), pool_pre_ping=True, pool_timeout=wait_s
        )
    except ImportError:
        raise ImportError("PostgreSQL needs its driver: pip install 'nextwise[postgresql]'") from None

    def configure(connection: Any, _record: Any) -> None:
        connection.execute(f"SET lock_timeout = {int(wait_s * 1000)}")
        connection.commit()

    sa.event.listen(engine, "connect", configure)
    sa.event.listen(engine, "begin", wall.enter)
    sa.event.listen(engine, "connect", _plan_each_time)
    return engine


def _plan_each_time(connection: Any, _record: Any) -> None:
    """A plan that is kept from when a table had a few rows reads all of it for each id when an import has filled it."""
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.commit()


def _configure_sqlite(checkpoint: int, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not in the driver
    pragmas = (
        f"page_size={SQLITE_PAGE}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"cache_size=-{SQLITE_CACHE_KIB}",
    )
    for pragma in (*pragmas, f"wal_autocheckpoint={checkpoint}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(wait_s: float, connection: sa.Connection) -> None:
    if not connection.get_execution_options().get("nextwise_write"):
        connection.exec_driver_sql("BEGIN")
        return
    # A writer takes the lock at once: two that begin as readers could not both go on. SQLite itself would look for it ever
    # more seldom, up to ten times a second, and so miss the moments in which an import rests.
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0").close()
    try:
        if not _began(driver, wait_s):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, to say in SQLAlchemy's words why not
    finally:
        driver.execute(f"PRAGMA busy_timeout = {int(wait_s * 1000)}").close()


def _began(driver: Any, wait_s: float) -> bool:
    until = monotonic() + wait_s
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                return False
            sleep(_LOOK_S)
        else:
            return True

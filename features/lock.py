"""One process a tenant at a time: a lock on a file beside the lake and, for a PostgreSQL store, an advisory lock as well.

Both end with the process that holds them, however it ends: the operating system drops the first, the database the second.
What the file says names the holder; whether it is held says only the lock itself, so nothing a kill leaves behind is stale.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa

_HOLDER = """
SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint = :high AND objid::bigint = :low
"""


class LockedError(Exception):
    """Another process works on the tenant; the message names it."""


@contextmanager
def held(lake: Path, tenant: str, store: str = "", *, work: str) -> Iterator[None]:
    """Hold the tenant's lock, or raise LockedError at once.

    `store`: the database URL; hosts that share a PostgreSQL exclude each other although their lakes differ. `work` is the
    verb that others are told of.
    """
    path = lock_file(lake, tenant)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"{tenant} is being worked on by {_holder(path)} ({path})") from None
        _write(file, holder(work))
        try:
            with _in_database(store, tenant, work):
                yield
        finally:
            _write(file, {})


def lock_file(lake: Path, tenant: str) -> Path:
    """Where the lock of a tenant lies."""
    return lake / "locks" / f"{tenant}.lock"


def holder(work: str) -> dict[str, str | int]:
    """This process, as others are told of it."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"work": work, "pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_text("utf-8"))
        return f"{found['work']}, process {found['pid']} on {found['host']} since {found['since']}"
    except (OSError, ValueError, KeyError):
        return "a process that has only just begun"


def _write(file: Any, body: dict[str, str | int]) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(body) if body else "")
    file.flush()


@contextmanager
def _in_database(store: str, tenant: str, work: str) -> Iterator[None]:
    """Hold a session's advisory lock while the block runs; nothing for another database than PostgreSQL."""
    if not store.startswith("postgresql"):
        yield
        return
    url = sa.make_url(store).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10})
    with engine.connect() as connection:
        who = f"{work} {tenant}, process {os.getpid()} on {socket.gethostname()}"
        connection.execute(sa.text("SELECT set_config('application_name', :who, false)"), {"who": who[:63]})
        if not connection.execute(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _key(tenant)}).scalar():
            raise LockedError(f"{tenant} is being worked on by {_session(connection, tenant)} (an advisory lock of the store)")
        yield


def _session(connection: sa.Connection, tenant: str) -> str:
    high, low = divmod(_key(tenant), 1 << 32)
    found = connection.execute(sa.text(_HOLDER), {"high": high, "low": low}).scalar()
    return str(found or "a session that has just ended: try again")


def _key(tenant: str) -> int:
    """int63, the same on every host."""
    return int.from_bytes(sha256(f"nextwise tenant {tenant}".encode()).digest()[:8]) >> 1

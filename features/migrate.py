"""Bringing a store of an older version to the one this program works with: `python -m features migrate`.

Alembic is imported here, when there is something to migrate, and nowhere else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from features.audit import COMMAND_LINE, INSTALLATION, Act
from features.store.chain import tell
from features.store.locks import writing
from features.store.opening import connect, shown
from features.store.versions import KNOWN, NEWEST, require, version
from features.store.wall import across

REVISIONS: Final = Path(__file__).parent / "store" / "migrations"


@dataclass(frozen=True)
class Migrated:
    """From which version to which; equal when there was nothing to do."""

    before: str
    after: str


def migrate(url: str, *, wait_s: float = 10.0) -> Migrated:
    """Brings the store of a URL to the newest version in one transaction: all of it happens or nothing.

    Everybody else waits meanwhile, or is told that the store is locked. ValueError for a bad URL, an empty database, or a
    store newer than this program.
    """
    if not exists(url):
        raise ValueError(f"there is no store at {shown(url)}")
    engine, _ = connect(url, wait_s)
    try:
        with writing(across(engine), "schema") as connection:
            before = version(connection)
            if before is None:
                raise ValueError(
                    f"there is no store at {shown(url)}: the database is empty, and is filled when it is first used"
                )
            if before not in KNOWN:
                require(before, engine.url)
            if before != NEWEST:
                upgrade(connection, NEWEST)
                tell(connection, INSTALLATION, COMMAND_LINE, Act.MIGRATED, {"before": before, "after": NEWEST})
        return Migrated(before, NEWEST)
    finally:
        engine.dispose()


def upgrade(connection: sa.Connection, target: str) -> None:
    """Walks the revisions up to `target` within the caller's transaction; from an empty database it creates the tables."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(REVISIONS), version_locations=[str(REVISIONS)])
    steps: dict[str, Any] = {"fn": lambda current, _: script._upgrade_revs(target, current), "script": script}
    context = MigrationContext.configure(connection, opts=steps | {"transactional_ddl": True})
    with Operations.context(context):
        context.run_migrations()


def exists(url: str) -> bool:
    """Whether there may be a store: false only for a file of SQLite that is not there, which connecting would make."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        return True  # `connect` says what is wrong
    return not parsed.drivername.startswith("sqlite") or Path(parsed.database or "").is_file()

"""The tables of the event store. Instants are integers of microseconds since 1970; the constructs are portable."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

StoredEvent = dict[str, Any]
"""A row of the table `events` but for its `seq`."""

METADATA: Final = sa.MetaData()
_SEQ: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Compared by bytes on both: the same order everywhere, whatever language the server speaks.
_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

EVENTS: Final = sa.Table(
    "events",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("event_id", _TEXT, nullable=False),
    sa.Column("learner_id", _TEXT, nullable=False),
    sa.Column("verb", _TEXT, nullable=False),
    sa.Column("object_id", _TEXT, nullable=False),
    sa.Column("occurred_at", sa.BigInteger, nullable=False),
    sa.Column("recorded_at", sa.BigInteger, nullable=False),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("decision_id", _TEXT),
    sa.Column("result", _TEXT),
    sa.Column("context", _TEXT, nullable=False),
    sa.Column("source", _TEXT, nullable=False),
    sa.Column("backfill", sa.Integer, nullable=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("content_hash", _TEXT, nullable=False),
    sa.UniqueConstraint("tenant", "event_id"),
    sa.Index("events_history", "tenant", "learner_id", "occurred_at", "seq"),
    sa.Index("events_day", "tenant", "occurred_at", "seq"),
    sa.Index("events_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
CATALOGUE: Final = sa.Table(
    "catalogue",
    METADATA,
    sa.Column("version", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("kind", _TEXT, nullable=False),
    sa.Column("id", _TEXT, nullable=False),
    sa.Column("valid_from", sa.BigInteger, nullable=False),
    sa.Column("valid_to", sa.BigInteger),
    sa.Column("body", _TEXT, nullable=False),
    sa.Column("content_hash", _TEXT, nullable=False),
    sa.Index("catalogue_versions", "tenant", "kind", "id", "valid_from"),
    sqlite_autoincrement=True,
)
OPEN: Final = CATALOGUE.c.valid_to.is_(None)
sa.Index(
    "catalogue_current",
    CATALOGUE.c.tenant,
    CATALOGUE.c.kind,
    CATALOGUE.c.id,
    unique=True,
    sqlite_where=OPEN,
    postgresql_where=OPEN,
)
# Which learner rows ever named an alias: an index only, whether a name holds at a moment is said by the row valid then.
ALIASES: Final = sa.Table(
    "aliases",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("alias", _TEXT, primary_key=True),
    sa.Column("learner_id", _TEXT, primary_key=True),
    sa.Index("aliases_learner", "tenant", "learner_id"),
)
DECISIONS: Final = sa.Table(
    "decisions",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("decision_id", _TEXT, nullable=False),
    sa.Column("learner_id", _TEXT, nullable=False),
    sa.Column("decided_at", sa.BigInteger, nullable=False),
    sa.Column("body", _TEXT, nullable=False),
    sa.UniqueConstraint("tenant", "decision_id"),
    sa.Index("decisions_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
IMPORTS: Final = sa.Table(
    "imports",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("body", _TEXT, nullable=False),
    sa.Index("imports_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
# How far the reading of a file came, so that a reader that was killed goes on from there.
IMPORT_PROGRESS: Final = sa.Table(
    "import_progress",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("key", _TEXT, primary_key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("duplicates", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
)
# Named and shaped as Alembic does it, which is needed only to migrate.
VERSION: Final = sa.Table(
    "alembic_version",
    METADATA,
    sa.Column("version_num", sa.String(32), primary_key=True),
)
VERSION.primary_key.name = "alembic_version_pkc"
HEARTBEAT: Final = sa.Table(
    "heartbeat",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

STORED: Final = tuple(column.name for column in EVENTS.c if column.name != "seq")
"""The names of a `StoredEvent`, in order."""


def count_of(table: sa.Table) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(table)


def insert_of(connection: sa.Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert

"""The tables of the event store. Instants are integers of microseconds since 1970; the constructs are portable."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

StoredEvent = dict[str, Any]
"""A row of the table `events` but for its `seq`, and for what may become of it."""

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
    sa.Column("voided_at", sa.BigInteger),
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
# That two ids are one person (`joined` 1), and that they no longer are (0). Rows are added only: the last one holds.
MERGES: Final = sa.Table(
    "merges",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("learner_id", _TEXT, nullable=False),
    sa.Column("into_id", _TEXT, nullable=False),
    sa.Column("joined", sa.Integer, nullable=False),
    sa.Column("occurred_at", sa.BigInteger, nullable=False),
    sa.Column("recorded_at", sa.BigInteger, nullable=False),
    sa.Index("merges_learner", "tenant", "learner_id", "seq"),
    sa.Index("merges_into", "tenant", "into_id", "learner_id"),
    sa.Index("merges_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
ITEM_ALIASES: Final = sa.Table(
    "item_aliases",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("alias", _TEXT, primary_key=True),
    sa.Column("item_id", _TEXT, primary_key=True),
)
# What was taken back, whether or not it has come yet: an event of this id, whenever it comes, never counts.
VOIDINGS: Final = sa.Table(
    "voidings",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("event_id", _TEXT, nullable=False),
    sa.Column("voided_at", sa.BigInteger, nullable=False),
    sa.Column("voided_by", _TEXT, nullable=False),
    sa.UniqueConstraint("tenant", "event_id"),
    sa.Index("voidings_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
# xAPI statements as they came. `event`: whether an event of the same id was made of it. `learner_id`: who acted, as in events.
STATEMENTS: Final = sa.Table(
    "statements",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("statement_id", _TEXT, nullable=False),
    sa.Column("stored_at", sa.BigInteger, nullable=False),
    sa.Column("voids", _TEXT),
    sa.Column("event", sa.Integer, nullable=False),
    sa.Column("body", _TEXT, nullable=False),
    sa.Column("content_hash", _TEXT, nullable=False),
    sa.Column("learner_id", _TEXT),
    sa.UniqueConstraint("tenant", "statement_id"),
    sa.Index("statements_order", "tenant", "seq"),
    sa.Index("statements_learner", "tenant", "learner_id"),
    sqlite_autoincrement=True,
)
# Whom a statement names beside the one who acted, written as learners are: an index, so that they can be found in it.
MENTIONS: Final = sa.Table(
    "mentions",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("learner_id", _TEXT, primary_key=True),
    sa.Column("statement_id", _TEXT, primary_key=True),
    sa.Index("mentions_statement", "tenant", "statement_id"),
)
# What came in and how it was understood, counted by kind: repairs, what is no event and why.
INTAKE: Final = sa.Table(
    "intake",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("kind", _TEXT, primary_key=True),
    sa.Column("which", _TEXT, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
)
# API keys: the SHA-256 of each, never the key. `scopes`: their names with spaces between.
KEYS: Final = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_id", _TEXT, primary_key=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("key_hash", _TEXT, nullable=False, unique=True),
    sa.Column("name", _TEXT, nullable=False),
    sa.Column("scopes", _TEXT, nullable=False),
    sa.Column("compat", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
    sa.Index("api_keys_tenant", "tenant"),
)
# `spoke`: 1 for a nudge that said something.
DECISIONS: Final = sa.Table(
    "decisions",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("decision_id", _TEXT, nullable=False),
    sa.Column("learner_id", _TEXT, nullable=False),
    sa.Column("decided_at", sa.BigInteger, nullable=False),
    sa.Column("body", _TEXT, nullable=False),
    sa.Column("spoke", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.UniqueConstraint("tenant", "decision_id"),
    sa.Index("decisions_order", "tenant", "seq"),
    sa.Index("decisions_learner", "tenant", "learner_id"),
    sqlite_autoincrement=True,
)
SPOKEN: Final = DECISIONS.c.spoke == sa.literal_column("1")
sa.Index(
    "decisions_spoken",
    DECISIONS.c.tenant,
    DECISIONS.c.learner_id,
    DECISIONS.c.decided_at,
    sqlite_where=SPOKEN,
    postgresql_where=SPOKEN,
)
# What learners choose about nudges. Rows are added only: the last one that occurred holds.
NUDGE_CHOICES: Final = sa.Table(
    "nudge_choices",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("action_id", _TEXT, nullable=False),
    sa.Column("learner_id", _TEXT, nullable=False),
    sa.Column("choice", _TEXT, nullable=False),
    sa.Column("until", sa.BigInteger),
    sa.Column("occurred_at", sa.BigInteger, nullable=False),
    sa.Column("recorded_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("tenant", "action_id"),
    sa.Index("nudge_choices_learner", "tenant", "learner_id", "occurred_at"),
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
    sa.Column("suppressed", sa.BigInteger, nullable=False, server_default=sa.text("0")),
)
# What is left of learners who were erased: the hash of each of their names, and when. Their key is the tenant's own.
ERASURES: Final = sa.Table(
    "erasures",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("subject", _TEXT, nullable=False),
    sa.Column("erased_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("tenant", "subject"),
    sa.Index("erasures_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
ERASURE_KEYS: Final = sa.Table(
    "erasure_keys",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("hash_key", _TEXT, nullable=False),
)
# What was done to the store, a chain of rows for each tenant: see features.audit. Nothing changes or removes a row.
AUDIT: Final = sa.Table(
    "audit",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("by", _TEXT, nullable=False),
    sa.Column("action", _TEXT, nullable=False),
    sa.Column("subject", _TEXT),
    sa.Column("outcome", _TEXT, nullable=False),
    sa.Column("details", _TEXT, nullable=False),
    sa.Column("previous", _TEXT, nullable=False),
    sa.Column("hash", _TEXT, nullable=False),
    sa.Index("audit_subject", "tenant", "subject", "seq"),
)
_REFUSE: Final = "BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
for _dialect, _statement in (
    ("sqlite", f"CREATE TRIGGER audit_update BEFORE UPDATE ON audit {_REFUSE}"),
    ("sqlite", f"CREATE TRIGGER audit_delete BEFORE DELETE ON audit {_REFUSE}"),
    (
        "postgresql",
        "CREATE OR REPLACE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$",
    ),
    (
        "postgresql",
        "CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()",
    ),
):
    sa.event.listen(AUDIT, "after_create", sa.DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
# The key of a tenant's pseudonyms there. Another than that of the erasures: who holds one list cannot look up in the other.
AUDIT_KEYS: Final = sa.Table(
    "audit_keys",
    METADATA,
    sa.Column("tenant", _TEXT, primary_key=True),
    sa.Column("hash_key", _TEXT, nullable=False),
)
# What a tenant may use of another one's catalogue (`grantor`): all, or the items of a provider, or a list of ids as JSON.
GRANTS: Final = sa.Table(
    "grants",
    METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", _TEXT, nullable=False),
    sa.Column("grantor", _TEXT, nullable=False),
    sa.Column("provider", _TEXT),
    sa.Column("item_ids", _TEXT),
    sa.Column("valid_from", sa.BigInteger, nullable=False),
    sa.Column("valid_to", sa.BigInteger),
    sa.Index("grants_tenant", "tenant", "seq"),
    sqlite_autoincrement=True,
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

STORED: Final = tuple(column.name for column in EVENTS.c if column.name not in ("seq", "voided_at"))
"""The names of a `StoredEvent`, in order: an event is stored whole, and voided afterwards."""


def count_of(table: sa.Table) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(table)


def insert_of(connection: sa.Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert

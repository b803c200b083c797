"""The tables as they were when versions began to be written down; what an older store lacks of them is created."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("valid_to IS NULL")


def upgrade() -> None:
    """Creates what is missing."""
    _events()
    _catalogue()
    _numbered("decisions", _text("decision_id"), _text("learner_id"), _instant("decided_at"), _text("body"), key="decision_id")
    _numbered("imports", _text("body"))
    at = sa.Column("at", sa.BigInteger, nullable=False)
    op.create_table("heartbeat", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False), at, if_not_exists=True)


def _events() -> None:
    texts = [_text(name) for name in ("event_id", "learner_id", "verb", "object_id")]
    instants = [_instant(name) for name in ("occurred_at", "recorded_at", "known_at")]
    optional = [_text(name, nullable=True) for name in ("decision_id", "result")]
    numbers = [sa.Column(name, sa.Integer, nullable=False) for name in ("backfill", "schema_version")]
    columns = [*texts, *instants, *optional, _text("context"), _text("source"), *numbers, _text("content_hash")]
    _numbered("events", *columns, key="event_id")
    _index("events_history", "events", "tenant", "learner_id", "occurred_at", "seq")
    _index("events_day", "events", "tenant", "occurred_at", "seq")


def _catalogue() -> None:
    names = [_text(name) for name in ("tenant", "kind", "id")]
    validity = [_instant("valid_from"), sa.Column("valid_to", sa.BigInteger)]
    op.create_table(
        "catalogue",
        sa.Column("version", _SEQ, primary_key=True, autoincrement=True),
        *names,
        *validity,
        _text("body"),
        _text("content_hash"),
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    _index("catalogue_versions", "catalogue", "tenant", "kind", "id", "valid_from")
    op.create_index(
        "catalogue_current",
        "catalogue",
        ["tenant", "kind", "id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
        if_not_exists=True,
    )
    keys = [sa.Column(name, sa.Text, primary_key=True) for name in ("tenant", "alias", "learner_id")]
    op.create_table("aliases", *keys, if_not_exists=True)
    _index("aliases_learner", "aliases", "tenant", "learner_id")


def _numbered(table: str, *columns: sa.Column[Any], key: str | None = None) -> None:
    seq = sa.Column("seq", _SEQ, primary_key=True, autoincrement=True)
    unique = [sa.UniqueConstraint("tenant", key)] if key else []
    op.create_table(table, seq, _text("tenant"), *columns, *unique, if_not_exists=True, sqlite_autoincrement=True)
    _index(f"{table}_order", table, "tenant", "seq")


def _index(name: str, table: str, *columns: str) -> None:
    op.create_index(name, table, list(columns), if_not_exists=True)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _instant(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)

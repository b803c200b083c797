"""Statements as they came, what was voided, how the intake was understood, aliases of items, API keys."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_PAGE = 1_000


def upgrade() -> None:
    """Creates the tables; items that are stored already get their aliases looked up by an index."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

    def key(*names: str) -> list[sa.Column[str]]:
        return [sa.Column(name, text, primary_key=True) for name in names]

    def texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
        return [sa.Column(name, text, nullable=nullable) for name in names]

    def numbers(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
        return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]

    def numbered() -> sa.Column[int]:
        return sa.Column("seq", seq, primary_key=True, autoincrement=True)

    op.add_column("events", sa.Column("voided_at", sa.BigInteger))
    op.create_table("item_aliases", *key("tenant", "alias", "item_id"))
    op.create_table(
        "voidings",
        numbered(),
        *texts("tenant", "event_id"),
        *numbers("voided_at"),
        *texts("voided_by"),
        sa.UniqueConstraint("tenant", "event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("voidings_order", "voidings", ["tenant", "seq"])
    op.create_table(
        "statements",
        numbered(),
        *texts("tenant", "statement_id"),
        *numbers("stored_at"),
        *texts("voids", nullable=True),
        sa.Column("event", sa.Integer, nullable=False),
        *texts("body", "content_hash"),
        sa.UniqueConstraint("tenant", "statement_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("statements_order", "statements", ["tenant", "seq"])
    op.create_table("intake", *key("tenant", "kind", "which"), *numbers("count", "last_at"))
    op.create_table(
        "api_keys",
        *key("key_id"),
        *texts("tenant", "key_hash", "name", "scopes"),
        sa.Column("compat", sa.Integer, nullable=False),
        *numbers("created_at"),
        *numbers("expires_at", "revoked_at", nullable=True),
        sa.UniqueConstraint("key_hash"),
    )
    op.create_index("api_keys_tenant", "api_keys", ["tenant"])
    _fill_item_aliases()


def _fill_item_aliases() -> None:
    select = sa.text(
        "SELECT version, tenant, id, body FROM catalogue WHERE kind = 'item' AND version > :after ORDER BY version LIMIT :page"
    )
    insert = sa.text("INSERT INTO item_aliases (tenant, alias, item_id) VALUES (:tenant, :alias, :item) ON CONFLICT DO NOTHING")
    after = 0
    while rows := op.get_bind().execute(select, {"after": after, "page": _PAGE}).all():
        named = [
            {"tenant": tenant, "alias": alias, "item": item}
            for _, tenant, item, body in rows
            for alias in json.loads(body).get("aliases") or ()
        ]
        if named:
            op.get_bind().execute(insert, named)
        after = rows[-1][0]

"""Grants; and row-level security on PostgreSQL: a transaction sees the rows of the tenant that it names, and no others."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_NAMED = "(SELECT current_setting('nextwise.tenant', true))"


def upgrade() -> None:
    """Every table with a tenant gets its policy, on PostgreSQL alone."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "grants",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        *(sa.Column(name, text, nullable=False) for name in ("tenant", "grantor")),
        *(sa.Column(name, text) for name in ("provider", "item_ids")),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("valid_to", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("grants_tenant", "grants", ["tenant", "seq"])
    if op.get_bind().dialect.name != "postgresql":
        return
    found = sa.inspect(op.get_bind())
    for table in sorted(found.get_table_names()):
        if any(column["name"] == "tenant" for column in found.get_columns(table)):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant_wall ON {table} USING (tenant = {_NAMED} OR {_NAMED} = '*')")

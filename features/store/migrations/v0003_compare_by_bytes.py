"""PostgreSQL compares texts by bytes, as SQLite does: ids sort the same on both, in whatever language the server was set up."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = ("events", "catalogue", "aliases", "decisions", "imports", "import_progress")


def upgrade() -> None:
    """Rewrites the indexes of texts on PostgreSQL; nothing to do on SQLite."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _TABLES:
        found = sa.inspect(op.get_bind()).get_columns(table)
        for name in [column["name"] for column in found if isinstance(column["type"], sa.Text)]:
            op.alter_column(table, name, type_=sa.Text(collation="C"))

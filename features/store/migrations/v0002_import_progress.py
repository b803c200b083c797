"""How far the reading of a file came is kept with its rows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates the table, unless a program that did not yet write versions down made it."""
    keys = [sa.Column(name, sa.Text, primary_key=True) for name in ("tenant", "key")]
    numbers = ("offset", "line", "accepted", "duplicates", "refused")
    counts = [sa.Column(name, sa.BigInteger, nullable=False) for name in numbers]
    op.create_table("import_progress", *keys, *counts, if_not_exists=True)

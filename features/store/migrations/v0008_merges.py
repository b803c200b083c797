"""Which ids of learners are one person, and no longer are: facts, like events."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Creates the table; nobody was merged before."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "merges",
        sa.Column("seq", seq, primary_key=True, autoincrement=True),
        sa.Column("tenant", text, nullable=False),
        sa.Column("learner_id", text, nullable=False),
        sa.Column("into_id", text, nullable=False),
        sa.Column("joined", sa.Integer, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("merges_learner", "merges", ["tenant", "learner_id", "seq"])
    op.create_index("merges_into", "merges", ["tenant", "into_id", "learner_id"])
    op.create_index("merges_order", "merges", ["tenant", "seq"])

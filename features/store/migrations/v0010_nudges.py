"""What learners choose about nudges; and which decisions said something to a learner, looked up by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_NAMED = "(SELECT current_setting('nextwise.tenant', true))"


def upgrade() -> None:
    """Creates the table behind the wall; no decision that is stored already is a nudge."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "nudge_choices",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        *(sa.Column(name, text, nullable=False) for name in ("tenant", "action_id", "learner_id", "choice")),
        sa.Column("until", sa.BigInteger),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("occurred_at", "recorded_at")),
        sa.UniqueConstraint("tenant", "action_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("nudge_choices_learner", "nudge_choices", ["tenant", "learner_id", "occurred_at"])
    op.add_column("decisions", sa.Column("spoke", sa.Integer, nullable=False, server_default=sa.text("0")))
    spoken = sa.text("spoke = 1")
    columns = ["tenant", "learner_id", "decided_at"]
    op.create_index("decisions_spoken", "decisions", columns, sqlite_where=spoken, postgresql_where=spoken)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE nudge_choices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant_wall ON nudge_choices USING (tenant = {_NAMED} OR {_NAMED} = '*')")

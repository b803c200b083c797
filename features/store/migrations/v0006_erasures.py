"""Erased learners: hashes of their names; whose a statement is, so that it can be found; what a reading left out."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_PAGE = 1_000
_LONGEST = 256


def upgrade() -> None:
    """Statements that are stored already get their learner from their actor."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "erasures",
        sa.Column("seq", seq, primary_key=True, autoincrement=True),
        sa.Column("tenant", text, nullable=False),
        sa.Column("subject", text, nullable=False),
        sa.Column("erased_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant", "subject"),
        sqlite_autoincrement=True,
    )
    op.create_index("erasures_order", "erasures", ["tenant", "seq"])
    op.create_table(
        "erasure_keys",
        sa.Column("tenant", text, primary_key=True),
        sa.Column("hash_key", text, nullable=False),
    )
    op.add_column("import_progress", sa.Column("suppressed", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.create_index("decisions_learner", "decisions", ["tenant", "learner_id"])
    op.add_column("statements", sa.Column("learner_id", text))
    _fill_learners()
    op.create_index("statements_learner", "statements", ["tenant", "learner_id"])


def _fill_learners() -> None:
    select = sa.text("SELECT seq, body FROM statements WHERE seq > :after ORDER BY seq LIMIT :page")
    update = sa.text("UPDATE statements SET learner_id = :learner WHERE seq = :seq")
    after = 0
    while rows := op.get_bind().execute(select, {"after": after, "page": _PAGE}).all():
        op.get_bind().execute(update, [{"seq": seq, "learner": _learner(json.loads(body)["actor"])} for seq, body in rows])
        after = rows[-1][0]


def _learner(actor: dict[str, Any]) -> str | None:
    """As the events of statements name their learner."""
    if actor.get("objectType") == "Group":
        return None
    if "mbox" in actor:
        return _bounded(actor["mbox"].lower())
    if "mbox_sha1sum" in actor:
        return f"sha1:{actor['mbox_sha1sum'].lower()}"
    if "account" in actor:
        return _bounded(f"{actor['account']['homePage']}|{actor['account']['name']}")
    return _bounded(str(actor["openid"]))


def _bounded(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 33]}#{digest}"

"""Erased learners as hashes of their names; whose a statement is and whom it names; what a reading left out."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_PAGE = 1_000
_LONGEST = 256
_IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")
_NO_PEOPLE = ("extensions", "authority", "definition", "display", "result", "attachments", "contextActivities")


def upgrade() -> None:
    """Statements that are stored already get their learner, and whom they name, from their bodies."""
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
    op.create_table("mentions", *(sa.Column(name, text, primary_key=True) for name in ("tenant", "learner_id", "statement_id")))
    op.create_index("mentions_statement", "mentions", ["tenant", "statement_id"])
    _fill_people()
    op.create_index("statements_learner", "statements", ["tenant", "learner_id"])


def _fill_people() -> None:
    columns = "seq, tenant, statement_id, body"
    select = sa.text(f"SELECT {columns} FROM statements WHERE seq > :after ORDER BY seq LIMIT :page")
    update = sa.text("UPDATE statements SET learner_id = :learner WHERE seq = :seq")
    insert = sa.text("INSERT INTO mentions (tenant, learner_id, statement_id) VALUES (:tenant, :learner, :statement)")
    after = 0
    while rows := op.get_bind().execute(select, {"after": after, "page": _PAGE}).all():
        bodies = [(seq, tenant, name, json.loads(body)) for seq, tenant, name, body in rows]
        learners = [(seq, body["actor"]) for seq, _, _, body in bodies if _is_agent(body["actor"])]
        if learners:
            op.get_bind().execute(update, [{"seq": seq, "learner": _learner(actor)} for seq, actor in learners])
        named = [
            {"tenant": tenant, "learner": who, "statement": name}
            for _, tenant, name, body in bodies
            for who in {_learner(agent) for agent in _agents(body, without_actor=_is_agent(body["actor"]))}
        ]
        if named:
            op.get_bind().execute(insert, named)
        after = rows[-1][0]


def _agents(value: Any, *, without_actor: bool = False) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from _agents(one)
    elif isinstance(value, dict) and _is_agent(value):
        yield value
    elif isinstance(value, dict):
        for name, own in value.items():
            if name not in _NO_PEOPLE and not (without_actor and name == "actor"):
                yield from _agents(own)


def _is_agent(value: dict[str, Any]) -> bool:
    return value.get("objectType") != "Group" and any(name in value for name in _IDENTIFIERS)


def _learner(actor: dict[str, Any]) -> str:
    """As the events of statements name their learner."""
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

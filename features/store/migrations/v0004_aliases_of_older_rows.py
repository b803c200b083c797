"""Learner rows stored before aliases were looked up by an index get their entries in it."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_PAGE = 1_000


def upgrade() -> None:
    """Reads all versions of all learners, page by page."""
    select = sa.text(
        "SELECT version, tenant, id, body FROM catalogue "
        "WHERE kind = 'learner' AND version > :after ORDER BY version LIMIT :page"
    )
    insert = sa.text(
        "INSERT INTO aliases (tenant, alias, learner_id) VALUES (:tenant, :alias, :learner) ON CONFLICT DO NOTHING"
    )
    after = 0
    while rows := op.get_bind().execute(select, {"after": after, "page": _PAGE}).all():
        named = [
            {"tenant": tenant, "alias": alias, "learner": learner}
            for _, tenant, learner, body in rows
            for alias in json.loads(body).get("aliases") or ()
        ]
        if named:
            op.get_bind().execute(insert, named)
        after = rows[-1][0]

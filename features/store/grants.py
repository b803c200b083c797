"""Grants of all tenants: who runs the installation gives and takes them, so these rows are not part of a tenant's session."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from features.audit import COMMAND_LINE, Act
from features.columns import instant, microseconds
from features.grants import Grant
from features.store.chain import tell
from features.store.locks import writing
from features.store.tables import GRANTS
from features.store.wall import across

GRANT: Final = (
    GRANTS.c.seq,
    GRANTS.c.tenant,
    GRANTS.c.grantor,
    GRANTS.c.provider,
    GRANTS.c.item_ids,
    GRANTS.c.valid_from,
    GRANTS.c.valid_to,
)
"""What a grant is made of, in this order."""


class UnknownGrantError(LookupError):
    """No grant has this number."""


class GrantRows:
    """All grants of a store. None is ever changed or deleted: one that is revoked has an end, and still explains decisions."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = across(engine)

    def add(
        self, grantor: str, tenant: str, *, at: datetime, provider: str | None = None, items: Iterable[str] | None = None
    ) -> Grant:
        """Lets `tenant` use the items of `grantor`. ValueError for itself, and for no item."""
        ids = None if items is None else sorted(set(items))
        if grantor == tenant:
            raise ValueError(f"{tenant} has its own catalogue: grant it that of another tenant")
        if ids is not None and not ids:
            raise ValueError("a grant of single items names one at least")
        row = {"tenant": tenant, "grantor": grantor, "provider": provider, "valid_from": microseconds(at), "valid_to": None}
        row["item_ids"] = None if ids is None else json.dumps(ids, ensure_ascii=False)
        with writing(self._engine, GRANTS.name) as connection:
            grant = grant_of(tuple(connection.execute(sa.insert(GRANTS).values(row).returning(*GRANT)).one()))
            _tell(connection, Act.GRANT_ADDED, grant)
        return grant

    def listed(self, tenant: str | None = None) -> list[Grant]:
        """The grants to and from a tenant, or all: the oldest first, the ended ones too."""
        query = sa.select(*GRANT).order_by(GRANTS.c.seq)
        of = sa.or_(GRANTS.c.tenant == tenant, GRANTS.c.grantor == tenant)
        with self._engine.connect() as connection:
            return [grant_of(tuple(row)) for row in connection.execute(query if tenant is None else query.where(of))]

    def revoke(self, grant_id: int, *, at: datetime) -> Grant:
        """The grant, ended at `at`; one that was ended before keeps its moment. UnknownGrantError."""
        one = GRANTS.c.seq == grant_id
        with writing(self._engine, GRANTS.name) as connection:
            row = connection.execute(sa.select(*GRANT).where(one)).first()
            if row is None:
                raise UnknownGrantError(f"no grant has the number {grant_id}")
            grant = grant_of(tuple(row))
            if grant.until is None:
                grant = replace(grant, until=at)
                connection.execute(sa.update(GRANTS).where(one).values(valid_to=microseconds(at)))
                _tell(connection, Act.GRANT_REVOKED, grant)
        return grant


def _tell(connection: sa.Connection, action: Act, grant: Grant) -> None:
    """To both who grants and who may use it."""
    for chain in sorted((grant.grantor, grant.tenant)):
        tell(connection, chain, COMMAND_LINE, action, {"grant": grant.grant_id, "from": grant.grantor, "to": grant.tenant})


@lru_cache(maxsize=1_000)
def grant_of(row: tuple[Any, ...]) -> Grant:
    """A row of `GRANT`; parsed once, as requests read it again and again."""
    seq, tenant, grantor, provider, items, since, until = row
    return Grant(
        grant_id=seq,
        tenant=tenant,
        grantor=grantor,
        provider=provider,
        items=None if items is None else frozenset(json.loads(items)),
        since=instant(since),
        until=None if until is None else instant(until),
    )

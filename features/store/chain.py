"""The audit log in the store: a chain of rows for each tenant and one for the installation. Nothing changes or removes a row.

A row is written in the transaction of what it tells, so neither exists without the other. Single events and statements are not
told of.
"""

import hmac
import secrets
import time
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from features.audit import FIRST, Act, AuditRow, Details, written
from features.store.locks import hold
from features.store.tables import AUDIT, AUDIT_KEYS

NOTHING: Final[Details] = MappingProxyType({})
_KEY_BYTES: Final = 32
_PAGE: Final = 5_000
COLUMNS: Final = tuple(AUDIT.c[name] for name in AuditRow.__dataclass_fields__)


def tell(
    connection: sa.Connection,
    tenant: str,
    by: str,
    action: Act,
    details: Details = NOTHING,
    *,
    learner: str | None = None,
    outcome: str = "done",
) -> None:
    """Adds a row to a chain within the caller's transaction. `learner`: the id of whom it is about; only a hash of it is kept.

    Takes a lock until the transaction ends, so that two writers do not both follow the same row. It is the last lock
    that anybody takes, whatever its name.
    """
    hold(connection, AUDIT.name, tenant)
    query = sa.select(AUDIT.c.seq, AUDIT.c.hash).where(AUDIT.c.tenant == tenant).order_by(AUDIT.c.seq.desc()).limit(1)
    seq, previous = connection.execute(query).first() or (0, FIRST)
    row = AuditRow(
        tenant=tenant,
        seq=seq + 1,
        at=time.time_ns() // 1000,
        by=by,
        action=action.value,
        subject=None if learner is None else pseudonym(_made_key(connection, tenant), learner),
        outcome=outcome,
        details=written(details),
        previous=previous,
        hash="",
    )
    values = {name: getattr(row, name) for name in AuditRow.__dataclass_fields__}
    connection.execute(sa.insert(AUDIT).values(values | {"hash": row.digest()}))


def pseudonym(key: str, learner: str) -> str:
    """What stands for a learner: HMAC-SHA256 (hex) of the id. `key`: hexadecimal, the tenant's own."""
    return hmac.digest(bytes.fromhex(key), learner.encode(), "sha256").hex()


def audit_key(connection: sa.Connection, tenant: str) -> str | None:
    """The key of a tenant's pseudonyms; None where nobody was ever told of."""
    return connection.execute(sa.select(AUDIT_KEYS.c.hash_key).where(AUDIT_KEYS.c.tenant == tenant)).scalar()


def chains(connection: sa.Connection) -> list[str]:
    """Whose chains there are, sorted."""
    return sorted(connection.execute(sa.select(AUDIT.c.tenant).distinct()).scalars())


def chain(connection: sa.Connection, tenant: str) -> Iterator[AuditRow]:
    """All rows of a chain, oldest first."""
    query = sa.select(*COLUMNS).where(AUDIT.c.tenant == tenant).order_by(AUDIT.c.seq)
    with connection.execute(query, execution_options={"yield_per": _PAGE}) as found:
        for row in found:
            yield AuditRow(*row)


def _made_key(connection: sa.Connection, tenant: str) -> str:
    key = audit_key(connection, tenant)
    if key is None:
        key = secrets.token_hex(_KEY_BYTES)
        connection.execute(sa.insert(AUDIT_KEYS).values(tenant=tenant, hash_key=key))
    return key

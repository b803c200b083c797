"""Who was erased: a keyed hash of each name with the moment. It keeps old news of them out, and says nothing else.

The key is made at a tenant's first erasure and stands in the same database. So the hashes say nothing to whoever gets them
alone; whoever holds the key as well can find out whether a name that they have is among them.
"""

import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import sqlalchemy as sa

from features.store.rows import among
from features.store.tables import ERASURE_KEYS, ERASURES

_KEY_BYTES: Final = 32
_ERASED: Final = "SELECT subject, erased_at FROM erasures WHERE tenant = {} AND subject {}"


def subject_of(key: str, name: str) -> str:
    """What stands for a name: its HMAC-SHA256. `key`: hexadecimal."""
    return hmac.digest(bytes.fromhex(key), name.encode(), "sha256").hex()


def key_of(connection: sa.Connection, tenant: str) -> str | None:
    """The key of a tenant's hashes; None where nobody was ever erased."""
    place = "%s" if connection.dialect.name == "postgresql" else "?"  # as text: every batch that is written asks
    key = connection.exec_driver_sql(f"SELECT hash_key FROM erasure_keys WHERE tenant = {place}", (tenant,)).scalar()
    return None if key is None else str(key)


def erased(connection: sa.Connection, tenant: str, names: Iterable[str]) -> dict[str, int]:
    """When (microseconds) those of these names were erased that were. One look at the key where nobody ever was."""
    key = key_of(connection, tenant)
    if key is None:
        return {}
    by_subject = {subject_of(key, name): name for name in set(names)}
    return {by_subject[subject]: at for subject, at in among(connection, _ERASED, (tenant,), list(by_subject))}


def mark_names(connection: sa.Connection, tenant: str, names: Collection[str], at: int) -> None:
    """Keeps that these names were erased at `at` (microseconds), or just after the last time where that is not earlier."""
    key = key_of(connection, tenant)
    if key is None:
        key = secrets.token_hex(_KEY_BYTES)
        set_key(connection, tenant, key)
    before = erased(connection, tenant, names)
    mark(connection, tenant, {subject_of(key, name): max(at, before.get(name, at - 1) + 1) for name in names})


def mark(connection: sa.Connection, tenant: str, subjects: Mapping[str, int]) -> None:
    """Puts each subject with its moment in the place of what was known of it, under a new number: see `last_erasure`."""
    mine = ERASURES.c.tenant == tenant
    for subject, at in subjects.items():
        connection.execute(sa.delete(ERASURES).where(mine, ERASURES.c.subject == subject))
        connection.execute(sa.insert(ERASURES).values(tenant=tenant, subject=subject, erased_at=at))


def set_key(connection: sa.Connection, tenant: str, key: str) -> None:
    """Puts a key in the place of the tenant's own, whose hashes then mean nothing."""
    connection.execute(sa.delete(ERASURE_KEYS).where(ERASURE_KEYS.c.tenant == tenant))
    connection.execute(sa.insert(ERASURE_KEYS).values(tenant=tenant, hash_key=key))

"""API keys: a key is looked up before the tenant is known, so these rows are not part of a tenant's session."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from features.audit import COMMAND_LINE, Act
from features.columns import instant, microseconds
from features.keys import Key, NewKey, Scope, hash_of, new_text
from features.store.chain import tell
from features.store.locks import writing
from features.store.reading import Compiled, Readers, compiled
from features.store.tables import KEYS
from features.store.wall import EVERY, across

ROTATION_GRACE: Final = timedelta(hours=24)
"""How long a rotated key still opens, unless said otherwise: time to put the new one in its place."""
MAX_NAME: Final = 100
_COLUMNS: Final = tuple(column for column in KEYS.c if column.name != "key_hash")
_KNOWN: Final = frozenset(Scope)


class UnknownKeyError(LookupError):
    """No key has this id."""


class KeyRows:
    """All keys of a store. Only their hashes are kept, so a key that was lost cannot be said again."""

    def __init__(self, engine: sa.Engine, readers: Readers) -> None:
        self._engine, self._readers = across(engine), readers

    def add(
        self,
        tenant: str,
        name: str,
        scopes: Iterable[Scope],
        *,
        at: datetime,
        compat: bool = False,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """A new key. ValueError: no scope, a name that cannot be printed, or an end that is not after `at`."""
        key_id, text = new_text()
        key = Key(key_id, tenant, name, frozenset(scopes), compat, at, expires_at, None)
        _check(key)
        with writing(self._engine, KEYS.name) as connection:
            _insert(connection, key, text)
            tell(connection, tenant, COMMAND_LINE, Act.KEY_ADDED, {"key_id": key_id, "scopes": sorted(key.scopes)})
        return NewKey(key, text)

    def listed(self, tenant: str | None = None) -> list[Key]:
        """The keys of a tenant, or of all tenants: by tenant, then oldest first."""
        query = sa.select(*_COLUMNS).order_by(KEYS.c.tenant, KEYS.c.created_at, KEYS.c.key_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query if tenant is None else query.where(KEYS.c.tenant == tenant))
            return [_key(row) for row in rows]

    def find(self, key_hash: str) -> Key | None:
        """The key of a hash, whether or not it is open; None when unknown. One read of an index, as serving needs it."""
        found = self._readers.fetch(_find_statement(self._engine.dialect), {"key_hash": key_hash, "tenant": EVERY})
        return _key(found[0]) if found else None

    def named(self, key_id: str) -> Key | None:
        """The key of an id, whether or not it is open; None when unknown. One read of an index."""
        found = self._readers.fetch(_named_statement(self._engine.dialect), {"key_id": key_id, "tenant": EVERY})
        return _key(found[0]) if found else None

    def rotate(self, key_id: str, *, at: datetime, grace: timedelta = ROTATION_GRACE) -> NewKey:
        """A new key with the old one's tenant, name, scopes, compat and length of life; the old one ends after `grace`.

        UnknownKeyError, and ValueError for a key that is not open: somebody closed it on purpose.
        """
        new_id, text = new_text()
        with writing(self._engine, KEYS.name) as connection:
            old = _one(connection, key_id)
            if not old.open_at(at):
                raise ValueError(f"the key {key_id} is {'expired' if old.revoked_at is None else 'revoked'}: add a new one")
            life = None if old.expires_at is None else at + (old.expires_at - old.created_at)
            key = replace(old, key_id=new_id, created_at=at, expires_at=life)
            ends = at + grace if old.expires_at is None else min(old.expires_at, at + grace)
            _update(connection, key_id, expires_at=microseconds(ends))
            _insert(connection, key, text)
            tell(connection, key.tenant, COMMAND_LINE, Act.KEY_ROTATED, {"key_id": key_id, "new_key_id": new_id})
        return NewKey(key, text)

    def revoke(self, key_id: str, *, at: datetime) -> Key:
        """The key, closed for good; one that was revoked before keeps its moment. UnknownKeyError."""
        with writing(self._engine, KEYS.name) as connection:
            key = _one(connection, key_id)
            if key.revoked_at is None:
                _update(connection, key_id, revoked_at=microseconds(at))
                key = replace(key, revoked_at=at)
                tell(connection, key.tenant, COMMAND_LINE, Act.KEY_REVOKED, {"key_id": key_id})
        return key


@lru_cache
def _find_statement(dialect: sa.Dialect) -> Compiled:
    return compiled(sa.select(*_COLUMNS).where(KEYS.c.key_hash == sa.bindparam("key_hash")), dialect)


@lru_cache
def _named_statement(dialect: sa.Dialect) -> Compiled:
    return compiled(sa.select(*_COLUMNS).where(KEYS.c.key_id == sa.bindparam("key_id")), dialect)


def _check(key: Key) -> None:
    if not key.scopes:
        raise ValueError("a key needs at least one scope")
    if not key.name.strip() or len(key.name) > MAX_NAME or not key.name.isprintable():
        raise ValueError(f"the name of a key is 1 to {MAX_NAME} printable characters")
    if key.expired_at(key.created_at):
        raise ValueError("a key must end after it was made")


def _insert(connection: sa.Connection, key: Key, text: str) -> None:
    row = {
        "key_id": key.key_id,
        "tenant": key.tenant,
        "key_hash": hash_of(text),
        "name": key.name,
        "scopes": " ".join(sorted(key.scopes)),
        "compat": int(key.compat),
        "created_at": microseconds(key.created_at),
        "expires_at": None if key.expires_at is None else microseconds(key.expires_at),
        "revoked_at": None,
    }
    connection.execute(sa.insert(KEYS).values(row))


def _one(connection: sa.Connection, key_id: str) -> Key:
    row = connection.execute(sa.select(*_COLUMNS).where(KEYS.c.key_id == key_id)).first()
    if row is None:
        raise UnknownKeyError(f"no key has the id {key_id!r}")
    return _key(row)


def _update(connection: sa.Connection, key_id: str, **values: int) -> None:
    connection.execute(sa.update(KEYS).where(KEYS.c.key_id == key_id).values(values))


def _key(row: Any) -> Key:
    """A row of `_COLUMNS`. A scope that only a newer program knows opens nothing here."""
    key_id, tenant, name, scopes, compat, created, expires, revoked = row
    return Key(
        key_id=key_id,
        tenant=tenant,
        name=name,
        scopes=frozenset(Scope(one) for one in scopes.split() if one in _KNOWN),
        compat=bool(compat),
        created_at=instant(created),
        expires_at=None if expires is None else instant(expires),
        revoked_at=None if revoked is None else instant(revoked),
    )

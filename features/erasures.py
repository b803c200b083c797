"""The erasures of a whole store, carried to one that was restored from an earlier time: no backup brings anybody back.

As a file they are `{"format": 1, "keys": {TENANT: key}, "erasures": [[tenant, hash, microseconds], ...]}`, oldest first.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.audit import Act
from features.events import Tenant
from features.store.erasure import remove
from features.store.suppression import key_of, mark, set_key, subject_of
from features.store.tables import (
    ALIASES,
    CATALOGUE,
    DECISIONS,
    ERASURE_KEYS,
    ERASURES,
    EVENTS,
    MENTIONS,
    MERGES,
    NUDGE_CHOICES,
    STATEMENTS,
)
from features.store.vouching import vouchers
from features.view import tell_of, viewed

_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_NAMED: Final = (
    *(table.c.learner_id for table in (EVENTS, STATEMENTS, MENTIONS, DECISIONS, ALIASES, MERGES, NUDGE_CHOICES)),
    ALIASES.c.alias,
    MERGES.c.into_id,
)
"""Where names of learners stand, beside the catalogue."""


class Erasures(BaseModel):
    """Who was erased in a store: each hash with its moment, and the key of each tenant's hashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    keys: dict[Tenant, _Hex]
    erasures: tuple[tuple[Tenant, _Hex, int], ...]


def erasures_of(source: str) -> Erasures:
    """Those of a file that `write_erasures` wrote, or of the store at a URL. ValueError: there is neither."""
    path = Path(source)
    if "://" in source and not path.is_file():
        return _of_store(source)
    if not path.is_file():
        raise ValueError(f"{source} is neither a file of erasures nor the URL of a store")
    try:
        return Erasures.model_validate_json(path.read_bytes())
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise ValueError(f"{source} is no file of erasures ({said}): write one with `python -m features erasures`") from None


def write_erasures(url: str, target: Path) -> Erasures:
    """Writes the erasures of a store to a file, whole and synced, over an older one. ValueError: there is no such store."""
    found = _of_store(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(found.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        tell_of(url, Act.ERASURES_WRITTEN, {"names": len(found.erasures)})
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return found


def replay(connection: sa.Connection, given: Erasures, tenant: str | None = None) -> int:
    """Erases again, within the caller's transaction, whom the store does not know to be erased since; how many names it had.

    A store that lacks an erasure is from before it, so all that it holds of that name goes. With `tenant` only that one's.
    ValueError: the store has erasures of its own under another key, so these are of another store.
    """
    return sum(_replay(connection, given, name, key) for name, key in given.keys.items() if tenant in (None, name))


def _replay(connection: sa.Connection, given: Erasures, tenant: str, key: str) -> int:
    query = sa.select(ERASURES.c.subject, ERASURES.c.erased_at).where(ERASURES.c.tenant == tenant)
    known = {row.subject: row.erased_at for row in connection.execute(query)}
    if key_of(connection, tenant) != key:
        if known:
            raise ValueError(
                f"the erasures of tenant {tenant!r} are those of another store: take them from the one of this backup"
            )
        set_key(connection, tenant, key)
    fresh = {subject: at for owner, subject, at in given.erasures if owner == tenant and known.get(subject, at - 1) < at}
    names = [name for name in _names(connection, tenant) if subject_of(key, name) in fresh] if fresh else []
    remove(connection, tenant, names)
    mark(connection, tenant, fresh)
    return len(names)


def _of_store(url: str) -> Erasures:
    with viewed(url) as connection:
        keys = connection.execute(sa.select(ERASURE_KEYS.c.tenant, ERASURE_KEYS.c.hash_key).order_by(ERASURE_KEYS.c.tenant))
        rows = connection.execute(
            sa.select(ERASURES.c.tenant, ERASURES.c.subject, ERASURES.c.erased_at).order_by(ERASURES.c.seq)
        )
        return Erasures(
            keys={row.tenant: row.hash_key for row in keys}, erasures=tuple((one, two, at) for one, two, at in rows)
        )


def _names(connection: sa.Connection, tenant: str) -> Iterable[str]:
    """Every name of a learner that stands anywhere in the store."""
    queries = [sa.select(column).where(column.table.c.tenant == tenant, column.is_not(None)) for column in _NAMED]
    query = sa.select(CATALOGUE.c.kind, CATALOGUE.c.id, CATALOGUE.c.body).where(CATALOGUE.c.tenant == tenant)
    found = {*connection.execute(sa.union(*queries)).scalars(), *vouchers(connection, tenant)}
    for kind, name, body in connection.execute(query.where(CATALOGUE.c.kind.in_(("learner", "assignment")))):
        row = json.loads(body)
        found |= {row.get("manager_id") or name, name} if kind == "learner" else {row.get("learner_id")} - {None}
    return found

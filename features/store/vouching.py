"""Who vouches for somebody: a name in the evidence of another (`by` in its context), found there and taken out.

The evidence is the other's and stays. Its content hash stays as well: the same sent again is no news.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from features.store.rows import NO_LIMIT
from features.store.tables import EVENTS, STORED
from features.xapi.mentions import NOBODY_ID

BY: Final = "by"
"""The field of a context that names who vouches, assigned or revoked."""
_WRITTEN: Final = f'"{BY}": '
_CONTEXT, _WHEN = STORED.index("context"), STORED.index("occurred_at")
_PAGE: Final = 1_000


def voucher(context: str) -> str | None:
    """Who vouches, by a context as it is stored; None where nobody does."""
    if _WRITTEN not in context:  # of most: they are not read
        return None
    name = json.loads(context).get(BY)
    return name if isinstance(name, str) else None


def nameless(row: Sequence[Any], gone: Mapping[str, int]) -> Sequence[Any]:
    """A row as values in the order of `STORED`, without who vouches where they were erased since it happened."""
    name = voucher(row[_CONTEXT])
    if name is None or row[_WHEN] > gone.get(name, -NO_LIMIT):
        return row
    return (*row[:_CONTEXT], _without(row[_CONTEXT]), *row[_CONTEXT + 1 :])


def forget_vouchers(connection: sa.Connection, tenant: str, names: Sequence[str]) -> int:
    """Puts nobody in the place of these names in the evidence of others, within the caller's transaction; in how many rows.

    Each gets a new number, so that whoever follows the log sees it anew: the lake, and histories that are remembered. There
    is no index of contexts: the tenant's events are read once.
    """
    written = [_WRITTEN + json.dumps(name, ensure_ascii=False) for name in names]
    mine = EVENTS.c.tenant == tenant, EVENTS.c.context.contains(_WRITTEN, autoescape=True)
    found = sa.or_(*(EVENTS.c.context.contains(text, autoescape=True) for text in written))
    rows = connection.execute(sa.select(EVENTS).where(*mine, found).order_by(EVENTS.c.seq)).mappings().all()
    theirs = [row for row in rows if voucher(row["context"]) in names]
    if theirs:
        connection.execute(
            sa.delete(EVENTS).where(EVENTS.c.seq == sa.bindparam("old")), [{"old": row["seq"]} for row in theirs]
        )
        fresh = [{**row, "context": _without(row["context"])} for row in theirs]
        connection.execute(sa.insert(EVENTS), [{name: row[name] for name in row if name != "seq"} for row in fresh])
    return len(theirs)


def vouchers(connection: sa.Connection, tenant: str) -> Iterator[str]:
    """Every name that vouches for somebody in the tenant's events, as often as it does."""
    query = sa.select(EVENTS.c.context).where(EVENTS.c.tenant == tenant, EVENTS.c.context.contains(_WRITTEN, autoescape=True))
    for context in connection.execute(query.execution_options(yield_per=_PAGE)).scalars():
        if (name := voucher(context)) is not None:
            yield name


def _without(context: str) -> str:
    return json.dumps({**json.loads(context), BY: NOBODY_ID}, ensure_ascii=False)

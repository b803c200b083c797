"""A name leads to one learner: whoever puts a learner under a name of another who has not left is told so."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from features.store.rows import among

if TYPE_CHECKING:
    from features.store.catalogue import StoredRow

_OWNERS: Final = "SELECT alias, learner_id FROM aliases WHERE tenant = {} AND alias {}"
_BODIES: Final = "SELECT id, body FROM catalogue WHERE tenant = {} AND kind = 'learner' AND valid_to IS NULL AND id {}"


class TakenError(ValueError):
    """A learner would have a name that is another's; nothing was stored. `row_id`: whose row; `field`: `id` or `aliases`."""

    def __init__(self, row_id: str, name: str, other: str) -> None:
        self.row_id, self.field = row_id, "id" if name == row_id else "aliases"
        whose = "the id of another learner" if name == other else f"an alias of learner {other!r}"
        super().__init__(
            f"{self.field}: {name!r} of learner {row_id!r} is {whose}, and a name leads to one; "
            "send both rows together as they should be, or merge the two"
        )


def check_names(
    connection: sa.Connection, tenant: str, fresh: Mapping[str, "StoredRow"], given: Mapping[str, "StoredRow"]
) -> None:
    """TakenError where a learner of `fresh` takes up a name of another who has not left: in `given`, the rows that are put
    together (`fresh` among them), or of those that stand.

    A name that the learner who takes it up has already is left alone: what an older program stored goes on as it was.
    """
    living = {row_id: row for row_id, row in fresh.items() if row.living}
    if not living:
        return
    names = {name for row in living.values() for name in (row.id, *row.aliases)}
    owners = _owners(connection, tenant, names, given)
    for row in living.values():
        for name in (row.id, *row.aliases):
            others = sorted(owners.get(name, set()) - {row.id})
            if others and name not in _names(_standing(connection, tenant, {row.id}).get(row.id)):
                raise TakenError(row.id, name, name if name in others else others[0])


def _owners(connection: sa.Connection, tenant: str, names: set[str], given: Mapping[str, "StoredRow"]) -> dict[str, set[str]]:
    """Who has each of these names when all of `given` is put."""
    found: dict[str, set[str]] = {}
    for row in given.values():
        for name in (row.id, *row.aliases) if row.living else ():
            found.setdefault(name, set()).add(row.id)
    had = {owner for _, owner in among(connection, _OWNERS, (tenant,), sorted(names))}
    for row_id, body in _standing(connection, tenant, (had | names) - given.keys()).items():
        for name in _names(body):
            found.setdefault(name, set()).add(row_id)
    return found


def _standing(connection: sa.Connection, tenant: str, ids: set[str]) -> dict[str, dict[str, Any]]:
    rows = among(connection, _BODIES, (tenant,), sorted(ids)) if ids else ()
    return {row_id: json.loads(body) for row_id, body in rows}


def _names(body: dict[str, Any] | None) -> Iterator[str]:
    """The names of a row as it stands; none of a learner who has left."""
    if body is not None and body.get("status") != "ended":
        yield from (body["id"], *body.get("aliases", ()))

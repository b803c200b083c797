"""What others grant to a tenant, as part of its catalogue: items and the skills they name, to be read and not to be changed.

A name that is one of the tenant's own stays its own. What is granted is read as the grantor's own catalogue, behind the
grantor's wall; nothing is written there.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import groupby, islice
from operator import attrgetter
from typing import cast

import sqlalchemy as sa

from features.catalogue import Catalogue, CatalogueRow, Item, Skill
from features.columns import microseconds
from features.grants import Grant, lent
from features.store.catalogue import CatalogueRows, StoredRow, stored_row
from features.store.grants import GRANT, grant_of
from features.store.outcomes import PutResult
from features.store.reading import Compiled, compiled
from features.store.rows import MAX_BATCH, NO_LIMIT
from features.store.tables import GRANTS


class GrantedError(ValueError):
    """A row cannot be changed here: another tenant grants it. Nothing was stored."""


class LentRows(CatalogueRows):
    """The granted part of a session's catalogue."""

    def grants(self, *, at: datetime | None = None) -> tuple[Grant, ...]:
        """What this tenant may use of others' at `at` (now when None). On the hot path of serving where there is any."""
        values = {"tenant": self.tenant, "moment": NO_LIMIT if at is None else microseconds(at)}
        return tuple(grant_of(tuple(row)) for row in self._fetch(_grants_statement(self._engine.dialect), values))

    def catalogue(self, *, at: datetime | None = None) -> Catalogue:
        """Items, skills and roles valid at `at` (now when None), the granted ones among them."""
        own = super().catalogue(at=at)
        taken = {name for row in own.items.values() for name in (row.id, *row.aliases)}
        items, skills = dict(own.items), dict(own.skills)
        for lender, grants in self._lenders(at):
            theirs = lender._rows(Skill, at)
            for item in lender._rows(Item, at).values():
                if item.id in taken or not any(grant.covers(item) for grant in grants):
                    continue
                aliases = tuple(alias for alias in item.aliases if alias not in taken)
                taken |= {item.id, *aliases}
                items[item.id] = lent(item.model_copy(update={"aliases": aliases}), lender.tenant)
                skills = {skill: theirs[skill] for skill in item.skills if skill in theirs} | skills
        return Catalogue(dict(sorted(items.items())), dict(sorted(skills.items())), own.roles)

    def row(self, kind: str, row_id: str) -> CatalogueRow | None:
        """The row of this kind and id as it stands now, own or granted; None where there is none."""
        own = super().row(kind, row_id)
        if own is not None or kind not in ("item", "skill") or not self.grants():
            return own
        if kind == "skill":
            return self.catalogue().skills.get(row_id)
        return self._lent((row_id,)).get(row_id)

    def known_names(self, kind: str, names: Collection[str]) -> set[str]:
        """Those of these names that are known, as `CatalogueRows.known_names` has it, or granted."""
        known = super().known_names(kind, names)
        left = set(names) - known
        if not left or kind not in ("item", "skill") or not self.grants():
            return known
        found = self.catalogue().skills if kind == "skill" else self._lent(left)
        return known | (left & found.keys())

    def put(self, rows: Iterable[CatalogueRow | StoredRow], *, at: datetime) -> PutResult:
        """As `CatalogueRows.put`; GrantedError for an item that another tenant grants, before its batch is stored."""
        return super().put(self._own(map(stored_row, rows)) if self.grants() else rows, at=at)

    def refuse_granted(self, kind: str, ids: Collection[str]) -> None:
        """GrantedError where one of these is no row of this tenant, and granted by another."""
        if kind != "item" or not self.grants():
            return
        left = set(ids) - super().known_names(kind, ids)
        for name, item in sorted(self._lent(left).items()):
            if item.id == name:
                raise GrantedError(
                    f"item {name!r} is granted by tenant {item.granted_by} and can only be changed there; "
                    "give one of your own another id"
                )

    def _own(self, rows: Iterator[StoredRow]) -> Iterator[StoredRow]:
        while batch := list(islice(rows, MAX_BATCH)):
            self.refuse_granted("item", {row.id for row in batch if row.kind == "item"})
            yield from batch

    def _lent(self, names: Collection[str]) -> dict[str, Item]:
        """The granted item of each of these names that are not the tenant's own."""
        found: dict[str, Item] = {}
        for lender, grants in self._lenders(None):
            for name, row in lender.by_name("item", set(names) - found.keys()).items():
                item = cast(Item, row)
                if any(grant.covers(item) for grant in grants):
                    found[name] = lent(item, lender.tenant)
        own = super().known_names("item", {item.id for item in found.values()})
        return {name: item for name, item in found.items() if item.id not in own}

    def _lenders(self, at: datetime | None) -> Iterator[tuple[CatalogueRows, list[Grant]]]:
        """Who grants something, each with what; sorted by name, and the first one's item counts."""
        for grantor, grants in groupby(sorted(self.grants(at=at), key=_grantor), key=_grantor):
            yield CatalogueRows(self._engine, grantor, self._readers), list(grants)


_grantor = attrgetter("grantor")


@lru_cache
def _grants_statement(dialect: sa.Dialect) -> Compiled:
    moment = sa.bindparam("moment", type_=sa.BigInteger)
    holds = GRANTS.c.valid_from <= moment, sa.or_(GRANTS.c.valid_to.is_(None), GRANTS.c.valid_to > moment)
    query = sa.select(*GRANT).where(GRANTS.c.tenant == sa.bindparam("tenant"), *holds)
    return compiled(query.order_by(GRANTS.c.seq), dialect)

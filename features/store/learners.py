"""One learner, found by any of their names at any moment: on the hot path of serving."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from features.catalogue import Learner
from features.columns import microseconds
from features.identity import Name, joined, root, row_among
from features.store.reading import Compiled, compiled
from features.store.rows import NO_LIMIT, TenantRows
from features.store.tables import ALIASES, CATALOGUE, MERGES, OPEN


class Names(NamedTuple):
    """Every name of one person, the one that all others lead to first; and what is said of each."""

    names: tuple[str, ...]
    said: Callable[[str], Name]


class LearnerRows(TenantRows):
    """The learners' part of a session."""

    def learner(self, learner_id: str, *, at: datetime | None = None) -> Learner | None:
        """The row of a person as of `at`, by any of their names: id, alias, or an id that was merged; None when unknown.

        On the hot path of serving, as `history` is. `features.identity` says whose a name is.
        """
        values = {"tenant": self.tenant, "learner": learner_id, "moment": _moment(at)}
        found = self._fetch(_learner_statement(self._engine.dialect), values)
        if found:
            return _learner(found[0][0])
        person = self._person(learner_id, at)
        return row_among(*person)

    def names_of(self, name: str, *, at: datetime | None = None) -> tuple[str, ...]:
        """Every name of the person called `name`, in the same order whichever of them it is."""
        return self._person(name, at).names

    def _person(self, name: str, at: datetime | None) -> Names:
        """Most have one name, which one look into the indexes tells."""
        if not self._fetch(_named_statement(self._engine.dialect), {"tenant": self.tenant, "learner": name}):
            return Names((name,), lambda _: Name())
        said = self._said(at)
        return Names(joined(root(name, said), said), said)

    def _said(self, at: datetime | None) -> Callable[[str], Name]:
        """What was said of a name by `at`; each is looked up once."""
        statement, moment = _name_statement(self._engine.dialect), _moment(at)

        @cache
        def said(name: str) -> Name:
            rows = self._fetch(statement, {"tenant": self.tenant, "learner": name, "moment": moment})
            into = next((text for kind, text in rows if kind == _INTO), None)
            learners = [_learner(text) for kind, text in rows if kind == _ROW]
            row = next((one for one in learners if one.id == name), None)
            owners, merged = (one for one in learners if name in one.aliases), (text for kind, text in rows if kind == _FROM)
            return Name(into, row, tuple(owners), tuple(sorted(merged)))

        return said


_INTO, _FROM, _ROW = "into", "from", "row"


@lru_cache
def _learner_statement(dialect: sa.Dialect) -> Compiled:
    """The learner of an id that no merge ever spoke of."""
    merged = sa.exists().where(MERGES.c.tenant == sa.bindparam("tenant"), MERGES.c.learner_id == sa.bindparam("learner"))
    query = sa.select(CATALOGUE.c.body).where(*_valid_learners(), CATALOGUE.c.id == sa.bindparam("learner"), ~merged)
    return compiled(query, dialect)


@lru_cache
def _name_statement(dialect: sa.Dialect) -> Compiled:
    """(`into`, id) of what a name stands merged into, (`from`, id) of what was ever merged into it, (`row`, body) of the
    learners who have this id, or ever had the alias.
    """
    mine, moment = MERGES.c.tenant == sa.bindparam("tenant"), sa.bindparam("moment", type_=sa.BigInteger)
    about = MERGES.c.learner_id == sa.bindparam("learner")
    last = sa.select(sa.func.max(MERGES.c.seq)).where(mine, about, MERGES.c.recorded_at <= moment).scalar_subquery()
    into = sa.select(sa.literal_column(f"'{_INTO}'"), MERGES.c.into_id).where(
        mine, MERGES.c.seq == last, MERGES.c.joined == sa.literal_column("1")
    )
    own = _valid_learners(), CATALOGUE.c.id == sa.bindparam("learner")
    called = ALIASES.c.tenant == sa.bindparam("tenant"), ALIASES.c.alias == sa.bindparam("learner")
    owners = _valid_learners(), CATALOGUE.c.id.in_(sa.select(ALIASES.c.learner_id).where(*called))
    rows = [sa.select(sa.literal_column(f"'{_ROW}'"), CATALOGUE.c.body).where(*valid, which) for valid, which in (own, owners)]
    origin = sa.select(sa.literal_column(f"'{_FROM}'"), MERGES.c.learner_id).distinct()
    return compiled(sa.union_all(into, origin.where(mine, MERGES.c.into_id == sa.bindparam("learner")), *rows), dialect)


@lru_cache
def _named_statement(dialect: sa.Dialect) -> Compiled:
    """Some row if this learner has an alias, this name is one, or a merge spoke of it; none for most."""

    def some(table: sa.Table, column: sa.Column[str]) -> sa.Select[Any]:
        return sa.select(sa.literal_column("1")).where(
            table.c.tenant == sa.bindparam("tenant"), column == sa.bindparam("learner")
        )

    sides = [some(table, table.c[name]) for table, names in _NAMED.items() for name in names]
    return compiled(sa.union_all(*sides), dialect)  # an `or` would read all aliases of the tenant


_NAMED = {ALIASES: ("learner_id", "alias"), MERGES: ("learner_id", "into_id")}


def _valid_learners() -> tuple[Any, ...]:
    moment = sa.bindparam("moment", type_=sa.BigInteger)  # the open version holds at any later moment, a closed one does not
    return (
        CATALOGUE.c.tenant == sa.bindparam("tenant"),
        CATALOGUE.c.kind == sa.literal_column("'learner'"),
        CATALOGUE.c.valid_from <= moment,
        sa.or_(OPEN, CATALOGUE.c.valid_to > moment),
    )


def _moment(at: datetime | None) -> int:
    return NO_LIMIT if at is None else microseconds(at)


@lru_cache(maxsize=10_000)
def _learner(body: str) -> Learner:
    """Parsed once for each stored version, which never changes."""
    return Learner.model_validate_json(body)

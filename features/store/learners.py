"""One learner, found by id or by alias at any moment: on the hot path of serving."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from features.catalogue import Learner
from features.columns import microseconds
from features.store.reading import Compiled, compiled
from features.store.rows import NO_LIMIT, TenantRows
from features.store.tables import ALIASES, CATALOGUE, OPEN


class LearnerRows(TenantRows):
    """The learners' part of a session."""

    def learner(self, learner_id: str, *, at: datetime | None = None) -> Learner | None:
        """One learner by id, else by alias, as of `at`; None when unknown. On the hot path of serving, as `history` is.

        Of several rows with one alias the last by id counts, as in the lake.
        """
        values = {"tenant": self.tenant, "learner": learner_id, "moment": NO_LIMIT if at is None else microseconds(at)}
        found = self._fetch(_learner_statement(self._engine.dialect), values)
        if found:
            return _learner(found[0][0])
        named = [_learner(row[0]) for row in self._fetch(_alias_statement(self._engine.dialect), values)]
        return next((row for row in reversed(named) if learner_id in row.aliases), None)

    def _names_of(self, name: str, at: datetime | None) -> tuple[str, ...]:
        """Every name of the learner called `name`; most have one, which one look into an index tells."""
        if not self._fetch(_named_statement(self._engine.dialect), {"tenant": self.tenant, "learner": name}):
            return (name,)
        learner = self.learner(name, at=at)
        if learner is None:
            return (name,)
        owners = {alias: self.learner(alias, at=at) for alias in learner.aliases}
        return (learner.id, *(alias for alias, owner in owners.items() if owner == learner))


@lru_cache
def _learner_statement(dialect: sa.Dialect) -> Compiled:
    return compiled(_valid_learners().where(CATALOGUE.c.id == sa.bindparam("learner")), dialect)


@lru_cache
def _alias_statement(dialect: sa.Dialect) -> Compiled:
    """The learners valid at a moment that have, or once had, this alias."""
    mine, called = ALIASES.c.tenant == sa.bindparam("tenant"), ALIASES.c.alias == sa.bindparam("learner")
    query = _valid_learners().where(CATALOGUE.c.id.in_(sa.select(ALIASES.c.learner_id).where(mine, called)))
    return compiled(query.order_by(CATALOGUE.c.id), dialect)


@lru_cache
def _named_statement(dialect: sa.Dialect) -> Compiled:
    """Some row if this learner has an alias or this name is one, none for most."""
    mine = sa.select(ALIASES.c.learner_id).where(ALIASES.c.tenant == sa.bindparam("tenant"))
    sides = [mine.where(side == sa.bindparam("learner")) for side in (ALIASES.c.learner_id, ALIASES.c.alias)]
    return compiled(sa.union_all(*sides), dialect)  # an `or` would read all aliases of the tenant


def _valid_learners() -> sa.Select[Any]:
    moment = sa.bindparam("moment", type_=sa.BigInteger)  # the open version holds at any later moment, a closed one does not
    return sa.select(CATALOGUE.c.body).where(
        CATALOGUE.c.tenant == sa.bindparam("tenant"),
        CATALOGUE.c.kind == sa.literal_column("'learner'"),
        CATALOGUE.c.valid_from <= moment,
        sa.or_(OPEN, CATALOGUE.c.valid_to > moment),
    )


@lru_cache(maxsize=10_000)
def _learner(body: str) -> Learner:
    """Parsed once for each stored version, which never changes."""
    return Learner.model_validate_json(body)

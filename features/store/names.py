"""Every name that a person ever had: what belongs to them when they ask for it, or ask to be erased."""

import sqlalchemy as sa

from features.identity import root
from features.store.learners import LearnerRows
from features.store.tables import ALIASES, CATALOGUE


class NameRows(LearnerRows):
    """The names' part of a session."""

    def _every_name(self, connection: sa.Connection, name: str) -> list[str]:
        """The ids that are one person now and their aliases, those of past versions too; first the id that stands for them.

        A name that two people had in turn is whose it is now: of what happened under it, nobody can say whose it was.
        """
        said = self._said(None)
        top = root(self._owner(connection, name), said)
        row = self.learner(top)
        found, left = dict[str, None](), [top if row is None else row.id, top, name]
        while left:
            one = left.pop(0)
            if one not in found:
                found[one] = None
                query = sa.select(ALIASES.c.alias).where(ALIASES.c.tenant == self.tenant, ALIASES.c.learner_id == one)
                had = connection.execute(query.order_by(ALIASES.c.alias)).scalars().all()
                left += [alias for alias in had if root(alias, said) in (alias, top)]
                left += [other for other in said(one).merged if said(other).above == one]
        return list(found)

    def _owner(self, connection: sa.Connection, name: str) -> str:
        """The id behind a name: of whose it is now, else of who was last called so; the name itself where nobody was."""
        found = self._said(None)(name)
        if found.above is not None or found.row is not None:
            return name
        mine = CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == "learner"
        called = sa.select(ALIASES.c.learner_id).where(ALIASES.c.tenant == self.tenant, ALIASES.c.alias == name)
        had = sa.select(CATALOGUE.c.id).where(*mine, sa.or_(CATALOGUE.c.id == name, CATALOGUE.c.id.in_(called)))
        last = connection.execute(had.order_by((CATALOGUE.c.id == name).desc(), CATALOGUE.c.version.desc()).limit(1))
        return last.scalar() or name

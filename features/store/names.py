"""Every name that a learner ever had: what belongs to them when they ask for it, or ask to be erased."""

import sqlalchemy as sa

from features.store.learners import LearnerRows
from features.store.tables import ALIASES, CATALOGUE


class NameRows(LearnerRows):
    """The names' part of a session."""

    def _every_name(self, connection: sa.Connection, name: str) -> list[str]:
        """The id and the aliases, those of past versions too, of the learner called `name`; the id first.

        A name that two people had in turn is whose it is now: of what happened under it, nobody can say whose it was.
        """
        owner = self._owner(connection, name)
        query = sa.select(ALIASES.c.alias).where(ALIASES.c.tenant == self.tenant, ALIASES.c.learner_id == owner)
        aliases = connection.execute(query.order_by(ALIASES.c.alias)).scalars().all()
        held = [alias for alias in aliases if (holder := self.learner(alias)) is None or holder.id == owner]
        return list(dict.fromkeys((owner, name, *held)))

    def _owner(self, connection: sa.Connection, name: str) -> str:
        """The id behind a name: of who is called so now, else of who was last; the name itself where it never was another's."""
        now = self.learner(name)
        if now is not None:
            return now.id
        mine = CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == "learner"
        called = sa.select(ALIASES.c.learner_id).where(ALIASES.c.tenant == self.tenant, ALIASES.c.alias == name)
        had = sa.select(CATALOGUE.c.id).where(*mine, sa.or_(CATALOGUE.c.id == name, CATALOGUE.c.id.in_(called)))
        last = connection.execute(had.order_by((CATALOGUE.c.id == name).desc(), CATALOGUE.c.version.desc()).limit(1))
        return last.scalar() or name

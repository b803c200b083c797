"""What the audit log says of one tenant."""

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from features.audit import Act, AuditRow, Details
from features.store.chain import COLUMNS, NOTHING, audit_key, pseudonym, tell
from features.store.locks import writing
from features.store.names import NameRows
from features.store.tables import AUDIT

_BY_NUMBER: Final = (AUDIT.c.seq, *COLUMNS)


class AuditRows(NameRows):
    """The audit log's part of a session."""

    def tell(self, action: Act, learner_id: str, details: Details = NOTHING, *, outcome: str = "done") -> None:
        """Tells of what leaves no other row: an export, a token. `learner_id`: id or alias of whom it is about."""
        with writing(self._engine, AUDIT.name, self.tenant) as connection:
            owner, *_ = self._every_name(connection, learner_id)
            tell(connection, self.tenant, self.by, action, details, learner=owner, outcome=outcome)

    def audit(self, *, after: int = 0, limit: int | None = None, learner_id: str | None = None) -> Iterator[AuditRow]:
        """The rows of this tenant's chain with `seq > after`, oldest first; with `learner_id` only those about that learner."""
        query = sa.select(*_BY_NUMBER).where(AUDIT.c.tenant == self.tenant).order_by(AUDIT.c.seq)
        if learner_id is not None:
            with self._engine.connect() as connection:
                key = audit_key(connection, self.tenant)
                names = self._every_name(connection, learner_id)
            if key is None:
                return
            query = query.where(AUDIT.c.subject.in_([pseudonym(key, name) for name in names]))
        for _, *row in self._pages(query, AUDIT.c.seq, after, limit):
            yield AuditRow(*row)

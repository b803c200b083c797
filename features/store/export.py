"""All that is stored of one learner, as one document."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from features.columns import instant
from features.store.erasure import naming
from features.store.events import READ, event_of
from features.store.merges import Merge, facts_of
from features.store.names import NameRows
from features.store.nudges import choices_of
from features.store.tables import CATALOGUE, DECISIONS, EVENTS, STATEMENTS


class ExportRows(NameRows):
    """The exporting part of a session."""

    def export(self, learner_id: str) -> dict[str, Any] | None:
        """What is stored of a person, asked for by any name, under all ids that are merged now; None where there is nothing.

        JSON-ready. `names`, `learner` and `assignments` in all versions, `merges` (and un-merges) of their ids, `events` (the
        voided ones with when), `statements` as they came, `decisions`: each list in the order of arrival; `nudge_choices` as
        they were made.
        """
        with self._engine.connect() as connection:
            names = self._every_name(connection, learner_id)
            found = {
                "learner": self._versions(connection, "learner", CATALOGUE.c.id.in_(names)),
                "assignments": self._versions(
                    connection,
                    "assignment",
                    CATALOGUE.c.version.in_(naming(connection, self.tenant, "assignment", "learner_id", names)),
                ),
                "merges": [_told(one) for one in facts_of(connection, self.tenant, names)],
                "events": self._events_of(connection, names),
                "statements": self._bodies(connection, STATEMENTS, names),
                "decisions": self._bodies(connection, DECISIONS, names),
                "nudge_choices": [one.model_dump(mode="json") for one in choices_of(connection, self.tenant, names, None)],
            }
        return {"tenant": self.tenant, "learner_id": names[0], "names": names, **found} if any(found.values()) else None

    def _versions(self, connection: sa.Connection, kind: str, which: Any) -> list[dict[str, Any]]:
        query = sa.select(CATALOGUE.c.valid_from, CATALOGUE.c.valid_to, CATALOGUE.c.body).where(
            CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind, which
        )
        rows = connection.execute(query.order_by(CATALOGUE.c.version))
        return [{"valid_from": _said(since), "valid_to": _said(until), "row": json.loads(body)} for since, until, body in rows]

    def _events_of(self, connection: sa.Connection, names: list[str]) -> list[dict[str, Any]]:
        query = sa.select(*READ).where(EVENTS.c.tenant == self.tenant, EVENTS.c.learner_id.in_(names)).order_by(EVENTS.c.seq)
        rows = connection.execute(query)
        return [event_of(self.tenant, row).model_dump(mode="json") | {"voided_at": _said(row.voided_at)} for row in rows]

    def _bodies(self, connection: sa.Connection, table: sa.Table, names: list[str]) -> list[Any]:
        query = sa.select(table.c.body).where(table.c.tenant == self.tenant, table.c.learner_id.in_(names))
        return [json.loads(body) for body in connection.execute(query.order_by(table.c.seq)).scalars()]


def _told(fact: Merge) -> dict[str, Any]:
    return {name: said.isoformat() if isinstance(said, datetime) else said for name, said in vars(fact).items()}


def _said(moment: int | None) -> str | None:
    return None if moment is None else instant(moment).isoformat()

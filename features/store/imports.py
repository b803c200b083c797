"""Imports: where rows came from, and how far a reading of a file came."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa

from features.audit import Act
from features.store.outcomes import Progress
from features.store.rows import TenantRows
from features.store.tables import EVENTS, IMPORT_PROGRESS, IMPORTS, insert_of

_COUNTED: Final = ("format", "rows", "accepted", "duplicates", "refused", "suppressed")
"""What the audit log says of a file: not its name, which may be a person's."""


class ImportRows(TenantRows):
    """The imports' part of a session."""

    def record_import(self, facts: Mapping[str, Any]) -> None:
        """Keeps where rows came from (source, format, time zone, counts ...): JSON-ready facts about one import."""
        row = {"tenant": self.tenant, "body": json.dumps(facts, sort_keys=True, ensure_ascii=False)}
        with self._writing(IMPORTS) as connection:
            connection.execute(sa.insert(IMPORTS), [row])
            self._tell(connection, Act.FILE_INGESTED, {name: facts[name] for name in _COUNTED if name in facts})

    def imports(self) -> list[dict[str, Any]]:
        """The facts of all imports, oldest first."""
        query = sa.select(IMPORTS.c.body).where(IMPORTS.c.tenant == self.tenant).order_by(IMPORTS.c.seq)
        with self._engine.connect() as connection:
            return [json.loads(body) for body in connection.execute(query).scalars()]

    def progress(self, key: str) -> Progress | None:
        """How far the reading of this key came; None when it never began, or was forgotten."""
        table = IMPORT_PROGRESS.c
        counts = table.accepted, table.duplicates, table.refused, table.suppressed
        query = sa.select(table.key, table.offset, table.line, *counts)
        with self._engine.connect() as connection:
            row = connection.execute(query.where(table.tenant == self.tenant, table.key == key)).first()
        return None if row is None else Progress(*row)

    def forget_progress(self, key: str) -> None:
        """Lets the next reading of this key begin anew; a no-op when there is nothing to forget."""
        table = IMPORT_PROGRESS.c
        with self._writing(EVENTS) as connection:
            connection.execute(sa.delete(IMPORT_PROGRESS).where(table.tenant == self.tenant, table.key == key))


def write_progress(connection: sa.Connection, tenant: str, progress: Progress) -> None:
    """Puts the progress of a key in the place of the one before, within the caller's transaction."""
    values = asdict(progress)
    insert = insert_of(connection)(IMPORT_PROGRESS).values({"tenant": tenant, **values})
    connection.execute(insert.on_conflict_do_update(index_elements=["tenant", "key"], set_=values))

"""Imports: where rows came from, and how far a reading of a file came."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa

from features.audit import Act
from features.store.outcomes import Progress
from features.store.rows import TenantRows
from features.store.tables import DECISIONS, EVENTS, IMPORT_PROGRESS, IMPORTS, insert_of
from features.store.wall import across

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

    def newest(self) -> tuple[int, int]:
        """The numbers of the newest event and the newest decision, whoever's: where they move, somebody writes."""
        numbers = (sa.select(sa.func.max(table.c.seq)).scalar_subquery() for table in (EVENTS, DECISIONS))
        with across(self._engine).connect() as connection:
            events, decisions = connection.execute(sa.select(*numbers)).one()
        return events or 0, decisions or 0

    def settle(self) -> None:
        """Moves what SQLite's log holds to the file, so that no commit of others has to; a server does so by itself."""
        if self._engine.dialect.name == "sqlite":
            with closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")

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

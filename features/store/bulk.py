"""Many rows at once by the driver's own means: `executemany` of SQLite, `COPY` of PostgreSQL."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa


def insert_rows(
    connection: sa.Connection, table: sa.TableClause, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Inserts rows (values in the order of `columns`) within the caller's transaction. A row that breaks a key raises."""
    quote = connection.dialect.identifier_preparer.quote
    name, listed = quote(table.name), ", ".join(map(quote, columns))
    driver: Any = connection.connection.driver_connection
    try:
        if connection.dialect.name == "postgresql":
            with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({listed}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join("?" * len(columns))
            driver.executemany(f"INSERT INTO {name} ({listed}) VALUES ({places})", rows).close()
    except connection.dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError.instance(
            f"insert into {table.name}", None, error, connection.dialect.loaded_dbapi.Error, dialect=connection.dialect
        ) from error

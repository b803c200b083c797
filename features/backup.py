"""Back up and restore: a whole store, or one tenant, in one file that both databases read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import sqlalchemy as sa

from features.archive import FORMAT, Line, Lines, new_archive, read_archive
from features.audit import COMMAND_LINE, INSTALLATION, Act
from features.erasures import Erasures, replay
from features.migrate import upgrade
from features.store.bulk import insert_rows
from features.store.chain import tell
from features.store.locks import writing
from features.store.opening import connect, shown
from features.store.versions import KNOWN, NEWEST, create, require, version
from features.store.wall import across
from features.view import WAIT_S, tell_of, viewed

# What is worth keeping, and its key: `heartbeat` says nothing, and the version stands in the header.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "events": ("seq",),
    "catalogue": ("version",),
    "aliases": ("tenant", "alias", "learner_id"),
    "merges": ("seq",),
    "item_aliases": ("tenant", "alias", "item_id"),
    "voidings": ("seq",),
    "statements": ("seq",),
    "mentions": ("tenant", "learner_id", "statement_id"),
    "intake": ("tenant", "kind", "which"),
    "api_keys": ("key_id",),
    "grants": ("seq",),
    "erasure_keys": ("tenant",),
    "erasures": ("seq",),
    "decisions": ("seq",),
    "nudge_choices": ("seq",),
    "imports": ("seq",),
    "import_progress": ("tenant", "key"),
    "audit": ("tenant", "seq"),
    "audit_keys": ("tenant",),
}
_NUMBERED: Final = {name: keys[0] for name, keys in _KEYS.items() if keys in (("seq",), ("version",))}
_PAGE: Final = 5_000
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Backup:
    """What a backup holds. `rows` by table; `sha256` is over its lines, whichever database they come from."""

    version: str
    tenant: str | None
    rows: Mapping[str, int]
    sha256: str


def back_up(url: str, target: Path, *, tenant: str | None = None, advance: Advance = lambda rows: None) -> Backup:
    """Writes what the store holds at one moment to the file `target`, while others go on writing.

    With `tenant` only that tenant's rows. FileExistsError: `target` is never overwritten. ValueError: there is no store at
    the URL, or one of another version, or it has no row of the tenant. The store's audit log tells of it.
    """
    with viewed(url) as connection, new_archive(target) as lines:
        lines.write(_header(connection, NEWEST, tenant, _NUMBERED))
        rows = {name: _write_table(connection, _table(connection, name), tenant, lines, advance) for name in _KEYS}
        if tenant is not None and not any(rows.values()):
            raise ValueError(f"the store has no row of the tenant {tenant!r}: nothing was written")
        found = lines.digest()
        lines.write({"rows": rows, "sha256": found})
        tell_of(url, Act.BACKED_UP, {"rows": sum(rows.values()), "sha256": found}, tenant=tenant or INSTALLATION)
    return Backup(NEWEST, tenant, rows, found)


def restore(source: Path, url: str, *, erasures: Erasures | None = None, advance: Advance = lambda rows: None) -> Backup:
    """Fills the empty store of a URL from a backup in one transaction, which ends only when what was stored was read back
    and found the same. After a failure, or a kill, nothing is stored, and it can be run again.

    `erasures`: those of the store that it takes the place of. Whoever was erased after the backup is erased again in the same
    transaction, so nobody ever reads them. A backup of an older version is brought to the newest one; its target must have no
    tables yet. ValueError: the file is no whole backup, or is of a newer version, or the store has rows, or the erasures
    are of another store.
    """
    lines = read_archive(source)
    header = cast(dict[str, Any], next(lines))
    if header["version"] not in KNOWN:
        raise ValueError(f"{source} is of version {header['version']}, newer than this program ({NEWEST}): upgrade the program")
    engine, _ = connect(url, WAIT_S)
    try:
        with writing(across(engine), "schema") as connection:
            _prepare(connection, header["version"], engine.url)
            trailer = _load(connection, source, lines, advance)
            _set_sequences(connection, header["sequences"])
            _compare(connection, header, trailer)
            if header["version"] != NEWEST:
                upgrade(connection, NEWEST)
            erased = 0 if erasures is None else replay(connection, erasures, header["tenant"])
            counts = {"rows": sum(trailer["rows"].values()), "sha256": trailer["sha256"], "erased": erased}
            tell(connection, header["tenant"] or INSTALLATION, COMMAND_LINE, Act.RESTORED, counts)
    finally:
        engine.dispose()
    return Backup(header["version"], header["tenant"], trailer["rows"], trailer["sha256"])


# -- reading a store --


def _header(connection: sa.Connection, found: str, tenant: str | None, numbered: Iterable[str]) -> dict[str, Any]:
    return {"format": FORMAT, "version": found, "tenant": tenant, "sequences": _sequences(connection, numbered)}


def _table(connection: sa.Connection, name: str) -> sa.TableClause:
    """A table as it stands, which in an older version is not as this program has it."""
    return sa.table(name, *(sa.column(column["name"], column["type"]) for column in sa.inspect(connection).get_columns(name)))


def _write_table(connection: sa.Connection, table: sa.TableClause, tenant: str | None, lines: Lines, advance: Advance) -> int:
    lines.write({"table": table.name, "columns": [column.name for column in table.c]})
    query = sa.select(table) if tenant is None else sa.select(table).where(table.c.tenant == tenant)
    query, total = query.order_by(*_order(connection, table)), 0
    with connection.execute(query, execution_options={"yield_per": _PAGE}) as found:
        for page in found.partitions():
            for row in page:
                lines.write(list(row))
            total += len(page)
            advance(len(page))
    return total


def _order(connection: sa.Connection, table: sa.TableClause) -> list[Any]:
    keys = _KEYS[table.name]
    by_bytes = _is_postgresql(connection) and table.name not in _NUMBERED
    return [sa.collate(table.c[key], "C") if by_bytes and key != "seq" else table.c[key] for key in keys]


# -- filling a store --


def _prepare(connection: sa.Connection, wanted: str, url: sa.URL) -> None:
    """Tables of the wanted version without rows, or ValueError."""
    found = version(connection)
    if found is None:
        create(connection) if wanted == NEWEST else upgrade(connection, wanted)
        return
    require(found, url)
    if _is_postgresql(connection):
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(_KEYS)} IN EXCLUSIVE MODE")
    one = sa.select(sa.literal(1)).limit(1)
    filled = [name for name in _KEYS if connection.execute(one.select_from(sa.table(name))).first()]
    if filled:
        raise ValueError(
            f"the store at {shown(url)} has rows ({', '.join(filled)}): restore into an empty database, or a new file"
        )
    if wanted != NEWEST:
        raise ValueError(
            f"a backup of version {wanted} goes into a database without tables only: name a new one, or a new file"
        )


def _load(connection: sa.Connection, source: Path, lines: Iterator[Line], advance: Advance) -> dict[str, Any]:
    """Stores all rows; the last line of the file."""
    table = sa.table("none yet")
    batch: list[list[Any]] = []
    for line in lines:
        if isinstance(line, list):
            batch.append(line)
            if len(batch) < _PAGE:
                continue
        _flush(connection, table, batch, advance)
        batch = []
        if isinstance(line, dict) and "sha256" in line:
            return line
        if isinstance(line, dict):
            table = _checked(connection, source, line)
    raise AssertionError("read_archive ends with the last line or an error")


def _checked(connection: sa.Connection, source: Path, line: Mapping[str, Any]) -> sa.TableClause:
    name, columns = line["table"], line["columns"]
    table = _table(connection, name) if name in _KEYS else None
    if table is None or columns != [column.name for column in table.c]:
        raise ValueError(f"{source}: table {name!r} with {', '.join(columns)} is not one of its version")
    return table


def _flush(connection: sa.Connection, table: sa.TableClause, rows: Sequence[list[Any]], advance: Advance) -> None:
    if rows:
        insert_rows(connection, table, [column.name for column in table.c], rows)
        advance(len(rows))


def _compare(connection: sa.Connection, header: Mapping[str, Any], trailer: Mapping[str, Any]) -> None:
    lines = Lines()
    lines.write(_header(connection, header["version"], header["tenant"], header["sequences"]))
    rows = {
        name: _write_table(connection, _table(connection, name), None, lines, lambda _: None)
        for name in _KEYS
        if name in trailer["rows"]
    }
    if rows != trailer["rows"] or lines.digest() != trailer["sha256"]:
        raise ValueError(
            f"what was stored is not what the backup holds ({rows} rows of {trailer['rows']}): nothing was restored"
        )


# -- sequences: a number that was given once is never given again, or a reader who stands there would miss a row --


def _sequences(connection: sa.Connection, numbered: Iterable[str]) -> dict[str, int]:
    """The last number of each of these tables; an older version has fewer."""
    if _is_postgresql(connection):
        return {name: _last_number(connection, name) for name in numbered}
    found = {row[0]: row[1] for row in connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")}
    return {name: found.get(name, 0) for name in numbered}


def _last_number(connection: sa.Connection, name: str) -> int:
    query = "SELECT pg_sequence_last_value(pg_get_serial_sequence(%s, %s)::regclass)"
    return int(connection.exec_driver_sql(query, (name, _NUMBERED[name])).scalar() or 0)


def _set_sequences(connection: sa.Connection, last: Mapping[str, int]) -> None:
    for name, number in last.items():
        if not _is_postgresql(connection):
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, number))
        else:
            query = "SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)"
            connection.exec_driver_sql(query, (name, _NUMBERED[name], max(number, 1), number > 0))


def _is_postgresql(bind: sa.Connection | sa.Engine) -> bool:
    return bind.dialect.name == "postgresql"

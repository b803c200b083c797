"""Parquet files of the lake: how one is written, what the manifest says of it, and whether it still is that file.

`sha256` is of the bytes and finds damage; `content` is of the rows in their order, whichever program wrote them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

SCHEMA: Final = 2
"""Version of the columns of `features.columns` in the lake: raised with every change of a name or type there."""

_ROW_GROUP: Final = 200_000

Description = Mapping[str, Any]
"""What the manifest says of a file: `rows`, `sha256`, and `content` where digests are made of it."""


class LakeError(ValueError):
    """A lake that must not be read as it is. The message names the file and says what to do."""


def schema(names: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of columns given as in `features.columns`: instants in microseconds UTC."""
    instants = {"timestamp": pa.timestamp("us", tz="UTC")}
    return pa.schema([(name, instants.get(kind) or pa.type_for_alias(kind)) for name, kind in names.items()])


def write(table: pa.Table, path: Path) -> None:
    """Writes beside and swaps in: a reader meets the old file or the new one, and a full disk leaves the old one."""
    with _writing(table.schema, path) as writer:
        writer.write_table(table)


def join(parts: Sequence[Path], path: Path, names: Mapping[str, str]) -> None:
    """One file of the rows of several, in their order, with few rows in memory; swapped in as by `write`."""
    batches = ds.dataset([str(part) for part in parts], schema=schema(names), format="parquet").to_batches()
    with _writing(schema(names), path) as writer:
        for rows in _grouped(batches):
            writer.write_table(pa.Table.from_batches(rows))


@contextmanager
def _writing(columns: pa.Schema, path: Path) -> Iterator[pq.ParquetWriter]:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        with pq.ParquetWriter(beside, columns, compression="zstd", coerce_timestamps="us", store_schema=False) as writer:
            yield writer
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches in groups of about `_ROW_GROUP` rows: many small ones would be slow to read."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(len(one) for one in group) >= _ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


def describe(path: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """The description of a file with the columns `names`. LakeError when it is another kind of file."""
    if fault := _fault(path, names):
        raise LakeError(f"{path} {fault}")
    table = pq.read_table(path, partitioning=None, schema=schema(names))
    return {"rows": table.num_rows, "sha256": _sha256(path), "content": content(table)}


def described(path: Path, rows: int) -> dict[str, Any]:
    """The description of a file that was just written with so many rows, without its `content`."""
    return {"rows": rows, "sha256": _sha256(path)}


def is_sound(path: Path, described: Description) -> bool:
    """Whether the file has the bytes that were described."""
    return path.is_file() and _sha256(path) == described["sha256"]


def verify(path: Path, described: Description, names: Mapping[str, str], *, tenant: str) -> None:
    """LakeError that says what is wrong with the file and how to write it again."""
    if not is_sound(path, described):
        fault = _fault(path, names) or "is not the file that the manifest describes (changed since, or a run was stopped)"
        raise LakeError(f"{path} {fault}: run `python -m features materialize --tenant {tenant}`, which writes it again")


def content(table: pa.Table) -> str:
    """SHA-256 of the values, column by column in the order of the rows: equal for equal rows, whoever wrote the file."""
    found = sha256(f"{table.num_rows} {table.column_names}".encode())
    for column in table.columns:
        found.update(column.is_valid().to_numpy().tobytes())
        if pa.types.is_string(column.type):
            found.update(_lengths(column))
            found.update("".join(pc.fill_null(column, "").to_pylist()).encode())
        else:
            whole = (
                pa.int64() if pa.types.is_timestamp(column.type) else pa.int32() if pa.types.is_date32(column.type) else None
            )
            numbers = column if whole is None else column.cast(whole)
            found.update(pc.fill_null(numbers, pa.scalar(0).cast(numbers.type)).to_numpy().tobytes())
    return found.hexdigest()


def _lengths(column: pa.ChunkedArray) -> bytes:
    found: bytes = pc.fill_null(pc.binary_length(column), 0).to_numpy().tobytes()
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _fault(path: Path, names: Mapping[str, str]) -> str | None:
    """What keeps the file from being a partition with these columns; None for nothing."""
    if not path.is_file():
        return "is missing"
    try:
        found = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError):
        return "is truncated or no Parquet file"
    for field in schema(names):
        if field.name not in found.names:
            return f"is of another schema: it has no column {field.name!r}"
        if found.field(field.name).type != field.type:
            return f"is of another schema: {field.name!r} is {found.field(field.name).type}, not {field.type}"
    return None

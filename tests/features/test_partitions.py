"""Files of the lake: one description for equal rows, and a word for every way in which a file is not what it should be."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import columns, partitions
from features.lake import SNAPSHOTS
from features.partitions import LakeError

NAMES = {"id": "string", "n": "int64", "x": "float64", "yes": "bool", "at": "timestamp"}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"id": "a", "n": 1, "x": 0.5, "yes": True, "at": NOON},
    {"id": None, "n": None, "x": None, "yes": None, "at": None},
    {"id": "", "n": 0, "x": 0.0, "yes": False, "at": datetime(1970, 1, 1, tzinfo=UTC)},
]


def table(rows: list[dict[str, Any]] = ROWS) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=partitions.schema(NAMES))


def test_the_content_is_of_the_rows_and_not_of_the_file(tmp_path: Path) -> None:
    partitions.write(table(), tmp_path / "a.parquet")
    whole = partitions.describe(tmp_path / "a.parquet", NAMES)
    pq.write_table(table(), tmp_path / "b.parquet", compression="none", row_group_size=1, use_dictionary=False)
    pieces = partitions.describe(tmp_path / "b.parquet", NAMES)
    assert whole["content"] == pieces["content"] == partitions.content(table())
    assert whole["sha256"] != pieces["sha256"]
    assert whole["rows"] == 3


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:2],
        [ROWS[1], ROWS[0], ROWS[2]],
        [ROWS[0], ROWS[2], ROWS[2]],  # nothing is not the same as empty, 0, no or 1970
        [{**ROWS[0], "x": 0.25}, *ROWS[1:]],
        [{**ROWS[0], "at": NOON.replace(microsecond=1)}, *ROWS[1:]],
    ],
)
def test_other_rows_are_other_content(rows: list[dict[str, Any]]) -> None:
    assert partitions.content(table(rows)) != partitions.content(table())


def test_where_one_text_ends_and_the_next_begins_counts() -> None:
    first, second = ([{"id": a}, {"id": b}] for a, b in (("ab", "c"), ("a", "bc")))
    assert partitions.content(table(first)) != partitions.content(table(second))


def test_joined_files_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_ROW_GROUP", 2)
    parts = [tmp_path / f"{n}.parquet" for n in range(3)]
    for path, row in zip(parts, ROWS, strict=True):
        partitions.write(table([row]), path)
    partitions.join(parts, tmp_path / "all.parquet", NAMES)
    assert pq.read_table(tmp_path / "all.parquet").to_pylist() == ROWS
    assert pq.ParquetFile(tmp_path / "all.parquet").num_row_groups == 2


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    partitions.write(table(), path)
    before = path.read_bytes()
    monkeypatch.setattr(partitions.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        partitions.write(table(ROWS[:1]), path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
    assert path.read_bytes() == before


def missing(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def foreign(path: Path) -> None:
    path.write_text("id,n\na,1\n")


def without_a_column(path: Path) -> None:
    pq.write_table(table().drop_columns(["x"]), path)


def of_another_type(path: Path) -> None:
    pq.write_table(table().set_column(1, "n", pa.array(["1", None, "0"])), path)


def of_other_rows(path: Path) -> None:
    partitions.write(table(ROWS[:1]), path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, "is missing"),
        (truncated, "is truncated or no Parquet file"),
        (foreign, "is truncated or no Parquet file"),
        (without_a_column, "of another schema: it has no column 'x'"),
        (of_another_type, "of another schema: 'n' is string, not int64"),
        (of_other_rows, "is not the file that the manifest describes"),
    ],
)
def test_damage_is_named_with_what_to_do(tmp_path: Path, damage: Any, words: str) -> None:
    path = tmp_path / "a.parquet"
    partitions.write(table(), path)
    described = partitions.describe(path, NAMES)
    partitions.verify(path, described, NAMES, tenant="acme")
    damage(path)
    with pytest.raises(LakeError, match=f"{path} .*{words}.*python -m features materialize --tenant acme"):
        partitions.verify(path, described, NAMES, tenant="acme")


def test_the_version_of_the_schema_is_of_these_columns() -> None:
    """Columns changed: raise `partitions.SCHEMA`, so that lakes written before are written anew, and this line."""
    found = str({"events": dict(columns.EVENT), **{name: dict(of) for name, of in SNAPSHOTS.items()}})
    assert (partitions.SCHEMA, sha256(found.encode()).hexdigest()[:12]) == (2, "779ea5c2eae6")

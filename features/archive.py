"""The file of a backup: lines of JSON, packed, whole or refused.

First the header `{"format": 1, "version": ..., "tenant": ..., "sequences": {table: number}}`; then for each table
`{"table": ..., "columns": [...]}` and an array for each row; last `{"rows": {table: number}, "sha256": ...}` over all lines
before it.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
Line = dict[str, Any] | list[Any]


class Lines:
    """Lines as they are written, hashed; without a file they are only hashed."""

    def __init__(self, file: gzip.GzipFile | None = None) -> None:
        self._file, self._hash = file, sha256()

    def write(self, content: Line) -> None:
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._hash.update(data)
        if self._file is not None:
            self._file.write(data)

    def digest(self) -> str:
        """SHA-256 of all lines so far."""
        return self._hash.hexdigest()


@contextmanager
def new_archive(target: Path) -> Iterator[Lines]:
    """Lines that stand in `target` when all are written and synced, and nowhere before. FileExistsError: `target` is there."""
    if target.exists():
        raise FileExistsError(f"{target} exists already and is not overwritten: name another file")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with beside.open("wb") as file:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=3, fileobj=file, mtime=0) as packed:
                yield Lines(packed)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, target)  # unlike a rename it overwrites nothing
    finally:
        beside.unlink(missing_ok=True)


def read_archive(source: Path) -> Iterator[Line]:
    """All lines, the header first. ValueError before the first where the file is damaged, cut off or of no known format.

    It is read twice, so that no damage is taken for content: gzip gives out what it unpacked before it finds it to be wrong.
    """
    _check(source)
    with gzip.open(source, "rb") as file:
        yield from map(json.loads, file)


def _check(source: Path) -> None:
    digest = sha256()
    try:
        with gzip.open(source, "rb") as file:
            last = file.readline()
            _check_header(json.loads(last))
            for data in file:
                digest.update(last)
                last = data
        end = json.loads(last)
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{source} is no whole backup ({error}): take another one") from None
    if not isinstance(end, dict) or end.get("sha256") != digest.hexdigest():
        raise ValueError(f"{source} is no whole backup (its end is missing, or does not belong to the rest): take another one")


def _check_header(line: Any) -> None:
    found = line.get("format") if isinstance(line, dict) else None
    if found != FORMAT:
        raise ValueError(f"its format is {found!r}, this program knows {FORMAT}")

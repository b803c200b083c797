"""The files of a star and the manifest that describes them: what stays, what is written anew, what goes."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from features import partitions
from features.partitions import schema
from features.star.key import Key
from features.star.schema import TABLES, VERSION, Table

MANIFEST: Final = "manifest.json"
WHOLE: Final = "all"
"""The name of the one file of a table that is not parted by month."""
NONE: Final = "none"
"""The name of a file without rows, which gives a parted table its columns before the first row."""


class StarError(ValueError):
    """A folder that must not be written into; the message says why and what to do."""


@dataclass
class Files:
    """The files of one run, by TABLE/PART. `before` describes those of the run before, `written` counts those written anew."""

    folder: Path
    before: Mapping[str, Mapping[str, Any]]
    now: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: int = 0

    def path(self, name: str) -> Path:
        """Where the file of a TABLE/PART lies."""
        return self.folder / f"{name}.parquet"

    def keep(self, name: str, made_of: str) -> bool:
        """Whether the file that stands was made of the same, and is still what was written then; it stays if so."""
        known = self.before.get(name)
        if known is None or known["made_of"] != made_of or not partitions.is_sound(self.path(name), known):
            return False
        self.now[name] = dict(known)
        return True

    def put(self, table: Table, part: str, rows: pa.Table, made_of: str = "") -> None:
        """Writes a file, unless the same rows stand there."""
        name = f"{table.name}/{part}"
        known = self.before.get(name)
        if known is not None and known["content"] == partitions.content(rows) and partitions.is_sound(self.path(name), known):
            self.now[name] = {**known, "made_of": made_of}
            return
        partitions.write(rows, self.path(name))
        self.now[name] = {**partitions.describe(self.path(name), table.names), "made_of": made_of}
        self.written += 1

    def of(self, table: Table) -> list[Path]:
        """The files of a table in this run, in order."""
        return [self.path(name) for name in sorted(self.now) if name.startswith(f"{table.name}/")]

    def contents(self, *tables: Table) -> str:
        """Equal as long as the rows of these tables are equal."""
        chosen = {f"{table.name}/" for table in tables}
        said = [(name, one["content"]) for name, one in sorted(self.now.items()) if name[: name.index("/") + 1] in chosen]
        return json.dumps(said)

    def rows(self) -> dict[str, int]:
        """Rows by table."""
        return {
            table.name: sum(one["rows"] for name, one in self.now.items() if name.startswith(f"{table.name}/"))
            for table in TABLES
        }

    def empty(self, table: Table) -> None:
        """The file without rows of a parted table."""
        self.put(table, NONE, pa.Table.from_pylist([], schema=schema(table.names)))

    def drop_others(self) -> None:
        """Removes every file that is not of this run: what it held has gone, or it was never described."""
        for path in self.folder.glob("*/*.parquet"):
            if f"{path.parent.name}/{path.stem}" not in self.now:
                path.unlink()


def manifest(folder: Path, tenant: str, key: Key) -> dict[str, Any]:
    """The manifest of a star that may be written over, {} where there is none.

    StarError where it is unreadable, of another schema version or tenant, or made with another key.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        version, owner, mark = found["schema"], found["tenant"], found["key"]
    except (ValueError, KeyError, TypeError):
        raise StarError(f"{path} is not readable: delete the folder {folder}, and run again") from None
    anew = f"give another --out, or delete {folder} to begin anew there"
    if version != VERSION:
        raise StarError(f"{folder} holds version {version} of the star, this program writes {VERSION}: {anew}")
    if owner != tenant:
        raise StarError(f"{folder} holds the star of tenant {owner!r}, not of {tenant!r}: {anew}")
    if mark != key.mark:
        raise StarError(f"{folder} was written with another key, so its pseudonyms differ: give that one with --key, or {anew}")
    return found


def swap_text(path: Path, text: str) -> None:
    """Puts a text in the place of an older one at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)

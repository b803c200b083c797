"""Which rows of a long file were seen before, in memory that does not grow with the file.

Numbers by key lie in a private SQLite file that has no name, so it vanishes with the process, however that ends. SQLite puts
it into `SQLITE_TMPDIR`, `TMPDIR`, /var/tmp or /tmp.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Final, Self

_CACHE_KB: Final = 32_768
_KEY_BYTES: Final = 8


def key(text: str) -> int:
    """63 bits of a text: the same in every process. Among 200 million texts two agree with a chance of 1 in 500."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=_KEY_BYTES).digest(), "big") >> 1


class Seen:
    """Asked for a batch of keys at a time, in the order of the file. A key is an integer from 0 to 2**63 - 1."""

    def __init__(self, cache_kb: int = _CACHE_KB) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        for pragma in (f"cache_size=-{cache_kb}", "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"):
            self._file.execute(f"PRAGMA {pragma}").close()
        self._file.execute("CREATE TABLE seen (key INTEGER PRIMARY KEY, value INTEGER NOT NULL, batch INTEGER NOT NULL)")
        self._batch = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def occurrences(self, keys: Sequence[int]) -> list[int]:
        """How often each key came before, the keys before it in this batch included."""
        if self._all_new(keys, [1] * len(keys)):
            return [0] * len(keys)
        counts = self._before(keys)
        found = []
        for one in keys:
            found.append(counts.setdefault(one, 0))
            counts[one] += 1
        self._write("UPDATE seen SET value = ?2 WHERE key = ?1", counts.items())
        return found

    def differs(self, keys: Sequence[int], contents: Sequence[int]) -> list[bool]:
        """Whether each key came before with another content; the first content of a key is the one that counts."""
        if self._all_new(keys, contents):
            return [False] * len(keys)
        first = self._before(keys)
        return [first.setdefault(one, content) != content for one, content in zip(keys, contents, strict=True)]

    def _all_new(self, keys: Sequence[int], values: Sequence[int]) -> bool:
        """Writes the keys that are new; whether all are. In most files all are, and then nothing is read back."""
        self._batch += 1
        before = self._file.total_changes
        rows = zip(keys, values, [self._batch] * len(keys), strict=True)
        self._write("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", rows)
        return self._file.total_changes - before == len(keys)

    def _before(self, keys: Sequence[int]) -> dict[int, int]:
        """The values of those keys that stood before this batch."""
        query = "SELECT key, value FROM seen WHERE key IN (SELECT value FROM json_each(?)) AND batch < ?"
        return dict(self._file.execute(query, (json.dumps(list(keys)), self._batch)))

    def _write(self, statement: str, rows: Iterable[tuple[int, ...]]) -> None:
        try:
            self._file.execute("BEGIN")
            self._file.executemany(statement, rows)
            self._file.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OSError(f"a temporary file cannot be written: {error}; set SQLITE_TMPDIR to a folder with room") from None

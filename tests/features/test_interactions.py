"""When an entry was known goes with it wherever it goes."""

import numpy as np
import pytest

from features.interactions import Histories, Interactions


def day(n: int) -> np.datetime64:
    return np.datetime64("2026-03-01", "us") + np.timedelta64(n, "D")


def histories(known: list[int] | None) -> Histories:
    """Two learners, items 2 0 | 1 2 1, the entry in place k happened on day k."""
    at = np.array([day(n) for n in range(5)])
    arrays = np.array([0, 2, 5]), np.array([2, 0, 1, 2, 1], dtype=np.int32), at, np.array([-1, 0], dtype=np.int32)
    return Histories(*arrays, 3) if known is None else Histories(*arrays, 3, known_at=np.array([day(n) for n in known]))


def days(found: Histories) -> list[int]:
    since: list[int] = ((found.known_at - day(0)) // np.timedelta64(1, "D")).tolist()
    return since


def test_what_is_not_said_was_known_as_it_happened() -> None:
    assert days(histories(None)) == [0, 1, 2, 3, 4]
    assert np.isnat(Histories.of([[0, 1]], 2).known_at).all()


def test_every_selection_keeps_when_an_entry_was_known() -> None:
    table = histories([10, 11, 12, 13, 14])
    assert days(table.take(np.array([1, 0]))) == [12, 13, 14, 10, 11]
    assert days(table.where(np.array([0, 1, 0, 1, 0], dtype=bool))) == [11, 13]
    assert days(table.drop_last()) == [10, 12, 13]
    assert [days(batch) for _, batch in table.batches(1)] == [[10, 11], [12, 13, 14]]
    assert days(Interactions.of_histories(table)) == [10, 11, 12, 13]


def test_the_digest_tells_tables_apart_by_what_was_known() -> None:
    assert histories([0, 1, 2, 3, 4]).digest() == histories(None).digest()
    assert histories([0, 1, 2, 3, 9]).digest() != histories(None).digest()


def test_as_many_values_as_entries() -> None:
    with pytest.raises(ValueError, match="2 values of known_at for 5 entries"):
        histories([0, 1])

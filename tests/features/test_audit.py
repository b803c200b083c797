"""The audit log's chain: whatever is done to it by hand is found, and told by the first row that is wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from features.audit import FIRST, AuditRow, verify

Chain = list[AuditRow]


def sealed(row: AuditRow) -> AuditRow:
    """The row with the hash of what it says, as a forger who knows the rule would write it."""
    return replace(row, hash=row.digest())


def chained(n: int, by: str = "key") -> Chain:
    rows: Chain = []
    for seq in range(1, n + 1):
        previous = rows[-1].hash if rows else FIRST
        rows.append(sealed(AuditRow("acme", seq, seq * 10, by, "key added", None, "done", "{}", previous, "")))
    return rows


def anchors(row: AuditRow) -> dict[int, str]:
    return {row.seq: row.hash}


def test_a_chain_as_it_was_written_is_whole() -> None:
    rows = chained(5)
    found = verify(rows, anchors(rows[2]) | anchors(rows[4]))
    assert (found.rows, found.newest, found.broken) == (5, f"5:{rows[4].hash}", None)
    nothing = verify([])
    assert (nothing.rows, nothing.newest, nothing.broken) == (0, None, None)


def test_the_hash_of_a_row_is_worked_out_as_it_is_described() -> None:
    from hashlib import sha256

    row = AuditRow("acme", 1, 1_000_000, "k", "learner erased", "ab", "done", '{"events":2}', FIRST, "")
    said = '["acme",1,1000000,"k","learner erased","ab","done","{\\"events\\":2}","' + "0" * 64 + '"]'
    assert row.digest() == sha256(said.encode()).hexdigest()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", "other"),
        ("at", 31),
        ("by", "other"),
        ("action", "key revoked"),
        ("subject", "ab"),
        ("outcome", "nothing stored"),
        ("details", '{"n":1}'),
        ("previous", FIRST),
        ("hash", FIRST),
    ],
)
def test_a_changed_row_is_named(field: str, value: object) -> None:
    rows = chained(5)
    rows[2] = replace(rows[2], **{field: value})  # type: ignore[arg-type]
    found = verify(rows)
    assert (found.rows, found.newest) == (2, f"2:{rows[1].hash}")
    assert found.broken == "row 3 was changed: its hash is not that of what it says"


def removed(rows: Chain) -> None:
    del rows[2]


def first_removed(rows: Chain) -> None:
    del rows[0]


def removed_and_counted_anew(rows: Chain) -> None:
    del rows[2]
    rows[2:] = [replace(row, seq=row.seq - 1) for row in rows[2:]]


def exchanged(rows: Chain) -> None:
    rows[2], rows[3] = rows[3], rows[2]


def exchanged_with_their_numbers(rows: Chain) -> None:
    rows[2], rows[3] = replace(rows[3], seq=3), replace(rows[2], seq=4)


def put_in(rows: Chain) -> None:
    rows.insert(2, sealed(replace(rows[2], by="forger")))
    rows[3:] = [replace(row, seq=row.seq + 1) for row in rows[3:]]


def put_in_twice(rows: Chain) -> None:
    rows.insert(2, rows[1])


def changed_and_sealed(rows: Chain) -> None:
    rows[2] = sealed(replace(rows[2], by="forger"))


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (removed, "row 3 is missing: row 4 comes in its place"),
        (first_removed, "row 1 is missing: row 2"),
        (removed_and_counted_anew, "row 3 was changed"),
        (exchanged, "row 3 is missing: row 4"),
        (exchanged_with_their_numbers, "row 3 was changed"),
        (put_in, "row 4 was changed"),
        (put_in_twice, "row 2 is out of place: row 3"),
        (changed_and_sealed, "row 4 does not follow the one before it"),
    ],
)
def test_what_is_done_to_a_chain_is_found(tamper: Callable[[Chain], None], words: str) -> None:
    rows = chained(5)
    tamper(rows)
    found = verify(rows).broken
    assert found is not None
    assert found.startswith(words)


def test_rows_missing_at_the_end_are_found_by_an_anchor_alone() -> None:
    rows = chained(5)
    cut = rows[:3]
    assert verify(cut).broken is None
    assert verify(cut, anchors(rows[4])).broken == (
        "row 5 is missing: the chain ends at row 3, and went on when the anchor was taken"
    )
    assert verify([], anchors(rows[0])).broken is not None


def test_a_chain_that_was_written_anew_is_found_by_an_anchor_alone() -> None:
    rows, forged = chained(5), chained(5, by="forger")
    assert verify(forged).broken is None
    found = verify(forged, anchors(rows[3]))
    assert found.broken == "row 4 is not the one of the anchor: it, or one before it, was written anew"

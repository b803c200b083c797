"""When an entry was known goes with it wherever it goes."""

import hashlib
from dataclasses import replace

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


def flagged() -> Histories:
    """The same two learners; entries 1 and 3 followed a recommendation."""
    return replace(histories(None), recommended=np.array([0, 1, 0, 1, 0], dtype=bool))


def test_nothing_is_recommended_unless_it_is_said() -> None:
    assert histories(None).recommended.tolist() == [False] * 5
    assert Interactions.of_histories(histories(None)).organic().digest() == Interactions.of_histories(histories(None)).digest()


def test_every_selection_keeps_what_was_recommended() -> None:
    table = flagged()
    assert table.take(np.array([1, 0])).recommended.tolist() == [False, True, False, False, True]
    assert table.where(np.array([0, 1, 0, 1, 0], dtype=bool)).recommended.tolist() == [True, True]
    assert table.drop_last().recommended.tolist() == [False, False, True]
    assert [batch.recommended.tolist() for _, batch in table.batches(1)] == [[False, True], [False, True, False]]
    assert table.renamed(np.array([1, 2, 0], dtype=np.int32)).recommended.tolist() == table.recommended.tolist()
    assert Interactions.of_histories(table).recommended.tolist() == [False, True, False, True]


def test_the_organic_table_is_the_rest() -> None:
    table = Interactions.of_histories(flagged(), n_audiences=2, until=day(9))
    organic = table.organic()
    assert [organic[row].tolist() for row in range(2)] == [[2], [1]]
    assert (organic.n_audiences, organic.until, organic.shape) == (2, day(9), table.shape)


def test_the_digest_tells_a_flagged_table_apart() -> None:
    assert flagged().digest() != histories(None).digest()
    assert replace(flagged(), recommended=np.zeros(5, dtype=bool)).digest() == histories(None).digest()


def test_without_flags_the_digest_is_that_of_the_other_arrays_alone() -> None:
    """Tables were named before the flag existed; those names stand in runs and bundles."""
    table, found = histories(None), hashlib.sha256(b"3")
    for array in (table.indptr, table.items, table.at.astype(np.int64), table.audience, table.known_at.astype(np.int64)):
        found.update(array.tobytes())
    assert table.digest() == found.hexdigest()


def test_one_flag_for_each_entry() -> None:
    with pytest.raises(ValueError, match=r"recommended is bool\[2\], not bool\[5\]"):
        replace(histories(None), recommended=np.zeros(2, dtype=bool))


def grouped() -> Histories:
    return replace(histories(None), role=np.array([4, -1], dtype=np.int32), org_unit=np.array([0, 7], dtype=np.int32))


def groups(found: Histories) -> tuple[list[int], list[int]]:
    return found.role.tolist(), found.org_unit.tolist()


def test_nobody_has_a_role_or_a_unit_unless_it_is_said() -> None:
    assert groups(histories(None)) == groups(Histories.of([[0], []], 1)) == ([-1, -1], [-1, -1])
    assert groups(Histories.of([[0], []], 1, role=[3, -1], org_unit=[-1, 2])) == ([3, -1], [-1, 2])


def test_every_selection_keeps_role_and_unit_of_its_learners() -> None:
    table = Interactions.of_histories(grouped(), until=day(9))
    both = ([4, -1], [0, 7])
    assert groups(table) == both
    assert groups(table.take(np.array([1, 0, 1]))) == ([-1, 4, -1], [7, 0, 7])
    assert groups(table.where(np.zeros(len(table.items), dtype=bool))) == groups(table.drop_last()) == both
    assert groups(table.renamed(np.array([1, 2, 0], dtype=np.int32))) == both
    assert groups(table.holding(table.drop_last())) == groups(table.organic()) == both
    assert [groups(batch) for _, batch in table.batches(1)] == [([4], [0]), ([-1], [7])]


def test_groups_go_by_other_names_where_another_table_counts_them() -> None:
    to = {name: np.arange(8, dtype=np.int32)[::-1] for name in ("audience", "role", "org_unit")}
    found = grouped().in_groups(**to)
    assert (found.audience.tolist(), *groups(found)) == ([-1, 7], [3, -1], [7, 0])


def test_the_digest_tells_tables_apart_by_role_and_unit() -> None:
    table = grouped()
    nobody = np.full(2, -1, dtype=np.int32)
    some = [
        table,
        replace(table, role=nobody),
        replace(table, org_unit=nobody),
        replace(table, role=table.org_unit, org_unit=table.role),
    ]
    assert len({one.digest() for one in some}) == len(some)
    assert replace(table, role=nobody, org_unit=nobody).digest() == histories(None).digest()


def test_one_role_for_each_history() -> None:
    with pytest.raises(ValueError, match="1 roles for 2 histories"):
        replace(histories(None), role=np.zeros(1, dtype=np.int32))


@pytest.mark.parametrize(
    ("learner", "item", "at", "known", "led"),
    [
        (1, 2, 2, 2, True),  # shown the day before it was taken up
        (1, 2, 3, 3, True),  # at the same moment
        (1, 2, 4, 4, False),  # afterwards
        (1, 2, -27, -27, True),  # 30 days before
        (1, 2, -28, -28, False),  # 31 days before
        (1, 2, 2, 13, True),  # reported late, together with the take-up
        (1, 2, 2, 14, False),  # reported after the take-up was known
        (0, 1, 1, 1, False),  # another learner, who never took it up
        (1, 0, 2, 2, False),  # another item
        (-1, 2, 2, 2, False),  # a learner nobody knows
    ],
)
def test_shown_before_it_was_taken_up(learner: int, item: int, at: int, known: int, led: bool) -> None:
    """Learner 1 took up item 2 on day 3, known on day 13."""
    table = Interactions.of_histories(histories([10, 11, 12, 13, 14]))
    who, what = np.array([learner]), np.array([item], dtype=np.int32)
    found = table.after_shown(who, what, np.array([day(at)]), np.array([day(known)]))
    assert found.tolist() == [False, False, False, led]


def test_nobody_took_up_anything_or_nothing_was_shown() -> None:
    none = (
        np.array([], dtype=np.int64),
        np.array([], dtype=np.int32),
        np.array([], "datetime64[us]"),
        np.array([], "datetime64[us]"),
    )
    assert Interactions.of_histories(histories(None)).after_shown(*none).tolist() == [False] * 4
    empty = Interactions.of_histories(Histories.of([[]], 3))
    assert (
        empty.after_shown(np.array([0]), np.array([1], dtype=np.int32), np.array([day(0)]), np.array([day(0)])).tolist() == []
    )

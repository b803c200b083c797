"""Splits on histories small enough to read: item n is the n-th thing that happened."""

from dataclasses import replace

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from training.splits import Ask, ColdItems, Task, cold_items, digest, leave_last_out, relabel, rolling_origin


def table(*rows: list[int], days: list[list[int]] | None = None, n_items: int = 10) -> Interactions:
    at = None if days is None else [[np.datetime64("2026-01-01", "us") + np.timedelta64(d, "D") for d in row] for row in days]
    return Interactions.of_histories(Histories.of(rows, n_items, at=at), n_audiences=2)


def questions(task: Task) -> list[tuple[int, list[int], int]]:
    """(learner, history, target) of every question."""
    return [(int(w), task.histories[i].tolist(), int(task.targets[i])) for i, w in enumerate(task.learners)]


def test_leave_last_out_reads_as_its_name() -> None:
    split = leave_last_out(table([0, 1, 2, 3], [4, 5, 6]))
    assert [split.train[i].tolist() for i in range(2)] == [[0, 1], [4]]
    assert questions(split.validation) == [(0, [0, 1], 2), (1, [4], 5)]
    assert questions(split.test) == [(0, [0, 1, 2], 3), (1, [4, 5], 6)]


def test_short_histories_appear_where_they_leave_a_history() -> None:
    split = leave_last_out(table([0, 1, 2], [3, 4], [5], []))
    assert questions(split.validation) == [(0, [0], 1)]
    assert questions(split.test) == [(0, [0, 1], 2), (1, [3], 4)]
    assert split.train.item_counts().tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert split.train.shape == (4, 10)


def test_repeats_are_one_item_first_kept() -> None:
    assert questions(leave_last_out(table([0, 1, 0, 2, 2])).test) == [(0, [0, 1], 2)]


def test_a_target_in_its_own_history_is_refused() -> None:
    with pytest.raises(ValueError, match="stands in its own history"):
        Task(Histories.of([[1, 2]], 3), np.array([2], dtype=np.int32), np.array([0], dtype=np.int32))


DAYS = [[0, 1, 2, 3, 4, 5], [0, 2, 4], [3], [5]]
ROWS = [[0, 1, 2, 3, 4, 5], [6, 7, 8], [9], [0]]


def test_rolling_origin_worked_by_hand() -> None:
    """11 events on days 00 1 22 33 44 55 in sorted order; two cuts: places 2, 5, 8 of 11 are days 1, 3, 4."""
    first, second = rolling_origin(table(*ROWS, days=DAYS), cuts=2, ask="first")
    assert [str(fold.cut)[:10] for fold in (first, second)] == ["2026-01-04", "2026-01-05"]
    assert [first.train[i].tolist() for i in range(4)] == [[0, 1, 2], [6, 7], [], []]
    assert questions(first.test) == [(0, [0, 1, 2], 3), (2, [], 9)]  # learner 2 starts here: an empty history
    assert questions(second.test) == [(0, [0, 1, 2, 3], 4), (1, [6, 7], 8), (3, [], 0)]
    assert first.validation is not None
    assert questions(first.validation) == [(0, [0], 1), (1, [6], 7)]
    assert [first.validation_train[i].tolist() for i in range(2)] == [[0], [6]]
    assert (first.train.until, first.validation_train.until) == (first.cut, np.datetime64("2026-01-02", "us"))
    assert first.train.n_audiences == 2


def test_a_late_record_is_a_target_where_it_happened_and_known_only_from_its_record_on() -> None:
    """Learner 1's item 7, of day 2, was recorded on day 4: neither the cut on day 3 nor that on day 4 knows it."""
    plain = table(*ROWS, days=DAYS)
    late = (plain.rows() == 1) & (plain.items == 7)
    on_day = np.datetime64("2026-01-05", "us")
    slow = replace(plain, known_at=np.where(late, on_day, plain.at))
    for ask, answer in (("first", [6]), ("every", [6, 7])):  # at the time of item 8, on day 4, it is known; before the cut, not
        first, second = rolling_origin(slow, cuts=2, ask=ask)
        assert [first.train[1].tolist(), second.train[1].tolist()] == [[6], [6]]
        assert (1, answer, 8) in questions(second.test)
        assert first.validation is not None
        assert 7 not in first.validation.targets  # day 1 to day 3: not recorded by the cut
    earlier = rolling_origin(slow, cuts=3, ask="every")[0]  # places 2, 4, 6, 8 of 11: a cut on day 2
    assert (1, [6], 7) in questions(earlier.test)


def test_relabelling_keeps_when_each_entry_was_known() -> None:
    plain = log(20)
    slow = replace(plain, known_at=plain.at + np.timedelta64(9, "D"))
    after, _ = relabel(slow, rng=np.random.default_rng(9))
    assert (after.known_at - after.at == np.timedelta64(9, "D")).all()


def log(n_learners: int, seed: int = 2) -> Interactions:
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(30)[: rng.integers(1, 15)].tolist() for _ in range(n_learners)]
    return table(*rows, days=[sorted(rng.integers(0, 400, size=len(row)).tolist()) for row in rows], n_items=30)


@pytest.mark.parametrize("ask", ["first", "every"])
def test_no_fold_learns_from_its_own_test_window(ask: Ask) -> None:
    table = log(60)
    when = {(row, int(i)): t for row in range(len(table)) for i, t in zip(table[row], _times(table, row), strict=True)}
    folds = rolling_origin(table, ask=ask)
    assert len(folds) == 8
    for fold in folds:
        assert (fold.train.at < fold.cut).all()
        asked_at = [when[pair] for pair in zip(fold.test.learners.tolist(), fold.test.targets.tolist(), strict=True)]
        limit = np.array(asked_at) if ask == "every" else np.full(len(fold.test), fold.cut - np.timedelta64(1, "us"))
        assert (fold.test.histories.at <= limit[fold.test.histories.rows()]).all()
        assert fold.validation is not None
        assert (fold.validation_train.at < fold.validation_train.until).all()
        seen = set(zip(fold.train.rows().tolist(), fold.train.items.tolist(), strict=True))
        assert set(zip(fold.validation.learners.tolist(), fold.validation.targets.tolist(), strict=True)) <= seen
        assert not set(zip(fold.test.learners.tolist(), fold.test.targets.tolist(), strict=True)) & seen


def _times(table: Interactions, row: int) -> np.ndarray:
    return table.at[table.indptr[row] : table.indptr[row + 1]]


def test_windows_hold_about_as_many_events_each() -> None:
    known = [int(fold.train.lengths.sum()) for fold in rolling_origin(log(200))]
    steps = np.diff(known)
    assert steps.min() > 0.8 * steps.mean()
    assert steps.max() < 1.2 * steps.mean()


def test_rolling_origin_needs_times() -> None:
    with pytest.raises(ValueError, match="order only: use leave-last-out"):
        rolling_origin(table([0, 1, 2]))


@pytest.mark.parametrize("interactions", [table(days=[]), table([0, 1], days=[[3, 3]]), table([0, 1, 2], days=[[0, 1, 2]])])
def test_rolling_origin_needs_enough_distinct_times(interactions: Interactions) -> None:
    with pytest.raises(ValueError, match="too few distinct event times for 8 cuts"):
        rolling_origin(interactions)


def test_relabelling_keeps_who_did_what_when() -> None:
    before = log(20)
    after, permutation = relabel(before, rng=np.random.default_rng(9))
    assert not np.array_equal(before.items, after.items)
    for new, old in enumerate(permutation.learners):
        assert permutation.items[after[new]].tolist() == before[old].tolist()
        times = slice(before.indptr[old], before.indptr[old + 1])
        assert after.at[after.indptr[new] : after.indptr[new + 1]].tolist() == before.at[times].tolist()
    assert (after.shape, after.n_audiences, str(after.until)) == (before.shape, before.n_audiences, str(before.until))


def test_a_table_by_item_follows_the_permutation() -> None:
    before = table([0, 1, 2])
    after, permutation = relabel(before, rng=np.random.default_rng(1))
    names = np.array(list("abcdefghij"))
    assert names[permutation.items][after[0]].tolist() == ["a", "b", "c"]


def test_digests_name_the_split() -> None:
    one, same, other = log(40), log(40), log(40, seed=3)
    assert digest(leave_last_out(one)) == digest(leave_last_out(same)) != digest(leave_last_out(other))
    assert digest(rolling_origin(one)) == digest(rolling_origin(same)) != digest(rolling_origin(other))
    assert digest(rolling_origin(one)) != digest(rolling_origin(one, cuts=9))


def led(rows: list[list[int]], at: list[list[np.datetime64]] | None, marked: list[int]) -> Interactions:
    """A table whose entries in the places of `marked` followed a recommendation."""
    table = Interactions.of_histories(Histories.of(rows, 6, at=at))
    return replace(table, recommended=np.isin(np.arange(len(table.items)), marked))


def test_targets_say_whether_they_were_recommended() -> None:
    """Ann takes up 0 1 2, bob 3 4 5; 2 and 4 were recommended to them."""
    split = leave_last_out(led([[0, 1, 2], [3, 4, 5]], None, [2, 4]))
    assert split.test.recommended.tolist() == [True, False]
    assert split.validation.recommended.tolist() == [False, True]
    assert split.test.histories.recommended.tolist() == [False, False, False, True]
    organic = split.test.organic()
    assert (organic.targets.tolist(), organic.learners.tolist(), organic.histories[0].tolist()) == ([5], [1], [3, 4])


@pytest.mark.parametrize("ask", ["first", "every"])
def test_a_window_asks_with_the_flag_of_its_entries(ask: Ask) -> None:
    days = [np.datetime64("2025-01-01", "us") + np.timedelta64(day, "D") for day in range(6)]
    (fold,) = rolling_origin(led([[0, 1, 2, 3, 4, 5]], [days], [4]), cuts=1, ask=ask)
    assert fold.cut == days[4]
    assert fold.test.recommended.tolist() == [True, False][: len(fold.test)]
    assert not fold.validation_train.recommended.any()


def test_a_flag_moves_the_digest_of_a_split_and_its_absence_does_not() -> None:
    plain, flagged = (leave_last_out(led([[0, 1, 2], [3, 4, 5]], None, marked)) for marked in ([], [2]))
    assert plain.digest == leave_last_out(Interactions.of_histories(Histories.of([[0, 1, 2], [3, 4, 5]], 6))).digest
    assert flagged.digest != plain.digest
    assert flagged.train.digest() == plain.train.digest()


def test_relabelling_keeps_the_flags() -> None:
    table = led([[0, 1, 2], [3, 4, 5]], None, [1])
    moved, renamed = relabel(table, rng=np.random.default_rng(0))
    assert [int(renamed.items[item]) for item in moved.items[moved.recommended]] == [1]


NEWCOMERS = [[0, 1, 2, 3, 8, 9], [0, 1, 4, 8], [2, 3, 5, 9], [4, 5, 6, 7], [9]]
"""Items 8 and 9 are first taken up last; learner 4 takes up nothing else."""


def newest(share: float = 0.2, *, days: bool = True) -> ColdItems:
    order = [[row.index(item) + (100 if item == 9 else 50 if item == 8 else 0) for item in row] for row in NEWCOMERS]
    order[3] = [4, 5, 20, 21]  # items 6 and 7 are the next newest
    return cold_items(table(*NEWCOMERS, days=order if days else None), share=share)


def test_cold_items_worked_by_hand() -> None:
    split = newest()
    assert np.flatnonzero(split.hidden).tolist() == [8, 9]
    assert split.newest_by == "first take-up"
    assert [split.train[i].tolist() for i in range(5)] == [[0, 1, 2, 3], [0, 1, 4], [2, 3, 5], [4, 5, 6, 7], []]
    asked = [(0, [0, 1, 2, 3], 8), (0, [0, 1, 2, 3, 8], 9), (1, [0, 1, 4], 8), (2, [2, 3, 5], 9)]
    assert questions(split.test) == asked  # learner 4 has nothing before it


def test_cold_validation_asks_for_the_next_newest_and_as_many_others_none_of_them_known_before() -> None:
    split = newest()
    cold = [one for one in questions(split.validation) if one[2] in (6, 7)]
    others = [one for one in questions(split.validation) if one[2] not in (6, 7)]
    assert cold == [(3, [4, 5], 6), (3, [4, 5, 6], 7)]
    assert len(others) == len(cold)
    assert not split.early.item_counts()[[6, 7, 8, 9]].any()
    for learner, history, target in others:
        assert split.train[learner].tolist() == [*history, target] or learner == 3  # the last of items that are not new
        assert target not in split.early[learner]
    kept = len(split.train.items) - len(cold) - len(others)
    assert len(split.early.items) == kept


def test_a_table_without_times_draws_its_newest_items_and_says_so() -> None:
    split = newest(days=False)
    assert split.newest_by == "draw"
    assert split.hidden.sum() == 2
    assert digest(split) == digest(newest(days=False))
    assert not split.train.item_counts()[split.hidden].any()
    assert split.hidden[split.test.targets].all()


def test_the_catalogue_may_say_which_items_are_the_newest() -> None:
    days = np.array([5.0, 9, 8, 1, 1, 1, 1, 1, 1, 1])
    split = cold_items(table(*NEWCOMERS), share=0.2, available=days)
    assert (split.newest_by, np.flatnonzero(split.hidden).tolist()) == ("available", [1, 2])
    days[3] = np.nan  # one item without a date: the catalogue cannot tell
    assert cold_items(table(*NEWCOMERS), share=0.2, available=days).newest_by == "draw"


def test_too_few_items_to_hide_are_refused() -> None:
    with pytest.raises(ValueError, match="10 items were taken up: hiding 50% of them twice"):
        newest(share=0.5)
    with pytest.raises(ValueError, match="10 items were taken up: hiding 5% of them twice"):
        newest(share=0.05)
    alone = table([0, 1, 2, 3], [4], [5], days=[[0, 1, 2, 3], [8], [9]])
    with pytest.raises(ValueError, match="there is nothing to ask"):
        cold_items(alone, share=0.2)


def test_cold_items_are_the_same_under_another_numbering_where_times_tell_them() -> None:
    order = [[row.index(item) + (100 if item == 9 else 50 if item == 8 else 0) for item in row] for row in NEWCOMERS]
    order[3] = [4, 5, 20, 21]
    moved, names = relabel(table(*NEWCOMERS, days=order), rng=np.random.default_rng(4))
    assert sorted(names.items[cold_items(moved, share=0.2).hidden].tolist()) == [8, 9]

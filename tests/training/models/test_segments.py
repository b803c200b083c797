from typing import Any

import numpy as np
import pytest

from features.interactions import NAT, Histories, Interactions
from training.models.segments import FittedSegments, Segments, grid

NOW = np.datetime64("2024-03-01T00:00:00", "us")
DAY = np.timedelta64(1, "D")


def fit(rows: list[list[int]], *, days_ago: list[list[int]] | None = None, prior: float = 1, **groups: Any) -> FittedSegments:
    """A model of 3 items; all take-ups are of now unless `days_ago` says otherwise."""
    ages = days_ago or [[0] * len(row) for row in rows]
    histories = Histories.of(rows, 3, at=[[NOW - age * DAY for age in row] for row in ages], **groups)
    return Segments(prior=prior, half_life_days=10).fit(Interactions.of_histories(histories, until=NOW), rng=rng())


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def new(**groups: Any) -> Histories:
    return Histories.of([[]], 3, **groups)


def test_a_group_is_smoothed_towards_the_wider_one() -> None:
    fitted = fit([[0], [1], [1], [2]], prior=2, audience=[0, 1, 1, -1], role=[-1, 5, -1, -1])
    everybody = np.array([1, 2, 1]) / 4
    np.testing.assert_allclose(fitted.score(new())[0], everybody, rtol=1e-6)
    audience = (np.array([0, 2, 0]) + 2 * everybody) / (2 + 2)
    np.testing.assert_allclose(fitted.score(new(audience=[1]))[0], audience, rtol=1e-6)
    role = (np.array([0, 1, 0]) + 2 * audience) / (1 + 2)
    np.testing.assert_allclose(fitted.score(new(audience=[1], role=[5]))[0], role, rtol=1e-6)


def test_a_new_learner_of_a_role_gets_what_the_role_takes_up() -> None:
    fitted = fit([[0], [0], [0], [1], [1], [2]], role=[0, 0, 0, 1, 1, -1], org_unit=[0, 0, 0, 0, 0, 1])
    assert fitted.score(Histories.of([[], [], []], 3, role=[0, 1, -1])).argmax(axis=1).tolist() == [0, 1, 0]
    assert fitted.score(new(org_unit=[1])).argmax() == 2


def test_a_small_group_says_little_and_a_large_one_nearly_all() -> None:
    crowd = fit([[0]] * 90 + [[1]] * 2 + [[2]] * 60, prior=30, role=[-1] * 90 + [0] * 2 + [1] * 60)
    assert crowd.score(new(role=[0])).argmax() == 0
    assert crowd.score(new(role=[1])).argmax() == 2


def test_a_group_that_training_never_saw_is_scored_like_none() -> None:
    fitted = fit([[0], [1]], role=[0, 1], org_unit=[0, 0], audience=[0, 1])
    for name in ("audience", "role", "org_unit"):
        np.testing.assert_array_equal(fitted.score(new(**{name: [7]})), fitted.score(new()))


def test_a_take_up_counts_half_after_a_half_life() -> None:
    fitted = fit([[0], [1]], days_ago=[[0], [10]], role=[0, 0])
    np.testing.assert_allclose(fitted.score(new()), [[2 / 3, 1 / 3, 1 / 2]], rtol=1e-6)
    expected = np.array([[1, 1 / 2, 0], [0, 0, 0]])
    np.testing.assert_allclose(fitted.counts["role"].toarray(), expected, rtol=1e-6)


def test_without_any_time_all_take_ups_count_alike_and_among_others_none_does() -> None:
    untimed = Interactions.of_histories(Histories.of([[0], [1], [1]], 3, role=[0, 0, 0]))
    np.testing.assert_allclose(Segments().fit(untimed, rng=rng()).everybody, [1 / 3, 2 / 3, 0], rtol=1e-6)
    partly = Interactions.of_histories(Histories.of([[0], [1]], 3, at=[[NOW], [NAT]]))
    assert Segments().fit(partly, rng=rng()).everybody.tolist() == [1, 0, 0]


def test_the_group_that_favours_an_item_most_is_named() -> None:
    fitted = fit([[0], [1], [1], [2]], audience=[0, 1, 1, 1], role=[0, 1, 1, 0])
    learner = new(audience=[1], role=[1])
    assert [fitted.favoured_by(learner, 0, item) for item in range(3)] == [None, "role", "audience"]
    assert fitted.favoured_by(new(), 0, 1) is None


def test_nobody_took_up_anything() -> None:
    fitted = fit([[], []], role=[0, 1])
    assert fitted.score(new(role=[1])).tolist() == [[0, 0, 0]]


def test_a_table_whose_last_group_is_not_empty_makes_no_model() -> None:
    fitted = fit([[0]], role=[0])
    with pytest.raises(ValueError, match="indptr of role does not rise from 0 to 1, the last row empty"):
        FittedSegments.from_arrays({**fitted.arrays(), "role.indptr": np.array([0, 1], dtype=np.int32)}, fitted.params())
    with pytest.raises(ValueError, match="a count of role is below 0"):
        FittedSegments.from_arrays({**fitted.arrays(), "role.counts": np.array([-1], dtype=np.float32)}, fitted.params())


def test_the_grid_varies_both_settings() -> None:
    assert len({(one.half_life_days, one.prior) for one in grid(400)}) == len(grid(400)) == 9

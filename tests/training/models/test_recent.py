import numpy as np
import pytest

from features.interactions import NAT, Histories, Interactions
from training.models.recent import FittedRecent, Recent

NOW = np.datetime64("2024-03-01T00:00:00", "us")
DAY = np.timedelta64(1, "D")


def fit(rows: list[list[int]], days_ago: list[list[int]], audience: list[int], **settings: float) -> FittedRecent:
    at = [[NOW - days * DAY for days in row] for row in days_ago]
    histories = Histories.of(rows, 3, at=at, audience=audience)
    table = Interactions.of_histories(histories, n_audiences=2, until=NOW)
    return Recent(**settings).fit(table, rng=np.random.default_rng(0))


def test_a_take_up_counts_half_after_a_half_life() -> None:
    fitted = fit([[0], [1], [1]], [[0], [10], [20]], [-1, -1, -1], half_life_days=10)
    expected = np.array([1, 1 / 2 + 1 / 4, 0]) / 1.75
    np.testing.assert_allclose(fitted.shares[-1], expected, rtol=1e-6)


def test_an_audience_is_smoothed_towards_everybody() -> None:
    fitted = fit([[0], [1], [1], [2]], [[0]] * 4, [0, 1, 1, -1], prior=2)
    everybody = np.array([1, 2, 1]) / 4
    np.testing.assert_allclose(fitted.shares[0], (np.array([1, 0, 0]) + 2 * everybody) / (1 + 2), rtol=1e-6)
    np.testing.assert_allclose(fitted.shares[1], (np.array([0, 2, 0]) + 2 * everybody) / (2 + 2), rtol=1e-6)


def test_an_audience_sees_its_own_and_a_stranger_what_everybody_sees() -> None:
    fitted = fit([[0], [1], [1]], [[0]] * 3, [0, 1, 1], prior=0.1)
    scores = fitted.score(Histories.of([[], [], [], []], 3, audience=[0, 1, -1, 7]))
    assert scores.argmax(axis=1).tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(scores[2], scores[3])


def test_without_times_it_cannot_score() -> None:
    table = Interactions.of_histories(Histories.of([[0, 1]], 3), n_audiences=1)
    scores = Recent().fit(table, rng=np.random.default_rng(0)).score(Histories.of([[0]], 3))
    assert np.isnan(scores).all()


def test_entries_without_a_time_do_not_count() -> None:
    histories = Histories.of([[0], [1]], 3, at=[[NOW], [NAT]])
    table = Interactions.of_histories(histories, until=NOW)
    assert Recent().fit(table, rng=np.random.default_rng(0)).shares.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("until", [NAT, NOW])
def test_age_counts_from_the_newest_time_where_until_is_unset(until: np.datetime64) -> None:
    histories = Histories.of([[0], [1]], 3, at=[[NOW], [NOW - 10 * DAY]])
    table = Interactions.of_histories(histories, until=until)
    fitted = Recent(half_life_days=10).fit(table, rng=np.random.default_rng(0))
    np.testing.assert_allclose(fitted.shares[-1], [2 / 3, 1 / 3, 0], rtol=1e-6)


def test_a_new_item_is_as_popular_as_the_mean_of_the_others_in_each_audience() -> None:
    fitted = fit([[0], [0], [1]], [[0]] * 3, [0, 0, 1], prior=1)
    scores = fitted.score(Histories.of([[], []], 3, audience=[0, 1]))
    np.testing.assert_allclose(scores[:, 2], scores[:, :2].mean(axis=1), rtol=1e-6)
    assert fitted.shares[:, 2].tolist() == [0, 0, 0]

"""Drift findings: arithmetic shown, limits that give way to chance, and refusals."""

import numpy as np
import pytest

from training import drift
from training.drift import Answers, DriftReport
from training.estimates import Inconclusive

NONE = float("inf")


def test_the_index_as_worked_by_hand() -> None:
    """24 and 74 before, 74 and 24 now, half a count added to each: (q - p) ln(q / p) twice."""
    found = drift.psi(np.array([24, 74]), np.array([74, 24]))
    assert found == pytest.approx(2 * (74.5 - 24.5) / 99 * np.log(74.5 / 24.5))


def test_equal_shares_have_no_distance() -> None:
    assert drift.psi(np.array([10, 30]), np.array([10, 30])) == 0


def test_chance_is_what_equal_samples_exceed_once_in_twenty() -> None:
    rng = np.random.default_rng(5)
    p = np.full(11, 1 / 11)
    draws = [drift.psi(rng.multinomial(400, p), rng.multinomial(300, p)) for _ in range(2000)]
    exceeded = np.mean(np.array(draws) > drift.chance(11, 400, 300))
    assert 0.03 < exceeded < 0.07


def test_a_shift_names_what_moved_most() -> None:
    found = drift.shift("g", "n", {"a": 100, "b": 100}, {"a": 20, "b": 180})
    assert found.drifted
    assert "a by -40.0 points" in found.words
    assert not drift.shift("g", "n", {"a": 100, "b": 100}, {"a": 90, "b": 110}).drifted


def test_a_few_of_anything_say_nothing() -> None:
    found = drift.shift("g", "n", {"a": 500}, {"b": 29})
    assert (found.value, found.drifted) == (None, False)
    assert "only 29 on one side" in found.words
    assert drift.share("g", "n", 29, 29, 0.5, "learners").value is None


def test_few_units_behind_many_counts_raise_the_limit() -> None:
    before, now = {"a": 4000, "b": 4000, "c": 2000}, {"a": 6500, "b": 2500, "c": 1000}
    assert drift.shift("g", "n", before, now).drifted
    assert not drift.shift("g", "n", before, now, units=30).drifted


@pytest.mark.parametrize(("now", "beyond"), [(1.0, False), (2.1, True), (0.49, True), (1.9, False)])
def test_activity_may_halve_or_double(now: float, beyond: bool) -> None:
    assert drift.factor("g", "n", 1.0, now, "events").drifted == beyond


def test_popularity_does_not_take_the_return_of_the_rare_for_a_shift() -> None:
    """500 items of equal popularity: which of them was rare was chance, and chance is not compared with itself."""
    rng = np.random.default_rng(2)
    before, now = rng.integers(500, size=2000), rng.integers(500, size=1000)
    assert not drift.popularity(before, now, 500).drifted
    fashion = np.where(rng.random(1000) < 0.5, rng.integers(5, size=1000), now)
    assert drift.popularity(before, fashion, 500).drifted


def test_scores_are_compared_in_bins_of_the_first() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=(300, 20)).astype(np.float32)
    assert not drift.scores("s", first, rng.normal(size=(300, 20)).astype(np.float32)).drifted
    assert drift.scores("s", first, first + 1).drifted
    assert drift.scores("s", first[:9], first).value is None


def test_overlap_is_the_mean_share_in_common() -> None:
    one, other = np.arange(10, dtype=np.int32), np.arange(6, 16, dtype=np.int32)
    found = drift.overlap([one] * 30, [other] * 15 + [one] * 15, 10)
    assert found.value == pytest.approx((0.4 + 1.0) / 2)
    assert drift.overlap([one] * 30, [other] * 30, 10).drifted


def answers(rate: float, n: int) -> Answers:
    """Of n learners' questions, `rate` were answered at the second place and the others not at all."""
    return Answers(np.where(np.arange(n) < rate * n, 2.0, NONE), np.arange(n))


def test_online_below_offline_is_drift_and_above_is_not() -> None:
    assert drift.agreement("recall", answers(0.05, 200), answers(0.5, 200), 5).drifted
    assert not drift.agreement("recall", answers(0.5, 200), answers(0.05, 200), 5).drifted
    near = drift.agreement("recall", answers(0.30, 200), answers(0.31, 200), 5)
    assert not near.drifted
    assert "the intervals overlap" in near.words
    assert near.detail["online by position"] == [0, 0.3, 0, 0, 0]


def test_agreement_refuses_rather_than_guesses() -> None:
    few = drift.agreement("recall", answers(0.5, 29), answers(0.5, 200), 5)
    unknown = drift.agreement("ndcg", answers(0.5, 200), Inconclusive("the ranks are lost"), 5)
    same = drift.agreement("recall", answers(0, 200), answers(0.5, 200), 5)
    assert [one.value for one in (few, unknown, same)] == [None, None, None]
    assert "29 logged slates" in few.words
    assert "the ranks are lost" in unknown.words
    assert "online: all 200 learners have the same value" in same.words


def test_a_report_says_what_drifted_in_one_line() -> None:
    shifted = drift.shift("population", "verbs", {"a": 100, "b": 100}, {"a": 20, "b": 180})
    found = DriftReport("then and now", (shifted, drift.silent("scores", "all", "no champion")))
    assert found.drifted
    assert found.summary == "population, verbs of 1 comparisons beyond its limit"
    assert "inconclusive: no champion" in found.text()
    assert '"drifted": true' in found.to_json()

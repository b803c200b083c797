"""Probabilities: shares worked by hand, a map that finds the truth it was given, and figures from windows it has not seen."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.interactions import Histories
from training.calibration import FEWEST, TEMPERATURES, Window, ask, calibrate, reliability
from training.estimates import Estimate, Inconclusive
from training.models.popularity import FittedPopularity
from training.models.probability import Calibration, log_shares
from training.plots import reliability_plot
from training.splits import Task


def task(targets: NDArray[np.integer], n_items: int, learners: int) -> Task:
    n = len(targets)
    return Task(Histories.of([[]] * n, n_items), targets.astype(np.int32), (np.arange(n) % learners).astype(np.int32))


def window(rng: np.random.Generator, *, sharper: float = 1.0, n: int = 600) -> Window:
    """Twelve items; what is taken up next is drawn from a softmax of the scores, `sharper` times as steep as it says."""
    score = np.linspace(0, 3, 12).astype(np.float32)
    chance = np.exp(sharper * score)
    targets = rng.choice(12, size=n, p=chance / chance.sum())
    return ask(FittedPopularity(score), task(targets, 12, 80), rng=rng)


def test_shares_are_a_softmax_of_standardised_scores() -> None:
    """(0, 2): mean 1, deviation 1, so -1 and 1; at temperature 2 the shares are 1 / (1 + e) and e / (1 + e)."""
    shares = log_shares(np.array([[0, 2, np.nan]], dtype=np.float32), np.array([2.0]))
    found = np.exp(shares.value / 2 - shares.log_total)[0]
    assert found[:2].tolist() == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)], abs=1e-6)
    assert np.isnan(found[2])


@pytest.mark.parametrize("scores", [[5, 5, 5, 5], [0, 0, 0, 0], [3e38, 3e38, 3e38, 3e38]])
def test_equal_scores_have_equal_shares(scores: list[float]) -> None:
    shares = log_shares(np.array([scores], dtype=np.float32), TEMPERATURES)
    assert np.exp(shares.value / 0.1 - shares.log_total[:, :1]).tolist() == [pytest.approx([0.25] * 4)]


def test_the_map_finds_the_probabilities_that_were_drawn_from() -> None:
    rng = np.random.default_rng(1)
    found = calibrate([window(rng, n=3_000) for _ in range(3)])
    assert isinstance(found, Calibration)
    score = np.linspace(0, 3, 12).astype(np.float32)
    truth = np.exp(score) / np.exp(score).sum()
    said = found.probabilities(score, np.array([], dtype=int), np.arange(12))
    assert np.abs(said - truth).max() < 0.015
    assert np.all(np.diff(said) >= 0)


def test_what_was_taken_up_is_no_candidate_and_has_no_probability() -> None:
    plain = Calibration(1.0, np.array([[-30, -30], [0, 0]], dtype=np.float32))
    said = plain.probabilities(np.array([9, 1, 1], dtype=np.float32), np.array([0]), np.array([0, 1, 2]))
    assert said.tolist() == pytest.approx([np.nan, 0.5, 0.5], nan_ok=True)
    assert plain.probabilities(np.array([np.nan, 3], dtype=np.float32), np.array([], dtype=int), np.array([0, 1]))[1] == 1


def test_reliability_is_measured_on_windows_that_the_map_has_not_seen() -> None:
    """Three windows of one kind, and a last one in which learners are far less predictable: only the last shows it."""
    rng = np.random.default_rng(2)
    same = [window(rng) for _ in range(3)]
    fair, off = reliability(same, resamples=200), reliability([*same[:2], window(rng, sharper=0.0)], resamples=200)
    assert isinstance(fair.error, Estimate)
    assert isinstance(off.error, Estimate)
    assert fair.error.high < off.error.low
    assert isinstance(fair.better, Estimate)
    assert fair.better.low > 0
    assert fair.questions == 1_200
    assert sum(b.pairs for b in fair.bins) == 12_000
    assert sum(b.low <= b.predicted <= b.high for b in fair.bins) >= 6


def test_brier_and_error_worked_by_hand() -> None:
    """The map of the first window says what it says; the second is scored against exactly that."""
    rng = np.random.default_rng(3)
    first, second = window(rng), window(rng)
    fitted = calibrate([first])
    assert isinstance(fitted, Calibration)
    at = TEMPERATURES.tolist().index(fitted.temperature)
    said = fitted.of(second.value / fitted.temperature - second.log_total[:, at, None])
    found = reliability([first, second], resamples=50)
    assert isinstance(found.brier, Estimate)
    assert isinstance(found.error, Estimate)
    assert found.brier.value == pytest.approx(np.mean((said - second.taken) ** 2))
    assert found.error.value == pytest.approx(sum(b.pairs * abs(b.predicted - b.observed) for b in found.bins) / said.size)


def test_too_few_take_ups_make_no_map() -> None:
    rng = np.random.default_rng(0)
    few = window(rng, n=FEWEST - 1)
    assert isinstance(calibrate([few]), Inconclusive)
    assert isinstance(calibrate([]), Inconclusive)
    assert isinstance(calibrate([window(rng, n=FEWEST)]), Calibration)
    assert reliability([few, few]).bins == reliability([]).bins == ()


def test_a_model_that_can_score_nothing_and_one_candidate() -> None:
    """Nothing is said of what has no score; of one item alone the share is 1, and the map says how often that was so."""
    blind = ask(FittedPopularity(np.full(3, np.nan, dtype=np.float32)), task(np.zeros(60), 3, 20), rng=np.random.default_rng(0))
    assert blind.hits.sum() == 0
    assert isinstance(calibrate([blind]), Inconclusive)
    alone = ask(FittedPopularity(np.ones(1, dtype=np.float32)), task(np.zeros(60), 1, 20), rng=np.random.default_rng(0))
    found = calibrate([alone])
    assert isinstance(found, Calibration)
    assert found.of(np.array([0.0])).tolist() == [1.0]
    assert isinstance(reliability([alone, alone]).brier, Inconclusive)


def test_no_more_questions_than_asked_for() -> None:
    found = ask(FittedPopularity(np.ones(5, dtype=np.float32)), task(np.zeros(60), 5, 20), rng=np.random.default_rng(0), most=7)
    assert (len(found.learners), found.hits[0].sum(), found.pairs[0].sum()) == (7, 7, 35)


@pytest.mark.parametrize("broken", [np.zeros((0, 2)), [[0, -1], [-1, 0]], [[0, 0.5]], [[0, np.nan]], [[0, 0, 0]]])
def test_arrays_that_are_no_map_are_refused(broken: object) -> None:
    arrays = Calibration(1.0, np.array([[-1, -2], [0, -1]], dtype=np.float32)).arrays()
    assert Calibration.from_arrays(arrays).knots.tolist() == [[-1, -2], [0, -1]]
    with pytest.raises(ValueError, match=r"knots|temperature"):
        Calibration.from_arrays(arrays | {"knots": np.array(broken, dtype=np.float32)})
    with pytest.raises(ValueError, match=r"knots|temperature"):
        Calibration.from_arrays(arrays | {"temperature": np.zeros(1, dtype=np.float32)})


def test_the_plot_is_drawn_here(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    found = reliability([window(rng), window(rng)], resamples=50)
    reliability_plot(found, "blend").save(str(tmp_path / "reliability.svg"))
    text = (tmp_path / "reliability.svg").read_text()
    assert text.startswith("<svg")
    assert "Reliability, blend" in text
    assert "NaN" not in text

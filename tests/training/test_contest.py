"""Contests on a checkerboard: whoever took up even items takes up the next even one, so the right answer is known."""

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training import lineup
from training.contest import Contest, Round, compete, measure, peak_mb, words
from training.models.als import ALS
from training.models.linear import Linear
from training.models.popularity import Popularity
from training.splits import leave_last_out, rolling_origin


def checkerboard() -> Interactions:
    """40 learners of 12 items, half of them on the even items and half on the odd ones, one a day."""
    rng = np.random.default_rng(1)
    rows = [(2 * rng.permutation(12)[:8] + learner % 2).tolist() for learner in range(40)]
    start = np.datetime64("2026-01-01", "us")
    days = [[start + np.timedelta64(int(day), "D") for day in sorted(rng.integers(0, 300, size=8))] for _ in rows]
    return Interactions.of_histories(Histories.of(rows, 24, at=days))


SIDE = SideInformation(24, np.eye(2, dtype=np.float32)[np.arange(24) % 2])
LAST_OUT = Contest.of(leave_last_out(checkerboard()), SIDE, seed=3)


@pytest.mark.parametrize("name", ["linear", "als", "content", "blend"])
def test_models_that_read_the_history_know_the_colour(name: str) -> None:
    assert compete(name, LAST_OUT).evaluation.metric("recall") == 1  # 5 unseen items of the right colour, top 10


@pytest.mark.parametrize("name", lineup.MODELS)
def test_every_model_competes_under_both_protocols(name: str) -> None:
    for contest in (LAST_OUT, Contest.of(rolling_origin(checkerboard()), SIDE)):
        found = compete(name, contest)
        assert len(found.evaluation) == sum(len(this.test) for this in contest.rounds)
        assert len(found.settings) == len(contest.rounds)
        assert found.fit_seconds > 0 < found.score_ms
        assert 10 < found.peak_mb < 10_000


def test_the_same_seed_gives_the_same_ranks() -> None:
    for name in ("random", "als", "blend"):
        assert compete(name, LAST_OUT).evaluation.rank.tolist() == compete(name, LAST_OUT).evaluation.rank.tolist()


def test_leave_last_out_never_fits_on_the_validation_item(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted_on: list[Interactions] = []
    fit = ALS.fit
    monkeypatch.setattr(ALS, "fit", lambda self, table, *, rng: (fitted_on.append(table), fit(self, table, rng=rng))[1])
    compete("als", LAST_OUT)
    assert all(table is LAST_OUT.rounds[0].train for table in fitted_on)
    assert len(fitted_on) == len(lineup.settings("als", 24, SIDE))  # the winner is not fitted again


def test_rolling_origin_fits_again_on_everything_known_at_the_cut() -> None:
    (fold, *_) = rolling_origin(checkerboard())
    found = compete("popularity", Contest.of([fold]))
    alone = Round(fold.train, None, fold.train, fold.test)
    assert found.evaluation.rank.tolist() == compete("popularity", Contest((alone,), SIDE)).evaluation.rank.tolist()


def test_a_model_is_measured_in_a_process_of_its_own() -> None:
    ballast = np.ones(100 * 2**17)  # 100 MB that the other process must not be charged for
    found = measure("popularity", LAST_OUT)
    assert found.peak_mb < peak_mb() - ballast.nbytes / 2**20 / 2
    assert found.evaluation.rank.tolist() == compete("popularity", LAST_OUT).evaluation.rank.tolist()


def test_errors_come_back_from_the_other_process() -> None:
    with pytest.raises(ValueError, match="neither"):
        measure("content", Contest.of(leave_last_out(checkerboard())))


def test_settings_in_words() -> None:
    assert words(Popularity()) == "popularity()"
    assert words(Linear(decay=0.5)).startswith("linear(decay=0.5, ridge=")

"""Choosing on validation: the best setting wins, its own fit goes on, and the table shows every trial."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from training.choose import choose, settle
from training.splits import leave_last_out


@dataclass(frozen=True)
class Fits:
    """Fitted: scores `sign` times the item's index, plus what its generator drew."""

    sign: float
    drawn: float

    def score(self, histories: Histories, items: Any = None) -> Any:
        return np.tile(self.sign * np.arange(histories.n_items, dtype=np.float32), (len(histories), 1))


@dataclass(frozen=True)
class Towards:
    """Model: high indices first for sign 1, low ones for -1."""

    sign: float
    name: ClassVar[str] = "towards"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> Any:
        return Fits(self.sign, float(rng.random()))


SPLIT = leave_last_out(Interactions.of_histories(Histories.of([[0, 1, 28, 29]] * 20, 30)))


def test_the_best_on_validation_wins_whatever_the_order() -> None:
    for order in ([1.0, -1.0], [-1.0, 1.0]):
        found = choose([Towards(s) for s in order], SPLIT.train, SPLIT.validation, rng=np.random.default_rng(0))
        assert found.model == Towards(1.0)
        assert isinstance(found.fitted, Fits)
        assert found.fitted.sign == 1.0
        assert [trial.model for trial in found.table] == [Towards(s) for s in order]
        ndcg = {trial.model: trial.ndcg for trial in found.table}
        assert ndcg == {Towards(1.0): pytest.approx(1 / np.log2(3)), Towards(-1.0): 0}  # 29 stands before 28


def test_the_first_of_equals_wins() -> None:
    found = choose([Towards(1.0), Towards(2.0)], SPLIT.train, SPLIT.validation, rng=np.random.default_rng(0))
    assert found.model == Towards(1.0)


def test_the_same_seed_gives_the_same_fit() -> None:
    one, two = (choose([Towards(1.0)], SPLIT.train, SPLIT.validation, rng=np.random.default_rng(6)) for _ in range(2))
    assert one.fitted == two.fitted


def test_no_settings_are_an_error() -> None:
    with pytest.raises(ValueError, match="no settings"):
        choose([], SPLIT.train, SPLIT.validation, rng=np.random.default_rng(0))


def test_settling_takes_the_best_and_its_fit() -> None:
    model, fitted = settle([Towards(-1.0), Towards(1.0)], SPLIT.train, SPLIT.validation, rng=np.random.default_rng(0))
    assert model == Towards(1.0)
    assert isinstance(fitted, Fits)
    assert fitted.sign == 1.0


def test_settling_without_validation_takes_the_first() -> None:
    nothing = leave_last_out(Interactions.of_histories(Histories.of([[0, 1]], 30))).validation
    for task in (None, nothing):
        model, fitted = settle([Towards(-1.0), Towards(1.0)], SPLIT.train, task, rng=np.random.default_rng(0))
        assert model == Towards(-1.0)
        assert isinstance(fitted, Fits)
        assert fitted.drawn == np.random.default_rng(0).random()  # the generator as it came: nothing was tried

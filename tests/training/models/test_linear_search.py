"""The search: what it may spend, and that it finds what validation prefers."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.choose import is_settled, settle
from training.evaluate import evaluate
from training.models import linear_search
from training.models.linear import FittedLinear, Linear, LinearModel
from training.splits import LeaveLastOut, leave_last_out


def chains(n_items: int = 24, learners: int = 80, seed: int = 0) -> LeaveLastOut:
    """A learner takes up items of one kind (modulo 2), mostly the next one after the last."""
    rng = np.random.default_rng(seed)
    rows = []
    for learner in range(learners):
        order = np.roll(np.arange(learner % 2, n_items, 2), rng.integers(n_items))[:8].tolist()
        at = int(rng.integers(7))
        order[at : at + 2] = order[at : at + 2][::-1]
        rows.append(order)
    return leave_last_out(Interactions.of_histories(Histories.of(rows, n_items)))


SPLIT = chains()
KINDS = SideInformation(24, attributes=sparse.csr_matrix(np.eye(2, dtype=np.float32)[np.arange(24) % 2]))


def found(model: LinearModel, split: LeaveLastOut = SPLIT) -> tuple[LinearModel, FittedLinear]:
    asked = split.validation
    return model.search(split.train, asked.histories, asked.targets, rng=np.random.default_rng(0))


def ndcg(fitted: FittedLinear) -> float:
    return evaluate(fitted, SPLIT.validation, train=SPLIT.train).metric("ndcg")


def test_what_is_found_is_better_on_validation_than_where_it_began() -> None:
    begun = Linear(mix=0, decay=1).bind(KINDS)
    chosen, fitted = found(begun)
    assert chosen.config.mix > 0  # order tells more here than company
    assert ndcg(fitted) > ndcg(begun.fit(SPLIT.train, rng=np.random.default_rng(0))) + 0.05


def test_the_fit_is_that_of_the_chosen_settings() -> None:
    chosen, fitted = found(Linear().bind(KINDS))
    again = chosen.fit(SPLIT.train, rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.asarray(fitted.weights), np.asarray(again.weights), atol=1e-5)
    assert fitted.known.tolist() == again.known.tolist()
    assert fitted.decay == again.decay


def test_ndcg_on_the_way_is_that_of_the_evaluation() -> None:
    asked = SPLIT.validation
    config = Linear(mix=0.35, next_decay=0.7, side=1, next_side=2)
    trials = linear_search._Trials(config.bind(KINDS), SPLIT.train, asked.histories, asked.targets, 10, 60)
    assert trials.ndcg(config) == pytest.approx(
        ndcg(config.bind(KINDS).fit(SPLIT.train, rng=np.random.default_rng(0))), abs=1e-6
    )


def test_no_more_halves_are_fitted_than_the_catalogue_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [linear_search.fits(n) for n in (0, 24, 12_101, 100_000)] == [60, 60, 24, 4]
    fitted: list[Interactions] = []
    for half in ("ease", "next_item"):
        whole = getattr(LinearModel, half)

        def counted(self: LinearModel, table: Interactions, whole: Any = whole) -> Any:
            fitted.append(table)
            return whole(self, table)

        monkeypatch.setattr(LinearModel, half, counted)
    monkeypatch.setattr(linear_search, "fits", lambda n_items: 4)
    found(Linear().bind(KINDS))
    assert len(fitted) <= 4


def test_a_large_catalogue_is_searched_in_the_sparse_form_and_fitted_in_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_search, "SMALL", 10)
    chosen, fitted = found(Linear().bind(KINDS))
    assert chosen.config.form == "auto"
    assert isinstance(fitted.weights, np.ndarray)
    again = chosen.fit(SPLIT.train, rng=np.random.default_rng(0))
    np.testing.assert_allclose(fitted.weights, np.asarray(again.weights), atol=1e-5)
    chosen, fitted = found(Linear(form="sparse").bind(KINDS))
    assert sparse.issparse(fitted.weights)


def test_side_information_stays_out_where_it_says_nothing() -> None:
    noise = SideInformation(24, text=np.random.default_rng(1).normal(size=(24, 3)).astype(np.float32))
    assert found(Linear().bind(noise))[0].config.side <= 3
    nothing = found(Linear().bind(SideInformation(24)))[0].config
    assert (nothing.side, nothing.next_side) == (0, 0)


def test_settle_lets_the_model_search_and_a_fixed_setting_alone() -> None:
    model, _ = settle([Linear().bind(KINDS)], SPLIT.train, SPLIT.validation, rng=np.random.default_rng(0))
    assert isinstance(model, LinearModel)
    assert model.config != Linear()
    untold, _ = settle([Linear().bind(KINDS)], SPLIT.train, None, rng=np.random.default_rng(0))
    assert isinstance(untold, LinearModel)
    assert untold.config == Linear()
    assert is_settled([Linear()])
    assert not is_settled([Linear().bind(KINDS)])


def test_the_same_seed_finds_the_same() -> None:
    (one, first), (two, second) = (found(Linear().bind(KINDS)) for _ in range(2))
    assert one.config == two.config
    assert np.asarray(first.weights).tobytes() == np.asarray(second.weights).tobytes()

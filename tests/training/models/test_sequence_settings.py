"""Every setting of the sequence model is read: another value changes what is learned. What a recipe says reaches the fit."""

from typing import Any

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from training.config import ModelsConfig
from training.models.sequence import SequenceModel

M = 30
USUAL: dict[str, Any] = {
    "dim": 8,
    "blocks": 1,
    "heads": 2,
    "max_length": 3,
    "times": True,
    "dropout": 0.1,
    "learning_rate": 0.2,
    "batch": 64,
    "negatives": 4,
    "epochs": 5,
    "patience": 5,
}
OTHER: dict[str, Any] = {
    "dim": 4,
    "blocks": 2,
    "heads": 1,
    "max_length": 2,
    "times": False,
    "dropout": 0.3,
    "learning_rate": 0.02,
    "batch": 48,
    "negatives": 8,
    "epochs": 1,
    "patience": 1,
}
RUN_OPTIONS = {"device", "threads"}
"""Change where a fit is computed and how long it takes."""


@pytest.fixture(scope="module")
def table() -> Interactions:
    """A hundred learners at random among thirty items: nothing to learn but chance, so validation stops soon."""
    rng = np.random.default_rng(0)
    rows = [rng.permutation(M)[: rng.integers(3, 6)].tolist() for _ in range(100)]
    days = [np.cumsum(rng.integers(1, 40, len(row))) for row in rows]
    at = [[np.datetime64("2025-01-01", "us") + np.timedelta64(int(day), "D") for day in own] for own in days]
    return Interactions.of_histories(Histories.of(rows, M, at=at))


def learned(table: Interactions, settings: dict[str, Any]) -> bytes:
    """The curve, which tells how long it trained, and the weights."""
    model = ModelsConfig.model_validate({"sequence": settings}).sequence  # type: ignore[attr-defined]
    fitted = model.fit(table, rng=np.random.default_rng(0))
    return repr(fitted.curve).encode() + b"".join(array.tobytes() for _, array in sorted(fitted.arrays().items()))


@pytest.fixture(scope="module")
def usual(table: Interactions) -> bytes:
    return learned(table, USUAL)


def test_no_setting_was_forgotten_here() -> None:
    assert set(USUAL) == set(OTHER) == set(SequenceModel.model_fields) - RUN_OPTIONS
    assert not any(USUAL[name] == OTHER[name] for name in USUAL)


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_is_read(table: Interactions, usual: bytes, name: str) -> None:
    assert learned(table, USUAL | {name: OTHER[name]}) != usual


def test_settings_left_out_are_the_defaults() -> None:
    assert ModelsConfig.model_validate({"sequence": {}}).sequence == SequenceModel()  # type: ignore[attr-defined]

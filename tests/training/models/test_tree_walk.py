"""Small trees are walked to the very numbers that LightGBM gives, whatever is missing and however close a threshold is."""

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from training.models.tree_text import fields, numbers
from training.models.tree_walk import MOST_ROWS, Walk
from training.models.trees import Trees, learn

WIDTH = 6
SETTINGS = {"trees": 40, "rate": 0.1, "smallest": 5, "seed": 3, "threads": 1}


def table(rows: int, seed: int) -> NDArray[np.float32]:
    """Column 0 lacks half of its values, column 1 a few, column 2 is mostly 0, column 3 has five values, 4 and 5 lack none."""
    rng = np.random.default_rng(seed)
    found = rng.standard_normal((rows, WIDTH)).astype(np.float32)
    found[rng.random(rows) < 0.5, 0] = np.nan
    found[rng.random(rows) < 0.05, 1] = np.nan
    found[rng.random(rows) < 0.8, 2] = 0
    found[:, 3] = rng.integers(0, 5, rows)
    return found


def trees(leaves: int, **settings: float) -> Trees:
    rows, rng = table(3_000, 1), np.random.default_rng(2)
    score = np.where(np.isnan(rows[:, 0]), 1.5, rows[:, 0]) + rows[:, 3] * np.nan_to_num(rows[:, 1], nan=-1) + rows[:, 4]
    hit = score + rng.standard_normal(len(rows)) > 2
    return learn(rows, hit, np.full(300, 10), leaves=leaves, **SETTINGS | settings)  # type: ignore[arg-type]


def plain(model: Trees, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(lightgbm.Booster(model_str=model.text.tobytes().decode()).predict(rows), dtype=np.float32)


def walk(model: Trees) -> Walk:
    found = Walk.of(model.text.tobytes().decode(), WIDTH)
    assert found is not None
    return found


@pytest.mark.parametrize("leaves", [2, 5, 15, 16])
def test_every_row_gets_the_number_that_lightgbm_gives(leaves: int) -> None:
    """Rows that lack what was known when the trees were learned, too."""
    model, rows = trees(leaves), table(400, 7)
    rows[::3, 4:] = np.nan
    rows[-1] = np.nan
    assert np.array_equal(walk(model).predict(rows), plain(model, rows))
    assert np.array_equal(model.predict(rows), plain(model, rows))


def test_a_value_next_to_a_threshold_falls_on_its_side() -> None:
    model = trees(15)
    rows = []
    for part in model.text.tobytes().decode().split("\nTree=")[1:]:
        told = fields(part)
        n = int(told["num_leaves"]) - 1
        for feature, threshold in zip(numbers(told, "split_feature", n), numbers(told, "threshold", n), strict=True):
            near = np.float32(threshold)
            values = np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))
            rows += [np.where(np.arange(WIDTH) == feature, value, np.float32(0.1)) for value in values]
    every = np.array(rows, dtype=np.float32)
    assert np.array_equal(np.concatenate([walk(model).predict(some) for some in np.array_split(every, 9)]), plain(model, every))


def test_trees_that_nothing_could_be_learned_from_say_the_same() -> None:
    rows = table(50, 1)
    model = learn(rows, np.zeros(50, dtype=bool), np.full(5, 10), leaves=4, **SETTINGS)  # type: ignore[arg-type]
    assert np.array_equal(model.predict(rows), plain(model, rows))


def test_larger_trees_and_many_rows_are_left_to_lightgbm() -> None:
    model, rows = trees(17), table(MOST_ROWS + 1, 5)
    assert Walk.of(model.text.tobytes().decode(), WIDTH) is None
    assert np.array_equal(model.predict(rows[:9]), plain(model, rows[:9]))
    assert np.array_equal(trees(15).predict(rows), plain(trees(15), rows))


@pytest.mark.parametrize("zero_is_missing", [True, False])
def test_trees_of_another_kind_are_left_to_lightgbm(zero_is_missing: bool) -> None:
    """A zero that is missing goes its own way, and another objective makes something else of the sum."""
    objective = "lambdarank" if zero_is_missing else "binary"
    settings = {"objective": objective, "verbose": -1, "zero_as_missing": zero_is_missing, "num_leaves": 8}
    data = lightgbm.Dataset(table(500, 1), np.arange(500) % 2, params=settings, group=np.full(50, 10))
    assert Walk.of(lightgbm.train(settings, data, 3).model_to_string(), WIDTH) is None

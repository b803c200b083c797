import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from features.interactions import Histories
from training.models.sequence import FittedSequence, SequenceModel
from training.models.transformer import Transformer
from training.models.windows import newest

M = 40
DAY = np.timedelta64(1, "D")
START = np.datetime64("2024-01-01T00:00:00", "us")
CONFIG = SequenceModel(dim=16, blocks=3, heads=4, max_length=6)


def network(seed: int, *, spread: float = 0.5) -> Transformer:
    """Random weights, also those that begin as zeros and ones."""
    torch.manual_seed(seed)
    found = Transformer(CONFIG.shapes(M), dropout=0.4).eval()
    with torch.no_grad():
        for weight in found.weights.values():
            weight.add_(torch.randn(weight.shape) * spread * weight.shape[-1] ** -0.5)
    return found


def asked(seed: int, n: int = 20) -> Histories:
    """Histories of 1 to 9 items, longer than is read; half of the times are missing."""
    rng = np.random.default_rng(seed)
    rows = [[int(i) for i in rng.integers(0, M, rng.integers(1, 10))] for _ in range(n)]
    at = [
        [
            START + np.cumsum(rng.integers(0, 40, len(row)))[k] * DAY if u % 2 else np.datetime64("NaT", "us")
            for k in range(len(row))
        ]
        for u, row in enumerate(rows)
    ]
    return Histories.of(rows, M, at=at)


def by_torch(made: Transformer, histories: Histories) -> NDArray[np.float32]:
    """Scores of each history, one at a time."""
    windows = newest(histories, CONFIG.max_length, times=True)
    rows = []
    with torch.no_grad():
        for row in range(len(histories)):
            places = windows.places(np.array([row]))
            items, gaps = (torch.from_numpy(array[places].astype(np.int64)) for array in (windows.items, windows.gaps))
            rows.append((made(items, gaps)[0, -1] @ made.weights["item"].T).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("seed", range(3))
def test_numpy_scores_equal_those_of_torch(seed: int) -> None:
    made, histories = network(seed), asked(seed)
    np.testing.assert_allclose(FittedSequence(made.arrays()).score(histories), by_torch(made, histories), rtol=1e-5, atol=1e-5)


def test_one_history_scores_as_in_a_batch() -> None:
    fitted, histories = FittedSequence(network(1).arrays()), asked(1)
    alone = np.concatenate([fitted.score(histories.take(np.array([row]))) for row in range(len(histories))])
    np.testing.assert_allclose(alone, fitted.score(histories), rtol=1e-5, atol=1e-5)


def test_a_place_knows_nothing_of_what_comes_after_it() -> None:
    made = network(2)
    items = torch.tensor([[3, 5, 7, 9]])
    with torch.no_grad():
        whole, part = made(items, torch.zeros_like(items)), made(items[:, :2], torch.zeros_like(items[:, :2]))
    torch.testing.assert_close(whole[:, :2], part)


def test_only_the_newest_are_read() -> None:
    fitted = FittedSequence(network(3).arrays(), times=False)
    long = Histories.of([[1, 2, *range(10, 16)] * 3, [4, *range(10, 16)], list(range(10, 16)), list(range(11, 16))], M)
    scores = fitted.score(long)
    np.testing.assert_allclose(scores[:2], scores[[2, 2]], rtol=1e-5, atol=1e-5)
    assert not np.allclose(scores[2], scores[3])


def test_a_history_of_ten_thousand_items_is_scored() -> None:
    fitted = FittedSequence(network(3).arrays())
    assert np.isfinite(fitted.score(Histories.of([list(range(M)) * 250], M))).all()


def test_items_nobody_took_up_are_not_read_and_not_scored() -> None:
    weights = network(4).arrays()
    weights["item"][[0, 7]] = 0
    fitted = FittedSequence(weights)
    scores = fitted.score(Histories.of([[7, 3, 0, 5, 7], [3, 5], [0, 7], []], M))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.isnan(scores[:, [0, 7]]).all()
    assert np.isfinite(np.delete(scores[:2], [0, 7], axis=1)).all()
    assert np.isnan(scores[2:]).all()


def test_order_and_times_matter_and_times_can_be_ignored() -> None:
    weights = network(5).arrays()
    at = [[START, START + DAY], [START, START + 300 * DAY], [START, START + DAY]]
    histories = Histories.of([[1, 2], [1, 2], [2, 1]], M, at=at)
    with_times, without = FittedSequence(weights).score(histories), FittedSequence(weights, times=False).score(histories)
    assert not np.allclose(with_times[0], with_times[1])
    np.testing.assert_array_equal(without[0], without[1])
    assert not np.allclose(without[0], without[2])


def test_arrays_come_back_and_are_checked() -> None:
    fitted = FittedSequence(network(6).arrays(), times=False)
    again = FittedSequence.from_arrays(fitted.arrays(), fitted.params())
    np.testing.assert_array_equal(again.score(asked(0)), fitted.score(asked(0)))
    for name, wrong in (
        ("feed_in", fitted.weights["feed_in"][:2]),
        ("gap", fitted.weights["gap"][:-1]),
        ("attention_lag", np.zeros((3, 5, 6), np.float32)),
        ("attention_lag", np.zeros((0, 4, 6), np.float32)),
        ("item", fitted.weights["item"].astype(np.float64)),
    ):
        with pytest.raises(ValueError, match=r"float|transformer"):
            FittedSequence.from_arrays({**fitted.arrays(), name: wrong}, fitted.params())
    with pytest.raises(ValueError, match="times is 2"):
        FittedSequence.from_arrays(fitted.arrays(), {"times": 2})


def test_a_config_that_makes_no_network_is_refused() -> None:
    with pytest.raises(ValidationError, match="dim 10 is no multiple of heads 4"):
        SequenceModel(dim=10, heads=4)


def test_serving_needs_no_torch() -> None:
    code = "import sys, training.models.registry; assert 'torch' not in sys.modules and 'training.metrics' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

import logging

import numpy as np
import pytest
import torch

from features.interactions import Histories, Interactions
from training.models.base import Learned
from training.models.sequence import FittedSequence, SequenceModel
from training.models.sequence_fit import FEW, batches, best_epoch, device, hold_out, validate
from training.models.transformer import Transformer

M = 12
SMALL = SequenceModel(dim=8, dropout=0.1, learning_rate=0.02, epochs=6, patience=2, batch=16)


def courses(n: int = 120, seed: int = 0) -> Interactions:
    """Every learner goes round the same circle of courses from somewhere: after i comes i + 1."""
    rng = np.random.default_rng(seed)
    starts, lengths = rng.integers(0, M, n), rng.integers(3, 7, n)
    rows = [[int(start + k) % M for k in range(length)] for start, length in zip(starts, lengths, strict=True)]
    return Interactions.of_histories(Histories.of(rows, M))


@pytest.fixture(scope="module")
def fitted() -> FittedSequence:
    return SMALL.fit(courses(), rng=np.random.default_rng(0))


def test_it_learns_what_comes_next() -> None:
    few = SMALL.fit(courses(80), rng=np.random.default_rng(0))
    scores = few.score(Histories.of([[i, (i + 1) % M] for i in range(M)], M))
    scores[np.arange(M), (np.arange(M) + 1) % M] = -np.inf  # taken up already
    assert np.argmax(scores, axis=1).tolist() == [(i + 2) % M for i in range(M)]


def test_trained_weights_score_in_numpy_as_in_torch(fitted: FittedSequence) -> None:
    network = Transformer(SMALL.shapes(M), dropout=0.1).eval()
    network.load_state_dict({f"weights.{name}": torch.from_numpy(weight) for name, weight in fitted.weights.items()})
    rows = [[4], [1, 2, 3], [5, 2, 9, 11, 0, 1, 5]]
    with torch.no_grad():
        states = [network(torch.tensor([row]), torch.zeros((1, len(row)), dtype=torch.int64))[0, -1] for row in rows]
        expected = torch.stack(states) @ network.weights["item"].T
    np.testing.assert_allclose(fitted.score(Histories.of(rows, M)), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_the_curve_has_a_value_for_each_epoch(fitted: FittedSequence) -> None:
    assert isinstance(fitted, Learned)
    loss, score = fitted.curve["loss"], fitted.curve["validation_ndcg"]
    assert 2 <= len(loss) == len(score) <= SMALL.epochs
    assert loss[-1] < loss[0] < 3  # of 12 items by chance: log 12 = 2.5
    assert max(score) > 0.9


def test_it_stops_when_validation_no_longer_improves() -> None:
    long = SMALL.model_copy(update={"epochs": 60, "patience": 1})
    curve = long.fit(courses(), rng=np.random.default_rng(0)).curve
    assert len(curve["validation_ndcg"]) == best_epoch(curve) + 1 < 60


def test_the_same_generator_gives_the_same_bits_whatever_was_drawn_before(fitted: FittedSequence) -> None:
    torch.manual_seed(99)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(3)
    again = SMALL.fit(courses(), rng=np.random.default_rng(0))
    assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    for name, weight in fitted.weights.items():
        assert again.weights[name].tobytes() == weight.tobytes()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_is_held_out_comes_from_the_training_part_and_leaves_every_item_a_learner() -> None:
    table = courses()
    inner = hold_out(table, np.random.default_rng(1))
    assert FEW <= len(inner.targets) <= len(table) // 3
    assert len(inner.early.items) + len(inner.targets) == len(table.items)
    assert np.all(np.bincount(inner.early.items, minlength=M) > 0)
    pairs = {(int(inner.histories[k][-1]), int(target)) for k, target in enumerate(inner.targets)}
    assert pairs <= {(i, (i + 1) % M) for i in range(M)}


def test_a_rare_item_is_never_held_out() -> None:
    rows = [[0, 1, 2 + u] for u in range(90)]
    inner = hold_out(Interactions.of_histories(Histories.of(rows, 92)), np.random.default_rng(1))
    assert len(inner.targets) == 0
    assert len(inner.early.items) == 270


def test_few_learners_train_all_epochs_without_validation() -> None:
    curve = SMALL.fit(courses(20), rng=np.random.default_rng(0)).curve
    assert len(curve["loss"]) == SMALL.epochs
    assert curve["validation_ndcg"] == ()


def test_batches_hold_every_window_once_and_lengths_alike() -> None:
    length = np.random.default_rng(0).integers(1, 30, 500)
    found = list(batches(length, 100, np.random.default_rng(1)))
    assert sorted(np.concatenate(found).tolist()) == list(range(500))
    assert all(len(which) * length[which].max() <= 100 for which in found)
    assert sum(len(which) * length[which].max() - length[which].sum() for which in found) < 0.1 * length.sum()
    other = list(batches(length, 100, np.random.default_rng(2)))
    assert not np.array_equal(np.concatenate(found), np.concatenate(other))


def test_a_window_longer_than_a_batch_is_a_batch_of_its_own() -> None:
    assert sorted(len(which) for which in batches(np.array([50, 60, 1]), 10, np.random.default_rng(0))) == [1, 1, 1]


def test_validation_ranks_among_what_was_not_taken_up(fitted: FittedSequence) -> None:
    """A model without any preference ties 12 items less the taken-up ones, so its rank is their middle."""
    inner = hold_out(courses(), np.random.default_rng(1))
    assert validate(fitted, inner) > 0.9
    even = {name: np.zeros_like(weight) for name, weight in fitted.weights.items()} | {"item": np.ones((M, 8), np.float32)}
    rank = 1 + (M - inner.histories.lengths - 1) / 2
    assert validate(FittedSequence(even), inner) == pytest.approx(float(np.mean(1 / np.log2(1 + rank))))


def test_progress_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nextwise.sequence"):
        SMALL.model_copy(update={"epochs": 1}).fit(courses(), rng=np.random.default_rng(0))
    assert "epoch 1 of at most 1: loss" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused_by_name_and_auto_goes_without() -> None:
    with pytest.raises(ValueError, match='device = "cuda", but PyTorch finds no GPU here'):
        SMALL.model_copy(update={"device": "cuda"}).fit(courses(), rng=np.random.default_rng(0))
    assert device("auto").type == "cpu"

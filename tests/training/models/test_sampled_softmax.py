import numpy as np
import pytest
import torch

from training.models.sampled_softmax import draw_candidates, sampled_softmax


def test_with_every_item_it_is_the_softmax_cross_entropy() -> None:
    """-log(e^2 / (e^2 + e^0 + e^1)) = log(1 + e^-2 + e^-1) = 0.40761, and for the second row log 3."""
    scores = torch.tensor([[2.0, 0.0, 1.0], [0.5, 0.5, 0.5]])
    found = sampled_softmax(scores, torch.tensor([0, 1]), torch.ones(3))
    assert found.item() == pytest.approx((0.40760596 + np.log(3)) / 2, abs=1e-6)


def test_a_negative_counts_for_those_that_were_not_drawn() -> None:
    """Horvitz-Thompson: a negative that is drawn half of the time stands for two. -log(e^1 / (e^1 + e^0 / .5 + e^2 / .25))."""
    scores = torch.tensor([[1.0, 0.0, 2.0]])
    found = sampled_softmax(scores, torch.tensor([0]), torch.tensor([0.1, 0.5, 0.25]))
    assert found.item() == pytest.approx(-np.log(np.e / (np.e + 2 + 4 * np.exp(2))), abs=1e-5)


def test_gradients_flow_to_targets_and_negatives() -> None:
    scores = torch.zeros((1, 3), requires_grad=True)
    sampled_softmax(scores, torch.tensor([1]), torch.ones(3)).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad.numpy(), [[1 / 3, -2 / 3, 1 / 3]], atol=1e-6)


def test_candidates_are_known_items_and_the_targets_of_the_batch() -> None:
    known, targets = np.array([1, 3, 5, 6, 7, 9]), np.array([9, 3, 9], dtype=np.int32)
    candidates, inclusion = draw_candidates(targets, known, np.full(10, 0.1), 2, np.random.default_rng(0))
    assert np.all(np.diff(candidates) > 0)
    assert set(targets) <= set(candidates) <= set(known)
    assert len(candidates) <= 4
    np.testing.assert_allclose(inclusion, 1 - (1 - 2 / 6) * 0.9**3, atol=1e-6)


def test_all_items_are_drawn_where_there_are_few() -> None:
    candidates, inclusion = draw_candidates(np.array([2], np.int32), np.arange(4), np.zeros(4), 512, np.random.default_rng(0))
    assert candidates.tolist() == [0, 1, 2, 3]
    assert inclusion.tolist() == [1, 1, 1, 1]


def test_inclusion_is_how_often_a_candidate_comes() -> None:
    """4,000 batches of 3 targets and 2 of 6 uniform negatives; the standard error of a frequency is at most .008."""
    rng, share = np.random.default_rng(1), np.array([0.5, 0.3, 0.1, 0.1, 0.0, 0.0])
    seen, stated = np.zeros(6), np.zeros(6)
    for _ in range(4000):
        targets = rng.choice(6, 3, p=share).astype(np.int32)
        candidates, inclusion = draw_candidates(targets, np.arange(6), share, 2, rng)
        seen[candidates] += 1
        stated[candidates] = inclusion
    np.testing.assert_allclose(seen / 4000, stated, atol=0.03)

"""The loss of the sequence model: a softmax over some of the items that is, on average, the one over all of them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def sampled_softmax(scores: Tensor, own: Tensor, inclusion: Tensor) -> Tensor:
    """The mean over t of -log( e^s_own / (e^s_own + sum over j != own of e^s_j / inclusion_j) ).

    scores: float32[t, c] of c distinct candidates, own: int64[t] the column of each row's target, inclusion: float32[c] the
    probability that a candidate was drawn as a negative. The sum estimates, without bias, the one over all items (Horvitz,
    Thompson 1952; importance-sampled softmax: Bengio, Senecal 2008); its logarithm is the log-Q correction. With every item a
    candidate and every probability 1 it is the plain softmax cross-entropy.
    """
    rows, correction = torch.arange(len(own), device=own.device), inclusion.log()
    corrected = (scores - correction).index_put((rows, own), correction[own], accumulate=True)
    return functional.cross_entropy(corrected, own)


def draw_candidates(
    targets: NDArray[np.int32], known: NDArray[np.int64], share: NDArray[np.float64], negatives: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """int64[c], ascending: the targets of a batch and `negatives` items drawn uniformly; float32[c]: their inclusion.

    Mixed negatives (Yang et al. 2020): alone, uniform ones are too easy and those of the batch never hold a rare item. known:
    items that may be drawn; share: float64[n_items], an item's share of all targets. A candidate is there unless it is neither
    among the uniform ones nor a target of the batch.
    """
    count = min(negatives, len(known))
    candidates = np.union1d(rng.choice(known, count, replace=False), targets).astype(np.int64)
    absent = (1 - count / len(known)) * (1 - share[candidates]) ** len(targets)
    return candidates, (1 - absent).astype(np.float32)

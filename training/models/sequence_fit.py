"""The training of the sequence model: length-bucketed batches, sampled softmax, early stopping on an inner validation.

The inner validation is made of the training interactions alone: the last take-up of some learners, at most `HELD_OUT` and at
most a third of those who have two. The epoch with the best NDCG@10 there wins. Where what was held out is more than a
fiftieth of all take-ups, the model is then fitted again on everything for that many epochs; else its weights stand as they are.
"""

import copy
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.interactions import Histories, Interactions
from training.metrics import ndcg, ranks, unseen
from training.models.sampled_softmax import draw_candidates, sampled_softmax
from training.models.sequence import FittedSequence, SequenceModel
from training.models.transformer import Transformer
from training.models.windows import Windows, pairs

HELD_OUT = 2_000
FEW = 30  # held-out take-ups below which NDCG says nothing: all epochs are run
NEGLIGIBLE = 1 / 50  # share of the take-ups that may stay unlearned
STEPS, LEAST = 32, 64  # an epoch has at least this many steps, unless one would hold fewer take-ups than `LEAST`
WARM_UP = 100  # steps until the learning rate is reached
AVERAGED = 200  # steps that the running mean of the weights holds; at most two epochs

_LOG = logging.getLogger("nextwise.sequence")
_SCORED = 256  # histories of the inner validation scored at once


class DeviceError(ValueError):
    """A recipe asks for a device that is not there."""


@dataclass(frozen=True, eq=False)
class Inner:
    """The inner split: `early` without the held-out take-ups, and what to ask. `targets` may be empty."""

    early: Histories
    histories: Histories
    targets: NDArray[np.int32]


def fit(config: SequenceModel, interactions: Interactions, rng: np.random.Generator) -> FittedSequence:
    """See `SequenceModel.fit`. The same interactions, generator, threads and device give the same arrays."""
    seed = int(rng.integers(2**31))
    inner = hold_out(interactions, np.random.default_rng([seed, 0]))
    found = _Training.of(config, inner.early, interactions.item_counts() > 0, seed).run(inner, config.epochs)
    if len(inner.targets) <= NEGLIGIBLE * len(interactions.items):
        return found
    epochs = best_epoch(found.curve) or config.epochs
    whole = _Training.of(config, interactions, interactions.item_counts() > 0, seed).run(None, epochs)
    return replace(whole, curve=found.curve)


def hold_out(interactions: Interactions, rng: np.random.Generator) -> Inner:
    """The last take-up of a random part of the learners; none whose item would be left without a learner."""
    able = np.flatnonzero(interactions.lengths >= 2)
    drawn = np.sort(rng.permutation(able)[: min(HELD_OUT, len(able) // 3)])
    last = interactions.indptr[drawn + 1] - 1
    left = interactions.item_counts() - np.bincount(interactions.items[last], minlength=interactions.n_items)
    stays = left[interactions.items[last]] > 0
    drawn, last = drawn[stays], last[stays]
    if len(drawn) < FEW:
        drawn, last = drawn[:0], last[:0]
    keep = np.ones(len(interactions.items), dtype=bool)
    keep[last] = False
    early = interactions.where(keep)
    return Inner(early, early.take(drawn), interactions.items[last])


def best_epoch(curve: Mapping[str, tuple[float, ...]]) -> int:
    """The epoch (from 1) of the best validation NDCG, the first of equals; 0 without validation."""
    return 1 + int(np.argmax(curve["validation_ndcg"])) if curve.get("validation_ndcg") else 0


def batches(length: NDArray[np.int64], size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Windows of similar length together, at most `size` places a batch with its filling; in random order."""
    order = np.lexsort((rng.random(len(length)), length))
    starts = [0]
    for place, longest in enumerate(length[order]):
        if (place + 1 - starts[-1]) * longest > size and place > starts[-1]:
            starts.append(place)
    parts = np.split(order, starts[1:])
    yield from (parts[k] for k in rng.permutation(len(parts)) if len(parts[k]))


@dataclass(frozen=True, eq=False)
class _Training:
    """What stays the same over a training."""

    config: SequenceModel
    windows: Windows
    known: NDArray[np.bool_]
    share: NDArray[np.float64]
    seed: int
    device: torch.device

    @classmethod
    def of(cls, config: SequenceModel, histories: Histories, known: NDArray[np.bool_], seed: int) -> "_Training":
        later = np.delete(histories.items, histories.indptr[:-1][histories.lengths > 0])
        targets = np.bincount(later, minlength=histories.n_items)
        windows = pairs(histories, config.max_length, times=config.times)
        return cls(config, windows, known, targets / max(targets.sum(), 1), seed, device(config.device))

    @property
    def taken(self) -> int:
        """Take-ups to predict."""
        return int(self.windows.length.sum())

    @property
    def size(self) -> int:
        """Take-ups in a batch."""
        return min(self.config.batch, max(LEAST, self.taken // STEPS))

    def run(self, inner: Inner | None, epochs: int) -> FittedSequence:
        """Train; with validation the weights of the best epoch, else those of the last."""
        threads = torch.get_num_threads()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if self.device.type == "cuda" else ()):
            torch.manual_seed(self.seed)
            torch.set_num_threads(self.config.threads)
            try:
                return self._run(inner, epochs)
            finally:
                torch.set_num_threads(threads)

    def _run(self, inner: Inner | None, epochs: int) -> FittedSequence:
        rng = np.random.default_rng([self.seed, 1])
        learner = _Learner.of(self.config, len(self.known), self.device, min(AVERAGED, 2 * self.taken // self.size + 1))
        losses: list[float] = []
        scores: list[float] = []
        best = self._fitted(learner.mean)
        for epoch in range(1, epochs + 1 if len(self.windows) else 1):
            losses.append(self._epoch(learner, rng))
            now = self._fitted(learner.mean)
            scores += [validate(now, inner)] if inner is not None and len(inner.targets) else []
            reached = f", validation NDCG@10 {scores[-1]:.4f}" if scores else ""
            _LOG.info("epoch %d of at most %d: loss %.4f%s", epoch, epochs, losses[-1], reached)
            if not scores or scores[-1] > max(scores[:-1], default=-1.0):
                best = now
            elif epoch - (1 + int(np.argmax(scores))) >= self.config.patience:
                break
        return replace(best, curve={"loss": tuple(losses), "validation_ndcg": tuple(scores)})

    def _epoch(self, learner: "_Learner", rng: np.random.Generator) -> float:
        """One pass over all windows; the mean loss of a take-up."""
        learner.network.train()
        total = 0.0
        for which in batches(self.windows.length, self.size, rng):
            loss = self._loss(learner.network, which, rng)
            learner.step(loss)
            total += float(loss.detach()) * int(self.windows.length[which].sum())
        return total / self.taken

    def _loss(self, network: Transformer, which: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        places, filled = self.windows.places(which), self.windows.filled(which)
        states = network(self._index(self.windows.items[places]), self._index(self.windows.gaps[places]))
        targets = self.windows.items[places + 1][filled]
        candidates, inclusion = draw_candidates(targets, np.flatnonzero(self.known), self.share, self.config.negatives, rng)
        table = torch.nn.functional.embedding(self._index(candidates), network.weights["item"])
        scores = states[torch.from_numpy(filled).to(self.device)] @ table.T
        own = self._index(np.searchsorted(candidates, targets))
        return sampled_softmax(scores, own, torch.from_numpy(inclusion).to(self.device))

    def _index(self, values: NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(self.device)

    def _fitted(self, network: Transformer) -> FittedSequence:
        weights = network.arrays()
        weights["item"][~self.known] = 0
        return FittedSequence(weights, self.config.times)


@dataclass(frozen=True, eq=False)
class _Learner:
    """A network, the running mean of its weights, which is what is served, and what changes them."""

    network: Transformer
    mean: Transformer
    optimiser: torch.optim.Optimizer
    rate: torch.optim.lr_scheduler.LambdaLR
    window: int  # steps that the mean holds

    @classmethod
    def of(cls, config: SequenceModel, n_items: int, device: torch.device, window: int) -> "_Learner":
        network = Transformer(config.shapes(n_items), config.dropout).to(device)
        optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
        rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / WARM_UP))
        return cls(network, copy.deepcopy(network), optimiser, rate, window)

    def step(self, loss: Tensor) -> None:
        """One step of Adam (Kingma, Ba 2015); the mean (Polyak, Juditsky 1992) is exponential once there are enough."""
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.rate.step()
        share = max(1 / self.window, 9 / (10 + self.rate.last_epoch))
        with torch.no_grad():
            for mean, weight in zip(self.mean.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, share)


def validate(fitted: FittedSequence, inner: Inner) -> float:
    """Mean NDCG@10 of the held-out take-ups among all items the learner had not taken up."""
    gains = []
    for start, batch in inner.histories.batches(_SCORED):
        targets = inner.targets[start : start + len(batch)]
        gains.append(ndcg(ranks(unseen(fitted.score(batch), batch, targets), targets), 10))
    return float(np.concatenate(gains).mean())


def device(wanted: str) -> torch.device:
    """Errors: DeviceError for "cuda" where there is none; "auto" then takes the processor."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DeviceError('device = "cuda", but PyTorch finds no GPU here: use "auto" or "cpu"')
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")

"""Settings of the linear model, chosen on validation by a search that fits as little as it can.

What costs a fit is a half of the model (EASE or next item) under new settings of its own. How the halves are mixed and how a
history is decayed costs none: both are tried on the scores of halves that stand. So the search goes from rung to rung of one
setting at a time, keeps a step that helps, and stops when no step helps or its fits are spent. Beyond `SMALL` items it goes
there in the sparse form, which ranks about as well and is fitted much faster, and fits the dense form once, at the end.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories, Interactions

if TYPE_CHECKING:
    from training.models.linear import FittedLinear, Linear, LinearModel, Weights

RUNGS: Mapping[str, tuple[float, ...]] = {
    "next_side": (0, 1, 3, 10, 30),
    "side": (0, 1, 3, 10, 30),
    "next_ridge": (12.5, 25, 50, 100, 200),
    "ridge": (25, 50, 100, 200, 400),
    "next_decay": (0.5, 0.7, 0.85),
}
"""What costs a fit, the most telling first."""
DECAYS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MIXES = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)

SMALL = 3_000
"""Items up to which a dense half is fitted in a second."""

_ENOUGH = 1e-4  # NDCG that a step must add: less is noise
_SWEEPS = 2
_ASKED = 8_000  # validation histories at most
_LEAST, _MOST = 4, 60  # halves fitted
_ITEMS = 300_000  # whose weights are solved in all: some two minutes
_BATCH = 512
_KEPT = 4  # halves: those of the best settings and of the step being tried

Halves = tuple["Weights", "Weights"]


def search(
    model: "LinearModel",
    train: Interactions,
    histories: Histories,
    targets: NDArray[np.int32],
    *,
    rng: np.random.Generator,
    k: int = 10,
) -> tuple["LinearModel", "FittedLinear"]:
    """The best settings found from those of `model` on, and their fit on `train`.

    histories: n, targets: int32[n], the item that came next; `rng` draws which of them are asked where there are many.
    """
    rows = np.sort(rng.choice(len(targets), size=min(_ASKED, len(targets)), replace=False))
    asked, answers = histories.take(rows), targets[rows]
    config = model.config
    form = "sparse" if model.n_items > SMALL or config.form == "sparse" else "dense"
    start = config.model_copy(update={"next_decay": config.next_decay or config.decay, "form": form})
    trials = _Trials(model, train, asked, answers, k, fits(model.n_items))
    best = _climb(trials, trials.best_decay(start), _rungs(model)).model_copy(update={"form": config.form})
    if config.is_sparse(model.n_items) != (form == "sparse"):
        trials = _Trials(model, train, asked, answers, k, 2)
        best = trials.best_decay(best)
    chosen = replace(model, config=best)
    return chosen, chosen.fitted(mixed(*trials.halves(best), best.mix), train)


def fits(n_items: int) -> int:
    """How many halves may be fitted on the way: 60 for a small catalogue, 25 for 12,000 items, 4 from 75,000 on."""
    return int(np.clip(_ITEMS / max(n_items, 1), _LEAST, _MOST))


def _rungs(model: "LinearModel") -> Mapping[str, tuple[float, ...]]:
    return {name: rungs for name, rungs in RUNGS.items() if "side" not in name or model.likeness is not None}


def _climb(trials: "_Trials", best: "Linear", ladders: Mapping[str, tuple[float, ...]]) -> "Linear":
    for _ in range(_SWEEPS):
        before = best
        for name, rungs in ladders.items():
            best = _along(trials, best, name, rungs)
        best = trials.best_decay(best)
        if best == before:
            break
    return best


def _along(trials: "_Trials", best: "Linear", name: str, rungs: Sequence[float]) -> "Linear":
    """Steps up while they help, or else down while they help."""
    for upwards in (True, False):
        moved = False
        while (tried := _next(best, name, rungs, upwards)) is not None and trials.can_fit(tried):
            tried = trials.best_mix(tried)
            if trials.ndcg(tried) <= trials.ndcg(best) + _ENOUGH:
                break
            best, moved = tried, True
        if moved:
            break
    return best


def _next(config: "Linear", name: str, rungs: Sequence[float], upwards: bool) -> "Linear | None":
    """The settings with the next rung above or below of one of them; None at the end."""
    here = getattr(config, name)
    further = [rung for rung in rungs if (rung > here if upwards else rung < here)]
    if not further:
        return None
    return config.model_copy(update={name: min(further) if upwards else max(further)})


@dataclass(eq=False)
class _Trials:
    """What was fitted and found so far; `left`: halves that may still be fitted."""

    model: "LinearModel"
    train: Interactions
    histories: Histories
    targets: NDArray[np.int32]
    k: int
    left: int
    kept: OrderedDict[tuple[object, ...], "Weights"] = field(default_factory=OrderedDict)
    found: dict["Linear", float] = field(default_factory=dict)

    def can_fit(self, config: "Linear") -> bool:
        return sum(key not in self.kept for key in _keys(config)) <= self.left

    def ndcg(self, config: "Linear") -> float:
        """Mean NDCG@k; those of all mixes of the same halves are found together."""
        if config not in self.found:
            same = [config.model_copy(update={"mix": mix}) for mix in sorted({*MIXES, config.mix})]
            bound = replace(self.model, config=config)
            known = bound.fitted(self.halves(config)[0], self.train).known
            gains = self._gains(self.halves(config), known, config.decay, [one.mix for one in same])
            self.found |= dict(zip(same, gains, strict=True))
        return self.found[config]

    def best_mix(self, config: "Linear") -> "Linear":
        """The first best mix of the same halves."""
        self.ndcg(config)
        same = [config.model_copy(update={"mix": mix}) for mix in MIXES]
        return max([config, *same], key=self.ndcg)

    def best_decay(self, config: "Linear") -> "Linear":
        """Decay and mix of the same halves, from decay to decay while it helps."""
        best = self.best_mix(config)
        for upwards in (True, False):
            while (tried := _next(best, "decay", DECAYS, upwards)) is not None:
                tried = self.best_mix(tried)
                if self.ndcg(tried) <= self.ndcg(best) + _ENOUGH:
                    break
                best = tried
        return best

    def halves(self, config: "Linear") -> Halves:
        """Both halves, fitted where they are not kept."""
        bound = replace(self.model, config=config)
        first, second = _keys(config)
        return self._half(first, lambda: bound.ease(self.train)), self._half(second, lambda: bound.next_item(self.train))

    def _half(self, key: tuple[object, ...], fit: Callable[[], "Weights"]) -> "Weights":
        if key not in self.kept:
            while len(self.kept) >= _KEPT:
                self.kept.popitem(last=False)
            self.kept[key] = fit()
            self.left -= 1
        self.kept.move_to_end(key)
        return self.kept[key]

    def _gains(self, halves: Halves, known: NDArray[np.bool_], decay: float, mixes: Sequence[float]) -> NDArray[np.float64]:
        """float64[len(mixes)]: mean NDCG@k of each mix; blocks of histories keep the memory small."""
        total = np.zeros(len(mixes))
        for start, histories in self.histories.batches(_BATCH):
            targets = self.targets[start : start + len(histories)]
            margins = [_margins(half, histories, targets, known, decay) for half in halves]
            for at, rank in enumerate(_ranks(margins, mixes)):
                hit = (rank < self.k + 1) & known[targets]
                total[at] += np.sum(1 / np.log2(1 + rank[hit]))
        return total / max(len(self.targets), 1)


def _keys(config: "Linear") -> tuple[tuple[object, ...], tuple[object, ...]]:
    """What decides each half."""
    return ("ease", config.ridge, config.side), ("next", config.next_decay, config.next_ridge, config.next_side)


def _margins(
    half: "Weights", histories: Histories, targets: NDArray[np.int32], known: NDArray[np.bool_], decay: float
) -> NDArray[np.float32]:
    """float32[n, m]: each item's score minus that of the target, -1 for the target and what is no candidate."""
    scores = histories.matrix(decay) @ half
    found = np.asarray(scores.toarray() if sparse.issparse(scores) else scores, dtype=np.float32)
    every = np.arange(len(targets))
    found -= found[every, targets][:, None]
    found[:, ~known] = -1
    found[histories.rows(), histories.items] = -1
    found[every, targets] = -1
    return found


def _ranks(margins: Sequence[NDArray[np.float32]], mixes: Sequence[float]) -> Iterator[NDArray[np.float64]]:
    """float64[n] for each mix: the target's rank, ties at their mean."""
    for mix in mixes:
        mixed = np.float32(1 - mix) * margins[0] + np.float32(mix) * margins[1]
        yield 1 + np.count_nonzero(mixed > 0, axis=1) + np.count_nonzero(mixed == 0, axis=1) / 2


def mixed(first: "Weights", second: "Weights", mix: float) -> "Weights":
    """(1 - mix) first + mix second, in the place of the first where they are dense."""
    if sparse.issparse(first) or sparse.issparse(second):
        return sparse.csr_matrix((1 - mix) * first + mix * second)
    first *= np.float32(1 - mix)
    second *= np.float32(mix)
    first += second
    return first

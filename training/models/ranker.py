"""Ranker: boosted trees that put the best candidates of a blend in order, and the blend itself where data are too few.

At most 300 items of a catalogue are candidates, the best of every source among them (`training.models.candidates`). Trees
look at what each part of the blend says of a candidate and at what is known of history and candidate together
(`training.models.pairs`). Everything else stays in the blend's order behind them. How it is learned: `ranker_fit`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models.base import Arrays, Fitted, Model, columns
from training.models.blend import FittedBlend
from training.models.candidates import MOST, candidates, places
from training.models.pairs import FEATURES, RISING, Pairs
from training.models.trees import Trees
from training.models.weights import FLAT, standardise

__all__ = ["FittedRanker", "Look", "Ranker", "RankerConfig"]

_PAIRS, _BLEND, _TREES = "pairs.", "blend.", "trees"
_OF_A_PART = {"score": 1, "gap": -1, "place": -1}
"""Three features of each part: its standardised score, how far it lies below the best candidate's, ln(1 + place).

With the direction in which it may move a candidate: one that a part likes better is never put lower for it."""


class RankerConfig(BaseModel):
    """`best` candidates of the blend and `own` of each part. `trees` at most, with `leaves`, learned at `rate`.

    `smallest`: rows of a leaf. `questions`: take-ups to learn from at most; while there are fewer than half of them, the past
    is rehearsed once more, `rehearsals` times in all at most. `fewest`: with fewer of them among the candidates the blend ranks
    alone. `folds` of learners judge how many trees help. `threads` changes the time alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    best: int = Field(default=80, ge=1, le=MOST)
    own: int = Field(default=10, ge=0, le=MOST)
    trees: int = Field(default=200, ge=1, le=2_000)
    leaves: int = Field(default=15, ge=2, le=256)
    rate: float = Field(default=0.05, gt=0, le=1)
    smallest: int = Field(default=50, ge=1)
    questions: int = Field(default=30_000, ge=1)
    rehearsals: int = Field(default=3, ge=1, le=10)
    fewest: int = Field(default=200, ge=1)
    folds: int = Field(default=3, ge=2, le=20)
    threads: int = Field(default=1, ge=1)

    def over(self, parts: Sequence[Model], side: SideInformation, weights: Mapping[str, float] | None = None) -> "Ranker":
        """A ranker over these parts, with what is known of the items; `weights` of its blend where they are chosen already."""
        return Ranker(self, tuple(parts), side, weights)


@dataclass(frozen=True, eq=False)
class Ranker:
    """A ranker's settings, the models it builds on, and the side information of the items.

    `weights` of its blend by part, such as validation chose; None: found in the rehearsal.
    """

    config: RankerConfig
    parts: tuple[Model, ...]
    side: SideInformation
    weights: Mapping[str, float] | None = None
    name: ClassVar[str] = "ranker"

    def fit(
        self, interactions: Interactions, *, rng: np.random.Generator, fitted: Mapping[str, Fitted] | None = None
    ) -> "FittedRanker":
        """Every part is fitted twice: without the take-ups that the trees learn from, then on everything.

        `fitted`: parts by name that were fitted on these interactions with the same settings, to be used as they are.
        """
        from training.models.ranker_fit import fit

        return fit(self, interactions, rng, fitted or {})


@dataclass(frozen=True, eq=False)
class Look:
    """A look at the candidates of n histories: row and item int64[k], rows ascending; features: float32[k, f].

    total: float32[n, m] as the blend scores. raw: float32[p, n, m] what its parts say, NaN where one cannot score; float64
    [p, 1, 1] mean and scale make it standard and weighted.
    """

    row: NDArray[np.int64]
    item: NDArray[np.int64]
    features: NDArray[np.float32]
    total: NDArray[np.float32]
    raw: NDArray[np.float32]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def parts(self) -> NDArray[np.float32]:
        """float32[p, n, m]: the parts weighted, 0 where one cannot score; they add up to `total`."""
        return self._weighted(self.raw)

    def parts_of(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32[p, n, k]: the same of k items."""
        return self._weighted(self.raw.take(items, axis=2))

    def _weighted(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        found = raw * self.scale.astype(np.float32)
        found -= (self.mean * self.scale).astype(np.float32)
        found[np.isnan(found)] = 0
        return found


@dataclass(frozen=True, eq=False)
class FittedRanker:
    """A fitted blend, what is known of pairs, and trees; without trees (None) the blend ranks alone, `note` says why.

    NaN for an item that no part of the blend can score.
    """

    blend: FittedBlend
    pairs: Pairs
    trees: Trees | None
    best: int = 80
    own: int = 10
    note: str = ""
    kind: ClassVar[str] = "ranker"

    @property
    def n_items(self) -> int:
        return self.blend.n_items

    @property
    def features(self) -> tuple[str, ...]:
        """The names of what the trees look at."""
        parts = (f"{name} {what}" for name in self.blend.parts for what in _OF_A_PART)
        return ("blend", "blend place", *parts, *FEATURES)

    @property
    def rising(self) -> tuple[int, ...]:
        """For each feature 1, -1 or 0: see `trees.learn`."""
        parts = (sign for _ in self.blend.parts for sign in _OF_A_PART.values())
        return (1, -1, *parts, *(RISING.get(name, 0) for name in FEATURES))

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        if self.trees is None:
            return self.blend.score(histories, items)
        return columns(self.lifted(self.look(histories)), items)

    def look(self, histories: Histories) -> Look:
        """The candidates of every history, and what the trees look at."""
        if len(histories) == 1:
            return self._look_at_one(histories)
        raw = np.stack([part.score(histories) for part in self.blend.parts.values()])
        flat, finite = standardise(raw.reshape(-1, raw.shape[-1]))
        standard, known = flat.reshape(raw.shape), finite.reshape(raw.shape)
        weights = np.array([self.blend.weights[name] for name in self.blend.parts], dtype=np.float32)
        total = (standard * weights[:, None, None]).sum(axis=0)
        total[~known.any(axis=0)] = np.nan
        standard[~known] = np.nan
        row, item = candidates(total, standard, histories, best=self.best, own=self.own)
        said = np.concatenate([total[None, row, item], standard[:, row, item]])
        own = _said(said, row)
        told = np.concatenate([own, self.pairs.features(histories, row, item)], axis=1)
        scale = weights.astype(np.float64)[:, None, None]
        return Look(row, item, told, total, standard, np.zeros_like(scale), scale)

    def _look_at_one(self, history: Histories) -> Look:
        """The same in a fraction of the time: candidates are found by the parts' own scores, and only they are standardised."""
        raw = np.concatenate([part.score(history) for part in self.blend.parts.values()])
        weights = np.array([[self.blend.weights[name]] for name in self.blend.parts])
        mean, scale, unknown = _moments(raw)
        raw.ravel()[unknown] = mean.astype(np.float32).ravel()[unknown // raw.shape[1]]  # which adds nothing
        total = ((scale * weights).astype(np.float32).T @ raw)[0]
        total -= np.float32((mean * scale * weights).sum())
        raw.ravel()[unknown] = np.nan
        if len(unknown) >= len(raw):
            total[np.bincount(unknown % len(total), minlength=len(total)) == len(raw)] = np.nan
        row, item = candidates(total[None], raw[:, None], history, best=self.best, own=self.own)
        standard = ((raw.take(item, axis=1) - mean) * scale).astype(np.float32)
        own = 2 + len(_OF_A_PART) * len(raw)
        features = np.empty((own + len(FEATURES), len(item)), dtype=np.float32)
        _write_said(total[item], standard, features[:own])
        self.pairs.write(history, item, features[own:])
        return Look(row, item, features.T, total[None], raw[:, None], mean[..., None], (scale * weights)[..., None])

    def lifted(self, look: Look) -> NDArray[np.float32]:
        """float32[n, m]: the blend's scores, the candidates above all others by what the trees say of them.

        An item that nobody took up keeps the place among the candidates that the blend gives it: hardly one was an answer that
        the trees learned from, so they would put all of them last.
        """
        found = look.total.copy()
        if self.trees is None or not len(look.row):
            return found
        if len(found) == 1:
            self._lift_one(found[0], look)
            return found
        value = self.trees.predict(look.features)
        starts = np.flatnonzero(np.diff(look.row, prepend=-1))
        sizes = np.diff(np.append(starts, len(look.row)))
        untaken = self.pairs.taken[look.item] == 0
        if untaken.any():
            _keep_places(value, look.total[look.row, look.item], untaken, starts, sizes)
        lowest = np.repeat(np.minimum.reduceat(value, starts), sizes)
        highest = np.fmax.reduce(found, axis=1)
        step = _STEP * _steps(look.row, value, look.total[look.row, look.item])
        found[look.row, look.item] = highest[look.row] + 1 + value - lowest + step
        return found

    def _lift_one(self, found: NDArray[np.float32], look: Look) -> None:
        """The same of one history, in place."""
        assert self.trees is not None
        value, total = self.trees.predict(look.features), look.total[0, look.item]
        untaken = self.pairs.taken[look.item] == 0
        if untaken.any():
            _keep_places(value, total, untaken, np.zeros(1, dtype=np.int64), np.array([len(value)]))
        order = np.lexsort((total, value))
        value, total = value[order], total[order]
        new = (value[1:] != value[:-1]) | (total[1:] != total[:-1])
        step = np.zeros(len(value))
        np.cumsum(new, out=step[1:])
        step *= _STEP
        highest = found.max()
        if np.isnan(highest):
            highest = np.fmax.reduce(found)
        found[look.item[order]] = highest + 1 + value - value[0] + step

    def shap(self, histories: Histories, items: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What every feature gave to the score of candidates of one history: (int64[c] of `items`, float32[c, f + 1]).

        Exact for the trees; the last column is what all start from. Items that were no candidates are left out, those that
        nobody took up as well, and all are without trees.
        """
        if self.trees is None:
            return np.zeros(0, dtype=np.int64), np.zeros((0, len(self.features) + 1), dtype=np.float32)
        look = self.look(histories)
        place = {item: at for at, item in enumerate(look.item.tolist()) if self.pairs.taken[item] > 0}
        asked = [item for item in items.tolist() if item in place]
        rows = look.features[[place[item] for item in asked]].reshape(len(asked), len(self.features))
        return np.array(asked, dtype=np.int64), self.trees.shap(rows)

    def contributions(self, histories: Histories, row: int, item: int) -> NDArray[np.float32]:
        """float32[length]: what each entry of a history adds to an item's score by the linear part alone; zeros without it."""
        return self.blend.contributions(histories, row, item)

    def compact(self, rows: int = 300) -> "FittedRanker":
        """The same ranker with the linear part of its blend as the `rows` strongest weights a row."""
        return replace(self, blend=self.blend.compact(rows))

    def arrays(self) -> Arrays:
        own = {} if self.trees is None else {_TREES: self.trees.text}
        blend = {_BLEND + name: array for name, array in self.blend.arrays().items()}
        return own | blend | {_PAIRS + name: array for name, array in self.pairs.arrays().items()}

    def params(self) -> Mapping[str, float | int | str]:
        own: dict[str, float | int | str] = {"best": self.best, "own": self.own, "note": self.note}
        return own | {_BLEND + name: value for name, value in self.blend.params().items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        blend = FittedBlend.from_arrays(_of(_BLEND, arrays), _of(_BLEND, params))
        pairs = Pairs.from_arrays(_of(_PAIRS, arrays))
        if len(pairs.taken) != blend.n_items:
            raise ValueError(f"pairs of {len(pairs.taken)} items, a blend of {blend.n_items}")
        found = cls(blend, pairs, None, int(params["best"]), int(params["own"]), str(params["note"]))
        if found.best < 1 or found.own < 0 or found.best + found.own * len(blend.parts) > MOST:
            raise ValueError(f"best {found.best} and own {found.own} are no numbers of candidates")
        if _TREES not in arrays:
            return found
        text = np.asarray(arrays[_TREES])
        if text.dtype != np.uint8 or text.ndim != 1:
            raise ValueError(f"{_TREES} is {text.dtype}{list(text.shape)}, not uint8[any]")
        return replace(found, trees=Trees(text, len(found.features)).check())


_PLAIN = 1e-3  # of the squared mean: below, a variance is not told well by a sum of squares


def _moments(raw: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Mean and one over deviation (0 for none) of the finite entries of float32[p, m], float64[p, 1] each.

    And where the others are, in the flattened array: they are made 0.
    """
    flat, m = raw.ravel(), raw.shape[1]
    finite = np.isfinite(flat)
    unknown = np.flatnonzero(np.logical_not(finite, out=finite))
    flat[unknown] = 0  # for the sums, which count it out
    counts = np.maximum(m - np.bincount(unknown // m, minlength=len(raw)), 1).tolist()
    mean, scale = np.empty((2, len(raw), 1))
    for at, (row, count, sums) in enumerate(zip(raw, counts, raw.sum(axis=1).tolist(), strict=True)):
        centre = sums / count
        variance = float(row @ row) / count - centre**2
        if variance <= _PLAIN * centre**2:
            known = np.delete(row, unknown[unknown // m == at] - at * m).astype(np.float64)
            centre, variance = float(known.mean()) if len(known) else 0.0, float(known.var()) if len(known) else 0.0
        spread = variance > (FLAT * centre) ** 2
        mean[at], scale[at] = centre, variance**-0.5 if spread else 0.0
    return mean, scale, unknown


def _said(values: NDArray[np.float32], row: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32[k, 2 + 3 p] of float32[1 + p, k]: the total and its place, then score, gap and place of each part.

    NaN where a part has no score.
    """
    total, *parts = values
    said = [total, np.log1p(places(total, row))]
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    sizes = np.diff(np.append(starts, len(row)))
    for own in parts:
        best = np.repeat(np.fmax.reduceat(own, starts), sizes) if len(starts) else own
        said += [own, best - own, np.where(np.isnan(own), np.nan, np.log1p(places(own, row)))]
    return np.stack([np.asarray(column, dtype=np.float32) for column in said], axis=1)


def _write_said(total: NDArray[np.float32], standard: NDArray[np.float32], found: NDArray[np.float32]) -> None:
    """`_said` of one history into float32[2 + 3 p, k], all parts at once."""
    p, k = standard.shape
    found[0], found[2::3] = total, standard
    np.subtract(np.fmax.reduce(standard, axis=1, keepdims=True, initial=-np.inf), standard, out=found[3::3])
    order = np.argsort(np.negative(np.concatenate([total[None], standard])), axis=1, kind="stable")
    order += np.arange(p + 1)[:, None] * k
    place = np.empty((p + 1, k), dtype=np.float32)
    place.ravel()[order] = np.log1p(np.arange(k, dtype=np.float32))
    found[1], found[4::3] = place[0], np.where(np.isnan(standard), np.float32(np.nan), place[1:])


_STEP = 2.0**-14  # more than float32 loses at any score that a blend reaches, and nothing beside what trees say


def _steps(row: NDArray[np.int64], value: NDArray[np.float32], total: NDArray[np.float32]) -> NDArray[np.int64]:
    """int64[k]: how many different candidates of its row stand below each, by `value`, of equals by `total`.

    Few trees of few leaves give many candidates one value; the blend has told them apart already.
    """
    order = np.lexsort((total, value, row))
    row, value, total = row[order], value[order], total[order]
    first = np.diff(row, prepend=-1) != 0
    new = (np.diff(value, prepend=0) != 0) | (np.diff(total, prepend=0) != 0)
    place = np.cumsum(new & ~first)
    found = np.empty(len(row), dtype=np.int64)
    found[order] = place - np.repeat(place[first], np.diff(np.append(np.flatnonzero(first), len(row))))
    return found


def _keep_places(
    value: NDArray[np.float32],
    total: NDArray[np.float32],
    untaken: NDArray[np.bool_],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> None:
    """Put each untaken candidate, in `value`, between those that stand where its neighbours in the blend's order stand."""
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        span = slice(start, start + size)
        if not untaken[span].any():
            continue
        order = np.argsort(-total[span], kind="stable")
        new = untaken[span][order]
        place, others = np.flatnonzero(new), np.flatnonzero(~new)
        if not len(others):
            value[span] = total[span]
            continue
        known = np.sort(value[span][~untaken[span]])[::-1]
        above, below = np.maximum(others[0] - place, 0), np.maximum(place - others[-1], 0)
        value[start + order[place]] = np.interp(place, others, known) + above - below


def _of(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}

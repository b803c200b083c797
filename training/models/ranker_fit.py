"""How a ranker is learned: parts fitted on the past rank what came next, and trees learn from where they were wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories, Interactions
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.pairs import Pairs
from training.models.ranker import FittedRanker, Ranker, RankerConfig
from training.models.rehearsal import rehearse
from training.models.trees import Trees, learn
from training.models.weights import choose_weights
from training.splits import Task

_K = 10
_BATCH = 256
_STEPS = 8  # numbers of trees that are compared


@dataclass(frozen=True, eq=False)
class Lesson:
    """Questions whose answer was among the candidates, as rows of candidates. sizes: int64[q], learner: int32[q].

    features: float32[k, f]; hit: bool[k], one a question; blend: float32[k], the blend's score. asked: how many there were.
    """

    features: NDArray[np.float32]
    hit: NDArray[np.bool_]
    blend: NDArray[np.float32]
    sizes: NDArray[np.int64]
    learner: NDArray[np.int32]
    asked: int

    @classmethod
    def joined(cls, lessons: Sequence["Lesson"], width: int) -> "Lesson":
        """One after the other; without any, an empty one of `width` features."""
        none = np.zeros(0, dtype=np.int64)
        empty = cls(np.zeros((0, width), np.float32), none > 0, none.astype(np.float32), none, none.astype(np.int32), 0)
        own = [empty, *lessons]
        arrays = {
            name: np.concatenate([getattr(one, name) for one in own])
            for name in ("features", "hit", "blend", "sizes", "learner")
        }
        return cls(**arrays, asked=sum(one.asked for one in own))

    def rows(self, questions: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """bool[k]: the candidates of these questions."""
        return np.repeat(questions, self.sizes)

    def gain(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64[q]: NDCG at 10 of each question under scores of its candidates, equal ones as the blend orders them."""
        own, blend = (np.repeat(values[self.hit], self.sizes) for values in (scores, self.blend))
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        equal = scores == own
        better, same = (scores > own) | equal & (self.blend > blend), equal & (self.blend == blend)
        above, tied = (np.add.reduceat(where.astype(np.int64), starts) for where in (better, same))
        rank = 1 + above + (tied - 1) / 2
        return np.where(rank < _K + 1, 1 / np.log2(1 + rank), 0.0)


def fit(model: Ranker, interactions: Interactions, rng: np.random.Generator, fitted: Mapping[str, Fitted]) -> FittedRanker:
    """Parts, weights and trees from a rehearsal; then the parts once more, on everything, but for those in `fitted`."""
    config, weights, lessons = model.config, model.weights, []
    early, late = rng.spawn(2)
    for past, task in rehearse(interactions, rng, config.questions, config.rehearsals):
        parts = _fit(model, past, early.spawn(1)[0])
        if weights is None:
            weights = choose_weights(parts, task.histories, task.targets, rng=rng, k=_K)
        first = _untaught(model, {name: parts[name] for name in weights}, weights, past)
        lessons.append(lesson(first, task))
        del parts, first
    if weights is None:  # nothing to rehearse
        weights = {part.name: 1.0 for part in model.parts}
    again = _fit(model, interactions, late, [name for name in weights if name not in fitted])
    final = _untaught(model, {name: fitted[name] if name in fitted else again[name] for name in weights}, weights, interactions)
    trees, note = _learned(config, Lesson.joined(lessons, len(final.features)), final.rising, int(rng.integers(2**31)))
    return replace(final, trees=trees, note=note)


def _untaught(model: Ranker, parts: Mapping[str, Fitted], weights: Mapping[str, float], table: Interactions) -> FittedRanker:
    return FittedRanker(FittedBlend(parts, weights), Pairs.of(table, model.side), None, model.config.best, model.config.own)


def lesson(ranker: FittedRanker, task: Task) -> Lesson:
    """The candidates of every question, as far as the answer is among them."""
    own = [_of(ranker, task, start, histories) for start, histories in task.histories.batches(_BATCH)]
    return Lesson.joined(own, len(ranker.features))


def _of(ranker: FittedRanker, task: Task, start: int, histories: Histories) -> Lesson:
    look, asked = ranker.look(histories), slice(start, start + len(histories))
    hit = look.item == task.targets[asked][look.row]
    found = np.bincount(look.row[hit], minlength=len(histories)) > 0
    kept = found[look.row]
    sizes = np.bincount(look.row[kept], minlength=len(histories))[found]
    blend = look.total[look.row, look.item][kept]
    return Lesson(look.features[kept], hit[kept], blend, sizes, task.learners[asked][found], len(histories))


def _fit(model: Ranker, table: Interactions, rng: np.random.Generator, names: Sequence[str] | None = None) -> dict[str, Fitted]:
    """Each part with a generator of its own, whichever others are fitted."""
    own = dict(zip((part.name for part in model.parts), rng.spawn(len(model.parts)), strict=True))
    return {part.name: part.fit(table, rng=own[part.name]) for part in model.parts if names is None or part.name in names}


def _learned(config: RankerConfig, lesson: Lesson, rising: Sequence[int], seed: int) -> tuple[Trees | None, str]:
    """Trees, as many as help learners that they did not see; None, and why, where none do."""
    questions = len(lesson.sizes)
    if questions < config.fewest:
        return None, (
            f"the blend ranks alone: {questions} of {lesson.asked} rehearsed take-ups were among the candidates, and trees need"
            f" {config.fewest}"
        )
    steps = np.unique(np.ceil(np.linspace(config.trees / _STEPS, config.trees, _STEPS)).astype(int))
    gains = _judged(config, lesson, rising, steps, seed)
    best = int(np.argmax([gain.sum() for gain in gains.values()]))
    count, gain = list(gains.items())[best]
    difference = gain - lesson.gain(lesson.blend)
    mean, error = float(difference.mean()), float(difference.std() / np.sqrt(questions))
    told = f"NDCG@10 {mean * questions / lesson.asked:+.4f} to the blend's on {lesson.asked} take-ups of learners left out"
    if mean <= error:
        return None, f"the blend ranks alone: {count} trees gave {told}, which is not above its standard error"
    return _train(config, lesson, rising, np.ones(questions, dtype=bool), count, seed), f"{count} trees: {told}"


def _judged(
    config: RankerConfig, lesson: Lesson, rising: Sequence[int], steps: NDArray[np.int64], seed: int
) -> Mapping[int, NDArray[np.float64]]:
    """By number of trees, the gain of every question under trees that its learner had no part in."""
    fold = np.random.default_rng(seed).integers(config.folds, size=int(lesson.learner.max()) + 1)[lesson.learner]
    scores = {int(step): np.zeros(len(lesson.hit), dtype=np.float32) for step in steps}
    for held in range(config.folds):
        rows = lesson.rows(fold == held)
        if not rows.any() or (fold == held).all():
            continue
        trees = _train(config, lesson, rising, fold != held, config.trees, seed)
        for step in scores:
            scores[step][rows] = trees.predict(lesson.features[rows], step)
    return {step: lesson.gain(found) for step, found in scores.items()}


def _train(
    config: RankerConfig, lesson: Lesson, rising: Sequence[int], questions: NDArray[np.bool_], count: int, seed: int
) -> Trees:
    rows = lesson.rows(questions)
    return learn(
        lesson.features[rows],
        lesson.hit[rows],
        lesson.sizes[questions],
        rising=rising,
        trees=count,
        leaves=config.leaves,
        rate=config.rate,
        smallest=config.smallest,
        seed=seed % 2**31,
        threads=config.threads,
    )

"""The ranker where trees have something to find: a catalogue walked in order by some and backwards by others."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.catalogue import Catalogue, Item
from features.interactions import Histories, Interactions
from features.side import SideInformation
from features.vocabulary import Vocabulary
from training.bundle import BundleError, Provenance, load_bundle, write_bundle
from training.models import rehearsal
from training.models.item_knn import ItemKNN
from training.models.popularity import Popularity
from training.models.ranker import FittedRanker, Ranker, RankerConfig, _steps
from training.models.rehearsal import rehearse
from training.models.trees import Trees

M = 20
Text = NDArray[np.uint8]
SMALL: dict[str, Any] = {"trees": 16, "leaves": 4, "smallest": 5, "fewest": 20, "best": 15, "own": 2, "folds": 2}
START = np.datetime64("2025-01-01T00:00:00", "us")


def walks(n: int = 120, *, times: bool = True) -> Interactions:
    """Each learner walks the items in order from a random start: neighbours in common say which way only by order."""
    rng = np.random.default_rng(2)
    rows = [[int(first + step) % M for step in range(int(rng.integers(4, 9)))] for first in rng.integers(M, size=n)]
    days = [np.sort(rng.choice(300, size=len(row), replace=False)) for row in rows]
    at = [[START + np.timedelta64(int(day), "D") for day in own] for own in days] if times else None
    until = {"until": START + np.timedelta64(301, "D")} if times else {}
    return Interactions.of_histories(Histories.of(rows, M, at=at), n_audiences=1, **until)


def ranker(**settings: Any) -> Ranker:
    return RankerConfig(**{**SMALL, **settings}).over((ItemKNN(), Popularity()), SideInformation(M))


@pytest.fixture(scope="module")
def fitted() -> FittedRanker:
    found = ranker().fit(walks(), rng=np.random.default_rng(1))
    assert found.trees is not None, found.note
    return found


def test_trees_find_the_order_that_no_part_knows(fitted: FittedRanker) -> None:
    histories = Histories.of([[first, first + 1, first + 2] for first in range(M - 3)], M)
    ranks = {}
    for name, scores in (("ranker", fitted.score(histories)), ("blend", fitted.blend.score(histories))):
        scores[histories.rows(), histories.items] = np.nan
        ranks[name] = np.mean(np.nanargmax(scores, axis=1) == np.arange(3, M))
    assert ranks["ranker"] == 1 > 0.9 > ranks["blend"]
    assert "+0." in fitted.note


def test_parts_that_were_fitted_before_are_used_as_they_are(fitted: FittedRanker) -> None:
    table = walks()
    parts = {part.name: part.fit(table, rng=np.random.default_rng(0)) for part in (ItemKNN(), Popularity())}
    found = ranker().fit(table, rng=np.random.default_rng(1), fitted=parts)
    assert all(part is parts[name] for name, part in found.blend.parts.items())
    np.testing.assert_array_equal(found.score(table), fitted.score(table))


def test_where_take_ups_are_few_the_blend_ranks_alone_and_says_so() -> None:
    found = ranker(fewest=10_000).fit(walks(), rng=np.random.default_rng(1))
    assert found.trees is None
    assert "trees need 10000" in found.note
    np.testing.assert_array_equal(found.score(walks()), found.blend.score(walks()))


def test_a_table_without_some_times_is_rehearsed_by_order() -> None:
    """Known until an instant, yet one take-up has no time: no window in time can be cut."""
    table = walks()
    at = np.array(table.at)
    at[0] = np.datetime64("NaT")
    past, task = next(rehearse(replace(table, at=at), np.random.default_rng(0), 1000))
    assert len(task) > len(table)
    assert len(past.items) < len(table.items)


def test_a_second_rehearsal_knows_nothing_of_what_the_first_one_asked() -> None:
    (late, asked), (early, before) = rehearse(walks(times=True), np.random.default_rng(0), 10_000, 2)
    assert 0 < len(early.items) < len(late.items)
    assert len(before) > 0
    for learner in range(len(late)):
        assert early[learner].tolist() == late[learner].tolist()[: len(early[learner])]
        told = before.histories.items[np.repeat(before.learners == learner, before.histories.lengths)]
        assert set(told.tolist()) | set(before.targets[before.learners == learner].tolist()) <= set(late[learner].tolist())
    found = rehearse(walks(times=True), np.random.default_rng(0), len(asked) + 5, 9)
    assert sum(len(task) for _, task in found) <= len(asked) + 5


def test_few_learners_of_order_alone_are_asked_in_turns_after_a_fit_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_NEWEST", 5)
    table, whole = walks(times=False), {}
    for past, task in rehearse(table, np.random.default_rng(0), 10_000, 9):
        assert not set(task.learners.tolist()) & set(np.flatnonzero(past.lengths).tolist())
        for learner in np.unique(task.learners).tolist():
            assert learner not in whole
            whole[learner] = task.targets[task.learners == learner].tolist()
        for at, (who, target) in enumerate(zip(task.learners.tolist(), task.targets.tolist(), strict=True)):
            told = [*task.histories[at].tolist(), target]
            assert told == table[who].tolist()[: len(told)]
    assert whole == {who: table[who].tolist()[1:][-5:] for who in range(len(table)) if len(table[who]) > 1}


def test_the_bundle_ranks_as_the_fit_did(fitted: FittedRanker, tmp_path: Path) -> None:
    loaded = load_bundle(written(fitted, tmp_path)).model
    assert isinstance(loaded, FittedRanker)
    np.testing.assert_array_equal(loaded.score(walks()), fitted.score(walks()))
    assert (loaded.note, loaded.features) == (fitted.note, fitted.features)
    assert loaded.trees is not None
    assert loaded.trees.importance.sum() == pytest.approx(1)


def changed(text: Text, pattern: str, new: str) -> Text:
    """With the first match in a tree replaced; that tree's size in the head keeps up with it."""
    whole = text.tobytes().decode()
    found = re.sub(pattern, new, whole, count=1)
    assert found != whole
    old = whole.partition("tree_sizes=")[2].split()[0]
    found = re.sub(f"tree_sizes={old}", f"tree_sizes={int(old) + len(found) - len(whole)}", found, count=1)
    return np.frombuffer(found.encode(), dtype=np.uint8)


def of_one_part(_: Text) -> Text:
    one = RankerConfig(**SMALL).over((ItemKNN(),), SideInformation(M)).fit(walks(), rng=np.random.default_rng(1))
    assert one.trees is not None
    return one.trees.text


DAMAGED: dict[str, tuple[Callable[[Text], Text], str]] = {
    "a head alone": (lambda text: text[:600], "cannot be read"),
    "a tree cut off": (lambda text: text[: text.tobytes().index(b"leaf_count")], "cannot be read"),
    "no text": (lambda text: np.full(50, 200, np.uint8), "ascii"),
    "a cycle": (lambda text: changed(text, r"(?m)^right_child=\S+", "right_child=0"), "make no tree"),
    "a feature too far": (lambda text: changed(text, r"(?m)^split_feature=\S+", "split_feature=99"), "outside 0"),
    "a number that is none": (lambda text: changed(text, r"(?m)^leaf_value=\S+", "leaf_value=nan"), "finite"),
    "other features": (of_one_part, "were learned over 30 features, not 33"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_damaged_trees_are_refused(fitted: FittedRanker, tmp_path: Path, how: str) -> None:
    damage, said = DAMAGED[how]
    assert fitted.trees is not None
    broken = replace(fitted, trees=replace(fitted.trees, text=damage(fitted.trees.text)))
    with pytest.raises(BundleError, match=f"({said}).*publish again"):
        load_bundle(written(broken, tmp_path))


def test_a_ranker_of_another_vocabulary_is_refused(fitted: FittedRanker, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="knows 20 items, the vocabulary 21; publish again"):
        load_bundle(written(fitted, tmp_path, items=M + 1))


def written(model: FittedRanker, parent: Path, items: int = M) -> Path:
    ids = tuple(f"i{number:02d}" for number in range(items))
    return write_bundle(
        parent,
        tenant="walks",
        model=model,
        vocabulary=Vocabulary(ids),
        catalogue=Catalogue({name: Item(id=name, title=name) for name in ids}, {}, {}),
        audiences=(),
        population={},
        provenance=Provenance(recipe={}, data_digest="d", split_digest="s"),
    )


def order(fitted: FittedRanker, history: Histories, items: NDArray[np.int64]) -> list[int]:
    scores = fitted.score(history)[0, items]
    return [int(item) for item in items[np.argsort(-scores, kind="stable")]]


def test_an_item_nobody_took_up_keeps_the_place_that_the_blend_gives_it(fitted: FittedRanker) -> None:
    moved = 0
    for first in range(M - 3):
        history = Histories.of([[first, first + 1, first + 2]], M)
        look = fitted.look(history)
        liked = look.item[np.argsort(-look.total[0, look.item], kind="stable")]
        for place, item in enumerate(liked.tolist()):
            taken = np.array(fitted.pairs.taken)
            taken[item] = 0
            found = replace(fitted, pairs=replace(fitted.pairs, taken=taken))
            assert order(found, history, liked).index(item) == place
            moved += order(fitted, history, liked).index(item) != place
        assert item not in found.shap(history, liked)[0]
    assert moved > 0  # where it was taken up, trees do move it


class Silent(Trees):
    """Trees that tell no candidates apart."""

    def predict(self, features: NDArray[np.float32], trees: int | None = None) -> NDArray[np.float32]:
        return np.zeros(len(features), dtype=np.float32)


def test_candidates_that_trees_do_not_tell_apart_stand_as_the_blend_puts_them(fitted: FittedRanker) -> None:
    histories = Histories.of([[3, 4, 5], [7, 8], []], M)
    look = fitted.look(histories)
    found = replace(fitted, trees=Silent(np.zeros(0, np.uint8), 0)).lifted(look)
    for row in range(3):
        own = look.item[look.row == row]
        told, blend = found[row, own], look.total[row, own]
        order = np.argsort(blend, kind="stable")
        assert (np.diff(told[order]) > 0).tolist() == (np.diff(blend[order]) > 0).tolist()
        assert told.min() > look.total[row].max()


def test_steps_follow_the_trees_first_and_then_the_blend() -> None:
    row = np.array([0, 0, 0, 0, 1, 1])
    value, total = np.array([[2, 1, 1, 1, 5, 5], [0, 7, 9, 7, 3, 2]], np.float32)
    assert _steps(row, value, total).tolist() == [2, 0, 1, 0, 1, 0]


def test_no_candidate_of_the_trees_among_the_items_asked_for_is_no_error(fitted: FittedRanker) -> None:
    """LightGBM divides by the number of rows: an explained ranking of other items fell back to popularity."""
    assert fitted.trees is not None
    assert fitted.trees.shap(np.zeros((0, len(fitted.features)), dtype=np.float32)).shape == (0, len(fitted.features) + 1)

"""The sparse form: equal to the dense one where every item is near, close to it where only some are."""

import numpy as np
import pytest
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models import closed_form, linear_sparse
from training.models.likeness import Likeness

RNG = np.random.default_rng(4)
ROWS = [RNG.permutation(12)[: RNG.integers(2, 9)].tolist() for _ in range(60)]
TABLE = Interactions.of_histories(Histories.of(ROWS, 12))
FOUND = Likeness.of(SideInformation(12, text=RNG.normal(size=(12, 4)).astype(np.float32)))


@pytest.mark.parametrize(("likeness", "side"), [(None, 0.0), (FOUND, 2.0)], ids=["alone", "with side information"])
def test_with_every_item_near_both_forms_are_equal(likeness: Likeness | None, side: float) -> None:
    whole = closed_form.ease(TABLE.matrix(), 3, likeness, side)
    np.testing.assert_allclose(linear_sparse.ease(TABLE, 3, likeness, side).toarray(), whole, atol=1e-5)
    whole = closed_form.next_item(TABLE, 0.6, 3, likeness, side)
    np.testing.assert_allclose(linear_sparse.next_item(TABLE, 0.6, 3, likeness, side).toarray(), whole, atol=1e-5)


def test_an_item_has_no_more_weights_than_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_sparse, "NEAREST", 4)
    found = linear_sparse.ease(TABLE, 3, None, 0)
    assert sparse.csc_matrix(found).getnnz(axis=0).max() == 4
    assert found.diagonal().tolist() == [0] * 12


def test_the_nearest_are_those_taken_up_together_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_sparse, "NEAREST", 1)
    table = Interactions.of_histories(Histories.of([[0, 1], [0, 1], [0, 2], [2, 3], [2, 3]], 4))
    assert linear_sparse.ease(table, 1, None, 0).toarray().argmax(axis=0).tolist() == [1, 0, 3, 2]


def test_only_the_newest_of_a_long_history_count_for_ease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_sparse, "NEWEST", 2)
    table = Interactions.of_histories(Histories.of([[0, 1, 2]], 3))
    assert (linear_sparse.ease(table, 1, None, 0).toarray() != 0).tolist() == [
        [False] * 3,
        [False, False, True],
        [False, True, False],
    ]


def test_the_same_table_gives_the_same_bits() -> None:
    one, two = (linear_sparse.next_item(TABLE, 0.6, 3, FOUND, 2) for _ in range(2))
    assert one.data.tobytes() == two.data.tobytes()

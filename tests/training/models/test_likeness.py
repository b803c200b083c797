"""What items have in common: small tables by hand."""

import numpy as np
import pytest
from scipy import sparse

from features.side import SideInformation
from training.models.likeness import Likeness

A = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 1], [0, 0, 1]], dtype=np.float32)  # the last attribute is everybody's
T = np.array([[2, 0], [0, 3], [0, 0], [np.nan, 1]], dtype=np.float32)


def whole(likeness: Likeness | None) -> np.ndarray:
    assert likeness is not None
    found = np.zeros((likeness.n_items, likeness.n_items), dtype=np.float32)
    likeness.add_to(found, 2)
    return found / 2


def test_attributes_that_few_items_have_say_most_and_one_that_all_have_nothing() -> None:
    found = whole(Likeness.of(SideInformation(4, attributes=sparse.csr_matrix(A))))
    np.testing.assert_allclose(found, [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], atol=1e-6)


def test_texts_are_compared_without_what_all_have_in_common() -> None:
    found = whole(Likeness.of(SideInformation(4, text=T)))  # two texts apart from their mean point away from each other
    np.testing.assert_allclose(found, [[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], atol=1e-6)


def test_attributes_and_text_count_half_each() -> None:
    both = Likeness.of(SideInformation(4, text=T, attributes=sparse.csr_matrix(A)))
    np.testing.assert_allclose(whole(both)[0], [1, -0.5, 0.5, 0], atol=1e-6)
    assert both is not None
    assert both.known.tolist() == [True, True, True, False]
    np.testing.assert_allclose(both.features @ both.features.T, whole(both), atol=1e-6)


@pytest.mark.parametrize(
    "side",
    [
        SideInformation(3),
        SideInformation(3, text=np.zeros((3, 2), dtype=np.float32)),
        SideInformation(3, text=np.ones((3, 2), dtype=np.float32)),
        SideInformation(3, attributes=sparse.csr_matrix(np.ones((3, 1), dtype=np.float32))),
    ],
    ids=["nothing", "empty texts", "equal texts", "an attribute of all"],
)
def test_what_tells_no_items_apart_is_no_side_information(side: SideInformation) -> None:
    assert Likeness.of(side) is None


def test_many_attributes_are_reduced_to_their_strongest_directions() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 5, 300)  # 5 kinds of items, each with 40 attributes of which an item has most
    words = (np.arange(200) // 40 == kinds[:, None]) & (rng.random((300, 200)) < 0.9)
    found = Likeness.of(SideInformation(300, attributes=sparse.csr_matrix(words.astype(np.float32))))
    assert found is not None
    assert found.features.shape == (300, 128)
    np.testing.assert_allclose(found.features @ found.features.T, whole(found), atol=0.06)

"""Contents of items: cosines of texts and catalogue words, nothing where nothing is known."""

from pathlib import Path

import numpy as np
import pytest
from acme import ITEMS, publish
from scipy import sparse

from features.side import indicators
from serving.contents import MOST_COLUMNS, contents, contents_of, told
from serving.prepared import prepare
from training.bundle import load_bundle


def test_text_and_words_weigh_the_same() -> None:
    text = np.array([[2, 0], [0, 1], [0, 0], [np.nan, 1]], dtype=np.float32)
    words = indicators([("a",), ("a",), ("b",), ()])
    found = contents(4, text, words)
    assert (found @ found.T)[0].tolist() == pytest.approx([1, 0.5, 0, 0], abs=1e-6)
    assert np.linalg.norm(found, axis=1).tolist() == pytest.approx([1, 1, 1, 0])


def test_what_every_item_has_in_common_tells_none_apart() -> None:
    words = indicators([("en", "a"), ("en", "b"), ("en",)])
    assert words is not None
    found = told(words)
    assert (found @ found.T).round(6).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_nothing_known_has_no_columns() -> None:
    assert contents(3, None, None).shape == (3, 0)


def test_many_columns_are_kept_along_the_main_axes() -> None:
    """Texts of 384 numbers that vary in 20 directions lose nothing, and many words little."""
    rng = np.random.default_rng(0)
    text = (rng.normal(size=(300, 20)) @ rng.normal(size=(20, 384))).astype(np.float32)
    found = contents(300, text, None)
    unit = text / np.linalg.norm(text, axis=1, keepdims=True)
    assert found.shape == (300, MOST_COLUMNS)
    assert np.abs(found @ found.T - unit @ unit.T).max() < 1e-4


def test_more_words_than_columns_keep_their_cosines() -> None:
    rng = np.random.default_rng(0)
    words = sparse.csr_matrix((rng.random((60, 900)) < 0.2).astype(np.float32))
    exact, folded = told(words, most=900), told(words, most=512)
    assert folded.shape == (60, 512)
    assert np.abs(folded @ folded.T - exact @ exact.T).max() < 0.2
    assert np.array_equal(folded, told(words, most=512))


def test_a_bundle_without_texts_goes_by_its_catalogue(tmp_path: Path) -> None:
    bundle = load_bundle(publish(tmp_path))
    found = contents_of(bundle)
    at = {item.id: n for n, item in enumerate(ITEMS)}
    alike = found @ found.T
    assert alike[at["data"], at["more"]] > alike[at["calm"], at["more"]] > -1e-6
    assert np.array_equal(prepare(bundle).contents, found)

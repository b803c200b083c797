import hashlib
from pathlib import Path

import numpy as np
import pytest

from features.catalogue import Item, Skill
from features.text import TextModelError, encode, item_text, verify

TEXTS = ["Pivot tables in Excel", "Summarise data with Excel pivot tables, step by step. " * 4, "", "Giving difficult feedback"]


def test_a_text_holds_title_attributes_skills_and_the_beginning_of_the_description() -> None:
    item = Item(
        id="i1",
        title="Pivot tables",
        description="Rows, columns and values." + "x" * 10_000,
        attributes={"theme": ("Office", "Data"), "job": "Analyst"},
        skills={"s1": 2, "s2": 1},
    )
    text = item_text(item, {"s1": Skill(id="s1", name="Spreadsheets")})
    assert text.startswith("Pivot tables. Analyst, Office, Data, Spreadsheets, s2. Rows, columns and values.x")
    assert len(text) < 600


def test_a_bare_item_is_its_title() -> None:
    assert item_text(Item(id="i1", title="Pivot tables")) == "Pivot tables"


def test_blank_texts_need_no_model() -> None:
    assert encode(["", "  "], model="no such model").shape == (2, 0)


def test_weights_that_are_not_the_expected_ones_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    with pytest.raises(TextModelError, match=r"model\.safetensors: missing"):
        verify(weights)
    weights.write_bytes(b"other")
    with pytest.raises(TextModelError, match="SHA-256 is d9298a10"):
        verify(weights)
    verify(weights, hashlib.sha256(b"other").hexdigest())


def test_texts_become_unit_vectors_that_know_what_is_alike(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    vectors = encode(TEXTS, cache=tmp_path, threads=1, progress=lambda done, all_: calls.append((done, all_)))
    assert (vectors.dtype, vectors.shape, calls) == (np.dtype(np.float32), (4, 384), [(3, 3)])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 1], atol=1e-5)
    like = vectors @ vectors.T
    assert like[0, 1] > like[0, 3] + 0.3


def test_a_text_of_50_kilobytes_is_read_as_far_as_the_model_reads(tmp_path: Path) -> None:
    sentence = "Summarise a table of sales by region with a pivot table in Excel. "
    long, short, blank = encode([sentence * 760, sentence * 30, " "], cache=tmp_path, threads=1)
    assert len(sentence * 760) > 50_000
    np.testing.assert_allclose(long, short, atol=1e-4)
    assert not blank.any()


def test_the_cache_answers_without_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encode(TEXTS, cache=tmp_path)
    monkeypatch.setattr("features.text._load", lambda model: pytest.fail("the model was loaded"))
    np.testing.assert_array_equal(encode(TEXTS[::-1], cache=tmp_path), first[::-1])


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    first = encode(TEXTS[:1], cache=tmp_path)
    (cache,) = tmp_path.iterdir()
    cache.write_bytes(cache.read_bytes()[:100])
    np.testing.assert_array_equal(encode(TEXTS[:1], cache=tmp_path), first)


def test_an_unknown_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TextModelError, match="is not on this machine: give a folder"):
        encode(["text"], model=str(tmp_path / "nothing"))

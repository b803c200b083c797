"""Attributes of a log's items: what is taken, what is told, what is refused with its place."""

import re
from pathlib import Path

import pytest

from features.readers.attributes import ItemAttributes, read_attributes
from features.vocabulary import Vocabulary

ITEMS = Vocabulary(["a", "b", "c"])


def read(folder: Path, content: str | bytes) -> ItemAttributes:
    path = folder / "attributes.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_attributes(path, ITEMS)


def test_numbers_and_texts_in_the_order_of_the_vocabulary(tmp_path: Path) -> None:
    found = read(tmp_path, '\ufeff{"c": ["red", 7], "a": [7], "b": []}')
    assert found.words == (("7",), (), ("red", "7"))
    assert found.notes == ("attributes.json: 1 of 3 items of the log have no attribute",)


def test_unknown_items_and_repeated_attributes_are_counted_and_told(tmp_path: Path) -> None:
    found = read(tmp_path, '{"a": [1, 2, "1"], "x": [1, 1], "y": [2], "b": [2], "c": [2]}')
    assert found.words == (("1", "2"), ("2",), ("2",))
    assert (found.unknown, found.repeated) == (2, 1)  # what an unknown item repeats is nobody's business
    assert found.notes == (
        "attributes.json: 2 items are not in the log: left out",
        "attributes.json: 1 items list an attribute twice: it counts once",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": [1], "b": [1], "a": [2]}', "attributes.json: item 'a' stands twice"),
        ('{"a": 1}', "item 'a': a list of attribute ids is expected, not 1"),
        ('{"x": "red"}', """item 'x': a list of attribute ids is expected, not "red\""""),
        ('{"a": {"b": 1}}', "item 'a': a list of attribute ids is expected, not an object"),
        ('{"a": [1, [2]]}', "item 'a', entry 2: text or a whole number is expected, not a list"),
        ('{"a": [1.5]}', "entry 1: text or a whole number is expected, not 1.5"),
        ('{"a": [true]}', "entry 1: text or a whole number is expected, not true"),
        ('{"a": [null]}', "entry 1: text or a whole number is expected, not null"),
        ('{"a": [NaN]}', "entry 1: text or a whole number is expected, not NaN"),
        ('{"a": [""]}', "entry 1: text or a whole number is expected, not an empty text"),
        ("[1]", 'an object like {"item": [1, 2]} is expected, not a list'),
        ('{"a": [1],\n "b": [2}', "attributes.json, line 2, column 9: not JSON"),
        ("", "attributes.json, line 1, column 1: not JSON"),
        (b'{"\xff": []}', "the text is not UTF-8 (byte 3)"),
        ('{"a": ' + "[" * 100_000, "attributes.json: lists stand too deep in each other"),
        ('{"a": [' + "9" * 5000 + "]}", "attributes.json: a number of more than 4,300 digits is no id; write it as text"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        read(tmp_path, content)

"""Reads what is known of a log's items from JSON: one object, item id to a list of attribute ids."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.vocabulary import Vocabulary


@dataclass(frozen=True)
class ItemAttributes:
    """words: the distinct attribute ids of each item of a vocabulary, in index order, in the file's order.

    `unknown`: items of the file that the vocabulary does not hold; `repeated`: items of it that list an attribute twice.
    """

    file: str
    words: tuple[tuple[str, ...], ...]
    unknown: int
    repeated: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What the file leaves to be told, in words."""
        without = sum(not row for row in self.words)
        told = {
            f"{self.unknown:,} items are not in the log: left out": self.unknown,
            f"{self.repeated:,} items list an attribute twice: it counts once": self.repeated,
            f"{without:,} of {len(self.words):,} items of the log have no attribute": without,
        }
        return tuple(f"{self.file}: {say}" for say, count in told.items() if count)


def read_attributes(path: Path, items: Vocabulary) -> ItemAttributes:
    """An attribute id is text or a whole number, and 7 is "7"; one listed twice counts once.

    Items that the log does not hold are left out and counted. ValueError names file and line, or item, of what is broken:
    an item that stands twice, a value that is no flat list of ids.
    """
    given = {item: _ids(path, item, value) for item, value in _object(path).items()}
    held = {item: words for item, words in given.items() if item in items}
    words = tuple(tuple(dict.fromkeys(held.get(item, ()))) for item in items.ids)
    repeated = sum(len(set(row)) < len(row) for row in held.values())
    return ItemAttributes(path.name, words, len(given) - len(held), repeated)


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_distinct)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: the text is not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"{path.name}, line {error.lineno}, column {error.colno}"
        raise ValueError(f"{where}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError(f"{path.name}: lists stand too deep in each other; give each item one flat list") from None
    except ValueError as error:
        what = "a number of more than 4,300 digits is no id; write it as text" if "digits" in str(error) else error
        raise ValueError(f"{path.name}: {what}") from None
    if not isinstance(found, dict):
        raise ValueError(f'{path.name}: an object like {{"item": [1, 2]}} is expected, not {_kind(found)}')
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"item {twice!a} stands twice; give each item one list")
    return found


def _ids(path: Path, item: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"{path.name}: item {item!a}: a list of attribute ids is expected, not {_kind(value)}")
    for at, word in enumerate(value, start=1):
        if not isinstance(word, str | int) or isinstance(word, bool) or word == "":
            what = "an empty text" if word == "" else _kind(word)
            raise ValueError(f"{path.name}: item {item!a}, entry {at}: text or a whole number is expected, not {what}")
    return [str(word) for word in value]


def _kind(value: Any) -> str:
    """A JSON value in a few words."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value)[:40]

"""Which items a rule is about: of one item by its row, and of a whole bundle as a mask that is kept."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Item
from features.pieces import in_pieces
from serving.prepared import Mask, Prepared, primary_language
from serving.rules.language import Match

_KEPT: Final = 256
"""Masks that are kept of a bundle: the policy's rules, and what requests say again and again."""
_SOME: Final = 500
"""Items that are looked at in a millisecond."""
_ATTRIBUTE: Final = "attribute:"
Labels = Mapping[str, Mapping[str, NDArray[np.int64]]]
"""Label -> name -> int64 indices of the items that have it."""


def covers(match: Match, item: Item) -> bool:
    """Whether an item of the catalogue matches."""
    return all(not names.isdisjoint(_names(item, label)) for label, names in _wanted(match))


def matched(stock: Prepared, match: Match) -> Mask:
    """bool[m]: the items that match. Not to be written to."""
    kept, key = _MASKS.setdefault(stock, {}), match.model_dump_json()
    found = kept.get(key)
    if found is None:
        found = _matched(stock, match)
        if len(kept) >= _KEPT:
            kept.clear()
        kept[key] = found
    return found


def missing(stock: Prepared, match: Match) -> list[str]:
    """`providers: Nord`: the names of a match, with their field, that no item of the bundle has."""
    found = []
    for label, names in _wanted(match):
        has = stock.index if label == "items" else labels(stock).get(label, {})
        field = f"attributes.{label.removeprefix(_ATTRIBUTE)}" if label.startswith(_ATTRIBUTE) else label
        found += [f"match.{field}: {name}" for name in sorted(names) if name not in has]
    return found


def labels(stock: Prepared) -> Labels:
    """The bundle's providers, skills and so on; made once, which takes 0.2 s for 20,000 items: when a bundle is loaded."""
    found = _LABELS.get(stock)
    if found is None:
        found = _LABELS[stock] = _labels(stock)
    return found


_MASKS: Final["WeakKeyDictionary[Prepared, dict[str, Mask]]"] = WeakKeyDictionary()
_LABELS: Final["WeakKeyDictionary[Prepared, Labels]"] = WeakKeyDictionary()


def _matched(stock: Prepared, match: Match) -> Mask:
    found = stock.listed.copy()
    for label, names in _wanted(match):
        one = np.zeros(len(stock), dtype=bool)
        if label == "items":
            one = stock.mask(names)
        else:
            has = labels(stock).get(label, {})
            for name in names & has.keys():
                one[has[name]] = True
        found &= one
    return found


def _labels(stock: Prepared) -> Labels:
    rows = ((index, stock.bundle.catalogue.items.get(item_id)) for index, item_id in enumerate(stock.ids))
    listed = [(index, item) for index, item in in_pieces(rows, every=_SOME) if item is not None]
    found = {label: _by_name((index, names(item)) for index, item in listed) for label, names in _OF_ITEM.items()}
    for name in {name for _, item in in_pieces(listed, every=_SOME) for name in item.attributes}:
        label = f"{_ATTRIBUTE}{name}"
        found[label] = _by_name((index, _names(item, label)) for index, item in listed)
    return found


def _by_name(named: Iterable[tuple[int, Iterable[str]]]) -> dict[str, NDArray[np.int64]]:
    found: dict[str, list[int]] = {}
    for index, names in in_pieces(named, every=_SOME):
        for name in names:
            found.setdefault(name, []).append(index)
    return {name: np.array(indices, dtype=np.int64) for name, indices in in_pieces(found.items(), every=50)}


_OF_ITEM: Final[Mapping[str, Callable[[Item], tuple[str, ...]]]] = {
    "types": lambda item: (item.type.value,),
    "providers": lambda item: (item.provider,) if item.provider else (),
    "skills": lambda item: tuple(item.skills),
    "languages": lambda item: tuple(map(primary_language, item.languages)),
    "audiences": lambda item: item.audiences,
}


def _names(item: Item, label: str) -> tuple[str, ...]:
    if label == "items":
        return (item.id, *item.aliases)
    if label in _OF_ITEM:
        return _OF_ITEM[label](item)
    found = item.attributes.get(label.removeprefix(_ATTRIBUTE), ())
    return (found,) if isinstance(found, str) else found


def _wanted(match: Match) -> Iterator[tuple[str, frozenset[str]]]:
    """By label, the names of which an item must have one."""
    given: Mapping[str, tuple[str, ...]] = {
        "items": match.items,
        "types": tuple(one.value for one in match.types),
        "providers": match.providers,
        "skills": match.skills,
        "languages": tuple(map(primary_language, match.languages)),
        "audiences": match.audiences,
        **{f"{_ATTRIBUTE}{name}": values for name, values in match.attributes.items()},
    }
    return ((label, frozenset(names)) for label, names in given.items() if names)

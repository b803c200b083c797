"""A bundle made ready to serve: its catalogue as arrays over the vocabulary, computed once when it is loaded."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.catalogue import Item
from features.grants import Grant
from features.pieces import between, in_pieces
from features.proposals import Proposal, Proposals, usable
from features.ranking import ItemTable
from serving.contents import contents_of
from training.bundle import Bundle
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.linear import FittedLinear
from training.models.ranker import FittedRanker

Mask = NDArray[np.bool_]
_SOME = 500
"""Rows of the catalogue that are looked at in a millisecond."""
Equivalent = tuple[str, tuple[str, ...]]
"""An item's id, and the audiences for which it is the same as another; none: for all."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Arrays over the m items of a bundle's vocabulary.

    names: every catalogue item by id and alias. index: vocabulary index by id and alias. id_array: the ids, object[m].
    listed: bool[m], in the catalogue. audiences, languages, types: bool[m] by name, with `unrestricted` and `any_language`
    for items that name none. since, until: float64[m] seconds since 1970, the time an item is available. requires:
    int64[p, 2], pairs (item, prerequisite), -1 for one that the bundle does not know. replaced: int64[r, 2], pairs (old,
    new). equivalents: what a finished item also stands for, and for learners of which audiences (empty: all). proposed: skill
    id -> (index, proposal) of the items that a text model says teach it.
    """

    bundle: Bundle
    names: Mapping[str, Item]
    index: Mapping[str, int]
    id_array: NDArray[np.object_]
    table: ItemTable
    listed: Mask
    audiences: Mapping[str, Mask]
    unrestricted: Mask
    languages: Mapping[str, Mask]
    any_language: Mask
    types: Mapping[str, Mask]
    since: NDArray[np.float64]
    until: NDArray[np.float64]
    requires: NDArray[np.int64]
    replaced: NDArray[np.int64]
    equivalents: Mapping[str, frozenset[Equivalent]]
    proposed: Mapping[str, tuple[tuple[int, Proposal], ...]]

    def __len__(self) -> int:
        return len(self.listed)

    @cached_property
    def versions(self) -> Mapping[str, tuple[str, ...]]:
        """Item id -> the ids of the versions next to it, older and newer."""
        found: dict[str, tuple[str, ...]] = {}
        for pair in self.replaced:
            old, new = self.ids_of(pair)
            found[old], found[new] = (*found.get(old, ()), new), (*found.get(new, ()), old)
        return found

    @cached_property
    def contents(self) -> NDArray[np.float32]:
        """float32[m, d], what the items are about; made when first asked for, by a policy that wants diversity."""
        return contents_of(self.bundle)

    @cached_property
    def providers(self) -> NDArray[np.int64]:
        """int64[m]: the provider of each item by number, -1 where the catalogue names none."""
        rows = [self.bundle.catalogue.items.get(item_id) for item_id in self.ids]
        numbers: dict[str, int] = {}
        return np.array([-1 if not (row and row.provider) else numbers.setdefault(row.provider, len(numbers)) for row in rows])

    @cached_property
    def unlisted(self) -> Mask | None:
        """bool[m]: what the catalogue does not list; None where it lists all."""
        return None if self.listed.all() else ~self.listed

    @cached_property
    def timed(self) -> bool:
        """Whether any item becomes available or ends at some time."""
        return bool(np.isfinite(self.since).any() or np.isfinite(self.until).any())

    @cached_property
    def for_all(self) -> bool:
        """Whether no item names an audience."""
        return bool(self.unrestricted.all())

    @cached_property
    def granted(self) -> tuple[tuple[int, Item], ...]:
        """(index, item) of those that another tenant grants."""
        rows = enumerate(self.bundle.catalogue.items.get(item_id) for item_id in self.ids)
        return tuple((index, item) for index, item in rows if item is not None and item.granted_by is not None)

    def withheld(self, grants: tuple[Grant, ...]) -> Mask:
        """bool[m]: the granted items that none of these grants covers (any longer)."""
        if grants not in self._withheld:
            found = np.zeros(len(self), dtype=bool)
            for index, item in self.granted:
                found[index] = not any(grant.grantor == item.granted_by and grant.covers(item) for grant in grants)
            self._withheld.clear()
            self._withheld[grants] = found
        return self._withheld[grants]

    @cached_property
    def _withheld(self) -> dict[tuple[Grant, ...], Mask]:
        """Of the last grants that were asked for: they seldom change."""
        return {}

    @property
    def ids(self) -> tuple[str, ...]:
        return self.bundle.vocabulary.ids

    def with_model(self, model: Fitted) -> "Prepared":
        """The same catalogue, scored by another model over the same vocabulary (to simulate or compare)."""
        return replace(self, bundle=replace(self.bundle, model=model))

    def canonical(self, name: str) -> str:
        """The item id behind an id or alias; an unknown name stays as it is."""
        item = self.names.get(name)
        return name if item is None else item.id

    def ids_of(self, indices: NDArray[np.integer]) -> tuple[str, ...]:
        """The item ids of vocabulary indices."""
        return tuple(self.id_array[indices].tolist())

    def mask(self, names: Iterable[str]) -> Mask:
        """bool[m]: the items of these ids or aliases."""
        found = np.zeros(len(self), dtype=bool)
        indices = [self.index[name] for name in names if name in self.index]
        found[indices] = True
        return found


def primary_language(tag: str) -> str:
    """`en` of `en-GB`: who reads one reads the other."""
    return tag.partition("-")[0]


def prepare(bundle: Bundle) -> Prepared:
    """Everything about a bundle's catalogue that a request would otherwise compute again."""
    vocabulary, catalogue = bundle.vocabulary, bundle.catalogue
    rows = [catalogue.items.get(item_id) for item_id in in_pieces(vocabulary.ids, every=_SOME)]
    names = {alias: item for item in catalogue.items.values() for alias in item.aliases} | dict(catalogue.items)
    proposals = usable(bundle.proposals, catalogue)
    popularity = np.asarray(bundle.population.get("popularity", np.zeros(len(rows), dtype=np.float32)))
    audiences, unrestricted = _by_name(rows, lambda item: item.audiences)
    languages, any_language = _by_name(rows, lambda item: tuple(map(primary_language, item.languages)))
    types, _ = _by_name(rows, lambda item: (item.type,))
    index = {name: vocabulary.index(item.id) for name, item in in_pieces(names.items(), every=_SOME) if item.id in vocabulary}
    return Prepared(
        bundle=replace(bundle, model=_dense(bundle.model), proposals=proposals),
        names=names,
        index=index,
        id_array=np.array(vocabulary.ids, dtype=object),
        table=ItemTable.of(catalogue, vocabulary, popularity),
        listed=np.array([row is not None for row in rows], dtype=bool),
        audiences=audiences,
        unrestricted=unrestricted,
        languages=languages,
        any_language=any_language,
        types=types,
        since=_seconds(rows, lambda item: item.available_from, -np.inf),
        until=_seconds(rows, lambda item: item.available_until, np.inf),
        requires=_requires(rows, index),
        replaced=_replaced(rows, vocabulary.index),
        equivalents=_equivalents(catalogue.items.values()),
        proposed=_proposed(proposals, index),
    )


def _dense(model: Fitted) -> Fitted:
    """A linear table is made dense where that takes no more memory than its sparse form: it scores faster."""
    if isinstance(model, FittedRanker):
        return replace(model, blend=_dense_parts(model.blend))
    if isinstance(model, FittedBlend):
        return _dense_parts(model)
    if isinstance(model, FittedLinear) and sparse.issparse(model.weights):
        rows, columns = model.weights.shape
        if rows * columns <= 2 * model.weights.nnz:
            return replace(model, weights=np.ascontiguousarray(model.weights.toarray()))
    return model


def _dense_parts(blend: FittedBlend) -> FittedBlend:
    return replace(blend, parts={name: _dense(part) for name, part in blend.parts.items()})


def _by_name(rows: list[Item | None], of: Callable[[Item], tuple[str, ...]]) -> tuple[dict[str, Mask], Mask]:
    """bool[m] per name, and the items that name none."""
    found: dict[str, list[int]] = {}
    none = np.ones(len(rows), dtype=bool)
    for index, row in enumerate(in_pieces(rows, every=_SOME)):
        for name in () if row is None else of(row):
            found.setdefault(name, []).append(index)
            none[index] = False
    return {name: _mask(found[name], len(rows)) for name in in_pieces(sorted(found))}, none


def _mask(indices: list[int], length: int) -> Mask:
    found = np.zeros(length, dtype=bool)
    found[indices] = True
    return found


def _seconds(rows: list[Item | None], of: Callable[[Item], object], missing: float) -> NDArray[np.float64]:
    found = [None if row is None else of(row) for row in in_pieces(rows, every=_SOME)]
    return np.array([missing if at is None else at.timestamp() for at in found], dtype=np.float64)  # type: ignore[attr-defined]


def _requires(rows: list[Item | None], index: Mapping[str, int]) -> NDArray[np.int64]:
    between()
    pairs = [(at, index.get(one, -1)) for at, row in enumerate(rows) if row is not None for one in row.prerequisites]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _replaced(rows: list[Item | None], index: Callable[[str], int]) -> NDArray[np.int64]:
    between()
    pairs = [(index(row.replaces), new) for new, row in enumerate(rows) if row is not None and row.replaces is not None]
    return np.array([pair for pair in pairs if pair[0] >= 0], dtype=np.int64).reshape(-1, 2)


def _equivalents(items: Iterable[Item]) -> dict[str, frozenset[Equivalent]]:
    """Both ways: whoever finished one has finished the other."""
    found: dict[str, set[Equivalent]] = {}
    for item in in_pieces(items, every=_SOME):
        for other in item.equivalent_to:
            found.setdefault(item.id, set()).add((other, item.equivalent_for))
            found.setdefault(other, set()).add((item.id, item.equivalent_for))
    return {item_id: frozenset(others) for item_id, others in found.items()}


def _proposed(proposals: Proposals, index: Mapping[str, int]) -> dict[str, tuple[tuple[int, Proposal], ...]]:
    found: dict[str, list[tuple[int, Proposal]]] = {}
    for item, own in in_pieces(proposals.items(), every=_SOME):
        for skill, proposal in own.items():
            if item in index:
                found.setdefault(skill, []).append((index[item], proposal))
    return {skill: tuple(items) for skill, items in found.items()}

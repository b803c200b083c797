"""Side information: what is known of each item beside who took it up, as arrays in the order of a table's items."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.catalogue import Catalogue, Item
from features.vocabulary import Vocabulary

Floats = NDArray[np.float32]

POSITION, MINUTES, DIFFICULTY, AVAILABLE = "position", "minutes", "difficulty", "available"
_DIFFICULTIES = {"beginner": 1.0, "intermediate": 2.0, "advanced": 3.0}


@dataclass(frozen=True, eq=False)
class SideInformation:
    """Of m items. text: float32[m, d] vectors, None without texts. attributes: float32 csr[m, a] of 0 and 1, None without.

    fields: float32[m] by name, NaN where not given: `position` in the catalogue, `minutes`, `difficulty` 1 to 3, `available`
    from, in days since 1970. levels: float32[m, s], skill levels gained (0: not taught); expects: float32[r, s], what each
    role expects, both None where no item teaches a skill. A row of zeros or NaN in `text` is an item without text.
    """

    n_items: int
    text: Floats | None = None
    attributes: sparse.csr_matrix | None = None
    fields: Mapping[str, Floats] = field(default_factory=dict)
    levels: Floats | None = None
    expects: Floats | None = None

    def __post_init__(self) -> None:
        wide = {"text": self.text, "attributes": self.attributes, "levels": self.levels}
        for name, table in {**wide, **self.fields}.items():
            if table is not None:
                _check(name, table, self.n_items, 2 if name in wide else 1)

    @property
    def known(self) -> tuple[str, ...]:
        """What there is: of "text", "attributes", "levels" and the names of fields."""
        tables = {"text": self.text, "attributes": self.attributes, "levels": self.levels, **self.fields}
        return tuple(name for name, table in tables.items() if table is not None)

    def take(self, items: NDArray[np.integer]) -> "SideInformation":
        """The rows of these items, in the order given: follows `training.splits.relabel` as `take(permutation.items)`."""
        return SideInformation(
            len(items),
            None if self.text is None else self.text[items],
            None if self.attributes is None else sparse.csr_matrix(self.attributes[items]),
            {name: values[items] for name, values in self.fields.items()},
            None if self.levels is None else self.levels[items],
            self.expects,
        )

    @classmethod
    def of_catalogue(
        cls, catalogue: Catalogue, items: Vocabulary, *, text: Floats | None = None, roles: tuple[str, ...] = ()
    ) -> "SideInformation":
        """From the rows of the vocabulary's items, of which the catalogue may lack some; `roles` as histories count them."""
        rows = [catalogue.items.get(item_id) for item_id in items.ids]
        skills = Vocabulary.of(skill for row in rows if row is not None for skill in row.skills)
        taught = [{} if row is None else row.skills for row in rows]
        expected = [catalogue.roles[role].expects if role in catalogue.roles else {} for role in roles]
        return cls(
            len(rows),
            text,
            indicators([() if row is None else tuple(_words(row)) for row in rows]),
            {name: values for name, values in _fields(rows).items() if not np.isnan(values).all()},
            _levels(taught, skills) if len(skills) else None,
            _levels(expected, skills) if len(skills) else None,
        )


def indicators(words: Sequence[tuple[str, ...]]) -> sparse.csr_matrix | None:
    """float32 csr[m, a] of 0 and 1 from the words that describe each item; None where nothing describes any."""
    known = Vocabulary.of(word for row in words for word in row)
    if not len(known):
        return None
    columns = [np.unique(known.indices(row)) for row in words]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in columns])])
    indices = np.concatenate(columns).astype(np.int32)
    return sparse.csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=(len(words), len(known)))


def _check(name: str, table: Floats | sparse.csr_matrix, n_items: int, n_axes: int) -> None:
    if table.ndim != n_axes or table.dtype != np.float32:
        wanted = f"float32[{n_items}, any]" if n_axes == 2 else f"float32[{n_items}]"
        raise ValueError(f"side information {name} is {table.dtype}{list(table.shape)}, not {wanted}")
    if table.shape[0] != n_items:
        raise ValueError(f"side information {name} has {table.shape[0]} rows for {n_items} items")


def _words(item: Item) -> Iterator[str]:
    """What an item is described by, each word with the field it stands in."""
    yield f"type={item.type.value}"
    yield from (f"skill={skill}" for skill in item.skills)
    yield from (f"language={language}" for language in item.languages)
    if item.provider:
        yield f"provider={item.provider}"
    for name, value in item.attributes.items():
        yield from (f"{name}={word}" for word in ((value,) if isinstance(value, str) else value) if word.strip())


def _fields(rows: list[Item | None]) -> dict[str, Floats]:
    none = np.full(len(rows), np.nan, dtype=np.float32)
    found = {name: none.copy() for name in (POSITION, MINUTES, DIFFICULTY, AVAILABLE)}
    for at, row in enumerate(rows):
        if row is None:
            continue
        if row.position is not None:
            found[POSITION][at] = row.position
        if row.duration_s is not None:
            found[MINUTES][at] = row.duration_s / 60
        if row.difficulty is not None:
            found[DIFFICULTY][at] = _DIFFICULTIES[row.difficulty]
        if row.available_from is not None:
            found[AVAILABLE][at] = row.available_from.timestamp() / 86_400
    return found


def _levels(rows: Sequence[Mapping[str, float]], skills: Vocabulary) -> Floats:
    """float32[n, s]: the levels of the skills of the vocabulary."""
    found = np.zeros((len(rows), len(skills)), dtype=np.float32)
    for at, row in enumerate(rows):
        for skill, level in row.items():
            if skill in skills:
                found[at, skills.index(skill)] = level
    return found

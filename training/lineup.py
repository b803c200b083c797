"""Which models compete, under the names a user gives them, and which settings of each are tried on validation."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from features.interactions import Interactions
from training.models.als import ALS
from training.models.base import Model
from training.models.content import ContentConfig
from training.models.linear import grid
from training.models.popularity import Popularity
from training.models.random_order import RandomOrder
from training.models.recent import Recent

Vectors = NDArray[np.float32]
"""float32[n_items, d]: one text vector per item, in the order of the table's item indices."""

BLEND = "blend"
SMALL = 3_000
"""Items up to which a fit takes less than a second, so that several settings can be tried."""
_SETTINGS: dict[str, Callable[[int, Vectors | None], Sequence[Model]]] = {
    "popularity": lambda n_items, vectors: (Popularity(),),
    "recent": lambda n_items, vectors: tuple(Recent(half_life_days=days) for days in (7, 30, 90, 365)),
    "als": lambda n_items, vectors: _als(n_items),
    "linear": lambda n_items, vectors: grid(n_items),
    "content": lambda n_items, vectors: _content(vectors),
    "random": lambda n_items, vectors: (RandomOrder(),),
}
MODELS = ("popularity", "recent", "als", "linear", "content", BLEND, "random")
"""Every model's name, in the order of a report."""
BLENDED = ("linear", "als", "content", "recent", "popularity")
"""The parts of the blend, as far as the data allow them."""


def settings(name: str, n_items: int, vectors: Vectors | None) -> Sequence[Model]:
    """The settings of one family that are tried on validation. Errors: KeyError for an unknown name or the blend."""
    return _SETTINGS[name](n_items, vectors)


def missing(name: str, interactions: Interactions, vectors: Vectors | None) -> str | None:
    """What a model needs and these data lack ("no text", "no times"); None where it can compete."""
    if name == "content" and vectors is None:
        return "no text"
    if name == "recent" and np.isnat(interactions.at).all():
        return "no times"
    return None


def _als(n_items: int) -> Sequence[Model]:
    """A few settings where a fit takes under a second, else the default alone."""
    if n_items > SMALL:
        return (ALS(),)
    pairs = ((64, 10.0, 1.0), (64, 10.0, 10.0), (128, 5.0, 10.0))
    return tuple(ALS(factors=factors, alpha=alpha, regularization=ridge) for factors, alpha, ridge in pairs)


def _content(vectors: Vectors | None) -> Sequence[Model]:
    if vectors is None:
        raise ValueError("content needs a text vector for each item")
    return tuple(ContentConfig(decay=decay).bind(vectors) for decay in (0.5, 0.8))

"""Which models compete, under the names a user gives them, and which settings of each are tried on validation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.interactions import Interactions
from training.models.base import Model
from training.models.content import ContentConfig
from training.models.families import FAMILIES, Settings

Vectors = NDArray[np.float32]
"""float32[n_items, d]: one text vector per item, in the order of the table's item indices."""

BLEND = "blend"
SMALL = 3_000
"""Items up to which a fit takes about a second: its products gain nothing from more than one thread."""
MODELS = (*FAMILIES, BLEND)
"""Every model's name, in the order of a report."""
BLENDED = tuple(name for name, family in FAMILIES.items() if family.blended)
"""The parts of the blend, as far as the data allow them."""


def settings(name: str, n_items: int, vectors: Vectors | None) -> Sequence[Model]:
    """The settings of one family that are tried on validation. Errors: KeyError for an unknown name or the blend."""
    return tuple(bound(found, vectors) for found in FAMILIES[name].settings(n_items))


def missing(name: str, interactions: Interactions, vectors: Vectors | None) -> str | None:
    """What a model needs and these data lack ("no text", "no times"); None where it can compete."""
    needs = FAMILIES[name].needs if name in FAMILIES else None
    lacks = {"text": vectors is None, "times": bool(np.isnat(interactions.at).all())}
    return f"no {needs}" if needs is not None and lacks[needs] else None


def bound(found: Settings, vectors: Vectors | None) -> Model:
    """The model of some settings. Errors: ValueError where it needs texts and there are none."""
    if not isinstance(found, ContentConfig):
        return found
    if vectors is None:
        raise ValueError(f"{found.name} needs a text vector for each item")
    return found.bind(vectors)

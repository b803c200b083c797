"""Which models compete, under the names a user gives them, and which settings of each are tried on validation."""

from collections.abc import Sequence

import numpy as np

from features.interactions import Interactions
from features.side import SideInformation
from training.models.base import Model
from training.models.families import FAMILIES, Bindable, Settings

BLEND, RANKER = "blend", "ranker"
SMALL = 3_000
"""Items up to which a fit takes about a second: its products gain nothing from more than one thread."""
MODELS = (*FAMILIES, BLEND, RANKER)
"""Every model's name, in the order of a report."""
BLENDED = tuple(name for name, family in FAMILIES.items() if family.blended)
"""The parts of the blend, as far as the data allow them."""
RANKED = tuple(name for name, family in FAMILIES.items() if family.ranked)
"""Likewise those of the ranker."""
_LACK = {"side": "no text and no attributes", "times": "no times", "groups": "no audience, org unit or role"}


def settings(name: str, n_items: int, side: SideInformation) -> Sequence[Model]:
    """The settings of one family that are tried on validation; those that these items cannot tell apart are tried once.

    Errors: KeyError for an unknown name, blend and ranker, ValueError as `bound`.
    """
    models = [bound(found, side) for found in FAMILIES[name].settings(n_items)]
    return tuple({unbound(model): model for model in models}.values())


def missing(name: str, interactions: Interactions, side: SideInformation) -> str | None:
    """What a model needs and these data lack ("no times"); None where it can compete."""
    needs = FAMILIES[name].needs if name in FAMILIES else None
    if needs is None:
        return None
    lacks = {
        "side": side.text is None and side.attributes is None,
        "times": bool(np.isnat(interactions.at).all()),
        "groups": not interactions.grouped,
    }
    return _LACK[needs] if lacks[needs] else None


def bound(found: Settings, side: SideInformation) -> Model:
    """The model of some settings. Errors: ValueError where they need what is not known of the items."""
    return found.bind(side) if isinstance(found, Bindable) else found


def unbound(model: Model) -> Settings:
    """The settings of a model, to be bound to the items of another numbering."""
    found: Settings = getattr(model, "config", model)
    return found


def asks_for_side(names: Sequence[str]) -> bool:
    """Whether one of these models reads what is known of the items: then texts are worth encoding."""
    own = {part for name in names for part in {BLEND: BLENDED, RANKER: RANKED}.get(name, (name,))}
    return any(isinstance(FAMILIES[name].default, Bindable) for name in own)
